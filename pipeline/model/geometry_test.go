package model

import (
	"math/rand/v2"
	"testing"

	"perch/pipeline"
)

// TestTransformInverse takes random boxes of a frame into the input by the
// forward map, written out here, and back.
func TestTransformInverse(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		w, h := 1+r.IntN(3000), 1+r.IntN(3000)
		in := Input{Width: 16 + r.IntN(1000), Height: 16 + r.IntN(1000), Resize: Letterbox, Position: Centre}
		if r.IntN(2) == 0 {
			in.Position = TopLeft
		}
		if r.IntN(3) == 0 {
			in.Resize = Stretch
		}
		tr := newTransform(&in, w, h)
		if tr.Width < 1 || tr.Height < 1 || tr.Left < 0 || tr.Top < 0 || tr.Left+tr.Width > in.Width || tr.Top+tr.Height > in.Height {
			t.Fatalf("%dx%d in %+v: %+v lies outside", w, h, in, tr)
		}
		if in.Resize == Letterbox && tr.Width != in.Width && tr.Height != in.Height {
			t.Fatalf("%dx%d in %+v: %+v touches no side", w, h, in, tr)
		}
		x0, y0 := r.Float32()*float32(w), r.Float32()*float32(h)
		want := pipeline.Box{X0: x0, Y0: y0, X1: x0 + r.Float32()*(float32(w)-x0), Y1: y0 + r.Float32()*(float32(h)-y0)}
		sx, sy := float32(tr.Width)/float32(w), float32(tr.Height)/float32(h)
		l, u := float32(tr.Left), float32(tr.Top)
		got := tr.Box(pipeline.Box{X0: want.X0*sx + l, Y0: want.Y0*sy + u, X1: want.X1*sx + l, Y1: want.Y1*sy + u})
		// A pixel of the input is many of the frame when it shrinks much.
		tx, ty := 1e-3*(1+1/sx), 1e-3*(1+1/sy)
		if !near(got.X0, want.X0, tx) || !near(got.X1, want.X1, tx) || !near(got.Y0, want.Y0, ty) || !near(got.Y1, want.Y1, ty) {
			t.Fatalf("%dx%d in %+v: %v came back as %v", w, h, in, want, got)
		}
	}
}

func TestTransformClamps(t *testing.T) {
	tr := newTransform(&Input{Width: 416, Height: 416, Resize: Letterbox, Position: Centre}, 1920, 1080)
	if tr.Left != 0 || tr.Top != 91 || tr.Width != 416 || tr.Height != 234 {
		t.Fatalf("%+v", tr)
	}
	if got := tr.Box(pipeline.Box{X0: -50, Y0: 0, X1: 500, Y1: 416}); got != tr.Whole() || got != (pipeline.Box{X1: 1920, Y1: 1080}) {
		t.Errorf("too large a box became %v", got)
	}
	if got := tr.Box(pipeline.Box{X0: 10, Y0: 5, X1: 50, Y1: 60}); got.Y0 != got.Y1 {
		t.Errorf("a box in the padding became %v", got)
	}
	if p := tr.Point(pipeline.Point{X: 0, Y: 0}); p.Y >= 0 {
		t.Errorf("a point in the padding was clamped to %v", p)
	}
}

// TestSamplingMeetsTransform draws a bright square and looks for it where the
// transform says that it is: sampling and mapping back must agree to half a
// pixel of the input.
func TestSamplingMeetsTransform(t *testing.T) {
	for _, size := range [][2]int{{640, 480}, {1920, 1080}, {300, 700}, {3840, 2160}, {100, 100}} {
		pic := pipeline.NewPicture(size[0], size[1])
		for _, p := range pic.Planes[1:] {
			for i := range p {
				p[i] = 128
			}
		}
		x0, y0, x1, y1 := size[0]/4, size[1]/3, size[0]*5/8, size[1]*3/4
		for y := y0; y < y1; y++ {
			for x := x0; x < x1; x++ {
				pic.Planes[0][y*pic.Strides[0]+x] = 235
			}
		}
		p := openInput(t, Input{Name: "x", Width: 416, Height: 416, Colour: Grey}).NewPreprocessor()
		dst := make([]float32, p.Len())
		tr, err := p.Fill(dst, pic)
		if err != nil {
			t.Fatal(err)
		}
		found := pipeline.Box{X0: 1e9, Y0: 1e9}
		for i, v := range dst {
			if x, y := float32(i%416), float32(i/416); v > 127 {
				found = pipeline.Box{X0: min(found.X0, x), Y0: min(found.Y0, y), X1: max(found.X1, x+1), Y1: max(found.Y1, y+1)}
			}
		}
		got := tr.Box(found)
		half := 0.51 * max(1, float32(size[0])/float32(tr.Width))
		if !near(got.X0, float32(x0), half) || !near(got.Y0, float32(y0), half) || !near(got.X1, float32(x1), half) || !near(got.Y1, float32(y1), half) {
			t.Errorf("%v: the square %d,%d %d,%d was found at %v", size, x0, y0, x1, y1, got)
		}
	}
}
