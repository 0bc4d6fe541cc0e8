package models

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"perch/pipeline"
	"perch/pipeline/model"
)

// own loads one of testdata's graphs, which testdata/graphs.mjs wrote, by way
// of the store: what it is for is worked out from the graph.
func own(t testing.TB, name string) *Loaded {
	t.Helper()
	if os.Getenv("PERCH_ORT_LIB") == "" {
		t.Skip("PERCH_ORT_LIB is not set; make test sets it")
	}
	if !registry().Store().Has(name) {
		if _, err := registry().Store().Add(filepath.Join("testdata/graphs", name), name); err != nil {
			t.Fatal(err)
		}
	}
	l, err := registry().Load(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The scene is black, with a white rectangle.
const sceneWidth, sceneHeight = 128, 64

func white(x, y int) bool { return x >= 32 && x < 96 && y >= 16 && y < 48 }

func scene() pipeline.Picture {
	pic := plain(sceneWidth, sceneHeight, 16, 128, 128)
	for y := range sceneHeight {
		for x := range sceneWidth {
			if white(x, y) {
				pic.Planes[0][y*pic.Strides[0]+x] = 235
			}
		}
	}
	return pic
}

// plain is a picture of one colour.
func plain(w, h int, y, u, v byte) pipeline.Picture {
	pic := pipeline.NewPicture(w, h)
	for i, c := range []byte{y, u, v} {
		for k := range pic.Planes[i] {
			pic.Planes[i][k] = c
		}
	}
	return pic
}

// What the graphs see of the scene's 128 by 64, letterboxed to 64 by 64 between
// grey of 114: an eighth is white and half is grey.
const letterboxed = 1.0/8 + 114.0/255/2

func finish(t *testing.T, l *Loaded, pic pipeline.Picture, change func(p *model.Params)) []pipeline.Detection {
	t.Helper()
	p, err := l.NewRunner().Begin(t.Context(), pic)
	if err != nil {
		t.Fatal(err)
	}
	params := l.Model.Params()
	if change != nil {
		change(&params)
	}
	dets, err := p.Finish(t.Context(), params, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dets
}

func close32(a float32, b float64) bool { return math.Abs(float64(a)-b) < 2e-3 }

// TestSegmenters: masks are cut from the picture itself, so what must come out
// is known: the white rectangle, or what is dark around it.
func TestSegmenters(t *testing.T) {
	box, moved := pipeline.Box{X0: 24, Y0: 8, X1: 104, Y1: 56}, pipeline.Box{X0: 8, Y0: 8, X1: 88, Y1: 56}
	type want struct {
		class int
		score float64
		box   pipeline.Box
		in    func(x, y int) bool
	}
	// The planes have a value every 8 pixels, of which the outermost white ones are
	// 4 inside the edge: so corners are rounded, where two ways of mixing meet.
	share := func(d int) float64 { return min(max(.5+(float64(d)+.5)/8, 0), 1) } // of white, d pixels inside an edge
	light := func(x, y int) bool { return share(min(x-32, 95-x))*share(min(y-16, 47-y)) > .5 }
	dark := func(x, y int) bool { return !light(x, y) }
	// RF-DETR wants its input as ImageNet's mean and deviation: white is 1.75 and
	// black -2.62 away from the cut, which lies .6 of the way and not half. Of two
	// values 8 pixels apart that is one pixel further in; of two 4 apart, none.
	narrower := func(x, y int) bool { return x >= 33 && x < 95 && white(x, y) }
	logit := ((.25-.485)/.229 + (.25-.456)/.224 + (.25-.406)/.225) / 3
	for name, wants := range map[string][]want{
		"yolov8-seg": {{1, 0.4, moved, dark}, {0, letterboxed, box, light}},
		"yolov5-seg": {{0, letterboxed, box, light}},
		"yolo26-seg": {{1, letterboxed, box, light}},
		"rfdetr-seg": {{2, 1 / (1 + math.Exp(-logit)), pipeline.Box{X0: 24, Y0: 20, X1: 104, Y1: 44}, narrower}},
	} {
		l := own(t, name)
		if l.Task() != model.Segmentation || l.Model.Manifest().Head.Family != name {
			t.Fatalf("%s: %s, family %s", name, l.Task(), l.Model.Manifest().Head.Family)
		}
		low := func(p *model.Params) { p.Confidence = 0.2 }
		dets := finish(t, l, scene(), low)
		if len(dets) != len(wants) {
			t.Fatalf("%s: %d found, want %d: %+v", name, len(dets), len(wants), dets)
		}
		for i, w := range wants {
			d := dets[i]
			if d.Class != w.class || !close32(d.Score, w.score) || d.Box != w.box || d.Mask == nil {
				t.Fatalf("%s: %+v, want %+v", name, d, w)
			}
			for y := range sceneHeight {
				for x := range sceneWidth {
					inBox := float32(x) >= w.box.X0 && float32(x) < w.box.X1 && float32(y) >= w.box.Y0 && float32(y) < w.box.Y1
					if d.Mask.At(x, y) != (inBox && w.in(x, y)) {
						t.Fatalf("%s: object %d at %d,%d: %v", name, i, x, y, d.Mask.At(x, y))
					}
				}
			}
		}
		none := finish(t, l, scene(), func(p *model.Params) { low(p); p.Masks = model.MaskNone })
		if len(none) != len(wants) || none[0].Mask != nil {
			t.Errorf("%s: masks that nobody wants: %+v", name, none)
		}
	}
}

// TestPoses: point k of n lies on a box's diagonal and scores k/20.
func TestPoses(t *testing.T) {
	for name, c := range map[string]struct {
		points int
		score  float64
		box    pipeline.Box
	}{
		"yolov8-pose":   {17, letterboxed, pipeline.Box{X0: 24, Y0: 8, X1: 104, Y1: 56}},
		"yolo26-pose":   {5, letterboxed, pipeline.Box{X0: 24, Y0: 8, X1: 104, Y1: 56}},
		"movenet-multi": {17, 1.0 / 8, pipeline.Box{X0: 24, Y0: 8, X1: 104, Y1: 56}}, // black around the picture
		// Points 5 to 16 are seen: the box is theirs, the score their mean.
		"movenet": {17, 0.525, pipeline.Box{X0: 24 + 80*5/16.0, Y0: 8 + 48*5/16.0, X1: 104, Y1: 56}},
	} {
		l := own(t, name)
		if l.Task() != model.Keypoints || l.Model.Manifest().Head.Family != name || len(l.Model.Keypoints()) != c.points {
			t.Fatalf("%s: %s, family %s, points %q", name, l.Task(), l.Model.Manifest().Head.Family, l.Model.Keypoints())
		}
		for _, least := range []float32{0, 0.5} {
			dets := finish(t, l, scene(), func(p *model.Params) { p.Confidence, p.KeypointConfidence = 0.1, least })
			if len(dets) != 1 || !close32(dets[0].Score, c.score) || len(dets[0].Keypoints) != c.points || !near(dets[0].Box, c.box) {
				t.Fatalf("%s: %+v, want %+v", name, dets, c)
			}
			for k, p := range dets[0].Keypoints {
				along := float64(k) / float64(c.points-1)
				score := float64(k) / 20
				if score < float64(least) {
					score = 0
				}
				if !close32(p.X, 24+80*along) || !close32(p.Y, 8+48*along) || !close32(p.Score, score) {
					t.Errorf("%s: point %d is %+v", name, k, p)
				}
			}
		}
	}
}

func near(a, b pipeline.Box) bool {
	return close32(a.X0, float64(b.X0)) && close32(a.Y0, float64(b.Y0)) && close32(a.X1, float64(b.X1)) && close32(a.Y1, float64(b.Y1))
}

// TestClassifiers: the scores are those of the mean colour. BT.601's red, in
// limited range, is 81, 90, 240.
func TestClassifiers(t *testing.T) {
	red := plain(96, 64, 81, 90, 240)
	for name, c := range map[string]struct {
		task  model.Task
		first string
		least []float64 // best first
	}{
		// Softmax of 10, 0, 0; sigmoid of 5, -5, -5.
		"colours": {model.Classification, "red", []float64{0.9999, 0, 0}},
		"tags":    {model.MultiLabel, "reddish", []float64{0.9933, 0.0067, 0.0067}},
	} {
		l := own(t, name)
		if l.Task() != c.task {
			t.Fatalf("%s is for %s", name, l.Task())
		}
		run := l.NewRunner()
		classify := func(change func(p *model.Params)) []model.ClassScore {
			p, err := run.Begin(t.Context(), red)
			if err != nil {
				t.Fatal(err)
			}
			params := l.Model.Params()
			params.Confidence = 0
			change(&params)
			scores, err := p.Classify(t.Context(), params, nil)
			if err != nil {
				t.Fatal(err)
			}
			return scores
		}
		all := classify(func(*model.Params) {})
		if len(all) != 3 || all[0].Label != c.first || all[0].Class != 0 {
			t.Fatalf("%s: %+v", name, all)
		}
		for i, want := range c.least {
			if !close32(all[i].Score, want) {
				t.Errorf("%s: %+v, want %v", name, all, c.least)
			}
		}
		if some := classify(func(p *model.Params) { p.Confidence = 0.5 }); len(some) != 1 || some[0] != all[0] {
			t.Errorf("%s: above one half: %+v", name, some)
		}
		if some := classify(func(p *model.Params) { p.Classes = []int{2} }); len(some) != 1 || some[0].Class != 2 {
			t.Errorf("%s: class 2: %+v", name, some)
		}
		dets := finish(t, l, red, nil)
		if len(dets) != 1 || dets[0].Label != c.first || dets[0].Box != (pipeline.Box{X1: 96, Y1: 64}) {
			t.Errorf("%s: as detections: %+v", name, dets)
		}
	}
	p, err := own(t, "yolov8-pose").NewRunner().Begin(t.Context(), red)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Classify(t.Context(), model.Params{MaxDetections: 1}, nil); pipeline.KindOf(err) != pipeline.Unsupported {
		t.Errorf("a pose estimator classifies: %v", err)
	}
}
