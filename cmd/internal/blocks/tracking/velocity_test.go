package tracking

import (
	"fmt"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

func TestVelocity(t *testing.T) {
	const step = `"type": "roboflow_core/velocity@v1", "image": "$inputs.image", "detections": "$steps.source.predictions"`
	for name, c := range map[string]struct {
		extra  string
		fps    float64 // negative: of the stream, and the run is limited to one a second
		frames [][]workflow.Detection
		want   string // velocity, speed, smoothed velocity, smoothed speed of the last
	}{
		"first sight":   {"", 1, path(10, 10), "[0 0] 0 [0 0] 0"},
		"second":        {"", 1, path(0, 0, 3, 4), "[3 4] 5 [1.5 2] 2.5"},
		"third":         {"", 1, path(0, 0, 3, 4, 6, 8), "[3 4] 5 [2.25 3] 3.75"},
		"two a second":  {"", 2, path(0, 0, 3, -4), "[6 -8] 10 [3 -4] 5"},
		"not smoothed":  {`, "smoothing_alpha": 1`, 1, path(0, 0, 3, 4), "[3 4] 5 [3 4] 5"},
		"metres":        {`, "pixels_per_meter": 10`, 1, path(0, 0, 30, 40), "[3 4] 5 [1.5 2] 2.5"},
		"left out":      {"", -2, path(0, 0, 3, 4), "[3 4] 5 [1.5 2] 2.5"},
		"missed once":   {"", 1, [][]workflow.Detection{{box(7, 0, 0)}, nil, {box(7, 6, 8)}}, "[3 4] 5 [1.5 2] 2.5"},
		"another track": {"", 1, [][]workflow.Detection{{box(7, 0, 0)}, {box(8, 6, 8)}}, "[0 0] 0 [0 0] 0"},
		"nobody":        {"", 1, [][]workflow.Detection{nil}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			info, every := pipeline.StreamInfo{FPS: c.fps}, uint64(1)
			if c.fps < 0 {
				info, every = pipeline.StreamInfo{FPS: -c.fps, MaxFPS: 1}, uint64(-c.fps)
			}
			h := workflowtest.New(t, spec("test/detections@v1", step+c.extra, "velocity_detections"), nil, workflow.Options{}, &info, All(), []*workflow.Manifest{workflowtest.Detections(c.frames...)})
			h.Every = every
			for range c.frames {
				h.Blank()
			}
			d, _ := h.Value("velocity_detections").Detections()
			var got string
			for _, it := range d.Items {
				if it.Has&workflow.HasVelocity == 0 {
					t.Error("it has no velocity")
				}
				got += fmt.Sprint(it.Velocity, it.Speed, " ", it.SmoothedVelocity, it.SmoothedSpeed)
			}
			if want := strings.ReplaceAll(c.want, "] ", "]"); strings.ReplaceAll(got, "] ", "]") != want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	for _, extra := range []string{`, "smoothing_alpha": 0`, `, "smoothing_alpha": 1.5`, `, "pixels_per_meter": 0`} {
		if _, err := workflow.Compile([]byte(spec("test/detections@v1", step+extra)), workflow.NewLibrary(All(), []*workflow.Manifest{workflowtest.Detections()}), nil); err == nil || !strings.Contains(err.Error(), "out of range") {
			t.Errorf("%s: %v", extra, err)
		}
	}
}

func TestVelocityAsJSON(t *testing.T) {
	h := workflowtest.New(t, spec("test/detections@v1", `"type": "roboflow_core/velocity@v1", "image": "$inputs.image", "detections": "$steps.source.predictions"`, "velocity_detections"),
		nil, workflow.Options{}, &pipeline.StreamInfo{FPS: 1}, All(), []*workflow.Manifest{workflowtest.Detections(path(0, 0, 3, 4)...)})
	h.Blank()
	h.Blank()
	if got, want := h.JSON("velocity_detections"), `"velocity":[3.0,4.0],"speed":5.0,"smoothed_velocity":[1.5,2.0],"smoothed_speed":2.5}`; !strings.Contains(got, want) {
		t.Errorf("%s lacks %s", got, want)
	}
}
