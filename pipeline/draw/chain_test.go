package draw

import (
	"math"
	"testing"

	"perch/pipeline"
)

// everything calls every way to draw with the coordinates of q.
func everything(d *Drawer, p pipeline.Picture, q []pipeline.Point) {
	c, o := Colour{200, 30, 90}, Colour{1, 2, 3}
	b := pipeline.Box{X0: q[0].X, Y0: q[0].Y, X1: q[2].X, Y1: q[2].Y}
	m := pipeline.NewMask(clampInt(q[0].X), clampInt(q[0].Y), 13, 7)
	for i := range m.Bits {
		m.Bits[i] = 0xb7
	}
	areas := []Area{{Box: b, Colour: c}, {Mask: m, Colour: o}}
	d.Box(p, b, c, 3, 0)
	d.Box(p, b, c, 4, b.X0)
	d.Box(p, b, c, 2, 0.7)
	d.Corners(p, b, c, 4, 15)
	d.Polyline(p, q, true, c, 5)
	d.Line(p, q[0], q[2], c, 2, 0.5)
	d.Polygon(p, q, c, 0.4)
	d.Circle(p, q[0], b.X1, c, 2)
	d.Dot(p, q[1], 4, c, 2, o)
	d.Arc(p, q[0], b.X1, b.Y1, -45, 235, c, 2)
	d.Triangle(p, q[0], b.X1, b.Y1, c, 2, o)
	d.Overlay(p, areas, 0.5)
	d.Outside(p, areas, c, b.X1)
	d.Outline(p, m, c, 2)
	d.Halo(p, areas, 0.8, 40)
	d.Halo(p, areas, 0.8, 3)
	for _, a := range areas {
		d.Blur(p, a, 15)
		d.Pixelate(p, a, 20)
	}
	d.Enlarge(p, b, p, pipeline.Box{X0: q[1].Y, Y0: q[0].X, X1: b.X1, Y1: 9})
	d.Enlarge(p, pipeline.Box{X1: 20, Y1: 30}, p, b)
	var h Heat
	h.Add(p, q, 40)
	h.Add(p, q, b.X1)
	d.Heat(p, &h, 0.2, 25, 0, b.X1)
	s := TextStyle{Scale: 1, Colour: c, Plate: o, PlateOpacity: 0.5, Padding: 10, Radius: 8, Align: Centre}
	d.Text(p, clampInt(q[0].X), clampInt(q[0].Y), []byte("ä\xff日本 a label that is\n\nlonger than the picture is wide\n"), s)
	d.Lines(p, []string{"the model gave up", "", "so did the file"})
}

// clampInt is what a careless caller makes of a coordinate.
func clampInt(x float32) int {
	if x != x {
		return 0
	}
	return int(min(max(float64(x), math.MinInt64/2), math.MaxInt64/2))
}

// FuzzCoordinates draws everything anywhere: nothing may panic or touch what
// lies between a picture's rows.
func FuzzCoordinates(f *testing.F) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, v := range [][4]float32{
		{1, 2, 30, 40}, {-inf, -inf, inf, inf}, {nan, 3, 8, nan}, {1e30, -1e30, 1e30, 5}, {-40, -40, 2, 2},
		{16777216, 3, 16777217, 9}, {1 << 20, 0, -1 << 20, 4}, {5, 5, 5, 5}, {9, 9, 4, 4}, {-1e9, 20.5, 1e9, 21},
	} {
		f.Add(v[0], v[1], v[2], v[3], uint8(33), uint8(17))
	}
	d := newDrawer(f)
	f.Fuzz(func(t *testing.T, x0, y0, x1, y1 float32, w, h uint8) {
		for _, format := range []pipeline.PixelFormat{pipeline.I420, pipeline.NV12} {
			p := grey(format, int(w)+1, int(h)+1)
			everything(d, p, []pipeline.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
			checkPadding(t, p)
		}
	})
}

func TestNothingIsAllocatedAtSteadyState(t *testing.T) {
	for _, format := range []pipeline.PixelFormat{pipeline.I420, pipeline.NV12} {
		p, d, r := grey(format, 640, 360), newDrawer(t), busy(640, 360, 20)
		q := []pipeline.Point{{X: 100, Y: 100}, {X: 500, Y: 120}, {X: 400, Y: 300}, {X: 90, Y: 250}}
		m := pipeline.NewMask(30, 40, 100, 90)
		for i := range m.Bits {
			m.Bits[i] = 0x7e
		}
		areas := []Area{{Box: pipeline.Box{X0: 10, Y0: 10, X1: 200, Y1: 100}}, {Mask: m}}
		text, lines := []byte("person 0.93\n2 in zone"), []string{"something failed"}
		heat, black := &Heat{}, Colour{}
		draw := func() {
			d.Draw(p, r)
			d.Box(p, r.Detections[0].Box, black, 2, 0.5)
			d.Corners(p, r.Detections[0].Box, black, 4, 15)
			d.Polyline(p, q, true, black, 2)
			d.Line(p, q[0], q[1], black, 2, 0.3)
			d.Polygon(p, q, black, 0.2)
			d.Circle(p, q[0], 30, black, 2)
			d.Dot(p, q[0], 4, black, 1, black)
			d.Arc(p, q[0], 60, 20, -45, 235, black, 2)
			d.Triangle(p, q[0], 10, 10, black, 1, black)
			d.Overlay(p, areas, 0.5)
			d.Outside(p, areas, black, 0.5)
			d.Outline(p, m, black, 2)
			d.Halo(p, areas, 0.8, 20)
			d.Blur(p, areas[1], 15)
			d.Pixelate(p, areas[0], 20)
			heat.Add(p, q, 40)
			d.Heat(p, heat, 0.2, 25, 0, 250)
			d.Text(p, 20, 20, text, TextStyle{Scale: 1, PlateOpacity: 0.5, Padding: 10, Radius: 4})
			d.Lines(p, lines)
		}
		draw()
		if n := testing.AllocsPerRun(10, draw); n != 0 {
			t.Errorf("%v: %v allocations a picture", format, n)
		}
	}
}

// BenchmarkChain1080p is what four visualisers of a workflow cost: one copy,
// then a zone, 20 boxes, 20 labels and a line with its counts.
func BenchmarkChain1080p(b *testing.B) {
	for _, format := range []pipeline.PixelFormat{pipeline.I420, pipeline.NV12} {
		b.Run(format.String(), func(b *testing.B) {
			src, d, r := grey(format, 1920, 1080), newDrawer(b), busy(1920, 1080, 20)
			zone := []pipeline.Point{{X: 200, Y: 200}, {X: 1500, Y: 150}, {X: 1700, Y: 900}, {X: 300, Y: 1000}}
			white, counts := Colour{255, 255, 255}, []byte("in: 12, out: 7")
			palette, err := NewPalette("DEFAULT", 10, nil)
			if err != nil {
				b.Fatal(err)
			}
			var p pipeline.Picture
			var label []byte
			b.ReportAllocs()
			for b.Loop() {
				p = pipeline.CopyPicture(p, src, 1)
				d.Polygon(p, zone, Colour{0x5b, 0xb5, 0x73}, 0.3)
				for i := range r.Detections {
					d.Box(p, r.Detections[i].Box, palette.Colour(i), 2, 0)
				}
				for i := range r.Detections {
					det := &r.Detections[i]
					label = appendLabel(label[:0], det)
					d.Text(p, int(det.Box.X0), int(det.Box.Y0)-37, label, TextStyle{Scale: 1, Colour: white, Plate: palette.Colour(i), PlateOpacity: 1, Padding: 10})
				}
				d.Line(p, pipeline.Point{X: 0, Y: 540}, pipeline.Point{X: 1920, Y: 600}, white, 2, 0.3)
				d.Text(p, 10, 530, counts, TextStyle{Scale: 1, Plate: white, PlateOpacity: 1})
			}
		})
	}
}
