package model

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"perch/pipeline"
)

// draw shows a mask as rows of # and dots.
func draw(m *pipeline.Mask) string {
	var b strings.Builder
	for y := range m.Height {
		for x := range m.Width {
			b.WriteByte(".#"[btoi(m.At(m.X+x, m.Y+y))])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// logitsOf is a head of one plane, row after row.
func logitsOf(w, h int, logits ...float32) *maskHead {
	return &maskHead{planes: logits, count: 1, width: w, height: h}
}

func TestMaskByHand(t *testing.T) {
	square := Transform{FrameWidth: 8, FrameHeight: 4, InputWidth: 8, InputHeight: 4, Width: 8, Height: 4}
	// Four values across and two down, each two by two pixels: pixel x lies at
	// (x + 1/2) / 2 - 1/2, so 0, .25, .75, 1.25, 1.75, 2.25, 2.75, 3.
	step := []float32{-1, -1, 3, 3, -1, -1, 3, 3}
	for name, c := range map[string]struct {
		head *maskHead
		t    Transform
		box  pipeline.Box
		mode MaskMode
		want string
	}{
		// Between -1 at 1 and 3 at 2 the sign changes at 1.25, which is not above 0.
		"accurate":          {logitsOf(4, 2, step...), square, pipeline.Box{X1: 8, Y1: 4}, MaskAccurate, strings.Repeat("....####\n", 4)},
		"accurate, nearer":  {logitsOf(4, 2, -1, -1, 3.1, 3, -1, -1, 3.1, 3), square, pipeline.Box{X1: 8, Y1: 4}, MaskAccurate, strings.Repeat("...#####\n", 4)},
		"fast":              {logitsOf(4, 2, -1, 9, -1, 9, 9, -1, -1, 9), square, pipeline.Box{X1: 8, Y1: 4}, MaskFast, "..##..##\n..##..##\n##....##\n##....##\n"},
		"down":              {logitsOf(4, 2, 1, 1, 1, 1, -4, -4, -4, -4), square, pipeline.Box{X1: 8, Y1: 4}, MaskAccurate, "########\n........\n........\n........\n"}, // rows at 0, .25 (-.25), .75, 1
		"a hole":            {logitsOf(4, 2, 1, -1, 1, 1, 1, -1, 1, 1), square, pipeline.Box{X1: 8, Y1: 4}, MaskAccurate, strings.Repeat("##..####\n", 4)},              // .5 and 1.5 are the edges: .25 is in, .75, 1.25 out, 1.75 in
		"cut to the box":    {logitsOf(4, 2, 1, 1, 1, 1, 1, 1, 1, 1), square, pipeline.Box{X0: 2.9, Y0: 1, X1: 4.1, Y1: 1.5}, MaskAccurate, "###\n"},
		"fast, cut":         {logitsOf(4, 2, step...), square, pipeline.Box{X0: 3.5, Y0: 2.2, X1: 5.5, Y1: 3}, MaskFast, ".##\n"},
		"nothing":           {logitsOf(4, 2, -1, -1, -1, -1, 0, 0, 0, 0), square, pipeline.Box{X1: 2, Y1: 1}, MaskAccurate, "..\n"},
		"not a number":      {logitsOf(4, 2, float32(math.NaN()), -1, -1, -1, -1, -1, -1, -1), square, pipeline.Box{X1: 2, Y1: 1}, MaskAccurate, "..\n"},
		"one value for all": {logitsOf(1, 1, 2), square, pipeline.Box{X1: 8, Y1: 1}, MaskAccurate, "########\n"},
		// The frame fills columns 2 and 3 of the input's 8, half as large as it is.
		"letterbox": {logitsOf(4, 1, 9, -1, 9, 9), Transform{FrameWidth: 4, FrameHeight: 4, InputWidth: 8, InputHeight: 2, Left: 2, Width: 2, Height: 2},
			pipeline.Box{X1: 4, Y1: 1}, MaskFast, "....\n"},
		// Prototypes (1, -1) and (-1, 1) with 2 and 1: (1, -1).
		"mixture": {&maskHead{planes: []float32{1, -1, -1, 1}, count: 2, width: 2, height: 1, coefs: []float32{0, 2, 0, 1}, first: 1, row: 4, step: 2}, square,
			pipeline.Box{X1: 8, Y1: 1}, MaskFast, "####....\n"},
	} {
		var k masker
		for range 2 { // its memory is used again
			if got := draw(k.mask(c.head, 0, c.box, &c.t, c.mode)); got != c.want {
				t.Errorf("%s:\n%swant\n%s", name, got, c.want)
			}
		}
	}
}

// TestSegmentationMistakes: outputs that do not fit are refused, not read past.
func TestSegmentationMistakes(t *testing.T) {
	protos := tensor("output1", []int64{1, 4, 16, 16})
	for name, c := range map[string]struct {
		family string
		outs   []Tensor
		want   string
	}{
		"no prototypes":      {"yolov8-seg", []Tensor{tensor("output0", []int64{1, 10, 84})}, "float32[1,?,?,?]"},
		"empty prototypes":   {"yolov8-seg", []Tensor{tensor("output0", []int64{1, 10, 84}), {Name: "output1", Shape: []int64{1, 4, 0, 16}, Data: []float32{}}}, "output1"},
		"fewer columns":      {"yolov8-seg", []Tensor{tensor("output0", []int64{1, 8, 84}), protos}, "0 classes"},
		"fewer in rows":      {"yolov5-seg", []Tensor{tensor("output0", []int64{1, 252, 9}), protos}, "0 classes"},
		"another number":     {"yolo26-seg", []Tensor{tensor("output0", []int64{1, 300, 38}), protos}, "coefficient"},
		"no masks":           {"rfdetr-seg", []Tensor{tensor("dets", []int64{1, 2, 4}), tensor("labels", []int64{1, 2, 3})}, `"masks"`},
		"masks of too few":   {"rfdetr-seg", []Tensor{tensor("dets", []int64{1, 2, 4}), tensor("labels", []int64{1, 2, 3}), tensor("masks", []int64{1, 1, 8, 8})}, "masks float32"},
		"pose, too short":    {"yolov8-pose", []Tensor{tensor("output0", []int64{1, 55, 84})}, "0 classes"},
		"pose, other rows":   {"yolo26-pose", []Tensor{tensor("output0", []int64{1, 300, 38})}, "[1,?,57]"},
		"movenet, 21 points": {"movenet", []Tensor{tensor("o", []int64{1, 1, 21, 3})}, "[1,1,17,3]"},
		"movenet, short":     {"movenet-multi", []Tensor{tensor("o", []int64{1, 6, 55})}, "[1,?,56]"},
	} {
		m := openFamily(t, c.family, nil)
		_, err := m.NewDecoder().Decode(c.outs, newTransform(&m.manifest.Input, 64, 64), keepAll())
		if err == nil || pipeline.KindOf(err) != pipeline.BadInput || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not name %q", name, err, c.want)
		}
	}
}

// BenchmarkMask makes the mask of one object of a quarter of a 1080p frame's
// width and half its height, from prototypes of a model of 640 pixels, and of
// one that fills the frame.
func BenchmarkMask(b *testing.B) {
	const count, side = 32, 160
	h := &maskHead{planes: make([]float32, count*side*side), count: count, width: side, height: side, coefs: make([]float32, count), step: 1}
	for p := range count {
		h.coefs[p] = float32(p%5) - 2
		for i := range side * side {
			h.planes[p*side*side+i] = float32(math.Sin(float64(i%side)/float64(8+p)) + math.Cos(float64(i/side)/float64(6+p)))
		}
	}
	t := newTransform(&Input{Width: 640, Height: 640, Resize: Letterbox, Position: Centre}, 1920, 1080)
	for name, box := range map[string]pipeline.Box{
		"480x540":   {X0: 700, Y0: 200, X1: 1180, Y1: 740},
		"1920x1080": t.Whole(),
	} {
		for mode, word := range []string{"accurate", "fast"} {
			b.Run(fmt.Sprintf("%s/%s", name, word), func(b *testing.B) {
				var k masker
				b.ReportAllocs()
				for b.Loop() {
					k.mask(h, 0, box, &t, MaskMode(mode))
				}
			})
		}
	}
}
