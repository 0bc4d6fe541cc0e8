package tracking

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// times lists time_in_zone of an output's detections, "-" where it is not known.
func times(h *workflowtest.Harness, output string) string {
	d, ok := h.Value(output).Detections()
	if !ok {
		return "null"
	}
	var s []string
	for i := range d.Items {
		if d.Items[i].Has&workflow.HasTimeInZone == 0 {
			s = append(s, "-")
			continue
		}
		s = append(s, fmt.Sprintf("%.3g", d.Items[i].TimeInZone))
	}
	return strings.Join(s, ",")
}

func TestTimeInZone(t *testing.T) {
	const (
		v1   = `"type": "roboflow_core/time_in_zone@v1", "metadata": "$inputs.video", "image": "$inputs.image", "detections": "$steps.source.predictions", "zone": `
		v2   = `"type": "roboflow_core/time_in_zone@v2", "image": "$inputs.image", "detections": "$steps.source.predictions", "zone": `
		v3   = `"type": "roboflow_core/time_in_zone@v3", "image": "$inputs.image", "detections": "$steps.source.predictions", "zone": `
		one  = `[[0, 0], [100, 0], [100, 100], [0, 100]]`
		both = `[[[0, 0], [100, 0], [100, 100], [0, 100]], [[200, 0], [300, 0], [300, 100], [200, 100]]]`
		keep = `, "reset_out_of_zone_detections": false`
		all  = `, "remove_out_of_zone_detections": false`
	)
	walk := path(-50, 50, 50, 50, 60, 50, 150, 50, 70, 50, 80, 50) // out, in, in, out, in, in
	for name, c := range map[string]struct {
		step   string
		frames [][]workflow.Detection
		want   string // of a file of 10 frames a second
	}{
		"v1":                     {v1 + one, walk, "|0|0.1||0|0.1"},
		"v2":                     {v2 + one, walk, "|0|0.1||0|0.1"},
		"v3":                     {v3 + one, walk, "|0|0.1||0|0.1"},
		"outside is listed":      {v2 + one + all, walk, "0|0|0.1|0|0|0.1"},
		"time goes on":           {v2 + one + keep, walk, "|0|0.1||0.3|0.4"},
		"both":                   {v3 + one + keep + all, walk, "0|0|0.1|0|0.3|0.4"},
		"two zones":              {v3 + both, path(50, 50, 250, 50, 150, 50, 250, 50), "0|0.1||0"},
		"a list of one zone":     {v3 + `[` + one + `]`, path(50, 50, 50, 50), "0|0.1"},
		"the edge is inside":     {v2 + one, path(100, 50, 100, 50), "0|0.1"},
		"bottom":                 {v2 + one + `, "triggering_anchor": "BOTTOM_CENTER"`, path(50, 94, 50, 97, 50, 94), "0||0"},
		"nobody":                 {v2 + one, [][]workflow.Detection{nil, nil}, "|"},
		"one frame":              {v2 + one, path(50, 50), "0"},
		"no area":                {v2 + one, [][]workflow.Detection{{workflowtest.Det(5, 5, 5, 5, 0, "p", .9, 1)}}, "0"},
		"a zone without an area": {v2 + `[[0, 50], [100, 50], [50, 50]]`, path(50, 50, 50, 51), "0|"},
		"missed on one frame":    {v2 + one, [][]workflow.Detection{{box(7, 50, 50)}, nil, {box(7, 50, 50)}}, "0||0.2"},
	} {
		t.Run(name, func(t *testing.T) {
			h := workflowtest.New(t, spec("test/detections@v1", c.step, "timed_detections"), nil, workflow.Options{}, &pipeline.StreamInfo{FPS: 10}, All(), []*workflow.Manifest{workflowtest.Detections(c.frames...)})
			var got []string
			for range c.frames {
				h.Blank()
				got = append(got, times(h, "timed_detections"))
			}
			if s := strings.Join(got, "|"); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
		})
	}
}

// Which time it is: of a file frame number / rate, whatever its frames' own
// times say; without a rate those; of a camera when the frame came.
func TestClocks(t *testing.T) {
	const step = `"type": "roboflow_core/time_in_zone@v2", "image": "$inputs.image", "detections": "$steps.source.predictions", "zone": [[0, 0], [100, 0], [100, 100]]`
	for name, c := range map[string]struct {
		info     pipeline.StreamInfo
		declared float64
		every    uint64
		want     string
	}{
		"a file":                         {pipeline.StreamInfo{FPS: 4}, 0, 1, "0|0.25|0.5"},
		"a file knows better":            {pipeline.StreamInfo{FPS: 4}, 2, 1, "0|0.25|0.5"},
		"a file, declared":               {pipeline.StreamInfo{}, 2, 1, "0|0.5|1"},
		"a file without a rate":          {pipeline.StreamInfo{}, 0, 1, "0|2|4"},
		"a camera":                       {pipeline.StreamInfo{FPS: 4, Live: true}, 0, 1, "0|2|4"},
		"a file, limited":                {pipeline.StreamInfo{FPS: 4, MaxFPS: 1}, 0, 4, "0|1|2"},
		"a file, declared and limited":   {pipeline.StreamInfo{MaxFPS: 1}, 2, 2, "0|1|2"},
		"a file, limited without a rate": {pipeline.StreamInfo{MaxFPS: .25}, 0, 2, "0|4|8"},
		"a camera, limited":              {pipeline.StreamInfo{FPS: 4, MaxFPS: 1, Live: true}, 0, 4, "0|8|16"},
	} {
		h := workflowtest.New(t, spec("test/detections@v1", step, "timed_detections"), nil, workflow.Options{FPS: c.declared}, &c.info, All(), []*workflow.Manifest{workflowtest.Detections(path(50, 50)...)})
		h.Step, h.Every = 2*time.Second, c.every
		var got []string
		for range 3 {
			h.Blank()
			got = append(got, times(h, "timed_detections"))
		}
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("%s: %s, want %s", name, s, c.want)
		}
	}
}

func TestTimeInZoneTellsWhoComesAndGoes(t *testing.T) {
	frames := path(-50, 50, 50, 50, 60, 50, 150, 50, 70, 50)
	for range 12 {
		frames = append(frames, nil)
	}
	h := workflowtest.New(t, spec("test/detections@v1", `"type": "roboflow_core/time_in_zone@v2", "image": "$inputs.image", "detections": "$steps.source.predictions", "zone": [[0, 0], [100, 0], [100, 100], [0, 100]]`, "timed_detections"),
		nil, workflow.Options{}, &pipeline.StreamInfo{FPS: 1}, All(), []*workflow.Manifest{workflowtest.Detections(frames...)})
	var got []string
	for range frames {
		for _, e := range h.Blank().Events {
			got = append(got, fmt.Sprint(e.Frame, " ", e.Kind, " ", e.Track, " ", e.Class, " ", string(e.Detail)))
		}
	}
	want := []string{
		`2 zone.entered 7 person {"zone":"it"}`, `4 zone.left 7 person {"zone":"it","seconds":2}`,
		`5 zone.entered 7 person {"zone":"it"}`, `15 zone.left 7 person {"zone":"it","seconds":0,"gone":true}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A zone that another step finds: until it is there nobody is in it; then it
// stays.
func TestZoneThatIsFound(t *testing.T) {
	zone := workflow.ValueOfPoints([]pipeline.Point{{X: 0, Y: 0}, {X: 100, Y: 0}, {X: 100, Y: 100}, {X: 0, Y: 100}})
	far := workflow.ValueOfPoints([]pipeline.Point{{X: 500, Y: 500}, {X: 600, Y: 500}, {X: 600, Y: 600}})
	for _, c := range []struct{ block, extra, want string }{
		{"time_in_zone@v2", "", "||0|0.1"}, {"time_in_zone@v3", "", "||0|0.1"}, {"time_in_zone@v2", `, "remove_out_of_zone_detections": false`, "0|0|0|0.1"},
	} {
		step := `"type": "roboflow_core/` + c.block + `", "image": "$inputs.image", "detections": "$steps.source.predictions", "zone": "$steps.v.value"` + c.extra
		doc := strings.Replace(spec("test/detections@v1", step, "timed_detections"), `"steps": [`, `"steps": [{"type": "test/value@v1", "name": "v"}, `, 1)
		h := workflowtest.New(t, doc, nil, workflow.Options{}, &pipeline.StreamInfo{FPS: 10}, All(), []*workflow.Manifest{
			workflowtest.Detections(path(50, 50)...), workflowtest.Values(workflow.ListOf(nil), workflow.ListOf(nil), workflow.ListOf([]workflow.Value{zone}), far)})
		var got []string
		for range 4 {
			h.Blank()
			got = append(got, times(h, "timed_detections"))
		}
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("%s%s: %s, want %s", c.block, c.extra, s, c.want)
		}
	}
	doc := strings.Replace(spec("test/detections@v1", `"type": "roboflow_core/time_in_zone@v2", "image": "$inputs.image", "detections": "$steps.source.predictions", "zone": "$steps.v.value"`), `"steps": [`, `"steps": [{"type": "test/value@v1", "name": "v"}, `, 1)
	for _, c := range []struct {
		zone workflow.Value
		says string
	}{{workflow.ListOf([]workflow.Value{zone, far}), "use time_in_zone@v3"}, {workflow.ListOf([]workflow.Value{workflow.ValueOfPoints([]pipeline.Point{{X: 1}, {X: 2}})}), "three points"}} {
		h := workflowtest.New(t, doc, nil, workflow.Options{}, nil, All(), []*workflow.Manifest{workflowtest.Detections(path(50, 50)...), workflowtest.Values(c.zone)})
		if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.says, err)
		}
	}
}

func TestTimedDetectionsAsJSON(t *testing.T) {
	h := workflowtest.New(t, spec("test/detections@v1", `"type": "roboflow_core/time_in_zone@v2", "image": "$inputs.image", "detections": "$steps.source.predictions", "zone": [[0, 0], [100, 0], [100, 100], [0, 100]]`, "timed_detections"),
		nil, workflow.Options{}, &pipeline.StreamInfo{FPS: 4}, All(), []*workflow.Manifest{workflowtest.Detections(path(50, 50)...)})
	h.Blank()
	h.Blank()
	const want = `{"image":{"width":64,"height":48},"predictions":[{"width":10.0,"height":10.0,"x":50.0,"y":50.0,"confidence":0.9,"class_id":0,"tracker_id":7,"class":"person",` +
		`"detection_id":"70657273-6f6e-2020-2020-202020202020","time_in_zone":0.25,"parent_id":"image"}]}`
	if got := h.JSON("timed_detections"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
