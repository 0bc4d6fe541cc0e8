package draw

import (
	"testing"

	"perch/pipeline"
)

func TestEnlarge(t *testing.T) {
	for _, from := range formats {
		for _, to := range formats {
			src, d := steps(from, 14, 12), newDrawer(t)
			u, v := chroma(src, 2, 2)
			*u, *v = 40, 200
			p := grey(to, 30, 24)
			// Columns 4 to 8 and rows 4 to 8, three times as large from (6, 6) on.
			d.Enlarge(p, pipeline.Box{X0: 6, Y0: 6, X1: 18, Y1: 18}, src, pipeline.Box{X0: 4, Y0: 4, X1: 8, Y1: 8})
			for _, c := range []struct {
				name string
				x, y int
				want uint8
			}{
				{"the middle of a sample is it", 7, 7, 16*4 + 4},
				{"the next one's middle", 10, 7, 16*5 + 4},
				{"a third of the way", 8, 7, 16*4 + 5 + 4}, // 5.33 more
				{"and down", 7, 13, 16*4 + 6},
				{"left of it", 5, 7, 128}, {"right of it", 18, 7, 128}, {"below", 7, 18, 128},
			} {
				if got := at(p, c.x, c.y).y; diff(got, c.want) > 0 {
					t.Errorf("%v to %v, %s: luma at (%d, %d) is %d, want %d", from, to, c.name, c.x, c.y, got, c.want)
				}
			}
			// Chroma sample (2, 2), luma 4 and 5, has its middle at luma 5, shown at 9.
			if got := at(p, 8, 8); got.u != 40 || got.v != 200 {
				t.Errorf("%v to %v: chroma is %v", from, to, got)
			}
			checkPadding(t, p)
		}
	}
}

func TestEnlargeBeyondThePictures(t *testing.T) {
	src, d := steps(pipeline.I420, 8, 8), newDrawer(t)
	p := grey(pipeline.I420, 9, 7)
	d.Enlarge(p, pipeline.Box{X0: -20, Y0: -20, X1: 60, Y1: 60}, src, pipeline.Box{X0: 0, Y0: 0, X1: 8, Y1: 8})
	if got := at(p, 0, 0).y; got != 16+8+2 { // (0.5+20)/10 - 0.5 = 1.55 of each
		t.Errorf("the first sample is %d", got)
	}
	q := grey(pipeline.I420, 9, 7)
	d.Enlarge(q, pipeline.Box{X0: 0, Y0: 0, X1: 4, Y1: 4}, src, pipeline.Box{X0: -9, Y0: -9, X1: -5, Y1: -5})
	if got := at(q, 3, 3).y; got != 0 {
		t.Errorf("what lies before the picture is %d, want its first sample, 0", got)
	}
	r := grey(pipeline.I420, 9, 7)
	d.Enlarge(r, pipeline.Box{X0: 0, Y0: 0, X1: 4, Y1: 4}, src, pipeline.Box{X0: 3, Y0: 3, X1: 3, Y1: 5})
	d.Enlarge(r, pipeline.Box{X0: 4, Y0: 4, X1: 4, Y1: 9}, src, pipeline.Box{X0: 3, Y0: 3, X1: 5, Y1: 5})
	if got := art(r, 235); got[1][1] != '.' || got[5][4] != '.' {
		t.Errorf("a box without area was shown:\n%s", frameText(got))
	}
}

func BenchmarkEffects1080p(b *testing.B) {
	p, d := grey(pipeline.NV12, 1920, 1080), newDrawer(b)
	box := pipeline.Box{X0: 500, Y0: 300, X1: 900, Y1: 900}
	mask := pipeline.NewMask(500, 300, 400, 600)
	for i := range mask.Bits {
		mask.Bits[i] = 0xff
	}
	var heat Heat
	heat.Add(p, []pipeline.Point{{X: 500, Y: 500}, {X: 900, Y: 700}}, 40)
	before := clone(p)
	for name, draw := range map[string]func(){
		"Blur":     func() { d.Blur(p, Area{Box: box}, 15) },
		"Pixelate": func() { d.Pixelate(p, Area{Box: box}, 20) },
		"Overlay":  func() { d.Overlay(p, []Area{{Mask: mask}}, 0.5) },
		"Outline":  func() { d.Outline(p, mask, white, 2) },
		"Halo":     func() { d.Halo(p, []Area{{Mask: mask}}, 0.8, 40) },
		"Heat":     func() { d.Heat(p, &heat, 0.2, 25, 0, 250) },
		"Enlarge":  func() { d.Enlarge(p, box, before, pipeline.Box{X0: 500, Y0: 300, X1: 700, Y1: 600}) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				draw()
			}
		})
	}
}
