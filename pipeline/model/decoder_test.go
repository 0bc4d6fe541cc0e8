package model

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"perch/pipeline"
)

// sixModel decodes rows of x1 y1 x2 y2 score class: the plainest head.
func sixModel(t testing.TB, iou float32) *Model {
	t.Helper()
	m := testManifest("yolov10", 100, 100)
	m.Labels = []string{"a", "b", "c"}
	m.Head.IoU = iou
	opened, err := Open(m)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func six(rows ...[6]float32) []Tensor {
	t := Tensor{Name: "output0", Shape: []int64{1, int64(len(rows)), 6}, Data: []float32{}}
	for _, r := range rows {
		t.Data = append(t.Data, r[:]...)
	}
	return []Tensor{t}
}

func sameSize() Transform {
	return Transform{FrameWidth: 100, FrameHeight: 100, InputWidth: 100, InputHeight: 100, Width: 100, Height: 100}
}

func scoresOf(dets []pipeline.Detection) (s []float32) {
	for _, d := range dets {
		s = append(s, d.Score)
	}
	return s
}

func TestParams(t *testing.T) {
	outs := six(
		[6]float32{0, 0, 10, 10, 0.5, 0},
		[6]float32{0, 0, 10, 9, 0.9, 0},    // overlaps the first by 0.9
		[6]float32{0, 0, 10, 10, 0.8, 1},   // the same place, another class
		[6]float32{50, 50, 60, 60, 0.7, 2}, // elsewhere
		[6]float32{50, 50, 60, 60, 0.3, 2}, // the same box again
		[6]float32{20, 0, 30, 10, 0.1, 0},
	)
	base := Params{Confidence: 0.2, IoU: 0.5, MaxDetections: 10}
	for name, c := range map[string]struct {
		change func(p *Params)
		want   []float32
	}{
		"as it is":     {func(p *Params) {}, []float32{0.9, 0.8, 0.7}},
		"confidence":   {func(p *Params) { p.Confidence = 0.1 }, []float32{0.9, 0.8, 0.7, 0.1}}, // at least, not above
		"iou 1":        {func(p *Params) { p.IoU = 1 }, []float32{0.9, 0.8, 0.7, 0.5, 0.3}},
		"iou 0.95":     {func(p *Params) { p.IoU = 0.95 }, []float32{0.9, 0.8, 0.7, 0.5}},
		"max":          {func(p *Params) { p.MaxDetections = 2 }, []float32{0.9, 0.8}},
		"class filter": {func(p *Params) { p.Classes = []int{2, 1, 77, -3} }, []float32{0.8, 0.7}},
		"no class":     {func(p *Params) { p.Classes = []int{} }, nil},
		"agnostic":     {func(p *Params) { p.ClassAgnostic = true }, []float32{0.9, 0.7}},
	} {
		p := base
		c.change(&p)
		dets, err := sixModel(t, 0.5).NewDecoder().Decode(outs, sameSize(), p)
		if err != nil || !reflect.DeepEqual(scoresOf(dets), c.want) {
			t.Errorf("%s: scores %v, %v; want %v", name, scoresOf(dets), err, c.want)
		}
	}
	for _, p := range []Params{{Confidence: -1, IoU: 1, MaxDetections: 1}, {IoU: 2, MaxDetections: 1}, {IoU: 1}, {Confidence: float32(math.NaN()), IoU: 1, MaxDetections: 1}} {
		if _, err := sixModel(t, 1).NewDecoder().Decode(outs, sameSize(), p); err == nil {
			t.Errorf("%+v was accepted", p)
		}
	}
}

// TestTies holds equal scores to the order of the outputs.
func TestTies(t *testing.T) {
	var rows [][6]float32
	for i := range 50 {
		x := float32(i)
		rows = append(rows, [6]float32{x, 0, x + 1, 1, 0.5, float32(i % 3)})
	}
	dets, err := sixModel(t, 0.5).NewDecoder().Decode(six(rows...), sameSize(), Params{IoU: 0.5, MaxDetections: 50})
	if err != nil || len(dets) != 50 {
		t.Fatal(len(dets), err)
	}
	for i, d := range dets {
		if d.Box.X0 != float32(i) || d.Class != i%3 {
			t.Fatalf("detection %d is %+v", i, d)
		}
	}
}

func TestNotNumbers(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	d := sixModel(t, 1).NewDecoder()
	dets, err := d.Decode(six(
		[6]float32{0, 0, 10, 10, nan, 0}, [6]float32{nan, 0, 10, 10, 0.9, 0}, [6]float32{0, 0, inf, 10, 0.9, 0},
		[6]float32{0, 0, 10, 10, inf, 0}, [6]float32{0, 0, 10, 10, 0.9, nan}, [6]float32{0, 0, 10, 10, 0.9, 1e30},
		[6]float32{0, 0, 10, 10, 0.9, -5}, [6]float32{10, 10, 0, 0, 0.9, 0}, [6]float32{200, 0, 300, 10, 0.9, 0},
		[6]float32{1, 2, 3, 4, 0.6, 1},
	), sameSize(), Params{Confidence: 0.1, IoU: 1, MaxDetections: 100})
	if err != nil || len(dets) != 1 || dets[0].Label != "b" || dets[0].Box != (pipeline.Box{X0: 1, Y0: 2, X1: 3, Y1: 4}) {
		t.Fatalf("%+v %v", dets, err)
	}
	if s := d.Stats(); s != (DecoderStats{Invalid: 7, Empty: 2}) {
		t.Errorf("%+v", s)
	}
}

// TestNotNumbersInScan covers the comparison of bits in the scan of YOLOv8's
// class scores: what is negative or no number must not become a detection.
func TestNotNumbersInScan(t *testing.T) {
	m, err := Open(testManifest("yolov8", 32, 32))
	if err != nil {
		t.Fatal(err)
	}
	n := 21
	data := make([]float32, 6*n)
	for i := range n {
		data[i], data[n+i], data[2*n+i], data[3*n+i] = 16, 16, 8, 8
	}
	first, second := data[4*n:5*n], data[5*n:]
	first[0] = float32(math.NaN())
	first[1] = math.Float32frombits(0xffc00000) // NaN with a sign, as x86 makes them
	first[2] = float32(math.Inf(1))
	first[3], second[3] = -0.9, float32(math.Copysign(0, -1))
	first[4], second[4] = float32(math.NaN()), 0.7
	first[5], second[5] = 0.4, 0.5
	first[6] = 0.3 // exactly the confidence
	d := m.NewDecoder()
	outs := []Tensor{{Name: "o", Shape: []int64{1, 6, int64(n)}, Data: data}}
	dets, err := d.Decode(outs, newTransform(&m.manifest.Input, 32, 32), Params{Confidence: 0.3, IoU: 1, MaxDetections: 100})
	if err != nil || !reflect.DeepEqual(scoresOf(dets), []float32{0.7, 0.5, 0.3}) || dets[0].Class != 1 || dets[1].Label != "class 1" {
		t.Fatalf("%+v %v", dets, err)
	}
	if s := d.Stats(); s.Invalid != 4 {
		t.Errorf("%+v", s)
	}
}

// TestTruncated floods suppression with more than it looks at.
func TestTruncated(t *testing.T) {
	rows := make([][6]float32, maxCandidates+100)
	for i := range rows {
		x := float32(i % 90)
		rows[i] = [6]float32{x, 0, x + 5, 5, 0.1 + 0.8*float32(i)/float32(len(rows)), 0}
	}
	d := sixModel(t, 0.5).NewDecoder()
	dets, err := d.Decode(six(rows...), sameSize(), Params{IoU: 0.5, MaxDetections: 300})
	if err != nil || len(dets) < 5 || dets[0].Score != rows[len(rows)-1][4] {
		t.Fatal(len(dets), err)
	}
	if s := d.Stats(); s.Truncated != 100 {
		t.Errorf("%+v", s)
	}
}

func TestDecodeRefuses(t *testing.T) {
	p := Params{Confidence: 0.1, IoU: 1, MaxDetections: 10}
	for name, c := range map[string]struct {
		outs []Tensor
		t    Transform
		want string
	}{
		"nothing":         {nil, sameSize(), "the head wants"},
		"another shape":   {[]Tensor{{Name: "o", Shape: []int64{1, 2, 7}, Data: make([]float32, 14)}}, sameSize(), `"o" float32[1,2,7]`},
		"too few":         {[]Tensor{{Name: "o", Shape: []int64{1, 2, 6}, Data: make([]float32, 11)}}, sameSize(), "11 elements"},
		"negative":        {[]Tensor{{Name: "o", Shape: []int64{1, -2, 6}, Data: make([]float32, 12)}}, sameSize(), "[1,?,6]"},
		"overflow":        {[]Tensor{{Name: "o", Shape: []int64{1 << 40, 1 << 40, 6}, Data: make([]float32, 6)}}, sameSize(), "6 elements"},
		"empty transform": {six([6]float32{}), Transform{}, "transform"},
	} {
		if _, err := sixModel(t, 1).NewDecoder().Decode(c.outs, c.t, p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := testManifest("yolov8", 32, 32)
	m.Labels = []string{"a", "b"}
	opened, err := Open(m)
	if err != nil {
		t.Fatal(err)
	}
	outs := []Tensor{{Name: "o", Shape: []int64{1, 7, 21}, Data: make([]float32, 7*21)}}
	if _, err := opened.NewDecoder().Decode(outs, sameSize(), p); err == nil || !strings.Contains(err.Error(), "3 classes") {
		t.Errorf("three classes for two labels: %v", err)
	}
}

// TestDecodeAllocates counts: the result, its key points, and two for each mask;
// nothing but the latter two where the caller has memory for the result.
func TestDecodeAllocates(t *testing.T) {
	for name, g := range goldens(t) {
		m := g.open(t, name)
		d, outs, p := m.NewDecoder(), g.tensors(t), g.params()
		tr := newTransform(&m.manifest.Input, g.Frame[0], g.Frame[1])
		kept := 0.0
		if len(m.manifest.Head.Keypoints) > 0 {
			kept = 1
		}
		dst, err := d.Decode(outs, tr, p)
		if err != nil {
			t.Fatal(err)
		}
		if m.Task() == Segmentation {
			kept = 2 * float64(len(dst))
		}
		if n := testing.AllocsPerRun(5, func() { _, err = d.Decode(outs, tr, p) }); n > 1+kept || err != nil {
			t.Errorf("%s: %v allocations a picture, %v", name, n, err)
		}
		if n := testing.AllocsPerRun(5, func() { dst, err = d.Append(dst[:0], outs, tr, p) }); n > kept || err != nil {
			t.Errorf("%s: %v allocations to append, %v", name, n, err)
		}
		if !m.Task().Scores() {
			continue
		}
		var scores []ClassScore
		if n := testing.AllocsPerRun(5, func() { scores, err = d.Classify(scores[:0], outs, p) }); n > 0 || err != nil {
			t.Errorf("%s: %v allocations to classify, %v", name, n, err)
		}
	}
}
