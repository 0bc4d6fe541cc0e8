package tracking

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// model is a stand-in for a detector: its output carries no tracks.
func model(frames ...[]workflow.Detection) *workflow.Manifest {
	m := workflowtest.Detections(frames...)
	m.Type, m.Outputs[0].Tracked = "test/model@v1", false
	return m
}

// walker is a person of 40 x 80 whose left edge is at x.
func walker(x, score float32) workflow.Detection {
	return workflowtest.Det(x, 0, x+40, 80, 0, "person", score, 0)
}

// spec is a workflow of a test's source and one step, whose outputs are the
// workflow's.
func spec(source, step string, outputs ...string) string {
	var outs []string
	for _, o := range outputs {
		outs = append(outs, fmt.Sprintf(`{"type": "JsonField", "name": %q, "selector": "$steps.it.%s"}`, o, o))
	}
	return fmt.Sprintf(`{"version": "1.0",
	"inputs": [{"type": "WorkflowImage", "name": "image"}, {"type": "WorkflowVideoMetadata", "name": "video"}, {"type": "WorkflowParameter", "name": "p", "default_value": null}],
	"steps": [{"type": %q, "name": "source", "image": "$inputs.image"}, {"name": "it", %s}],
	"outputs": [%s]}`, source, step, strings.Join(outs, ","))
}

// ids lists the tracks of an output that is detections.
func ids(h *workflowtest.Harness, output string) string {
	d, ok := h.Value(output).Detections()
	if !ok {
		return "null"
	}
	var s []string
	for i := range d.Items {
		s = append(s, fmt.Sprint(d.Items[i].Track))
	}
	return strings.Join(s, ",")
}

func TestTrackers(t *testing.T) {
	type frames = [][]workflow.Detection
	const step = `"type": "roboflow_core/%s", "detections": "$steps.source.predictions", %s%s`
	none := []workflow.Detection{}
	for name, c := range map[string]struct {
		block, fields string
		frames        frames
		want          string // ids by frame
	}{
		"nothing":                  {"byte_tracker@v3", "", frames{none, none}, "|"},
		"one frame":                {"byte_tracker@v3", "", frames{{walker(0, .9)}}, "1"},
		"kept":                     {"byte_tracker@v1", "", frames{{walker(0, .9)}, {walker(3, .9)}, {walker(6, .2)}}, "1|1|1"},
		"untracked are left out":   {"byte_tracker@v2", "", frames{{walker(0, .9)}, {walker(300, .9), walker(2, .9)}}, "1|1"},
		"a second one":             {"byte_tracker@v2", "", frames{{walker(0, .9)}, {walker(300, .9), walker(2, .9)}, {walker(300, .9)}}, "1|1|2"},
		"the activation threshold": {"byte_tracker@v3", `, "track_activation_threshold": 0.5`, frames{{walker(0, .59)}, {walker(0, .59)}}, "|"},
		"just above it":            {"byte_tracker@v3", `, "track_activation_threshold": 0.5`, frames{{walker(0, .61)}, {walker(0, .61)}}, "1|1"},
		"three frames in a row":    {"byte_tracker@v3", `, "minimum_consecutive_frames": 2`, frames{{walker(0, .9)}, {walker(0, .9)}, {walker(0, .9)}}, "||1"},
		"a lenient distance":       {"byte_tracker@v3", `, "minimum_matching_threshold": 0.95`, frames{{walker(0, .9)}, {walker(30, .9)}}, "1|1"}, // overlap 10/70
		"a strict distance":        {"byte_tracker@v3", `, "minimum_matching_threshold": 0.5`, frames{{walker(0, .9)}, {walker(30, .9)}}, "1|"},
		"one miss without buffer":  {"byte_tracker@v3", `, "lost_track_buffer": 0`, frames{{walker(0, .9)}, none, {walker(0, .9)}}, "1||1"},
		"two misses":               {"byte_tracker@v3", `, "lost_track_buffer": 0`, frames{{walker(0, .9)}, none, none, {walker(0, .9)}}, "1|||"},
		"two misses with buffer":   {"byte_tracker@v3", "", frames{{walker(0, .9)}, none, none, {walker(0, .9)}}, "1|||1"},
		"an old id":                {"byte_tracker@v3", "", frames{{workflowtest.Det(0, 0, 40, 80, 0, "person", .9, 77)}}, "1"},
		"no area":                  {"byte_tracker@v3", "", frames{{workflowtest.Det(5, 5, 5, 5, 0, "person", .9, 0)}, {workflowtest.Det(5, 5, 5, 5, 0, "person", .9, 0)}}, "|"},

		"trackers: second frame":     {"trackers_bytetrack@v1", "", frames{{walker(0, .9)}, {walker(0, .9)}}, "|1"},
		"trackers: at once":          {"trackers_bytetrack@v1", `, "minimum_consecutive_frames": 1`, frames{none, {walker(0, .9)}, {walker(0, .9)}}, "|1|1"},
		"trackers: too unsure":       {"trackers_bytetrack@v1", "", frames{{walker(0, .69)}, {walker(0, .69)}, {walker(0, .69)}}, "||"},
		"trackers: activation":       {"trackers_bytetrack@v1", `, "track_activation_threshold": 0.65`, frames{{walker(0, .69)}, {walker(0, .69)}}, "|1"},
		"trackers: overlap of a 7th": {"trackers_bytetrack@v1", "", frames{{walker(0, .9)}, {walker(0, .9)}, {walker(30, .9)}}, "|1|1"},
		"trackers: more is asked":    {"trackers_bytetrack@v1", `, "minimum_iou_threshold": 0.2`, frames{{walker(0, .9)}, {walker(0, .9)}, {walker(30, .9)}}, "|1|"},
	} {
		t.Run(name, func(t *testing.T) {
			image := `"image": "$inputs.image"`
			if strings.HasSuffix(c.block, "byte_tracker@v1") {
				image = `"metadata": "$inputs.video"`
			}
			h := workflowtest.New(t, spec("test/model@v1", fmt.Sprintf(step, c.block, image, c.fields), "tracked_detections"),
				nil, workflow.Options{}, nil, All(), []*workflow.Manifest{model(c.frames...)})
			var got []string
			for range c.frames {
				h.Blank()
				got = append(got, ids(h, "tracked_detections"))
			}
			if s := strings.Join(got, "|"); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
		})
	}
}

func TestTrackerTellsNewFromSeen(t *testing.T) {
	frames := [][]workflow.Detection{{walker(0, .9)}, {walker(300, .9), walker(2, .9)}, {walker(300, .9), walker(2, .9)}, {walker(300, .9)}}
	for _, c := range []struct{ block, extra, fresh, known string }{
		{"byte_tracker@v3", "", "1||2|", "|1|1|2"},
		{"trackers_bytetrack@v1", `, "minimum_consecutive_frames": 1`, "1|2||", "|1|2,1|2"},
		{"byte_tracker@v3", `, "instances_cache_size": 1`, "1||2,1|2", "|1||"}, // 2 pushes 1 out, which is then new and pushes 2 out,
	} {
		h := workflowtest.New(t, spec("test/model@v1", `"type": "roboflow_core/`+c.block+`", "image": "$inputs.image", "detections": "$steps.source.predictions"`+c.extra, "new_instances", "already_seen_instances"),
			nil, workflow.Options{}, nil, All(), []*workflow.Manifest{model(frames...)})
		var fresh, known []string
		for range frames {
			h.Blank()
			fresh, known = append(fresh, ids(h, "new_instances")), append(known, ids(h, "already_seen_instances"))
		}
		if f, k := strings.Join(fresh, "|"), strings.Join(known, "|"); f != c.fresh || k != c.known {
			t.Errorf("%s%s: new %s, want %s; seen %s, want %s", c.block, c.extra, f, c.fresh, k, c.known)
		}
	}
}

// What other steps added to a detection goes through a tracker.
func TestTrackerKeepsWhatItDoesNotKnow(t *testing.T) {
	d := walker(0, .9)
	d.Has, d.AreaPX, d.Keypoints = workflow.HasArea, 12.5, []pipeline.Keypoint{{Point: pipeline.Point{X: 1, Y: 2}, Score: .5}}
	h := workflowtest.New(t, spec("test/model@v1", `"type": "roboflow_core/byte_tracker@v3", "image": "$inputs.image", "detections": "$steps.source.predictions"`, "tracked_detections"),
		nil, workflow.Options{}, nil, All(), []*workflow.Manifest{model([]workflow.Detection{walker(500, .2), d})})
	h.Blank()
	const want = `{"image":{"width":64,"height":48},"predictions":[{"width":40.0,"height":80.0,"x":20.0,"y":40.0,"confidence":0.9,"class_id":0,"tracker_id":1,"class":"person",` +
		`"detection_id":"70657273-6f6e-2020-2020-202020202020","parent_id":"image","keypoints":[{"class_id":0,"class":"0","confidence":0.5,"x":1.0,"y":2.0}],"area_px":12.5}]}`
	if got := h.JSON("tracked_detections"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// A stream that does not say its rate, or says what cannot be: the buffer of
// one second is one second at the rate that is measured, and the log says so
// once.
func TestTrackerWithoutAFrameRate(t *testing.T) {
	for _, c := range []struct {
		says, declared float64
		step           time.Duration
		misses         int
		want           string
		warned         bool
	}{
		{0, 0, time.Second / 5, 5, "1", true}, {0, 0, time.Second / 5, 6, "", true},
		{90000, 0, time.Second / 5, 5, "1", true}, {90000, 0, time.Second / 5, 6, "", true},
		{5, 0, time.Second / 5, 5, "1", false}, {0, 5, time.Second / 5, 6, "", false},
		{0, 0, time.Second / 50, 50, "1", true}, {0, 0, time.Second / 50, 51, "", true},
	} {
		var log bytes.Buffer
		env := &workflow.Env{Log: slog.New(slog.NewTextHandler(&log, nil))}
		frames := [][]workflow.Detection{{walker(0, .9)}, {walker(0, .9)}}
		for range c.misses {
			frames = append(frames, nil)
		}
		frames = append(frames, []workflow.Detection{walker(0, .9)})
		h := workflowtest.New(t, spec("test/model@v1", `"type": "roboflow_core/byte_tracker@v3", "image": "$inputs.image", "detections": "$steps.source.predictions"`, "tracked_detections"),
			env, workflow.Options{FPS: c.declared}, &pipeline.StreamInfo{FPS: c.says, Live: true}, All(), []*workflow.Manifest{model(frames...)})
		h.Step = c.step
		for range frames {
			h.Blank()
		}
		if got := ids(h, "tracked_detections"); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
		if n := strings.Count(log.String(), "does not say"); n > 1 || (n == 1) != c.warned {
			t.Errorf("%+v: warned %d times", c, n)
		}
	}
}

// Of a run that leaves out frames the tracker is told the rate that is left: a
// buffer of one second is one second, and a car that is parked keeps its id
// however rarely somebody looks.
func TestTrackerOfARunThatLeavesOutFrames(t *testing.T) {
	for _, c := range []struct {
		says, limit float64
		step        time.Duration
		every       uint64
		misses      int
		want        string
	}{
		{10, 5, time.Second / 10, 2, 5, "1"}, {10, 5, time.Second / 10, 2, 6, ""},
		{0, 5, time.Second / 10, 2, 5, "1"}, {0, 5, time.Second / 10, 2, 6, ""}, // measured
		{1000, 5, time.Second / 10, 2, 5, "1"}, {1000, 5, time.Second / 10, 2, 6, ""}, // what the stream says is nonsense, the limit is not
		{10, 1, time.Second / 10, 10, 1, "1"}, {10, 1, time.Second / 10, 10, 2, ""},
		{10, .2, time.Second / 10, 50, 0, "1"},
		{10, .01, time.Second / 10, 1000, 0, "1"},
		{0, .01, time.Second / 10, 1000, 0, "1"},
	} {
		frames := [][]workflow.Detection{{walker(0, .9)}, {walker(0, .9)}}
		for range c.misses {
			frames = append(frames, nil)
		}
		frames = append(frames, []workflow.Detection{walker(0, .9)})
		h := workflowtest.New(t, spec("test/model@v1", `"type": "roboflow_core/byte_tracker@v3", "image": "$inputs.image", "detections": "$steps.source.predictions"`, "tracked_detections"),
			nil, workflow.Options{}, &pipeline.StreamInfo{FPS: c.says, MaxFPS: c.limit, Live: true}, All(), []*workflow.Manifest{model(frames...)})
		h.Step, h.Every = c.step, c.every
		for range frames {
			h.Blank()
		}
		if got := ids(h, "tracked_detections"); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Track ids are needed before the graph runs, not only when it does.
func TestMistakesAreFoundBeforeTheRun(t *testing.T) {
	const line = `"type": "roboflow_core/line_counter@v2", "image": "$inputs.image", "detections": "$steps.source.predictions", `
	const zone = `"type": "roboflow_core/time_in_zone@v2", "image": "$inputs.image", "detections": "$steps.source.predictions", `
	const tracker = `"type": "roboflow_core/byte_tracker@v3", "image": "$inputs.image", "detections": "$steps.source.predictions", `
	for name, c := range map[string]struct{ source, step, says string }{
		"untracked":             {"test/model@v1", line + `"line_segment": [[0, 0], [9, 9]]`, "carry no track ids"},
		"untracked in a zone":   {"test/model@v1", zone + `"zone": [[0, 0], [9, 9], [9, 0]]`, "carry no track ids"},
		"a line of three":       {"test/detections@v1", line + `"line_segment": [[0, 0], [5, 5], [9, 9]]`, "the line has 3 points"},
		"a line that is a dot":  {"test/detections@v1", line + `"line_segment": [[5, 5], [5, 5]]`, "it has no sides"},
		"a line of one":         {"test/detections@v1", line + `"line_segment": [[5, 5]]`, "1 points"},
		"no anchor":             {"test/detections@v1", line + `"line_segment": [[0, 0], [9, 9]], "triggering_anchor": "middle"`, "CENTER_OF_MASS"},
		"a zone of two":         {"test/detections@v1", zone + `"zone": [[0, 0], [9, 9]]`, "2 points"},
		"two zones":             {"test/detections@v1", zone + `"zone": [[[0, 0], [9, 9], [9, 0]], [[0, 0], [9, 9], [9, 0]]]`, "point 1"},
		"an empty zone":         {"test/detections@v1", strings.Replace(zone, "@v2", "@v3", 1) + `"zone": []`, "it is empty"},
		"a zone that is a word": {"test/detections@v1", strings.Replace(zone, "@v2", "@v3", 1) + `"zone": "door"`, "no list of points"},
		"percent":               {"test/model@v1", tracker + `"track_activation_threshold": 25`, "out of range"},
		"no distance":           {"test/model@v1", tracker + `"minimum_matching_threshold": 0`, "out of range"},
		"no frames":             {"test/model@v1", tracker + `"minimum_consecutive_frames": 0`, "out of range"},
		"a negative buffer":     {"test/model@v1", tracker + `"lost_track_buffer": -1`, "out of range"},
	} {
		_, err := workflow.Compile([]byte(spec(c.source, c.step)), workflow.NewLibrary(All(), []*workflow.Manifest{model(), workflowtest.Detections()}), nil)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), `step "it"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A block that follows objects cannot be given several crops of one frame.
func TestSeveralCropsAreAnError(t *testing.T) {
	crops := &workflow.Manifest{
		Type: "test/crops@v1", Delta: 1,
		Fields:  []workflow.Field{{Name: "image", Kinds: []workflow.Kind{workflow.ImageKind}}},
		Outputs: []workflow.Output{{Name: "predictions", Kinds: workflow.AnyDetections(), Tracked: true}, {Name: "crops", Kinds: []workflow.Kind{workflow.ImageKind}}},
		New:     func(p *workflow.Params) (workflow.Block, error) { return &twice{p.In("image")}, nil },
	}
	for _, step := range []string{
		`"type": "roboflow_core/byte_tracker@v3"`, `"type": "roboflow_core/trackers_bytetrack@v1"`, `"type": "roboflow_core/velocity@v1"`, `"type": "roboflow_core/stabilize_detections@v1"`,
		`"type": "roboflow_core/line_counter@v2", "line_segment": [[0, 0], [9, 9]]`, `"type": "roboflow_core/time_in_zone@v3", "zone": [[0, 0], [9, 9], [9, 0]]`,
	} {
		h := workflowtest.New(t, spec("test/crops@v1", step+`, "image": "$steps.source.crops", "detections": "$steps.source.predictions"`), nil, workflow.Options{}, nil, All(), []*workflow.Manifest{crops})
		if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), "several crops") {
			t.Errorf("%s: %v", step, err)
		}
	}
}

type twice struct{ image workflow.In }

func (b *twice) Run(c *workflow.Call) error {
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	for range 2 {
		if err := c.Add(workflow.DetectionsOf(c.NewDetections(img.Origin)), workflow.ImageOf(img)); err != nil {
			return err
		}
	}
	return nil
}

// The output that only Perch has: those without a track as well, and only when
// somebody reads it.
func TestTrackerHandsOnEverybody(t *testing.T) {
	for _, block := range []string{"byte_tracker@v2", "byte_tracker@v3", "trackers_bytetrack@v1"} {
		h := workflowtest.New(t, spec("test/model@v1", `"type": "roboflow_core/`+block+`", "image": "$inputs.image", "detections": "$steps.source.predictions"`, "all_detections"),
			nil, workflow.Options{}, nil, All(), []*workflow.Manifest{model([]workflow.Detection{walker(300, .2), walker(0, .9)})})
		h.Blank()
		h.Blank()
		if got := ids(h, "all_detections"); got != "0,1" {
			t.Errorf("%s: %s", block, got)
		}
	}
}
