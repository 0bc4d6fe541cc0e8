package draw

import (
	"testing"

	"perch/pipeline"
)

// steps returns a picture whose luma is 16 times its column plus its row.
func steps(f pipeline.PixelFormat, w, h int) pipeline.Picture {
	p := grey(f, w, h)
	for y := range h {
		for x := range w {
			p.Planes[0][y*p.Strides[0]+x] = uint8(16*x + y)
		}
	}
	return p
}

func TestMeanIsExact(t *testing.T) {
	for n := 1; n <= maxKernel; n++ {
		m := meanOf(n)
		for _, sum := range []int{0, 1, n / 2, n - 1, n, 100*n + n/2 - 1, 100*n + n/2, 255*n - 1, 255 * n} {
			if got, want := int(m.of(uint32(sum))), (sum+n/2)/n; got != want {
				t.Fatalf("%d / %d is %d, want %d", sum, n, got, want)
			}
		}
	}
}

func TestBlurIsTheMeanOfTheKernelInTheBox(t *testing.T) {
	for _, f := range formats {
		p := steps(f, 14, 12)
		*first(chroma(p, 3, 3)) = 200
		newDrawer(t).Blur(p, Area{Box: pipeline.Box{X0: 2, Y0: 2, X1: 12, Y1: 10}}, 3)
		for _, c := range []struct {
			name string
			x, y int
			want uint8
		}{
			{"in the middle", 6, 6, 16*6 + 6},
			{"at the left only what is in the box counts", 2, 6, 16*2 + 8 + 6}, // columns 2 and 3
			{"at the upper right corner", 11, 2, 16*11 - 8 + 3},                // columns 10, 11; rows 2, 3: 2.5
			{"outside", 1, 6, 16*1 + 6}, {"below", 6, 10, 16*6 + 10},
		} {
			if got := at(p, c.x, c.y).y; got != c.want {
				t.Errorf("%v %s: %d, want %d", f, c.name, got, c.want)
			}
		}
		// Chroma's kernel is 2: [x-1, x+1). 128 + 72/4.
		if got := at(p, 6, 6).u; got != 146 {
			t.Errorf("%v: U is %d, want 146", f, got)
		}
		checkPadding(t, p)
	}
}

func first[A, B any](a A, _ B) A { return a }

func TestBlurOfAMaskStaysInIt(t *testing.T) {
	p := steps(pipeline.NV12, 14, 12)
	newDrawer(t).Blur(p, Area{Mask: maskOf(2, 2, "#...", "....", "...#")}, 9)
	for _, c := range []struct {
		x, y int
		want uint8
	}{{2, 2, 16*3 + 8 + 3}, {5, 4, 16*3 + 8 + 3}, {3, 2, 16*3 + 2}, {5, 3, 16*5 + 3}} { // columns 2 to 5, rows 2 to 4
		if got := at(p, c.x, c.y).y; got != c.want {
			t.Errorf("(%d, %d) is %d, want %d", c.x, c.y, got, c.want)
		}
	}
}

func TestPixelate(t *testing.T) {
	for _, f := range formats {
		p := steps(f, 15, 13)
		newDrawer(t).Pixelate(p, Area{Box: pipeline.Box{X0: 2, Y0: 2, X1: 9, Y1: 8}}, 4)
		for _, c := range []struct {
			name string
			x, y int
			want uint8
		}{
			{"first square, first", 2, 2, 16*3 + 8 + 4}, {"first square, last", 5, 5, 16*3 + 8 + 4}, // rows 2 to 5: 3.5
			{"cut square", 8, 7, 16*7 + 7}, // columns 6 to 8, rows 6 and 7: 6.5
			{"outside", 9, 7, 16*9 + 7},
		} {
			if got := at(p, c.x, c.y).y; got != c.want {
				t.Errorf("%v %s: %d, want %d", f, c.name, got, c.want)
			}
		}
		checkPadding(t, p)
	}
}

func TestHeat(t *testing.T) {
	for _, f := range formats {
		p := grey(f, 83, 61)
		var h Heat
		d := newDrawer(t)
		d.Heat(p, &h, 1, 0, 0, 240)
		if got := at(p, 40, 30); got != (yuv{128, 128, 128}) {
			t.Errorf("a map of nothing drew %v", got)
		}
		often, once := pipeline.Point{X: 20, Y: 20}, pipeline.Point{X: 60, Y: 40}
		h.Add(p, []pipeline.Point{often, once, once}, 8) // twice in a frame is once
		h.Add(p, []pipeline.Point{often}, 8)
		d.Heat(p, &h, 1, 0, 0, 240)
		k := codingOf(p)
		if got, want := at(p, 20, 20), k.encode(Colour{255, 0, 0}); got != want {
			t.Errorf("%v: the most is %v, want red %v", f, got, want)
		}
		// Level 128 of 255: 240 - 240*128/255 = 119.5 degrees, all but green.
		if got, want := at(p, 60, 40), k.encode(Colour{2, 255, 0}); got != want {
			t.Errorf("%v: half of it is %v, want green %v", f, got, want)
		}
		if got := at(p, 40, 20); got != (yuv{128, 128, 128}) {
			t.Errorf("%v: between them is %v", f, got)
		}
		checkPadding(t, p)
	}
}

func TestHues(t *testing.T) {
	for degrees, want := range map[float32]Colour{
		0: {255, 0, 0}, 60: {255, 255, 0}, 120: {0, 255, 0}, 180: {0, 255, 255}, 240: {0, 0, 255}, 300: {255, 0, 255}, 360: {255, 0, 0}, -60: {255, 0, 255}, 30: {255, 128, 0},
	} {
		if got := hue(degrees); got != want {
			t.Errorf("%v degrees are %v, want %v", degrees, got, want)
		}
	}
}

func TestSlideIsTheMeanOfEachWindow(t *testing.T) {
	for w := 1; w < 24; w++ {
		src, dst := make([]uint8, w), make([]uint8, w)
		for i := range src {
			src[i] = uint8(i*97 + 31)
		}
		for kernel := 1; kernel < 50; kernel++ {
			back, ahead := kernel/2, kernel-kernel/2
			slide(dst, src, back, ahead)
			for x := range dst {
				sum, n := 0, 0
				for i := max(x-back, 0); i < min(x+ahead, w); i++ {
					sum += int(src[i])
					n++
				}
				if want := uint8((sum + n/2) / n); dst[x] != want {
					t.Fatalf("%d samples, kernel %d: %d at %d, want %d", w, kernel, dst[x], x, want)
				}
			}
		}
	}
}
