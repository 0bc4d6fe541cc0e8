package blocks

import (
	"math"
	"slices"
	"testing"

	"perch/pipeline"
)

func TestHomographyIsOpenCVs(t *testing.T) {
	for i, s := range readShapes(t).Transforms {
		var from, to [4]place
		copy(from[:], places(s.From))
		copy(to[:], places(s.To))
		h, err := homographyOf(from, to)
		if err != nil {
			t.Fatal(err)
		}
		inv := h.inverse()
		for k, p := range places(s.Points) {
			got, want := h.apply(p), place{s.Moved[k][0], s.Moved[k][1]}
			if got.minus(want).length() > 1e-3*max(1, want.length()) {
				t.Errorf("%d: %v goes to %v, want %v", i, p, got, want)
			}
			if back := inv.apply(got); back.minus(p).length() > 1e-6 {
				t.Errorf("%d: %v comes back as %v", i, p, back)
			}
		}
	}
}

func TestNoHomographyOfALine(t *testing.T) {
	for _, from := range [][4]place{
		{{0, 0}, {0, 0}, {0, 0}, {0, 0}}, {{0, 0}, {1, 1}, {2, 2}, {3, 3}}, {{0, 0}, {1, 1}, {2, 2}, {5, 3}}, {{0, 0}, {9, 0}, {9, 9}, {0, 0}},
	} {
		if _, err := homographyOf(from, rectangle(10, 10)); err == nil {
			t.Errorf("%v", from)
		}
	}
}

// One that moves by whole pixels moves each sample; what comes from outside is
// black.
func TestWarpMovesPixels(t *testing.T) {
	src := pipeline.NewPicture(40, 30)
	for i, p := range src.Planes {
		for k := range p {
			p[k] = byte(17*k + 40*i)
		}
	}
	nv12 := pipeline.Picture{Format: pipeline.NV12, Width: 40, Height: 30, Planes: [3][]byte{src.Planes[0], make([]byte, 2*20*15)}, Strides: [3]int{40, 40}}
	for k := range src.Planes[1] {
		nv12.Planes[1][2*k], nv12.Planes[1][2*k+1] = src.Planes[1][k], src.Planes[2][k]
	}
	h, err := homographyOf([4]place{{10, 23}, {10, 4}, {49, 4}, {49, 23}}, rectangle(40, 20)) // ten to the left, four up
	if err != nil {
		t.Fatal(err)
	}
	for _, pic := range []pipeline.Picture{src, nv12} {
		dst := pipeline.NewPicture(40, 20)
		h.warp(dst, pic)
		for y := range 20 {
			for x := range 40 {
				want := byte(16)
				if x+10 < 40 {
					want = src.Planes[0][(y+4)*40+x+10]
				}
				if got := dst.Planes[0][y*40+x]; got != want {
					t.Fatalf("%v luma at %d, %d: %d, want %d", pic.Format, x, y, got, want)
				}
				u, v := byte(128), byte(128)
				if x/2+5 < 20 {
					u, v = src.Planes[1][(y/2+2)*20+x/2+5], src.Planes[2][(y/2+2)*20+x/2+5]
				}
				if gu, gv := dst.Planes[1][y/2*20+x/2], dst.Planes[2][y/2*20+x/2]; gu != u || gv != v {
					t.Fatalf("%v chroma at %d, %d: %d, %d, want %d, %d", pic.Format, x, y, gu, gv, u, v)
				}
			}
		}
	}
}

// Between two samples lies their mean.
func TestWarpMixesNeighbours(t *testing.T) {
	p := plane{data: []byte{0, 100, 200, 40}, stride: 2, step: 1, width: 2, height: 2}
	for _, c := range []struct {
		x, y float64
		want byte
	}{{0, 0, 0}, {1, 0, 100}, {.5, 0, 50}, {0, .5, 100}, {.5, .5, 85}, {.25, 0, 25}, {-.5, 0, 8}, {-1, 0, 16}, {5, 5, 16}, {math.NaN(), 0, 16}, {math.Inf(1), 0, 16}} {
		if got := p.between(c.x, c.y, 16); got != c.want {
			t.Errorf("%v, %v: %d, want %d", c.x, c.y, got, c.want)
		}
	}
}

func TestQuadrilateralIsPutInOrder(t *testing.T) {
	want := quadrilateral{{10, 90}, {20, 10}, {80, 15}, {95, 85}}
	pts := want[:]
	for range 24 { // every order of four points, a swap at a time
		pts = slices.Clone(pts)
		for i := range pts[1:] {
			pts[i], pts[i+1] = pts[i+1], pts[i]
			if got := quadrilateralOf(pts); got != want {
				t.Fatalf("%v became %v", pts, got)
			}
		}
		pts[0], pts[2] = pts[2], pts[0]
	}
}

func TestQuadrilateralIsExtended(t *testing.T) {
	square := quadrilateral{{0, 100}, {0, 0}, {100, 0}, {100, 100}}
	at := func(x0, y0, x1, y1 float32) *pipeline.Detection {
		return &pipeline.Detection{Box: pipeline.Box{X0: x0, Y0: y0, X1: x1, Y1: y1}}
	}
	for name, c := range map[string]struct {
		det           *pipeline.Detection
		anchor        string
		want          quadrilateral
		width, height float64
	}{
		"inside":            {at(10, 10, 20, 20), "ALL", square, 0, 0},
		"on the edge":       {at(-10, 40, 10, 60), "CENTER", square, 0, 0},
		"to the left":       {at(-20, 40, 20, 60), "ALL", quadrilateral{{-20, 100}, {-20, 0}, {100, 0}, {100, 100}}, 20, 0},
		"its centre is not": {at(-20, 40, 30, 60), "CENTER", square, 0, 0},
		"to the right":      {at(80, 40, 130, 60), "ALL", quadrilateral{{0, 100}, {0, 0}, {130, 0}, {130, 100}}, 30, 0},
		"above":             {at(40, -25, 60, -5), "TOP_CENTER", quadrilateral{{0, 100}, {0, -25}, {100, -25}, {100, 100}}, 0, 25},
		"below":             {at(40, 90, 60, 140), "BOTTOM_CENTER", quadrilateral{{0, 140}, {0, 0}, {100, 0}, {100, 140}}, 0, 40},
		"beyond a corner":   {at(-10, -10, -10, -10), "CENTER", quadrilateral{{-10, 100}, {-10, -10}, {100, -10}, {100, 100}}, 10, 10},
	} {
		q := square
		w, h, err := q.extend([]*pipeline.Detection{c.det}, c.anchor)
		if err != nil || q != c.want || w != c.width || h != c.height {
			t.Errorf("%s: %v, %v wider, %v higher, %v", name, q, w, h, err)
		}
	}
	q := square
	if _, _, err := q.extend([]*pipeline.Detection{at(0, 0, 1, 1)}, "CENTER_OF_MASS"); err == nil {
		t.Error("a box has no centre of mass")
	}
}

func TestAnchors(t *testing.T) {
	d := &pipeline.Detection{Box: pipeline.Box{X0: 10, Y0: 20, X1: 30, Y1: 60}, Mask: pipeline.NewMask(0, 0, 8, 8)}
	d.Mask.Set(3, 4)
	for name, want := range map[string]place{
		"CENTER": {20, 40}, "CENTER_LEFT": {10, 40}, "CENTER_RIGHT": {30, 40}, "TOP_CENTER": {20, 20}, "TOP_LEFT": {10, 20}, "TOP_RIGHT": {30, 20},
		"BOTTOM_LEFT": {10, 60}, "BOTTOM_CENTER": {20, 60}, "BOTTOM_RIGHT": {30, 60}, "CENTER_OF_MASS": {3.5, 4.5},
	} {
		if got, err := anchorOf(d, name); err != nil || got != want || !slices.Contains(anchorNames[:], name) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	if _, err := anchorOf(d, "MIDDLE"); err == nil {
		t.Error("there is no such anchor")
	}
	d.Mask = pipeline.NewMask(0, 0, 8, 8)
	if p, err := anchorOf(d, "CENTER_OF_MASS"); err != nil || !math.IsNaN(p.x) {
		t.Error(p, err)
	}
}

func BenchmarkWarp(b *testing.B) {
	h, err := homographyOf([4]place{{300, 900}, {600, 200}, {1300, 220}, {1700, 950}}, rectangle(1000, 1000))
	if err != nil {
		b.Fatal(err)
	}
	src, dst := pipeline.NewPicture(1920, 1080), pipeline.NewPicture(1000, 1000)
	b.ReportAllocs()
	for b.Loop() {
		h.warp(dst, src)
	}
}
