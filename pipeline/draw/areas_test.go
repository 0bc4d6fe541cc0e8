package draw

import (
	"slices"
	"testing"

	"perch/pipeline"
)

// maskOf makes a mask at (x, y) from rows of '#' and '.'.
func maskOf(x, y int, rows ...string) *pipeline.Mask {
	m := pipeline.NewMask(x, y, len(rows[0]), len(rows))
	for dy, row := range rows {
		for dx, c := range row {
			if c == '#' {
				m.Set(x+dx, y+dy)
			}
		}
	}
	return m
}

// A region must hold what the mask itself says, wherever it lies.
func TestRegionTakesMasksAsTheyAre(t *testing.T) {
	for _, width := range []int{1, 7, 8, 63, 64, 65, 130} {
		for _, x := range []int{-70, -64, -3, 0, 1, 60, 64, 100, 139, 150} {
			m := pipeline.NewMask(x, -1, width, 5)
			for i := range m.Bits {
				m.Bits[i] = byte(i*83 + 29) // its padding bits too
			}
			var g region
			g.reset(140, 6)
			g.addMask(m)
			for y := range 6 {
				for px := range 140 {
					if g.has(px, y) != m.At(px, y) {
						t.Fatalf("width %d at %d: (%d, %d) is %v, the mask says %v", width, x, px, y, g.has(px, y), m.At(px, y))
					}
				}
				if g.row(y)[2]>>(140-128) != 0 {
					t.Fatalf("width %d at %d: bits beyond the picture in row %d", width, x, y)
				}
			}
		}
	}
	var g region
	g.reset(20, 20)
	g.addMask(&pipeline.Mask{Width: 8, Height: 9, Bits: make([]byte, 8)})
	if g.y0 < g.y1 {
		t.Error("took a mask that is smaller than it says")
	}
}

func TestRegionSpansAndSets(t *testing.T) {
	var a, b region
	a.reset(200, 4)
	b.reset(200, 4)
	a.span(1, 3, 197)
	a.touch(1, 2)
	b.span(1, 60, 130)
	b.touch(1, 2)
	a.without(&b)
	for x := range 200 {
		if want := x >= 3 && x < 60 || x >= 130 && x < 197; a.has(x, 1) != want {
			t.Fatalf("sample %d is %v", x, a.has(x, 1))
		}
	}
	a.with(&b)
	a.invert()
	n := 0
	for x := range 200 {
		if a.has(x, 1) {
			n++
		}
	}
	if n != 6 || !a.has(0, 0) || a.row(0)[3]>>8 != 0 {
		t.Errorf("the rest of the row has %d samples, want 6", n)
	}
	a.reset(200, 4)
	if slices.ContainsFunc(a.bits, func(w uint64) bool { return w != 0 }) {
		t.Error("reset left samples behind")
	}
}

func TestOverlaysAreBlendedOnce(t *testing.T) {
	for _, f := range formats {
		p := grey(f, 16, 8)
		newDrawer(t).Overlay(p, []Area{
			{Box: pipeline.Box{X0: 0, Y0: 0, X1: 10, Y1: 8}, Colour: white},
			{Box: pipeline.Box{X0: 6, Y0: 0, X1: 16, Y1: 4}, Colour: Colour{}},
			{Mask: maskOf(12, 6, "##", "##"), Colour: white},
		}, 0.5)
		for _, c := range []struct {
			x, y int
			want uint8
		}{{2, 2, 182}, {8, 2, 72}, {14, 2, 72}, {8, 6, 182}, {13, 7, 182}, {14, 7, 128}} { // (128+235+1)/2, (128+16)/2
			if got := at(p, c.x, c.y).y; got != c.want {
				t.Errorf("%v: luma at (%d, %d) is %d, want %d", f, c.x, c.y, got, c.want)
			}
		}
		checkPadding(t, p)
	}
}

func TestOutsideLeavesTheAreasAlone(t *testing.T) {
	p := grey(pipeline.I420, 9, 5)
	d := newDrawer(t)
	d.Outside(p, []Area{{Box: pipeline.Box{X0: 1, Y0: 1, X1: 4, Y1: 3}}, {Mask: maskOf(6, 2, "#.#", ".#.")}}, white, 1)
	checkArt(t, p,
		"#########",
		"#...#####",
		"#...##.#.",
		"#######.#",
		"#########",
	)
	q := grey(pipeline.I420, 9, 5)
	d.Outside(q, nil, white, 0.5)
	if got := at(q, 8, 4); got != (yuv{182, 128, 128}) {
		t.Errorf("without areas the last sample is %v", got)
	}
}

func TestOutline(t *testing.T) {
	m := maskOf(-1, 1,
		"#######..",
		"#######..",
		"#######..",
		"#######..",
		"...##....",
	)
	for _, c := range []struct {
		thickness int
		want      []string
	}{
		{1, []string{
			"..........",
			"######....",
			".....#....",
			".....#....",
			"##..##....", // between them the mask goes on below
			"..##......",
			"..........",
		}},
		{2, []string{
			"..........",
			"#######...",
			"#######...",
			".....##...",
			"###.###...",
			"#######...",
			"..###.....",
		}},
	} {
		p := grey(pipeline.I420, 10, 7)
		newDrawer(t).Outline(p, m, white, c.thickness)
		got := art(p, 235)
		if !slices.Equal(got, c.want) {
			t.Errorf("thickness %d:\n%s", c.thickness, frameText(got))
		}
	}
}

func TestHaloGlowsOutsideOnly(t *testing.T) {
	for _, f := range formats {
		p := grey(f, 64, 64)
		box := pipeline.Box{X0: 20, Y0: 20, X1: 44, Y1: 44}
		newDrawer(t).Halo(p, []Area{{Box: box, Colour: white}}, 1, 8)
		if got := at(p, 32, 32); got != (yuv{128, 128, 128}) {
			t.Errorf("inside is %v", got)
		}
		// In the row's middle, d samples outside the left side: of 8 columns
		// [x-4, x+4) those from 20 on count, (x+4-20)/8, doubled.
		for x, want := range map[int]uint8{19: 208, 18: 182, 17: 155, 16: 128, 15: 128} { // 128 + 107*2*{3,2,1,0}/8
			if got := at(p, x, 32).y; diff(got, want) > 1 {
				t.Errorf("%v: %d has luma %d, want %d", f, x, got, want)
			}
		}
		checkPadding(t, p)
	}
}

// Wide areas are painted many words at a time, which must be the same as one
// sample at a time.
func TestWideAreasArePaintedLikeNarrowOnes(t *testing.T) {
	for _, f := range formats {
		for _, size := range [][2]int{{640, 4}, {321, 5}, {193, 3}} {
			wide, narrow, d := grey(f, size[0], size[1]), grey(f, size[0], size[1]), newDrawer(t)
			d.Polygon(wide, []pipeline.Point{{X: 1, Y: 0}, {X: 9999, Y: 0}, {X: 9999, Y: 9}, {X: 1, Y: 9}}, Colour{200, 30, 60}, 0.4)
			c := codingOf(narrow).encode(Colour{200, 30, 60})
			for y := range size[1] {
				for x := 1; x < size[0]; x++ {
					row := narrow.Planes[0][y*narrow.Strides[0]:]
					row[x] = toward(row[x], c.y, parts(0.4))
				}
			}
			for cy := range (size[1] + 1) / 2 {
				for cx := range (size[0] + 1) / 2 {
					part := parts(0.4)
					if cx == 0 {
						part /= 2 // sample 0 is not in it
					}
					u, v := chroma(narrow, cx, cy)
					*u, *v = toward(*u, c.u, part), toward(*v, c.v, part)
				}
			}
			for y := range size[1] {
				for x := range size[0] {
					if at(wide, x, y) != at(narrow, x, y) {
						t.Fatalf("%v %v: (%d, %d) is %v, want %v", f, size, x, y, at(wide, x, y), at(narrow, x, y))
					}
				}
			}
			checkPadding(t, wide)
		}
	}
}
