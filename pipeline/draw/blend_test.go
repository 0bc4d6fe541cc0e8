package draw

import (
	"math"
	"slices"
	"testing"

	"perch/pipeline"
)

// art shows luma: '.' untouched, '#' the colour itself, '+' in between.
func art(p pipeline.Picture, full uint8) []string {
	out := make([]string, p.Height)
	for y := range out {
		row := make([]byte, p.Width)
		for x := range row {
			switch p.Planes[0][y*p.Strides[0]+x] {
			case 128:
				row[x] = '.'
			case full:
				row[x] = '#'
			default:
				row[x] = '+'
			}
		}
		out[y] = string(row)
	}
	return out
}

func checkArt(t *testing.T, p pipeline.Picture, want ...string) {
	t.Helper()
	if got := art(p, 235); !slices.Equal(got, want) {
		t.Errorf("drew\n%s", frameText(got))
	}
	checkPadding(t, p)
}

func frameText(rows []string) string {
	s := ""
	for _, r := range rows {
		s += "\"" + r + "\",\n"
	}
	return s
}

var formats = []pipeline.PixelFormat{pipeline.I420, pipeline.NV12}

func TestPartsOfAnOpacity(t *testing.T) {
	for _, c := range []struct {
		opacity float32
		want    uint32
	}{{0, 0}, {1, 256}, {0.5, 128}, {0.3, 77}, {-3, 0}, {7, 256}, {float32(math.NaN()), 0}, {float32(math.Inf(1)), 256}} {
		if got := parts(c.opacity); got != c.want {
			t.Errorf("opacity %v is %d 256ths, want %d", c.opacity, got, c.want)
		}
	}
}

// The rows that are washed eight bytes at a time must be what they would be
// one by one, and their neighbours stay.
func TestWashIsBlendingByteByByte(t *testing.T) {
	for _, part := range []uint32{0, 1, 77, 128, 255, 256} {
		for n := range 20 {
			row := make([]byte, n+1)
			for i := range row {
				row[i] = byte(i*37 + 11)
			}
			want := slices.Clone(row)
			for i := range n {
				v := []uint8{250, 3}[i%2]
				want[i] = uint8((uint32(want[i])*(256-part) + uint32(v)*part + 128) / 256)
			}
			wash(row[:n], 250, 3, part)
			if !slices.Equal(row, want) {
				t.Fatalf("%d bytes, %d/256: got %v, want %v", n, part, row, want)
			}
		}
	}
}

// Each chroma sample takes as much as is covered of its luma samples.
func TestWashedRectangleSharesItsChroma(t *testing.T) {
	red := yuv{81, 90, 240}
	for _, format := range formats {
		for _, c := range []struct {
			name string
			w, h int
			r    rect
			x, y int // a luma sample of the chroma sample
			v    uint8
		}{ // V goes from 128 to 240: 112 * share
			{"whole", 8, 8, rect{2, 2, 6, 6}, 2, 2, 240},
			{"left half", 8, 8, rect{3, 2, 6, 6}, 2, 2, 184},
			{"corner", 8, 8, rect{3, 3, 6, 6}, 2, 2, 156},
			{"lower right corner", 8, 8, rect{2, 2, 5, 5}, 4, 4, 156},
			{"one sample", 8, 8, rect{4, 5, 5, 6}, 4, 4, 156},
			{"beside it", 8, 8, rect{3, 3, 6, 6}, 6, 6, 128},
			{"odd picture's corner is whole", 5, 5, rect{4, 4, 5, 5}, 4, 4, 240},
			{"odd picture's lower side", 5, 5, rect{2, 4, 3, 5}, 2, 4, 184},
		} {
			p := grey(format, c.w, c.h)
			washRect(p, c.r, red, opaque)
			if got := at(p, c.x, c.y).v; got != c.v {
				t.Errorf("%v %s: V is %d, want %d", format, c.name, got, c.v)
			}
			// The same as a region, which is painted by another way.
			q := grey(format, c.w, c.h)
			var g region
			g.reset(c.w, c.h)
			g.addRect(c.r)
			g.paint(q, red, opaque)
			if got := at(q, c.x, c.y).v; got != c.v {
				t.Errorf("%v %s: painted as a region V is %d, want %d", format, c.name, got, c.v)
			}
			checkPadding(t, p)
			checkPadding(t, q)
		}
	}
}

func TestClippedLinesKeepTheirSlope(t *testing.T) {
	p := grey(pipeline.I420, 100, 100)
	white := yuv{235, 128, 128}
	// From far left to far right through (50, 50), falling by a tenth.
	stroke(p, pipeline.Point{X: -99950, Y: -9950}, pipeline.Point{X: 100050, Y: 10050}, 1, white)
	for x, y := range map[int]int{5: 45, 50: 50, 95: 54} {
		if got := p.Planes[0][y*p.Strides[0]+x]; got < 200 {
			t.Errorf("at (%d, %d) luma is %d, the line is elsewhere", x, y, got)
		}
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name   string
		a, b   pipeline.Point
		inside bool
	}{
		{"left of it", pipeline.Point{X: -9, Y: 0}, pipeline.Point{X: -5, Y: 99}, false},
		{"past a corner", pipeline.Point{X: -30, Y: 10}, pipeline.Point{X: 10, Y: -30}, false},
		{"across", pipeline.Point{X: -30, Y: 40}, pipeline.Point{X: 140, Y: 60}, true},
		{"a point", pipeline.Point{X: 3, Y: 3}, pipeline.Point{X: 3, Y: 3}, true},
		{"no number", pipeline.Point{X: nan, Y: 3}, pipeline.Point{X: 3, Y: 3}, false},
		{"infinitely long", pipeline.Point{X: -inf, Y: 50}, pipeline.Point{X: inf, Y: 50}, true},
	} {
		a, b, ok := clip(p, c.a, c.b, 2)
		if ok != c.inside {
			t.Errorf("%s: kept is %v", c.name, ok)
		}
		for _, q := range []pipeline.Point{a, b} {
			if ok && !(q.X >= -2.01 && q.X <= 102.01 && q.Y >= -2.01 && q.Y <= 102.01) {
				t.Errorf("%s: cut to %v and %v", c.name, a, b)
			}
		}
	}
}
