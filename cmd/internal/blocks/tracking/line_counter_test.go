package tracking

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// box is a tracked person of 10 x 10 around x, y.
func box(id uint64, x, y float32) workflow.Detection {
	return workflowtest.Det(x-5, y-5, x+5, y+5, 0, "person", .9, id)
}

// path is one object, a place a frame.
func path(xy ...float32) (frames [][]workflow.Detection) {
	for i := 0; i < len(xy); i += 2 {
		frames = append(frames, []workflow.Detection{box(7, xy[i], xy[i+1])})
	}
	return frames
}

func TestLineCounter(t *testing.T) {
	const v1 = `"type": "roboflow_core/line_counter@v1", "metadata": "$inputs.video", "detections": "$steps.source.predictions", "line_segment": `
	const v2 = `"type": "roboflow_core/line_counter@v2", "image": "$inputs.image", "detections": "$steps.source.predictions", "line_segment": `
	const level = `[[0, 100], [200, 100]]` // from left to right: upwards is in
	for name, c := range map[string]struct {
		step   string
		frames [][]workflow.Detection
		in     string // count_in by frame
		out    string
	}{
		"no detections":          {v2 + level, [][]workflow.Detection{{}, {}}, "00", "00"},
		"one frame":              {v2 + level, path(50, 150), "0", "0"},
		"up":                     {v2 + level, path(50, 150, 50, 50), "01", "00"},
		"down and up again":      {v2 + level, path(50, 50, 50, 150, 50, 50), "001", "011"},
		"drawn the other way":    {v2 + `[[200, 100], [0, 100]]`, path(50, 150, 50, 50), "00", "01"},
		"v2 waits for all":       {v2 + level, path(50, 110, 50, 97, 50, 94), "001", "000"},
		"v1 looks at the centre": {v1 + level, path(50, 110, 50, 97, 50, 94), "011", "000"},
		"v2 with an anchor":      {v2 + level + `, "triggering_anchor": "BOTTOM_CENTER"`, path(50, 110, 50, 97, 50, 94), "001", "000"},
		"v1 with an anchor":      {v1 + level + `, "triggering_anchor": "TOP_CENTER"`, path(50, 110, 50, 104, 50, 94), "011", "000"},
		"beside the segment":     {v2 + level, path(250, 150, 250, 50), "00", "00"},
		"no area":                {v2 + level, [][]workflow.Detection{{workflowtest.Det(9, 150, 9, 150, 0, "p", .9, 1)}, {workflowtest.Det(9, 50, 9, 50, 0, "p", .9, 1)}}, "01", "00"},
		"two at once":            {v2 + level, [][]workflow.Detection{{box(1, 20, 150), box(2, 60, 50)}, {box(2, 60, 150), box(1, 20, 50)}}, "01", "01"},
	} {
		t.Run(name, func(t *testing.T) {
			h := workflowtest.New(t, spec("test/detections@v1", c.step, "count_in", "count_out"), nil, workflow.Options{}, nil, All(), []*workflow.Manifest{workflowtest.Detections(c.frames...)})
			var in, out strings.Builder
			for range c.frames {
				h.Blank()
				in.WriteString(h.JSON("count_in"))
				out.WriteString(h.JSON("count_out"))
			}
			if in.String() != c.in || out.String() != c.out {
				t.Errorf("in %s, want %s; out %s, want %s", in.String(), c.in, out.String(), c.out)
			}
		})
	}
}

func TestLineCounterTellsWhoCrossed(t *testing.T) {
	frames := [][]workflow.Detection{{box(1, 20, 150), box(2, 60, 50), box(3, 90, 50)}, {box(3, 90, 60), box(2, 60, 150), box(1, 20, 50)}, {box(1, 20, 50)}}
	h := workflowtest.New(t, spec("test/detections@v1", `"type": "roboflow_core/line_counter@v2", "image": "$inputs.image", "detections": "$steps.source.predictions", "line_segment": [[0, 100], [200, 100]]`, "detections_in", "detections_out"),
		nil, workflow.Options{}, nil, All(), []*workflow.Manifest{workflowtest.Detections(frames...)})
	for i, want := range []struct{ in, out, events string }{
		{"", "", ""}, {"1", "2", `line.crossed 2 person 2 {"line":"it","direction":"out"};line.crossed 1 person 2 {"line":"it","direction":"in"}`}, {"", "", ""},
	} {
		r := h.Blank()
		var events []string
		for _, e := range r.Events {
			events = append(events, fmt.Sprint(e.Kind, " ", e.Track, " ", e.Class, " ", e.Frame, " ", string(e.Detail)))
		}
		if in, out, ev := ids(h, "detections_in"), ids(h, "detections_out"), strings.Join(events, ";"); in != want.in || out != want.out || ev != want.events {
			t.Errorf("frame %d: in %s, out %s, events %s", i+1, in, out, ev)
		}
	}
	if got, want := h.JSON("detections_in"), `{"image":{"width":null,"height":null},"predictions":[]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCentreOfMassOfAMask(t *testing.T) {
	const step = `"type": "roboflow_core/line_counter@v2", "image": "$inputs.image", "detections": "$steps.source.predictions", "line_segment": [[0, 100], [200, 100]], "triggering_anchor": "CENTER_OF_MASS"`
	masked := func(y int) workflow.Detection {
		d := box(1, 50, 150) // the box stays where it is
		d.Mask = pipeline.NewMask(50, y, 1, 1)
		d.Mask.Set(50, y)
		return d
	}
	h := workflowtest.New(t, spec("test/detections@v1", step, "count_in"), nil, workflow.Options{}, nil, All(), []*workflow.Manifest{workflowtest.Detections([]workflow.Detection{masked(150)}, []workflow.Detection{masked(50)}, []workflow.Detection{box(1, 5, 5)})})
	h.Blank()
	h.Blank()
	if got := h.JSON("count_in"); got != "1" {
		t.Errorf("%s came in", got)
	}
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); !errors.Is(err, track.ErrNoMask) || !strings.Contains(err.Error(), `step "it"`) {
		t.Errorf("a box without a mask: %v", err)
	}
}

// Where tracks are not known before the run they are still missed on the frame.
func TestUntrackedOnTheFrame(t *testing.T) {
	for _, step := range []string{
		`"type": "roboflow_core/line_counter@v2", "line_segment": [[0, 0], [9, 9]]`, `"type": "roboflow_core/line_counter@v1", "metadata": "$inputs.video", "line_segment": [[0, 0], [9, 9]]`,
		`"type": "roboflow_core/time_in_zone@v1", "metadata": "$inputs.video", "zone": [[0, 0], [9, 9], [9, 0]]`, `"type": "roboflow_core/time_in_zone@v3", "zone": [[0, 0], [9, 9], [9, 0]]`,
		`"type": "roboflow_core/velocity@v1"`, `"type": "roboflow_core/stabilize_detections@v1"`,
	} {
		h := workflowtest.New(t, spec("test/detections@v1", step+`, "image": "$inputs.image", "detections": "$steps.source.predictions"`), nil, workflow.Options{}, nil, All(), []*workflow.Manifest{workflowtest.Detections(nil, []workflow.Detection{box(0, 5, 5)})})
		h.Blank() // no detections are no mistake
		_, err := h.Try(workflowtest.Picture(64, 48, 0))
		if !errors.Is(err, track.ErrUntracked) || !strings.Contains(err.Error(), "(person)") || !strings.Contains(err.Error(), "put a tracker") {
			t.Errorf("%s: %v", step, err)
		}
	}
}

// A line that a parameter gives is checked when the run begins, one that a step
// finds when it is there.
func TestLineFromElsewhere(t *testing.T) {
	const step = `"type": "roboflow_core/line_counter@v2", "image": "$inputs.image", "detections": "$steps.source.predictions", "line_segment": "$inputs.p"`
	point := func(x, y float64) workflow.Value {
		return workflow.ListOf([]workflow.Value{workflow.FloatOf(x), workflow.FloatOf(y)})
	}
	lib := workflow.NewLibrary(All(), []*workflow.Manifest{workflowtest.Detections(path(50, 150, 50, 50)...)})
	g, err := workflow.Compile([]byte(strings.Replace(spec("test/detections@v1", step, "count_in"), `, "default_value": null`, "", 1)), lib, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		v    workflow.Value
		says string
	}{
		{workflow.ListOf([]workflow.Value{point(0, 100), point(200, 100)}), ""},
		{workflow.ListOf([]workflow.Value{point(0, 100)}), "1 points"},
		{workflow.ListOf([]workflow.Value{point(0, 1), point(0, 1)}), "no sides"},
		{workflow.StringOf("door"), "no list of points"},
	} {
		e, err := g.Bind(nil, workflow.Options{Parameters: map[string]workflow.Value{"p": c.v}})
		switch {
		case c.says == "" && err != nil:
			t.Error(err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v", c.says, err)
		}
		if e != nil {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
	}

	wrong := strings.Replace(spec("test/detections@v1", strings.Replace(step, "$inputs.p", "$steps.v.value", 1), "count_in"), `"steps": [`, `"steps": [{"type": "test/value@v1", "name": "v"}, `, 1)
	h := workflowtest.New(t, wrong, nil, workflow.Options{}, nil, All(), []*workflow.Manifest{workflowtest.Detections(path(50, 150)...), workflowtest.Values(workflow.ListOf(nil))})
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), "0 points") {
		t.Error(err)
	}
}
