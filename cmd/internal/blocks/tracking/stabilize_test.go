package tracking

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// centres lists track and centre of each detection.
func centres(d *workflow.Detections) string {
	var s []string
	for i := range d.Items {
		c := centre(d.Items[i].Box)
		s = append(s, fmt.Sprintf("%d@%.4g,%.4g", d.Items[i].Track, c.X, c.Y))
	}
	return strings.Join(s, " ")
}

// The velocity of the last case by hand, with P for the variance and Q = 0.001:
// v = 10 with P = 1 + Q = 1.001; then the mean of 10 and 20 is 15 and the gain
// 1.001/1.011, so v = 10 + 5 × 0.990109 = 14.950544.
func TestStabilize(t *testing.T) {
	var none []workflow.Detection
	for name, c := range map[string]struct {
		extra  string
		frames [][]workflow.Detection
		want   string // by frame
	}{
		"first sight":           {"", path(50, 50), "7@50,50"},
		"a fifth of the way":    {"", path(50, 50, 60, 40), "7@50,50|7@52,48"},
		"from where it was":     {"", path(50, 50, 60, 40, 60, 40), "7@50,50|7@52,48|7@60,40"}, // the box before as detected
		"not smoothed":          {`, "bbox_smoothing_coefficient": 1`, path(50, 50, 60, 40), "7@50,50|7@60,40"},
		"seen once, then gone":  {"", append(path(50, 50), none, none), "7@50,50||"},
		"carried on":            {"", append(path(50, 50, 60, 50), none, none), "7@50,50|7@52,50|7@62,50|"}, // 60 + 0.2 × 10; one measurement to forget
		"carried on for two":    {"", append(path(50, 50, 60, 50, 70, 50), none, none, none), "7@50,50|7@52,50|7@62,50|7@72,50|7@74,50|"},
		"not beyond the window": {`, "smoothing_window_size": 1`, append(path(50, 50, 60, 50, 70, 50), none, none), "7@50,50|7@52,50|7@62,50|7@72,50|"},
		"found again":           {"", append(path(50, 50, 60, 50), none, []workflow.Detection{box(7, 72, 50)}), "7@50,50|7@52,50|7@62,50|7@64,50"}, // 0.2 × 72 + 0.8 × 62
		"others go on":          {"", [][]workflow.Detection{{box(1, 10, 10), box(2, 20, 20)}, {box(2, 30, 20), box(1, 10, 10)}, {box(1, 10, 10)}, {box(3, 5, 5)}}, "1@10,10 2@20,20|2@22,20 1@10,10|1@10,10 2@32,20|3@5,5 1@10,10"},
		"faster and faster":     {`, "bbox_smoothing_coefficient": 1`, append(path(0, 0, 10, 0, 30, 0), none), "7@0,0|7@10,0|7@30,0|7@44.95,0"},
		"nobody":                {"", [][]workflow.Detection{none}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := workflowtest.New(t, spec("test/detections@v1", `"type": "roboflow_core/stabilize_detections@v1", "image": "$inputs.image", "detections": "$steps.source.predictions"`+c.extra, "tracked_detections"),
				nil, workflow.Options{}, nil, All(), []*workflow.Manifest{workflowtest.Detections(c.frames...)})
			var got []string
			for range c.frames {
				h.Blank()
				d, _ := h.Value("tracked_detections").Detections()
				got = append(got, centres(d))
			}
			if s := strings.Join(got, "|"); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
		})
	}
}

// What is carried on is a copy: the memory of the frame on which it was last
// seen belongs to somebody else by then.
func TestStabilizeCopies(t *testing.T) {
	s := newSteady(1, 3)
	in, out := &workflow.Detections{}, &workflow.Detections{}
	for x := range 2 {
		d := box(7, float32(x), 50)
		d.Mask = pipeline.NewMask(0, 0, 8, 1)
		d.Mask.Set(3, 0)
		d.Keypoints = []pipeline.Keypoint{{Score: .5}}
		in.Items, out.Items = append(in.Items[:0], d), out.Items[:0]
		s.update(in, out)
	}
	in.Items[0].Mask.Bits[0], in.Items[0].Keypoints[0].Score = 0xff, 0
	in.Items, out.Items = in.Items[:0], out.Items[:0]
	s.update(in, out)
	if len(out.Items) != 1 || out.Items[0].Mask.Area() != 1 || out.Items[0].Keypoints[0].Score != .5 || out.Items[0].Label != "person" {
		t.Errorf("%+v", out.Items)
	}
}

// However objects come and go, each is put out once, none is lost that is in
// sight, and places are given back.
func TestSteadyKeepsItsBooks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := newSteady(.5, 3)
	in, out := &workflow.Detections{}, &workflow.Detections{}
	for range 3000 {
		in.Items, out.Items = in.Items[:0], out.Items[:0]
		for id := range uint64(20) {
			if r.IntN(3) > 0 {
				in.Items = append(in.Items, box(id+1, float32(r.IntN(100)), 50))
			}
		}
		s.update(in, out)
		seen := map[pipeline.TrackID]bool{}
		for i := range out.Items {
			if id := out.Items[i].Track; seen[id] {
				t.Fatalf("track %d twice", id)
			} else {
				seen[id] = true
			}
		}
		for i := range in.Items {
			if !seen[in.Items[i].Track] || out.Items[i].Track != in.Items[i].Track {
				t.Fatalf("track %d is missing or out of order", in.Items[i].Track)
			}
		}
		for i := range s.held {
			if s.index[s.held[i].last.Track] != i {
				t.Fatal("the index is wrong")
			}
		}
		if len(s.index) != len(s.held) {
			t.Fatalf("%d in the index, %d held", len(s.index), len(s.held))
		}
	}
	for range 5 {
		in.Items, out.Items = in.Items[:0], out.Items[:0]
		s.update(in, out)
	}
	if len(s.held) != 0 || len(out.Items) != 0 {
		t.Errorf("%d held after all left", len(s.held))
	}
	for id := range uint64(track.Remembered + 10) {
		in.Items = append(in.Items, box(id+1, 5, 5))
	}
	s.update(in, out)
	if len(s.held) != track.Remembered || len(out.Items) != track.Remembered+10 {
		t.Errorf("%d held, %d put out", len(s.held), len(out.Items))
	}
}
