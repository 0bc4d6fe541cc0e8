package tracking

import (
	"fmt"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// The line counter and the time-in-zone demonstrations, drawing left out. A
// stand-in takes the place of the model, under its name.
const (
	lineGraph = `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}, {"type": "WorkflowVideoMetadata", "name": "video_metadata"}, {"type": "WorkflowParameter", "name": "line"}],
	"steps": [
		{"type": "ObjectDetectionModel", "name": "people_detector", "image": "$inputs.image", "model_id": "yolov8n-640", "confidence": 0.6},
		{"type": "roboflow_core/byte_tracker@v1", "name": "byte_tracker", "detections": "$steps.people_detector.predictions", "metadata": "$inputs.video_metadata"},
		{"type": "roboflow_core/line_counter@v1", "name": "line_counter", "detections": "$steps.byte_tracker.tracked_detections", "metadata": "$inputs.video_metadata", "line_segment": "$inputs.line", "image": "$inputs.image"}],
	"outputs": [{"type": "JsonField", "name": "in", "selector": "$steps.line_counter.count_in"}, {"type": "JsonField", "name": "out", "selector": "$steps.line_counter.count_out"},
		{"type": "JsonField", "name": "tracked", "selector": "$steps.byte_tracker.tracked_detections"}]}`
	zoneGraph = `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}, {"type": "WorkflowVideoMetadata", "name": "video_metadata"}, {"type": "WorkflowParameter", "name": "zone"}],
	"steps": [
		{"type": "roboflow_core/time_in_zone@v1", "name": "time_in_zone", "detections": "$steps.byte_tracker.tracked_detections", "metadata": "$inputs.video_metadata", "zone": "$inputs.zone", "image": "$inputs.image"},
		{"type": "roboflow_core/byte_tracker@v1", "name": "byte_tracker", "detections": "$steps.people_detector.predictions", "metadata": "$inputs.video_metadata"},
		{"type": "ObjectDetectionModel", "name": "people_detector", "image": "$inputs.image", "model_id": "yolov8n-640", "confidence": 0.6}],
	"outputs": [{"type": "JsonField", "name": "timed", "selector": "$steps.time_in_zone.timed_detections"}]}`
)

func detector(frames ...[]workflow.Detection) *workflow.Manifest {
	m := model(frames...)
	m.Type = "ObjectDetectionModel"
	return m
}

func points(xy ...float32) workflow.Value {
	var pts []pipeline.Point
	for i := 0; i < len(xy); i += 2 {
		pts = append(pts, pipeline.Point{X: xy[i], Y: xy[i+1]})
	}
	return workflow.ValueOfPoints(pts)
}

// Three people and a line at y = 240 from left to right: one walks up through
// it, one down, one up, and back after a while. Where each is on a frame is
// known, so the counts are too.
func TestLineGraph(t *testing.T) {
	var frames [][]workflow.Detection
	for i := range 100 {
		step := float32(i)
		turn := 300 - 3*step // up until frame 50, then down
		if i > 50 {
			turn = 300 - 3*50 + 3*(step-50)
		}
		frames = append(frames, []workflow.Detection{
			person(100, 340-2*step), // centre below 240 from frame 51 on: in
			person(300, 139+2*step), // centre on the line (right of it) from frame 51 on: out
			person(500, turn),       // centre above from frame 21 to 79: in, out
		})
	}
	h := workflowtest.New(t, lineGraph, nil, workflow.Options{Parameters: map[string]workflow.Value{"line": points(0, 240, 640, 240)}}, nil, All(), []*workflow.Manifest{detector(frames...)})
	var events []string
	for range frames {
		for _, e := range h.Blank().Events {
			events = append(events, fmt.Sprint(e.Frame, " ", e.Kind, " ", e.Track, " ", string(e.Detail)))
		}
	}
	want := []string{
		`22 line.crossed 3 {"line":"line_counter","direction":"in"}`,
		`52 line.crossed 1 {"line":"line_counter","direction":"in"}`,
		`52 line.crossed 2 {"line":"line_counter","direction":"out"}`,
		`81 line.crossed 3 {"line":"line_counter","direction":"out"}`,
	}
	if got := strings.Join(events, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if in, out := h.JSON("in"), h.JSON("out"); in != "2" || out != "2" {
		t.Errorf("%s in, %s out", in, out)
	}
	if got := ids(h, "tracked"); got != "1,2,3" {
		t.Errorf("tracks %s", got)
	}
}

// person is 40 x 80 with its centre at x, y, as a detector sees it.
func person(x, y float32) workflow.Detection {
	return workflowtest.Det(x-20, y-40, x+20, y+40, 0, "person", .9, 0)
}

// One person walks through a zone of 200 pixels at 4 pixels a frame and 30
// frames a second; another stands in it all the time.
func TestZoneGraph(t *testing.T) {
	var frames [][]workflow.Detection
	for i := range 90 {
		frames = append(frames, []workflow.Detection{person(50+4*float32(i), 100), person(200, 300)})
	}
	h := workflowtest.New(t, zoneGraph, nil, workflow.Options{Parameters: map[string]workflow.Value{"zone": points(100, 0, 300, 0, 300, 400, 100, 400)}}, nil, All(), []*workflow.Manifest{detector(frames...)})
	got := map[int]string{}
	for i := range frames {
		h.Blank()
		got[i+1] = times(h, "timed")
	}
	for frame, want := range map[int]string{
		1: "0", 13: "0.4", // 12/30 s, one outside
		14: "0,0.433", // x = 102
		29: "0.5,0.933",
		63: "1.63,2.07", // x = 298
		64: "2.1", 90: "2.97",
	} {
		if got[frame] != want {
			t.Errorf("frame %d: %s, want %s", frame, got[frame], want)
		}
	}
}

// crowd are n people, four in a column, who walk up and down by a few pixels.
func crowd(n, frames int) [][]workflow.Detection {
	all := make([][]workflow.Detection, frames)
	for i := range all {
		for k := range n {
			all[i] = append(all[i], person(float32(30+k%25*74), 500+float32(k/25*110)+float32(min(i, frames-i))))
		}
	}
	return all
}

// player plays frames of a graph of 1080p without making anything itself.
func player(tb testing.TB, doc string, params map[string]workflow.Value, n int) func() *pipeline.Result {
	lib := workflow.NewLibrary(All(), []*workflow.Manifest{swaying(n)})
	g, err := workflow.Compile([]byte(doc), lib, nil)
	if err != nil {
		tb.Fatal(err)
	}
	e, err := g.Bind(nil, workflow.Options{Parameters: params})
	if err != nil {
		tb.Fatal(err)
	}
	return workflowtest.Steady(tb, e)
}

// swaying is a detector that sees a crowd.
func swaying(n int) *workflow.Manifest {
	m := detector()
	frames := crowd(n, 20)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		return workflowtest.Loop(p.In("image"), frames), nil
	}
	return m
}

var lineHere = map[string]workflow.Value{"line": points(0, 400, 1920, 400)} // beside it, so that no event is written

func TestGraphsDoNotAllocate(t *testing.T) {
	zone := map[string]workflow.Value{"zone": points(0, 0, 1920, 0, 1920, 1080, 0, 1080)}
	measured := strings.NewReplacer("byte_tracker@v1", "byte_tracker@v3", `"metadata": "$inputs.video_metadata"`, `"image": "$inputs.image"`, "line_counter@v1", "velocity@v1", "$steps.line_counter.count_in", "$steps.line_counter.velocity_detections", "$steps.line_counter.count_out", "$steps.line_counter.velocity_detections")
	for name, c := range map[string]struct {
		doc    string
		params map[string]workflow.Value
	}{
		"line": {lineGraph, lineHere}, "zone": {zoneGraph, zone}, "velocity": {measured.Replace(lineGraph), lineHere},
		"stabilize": {strings.ReplaceAll(strings.ReplaceAll(measured.Replace(lineGraph), "velocity@v1", "stabilize_detections@v1"), "velocity_detections", "tracked_detections"), lineHere},
	} {
		t.Run(name, func(t *testing.T) {
			play := player(t, c.doc, c.params, 100)
			for range 60 {
				play()
			}
			if n := len(play().Detections); n != 100 {
				t.Fatalf("%d tracked", n)
			}
			if n := testing.AllocsPerRun(60, func() { play() }); n != 0 {
				t.Errorf("%v allocations per frame", n)
			}
		})
	}
}

// What the engine and tracking cost on a frame of 1080p, model and drawing left
// out, for few objects and for many.
func BenchmarkLineGraph(b *testing.B) {
	for _, n := range []int{0, 5, 100} {
		b.Run(fmt.Sprint(n, "-objects"), func(b *testing.B) {
			play := player(b, lineGraph, lineHere, n)
			for range 60 {
				play()
			}
			b.ReportAllocs()
			for b.Loop() {
				play()
			}
		})
	}
}

func BenchmarkZoneGraph(b *testing.B) {
	play := player(b, zoneGraph, map[string]workflow.Value{"zone": points(0, 0, 1920, 0, 1920, 1080, 0, 1080)}, 100)
	for range 60 {
		play()
	}
	b.ReportAllocs()
	for b.Loop() {
		play()
	}
}
