package draw

import (
	"math"
	"slices"

	"perch/pipeline"
)

// stroke draws a line with round ends and soft edges, radius luma samples to
// each side.
func stroke(p pipeline.Picture, a, b pipeline.Point, radius float32, c yuv) {
	a, b, ok := clip(p, a, b, radius+1)
	if !ok {
		return
	}
	s := capsule{a: a, dx: b.X - a.X, dy: b.Y - a.Y, r: radius}
	y0 := max(near(min(a.Y, b.Y)-radius-1, p.Height), 0)
	y1 := min(far(max(a.Y, b.Y)+radius+1, p.Height), p.Height)
	for y := y0; y < y1; y++ {
		x0, x1, ok := s.row(float32(y) + 0.5)
		if !ok {
			continue
		}
		row := p.Planes[0][y*p.Strides[0]:]
		for x := max(x0, 0); x < min(x1, p.Width); x++ {
			if cover := s.cover(float32(x)+0.5, float32(y)+0.5); cover > 0 {
				row[x] = mix(row[x], c.y, cover)
			}
		}
	}
	for cy := y0 / 2; cy < (y1+1)/2; cy++ {
		s.chromaRow(p, cy, c)
	}
}

// capsule is all points within r of a segment.
type capsule struct {
	a      pipeline.Point
	dx, dy float32
	r      float32
}

// row returns the samples of the row through y that the capsule may cover.
// A capsule is convex, so they are one interval: the hull of what its two ends
// and its sides cover.
func (s capsule) row(y float32) (x0, x1 int, ok bool) {
	lo, hi := float32(math.Inf(1)), float32(math.Inf(-1))
	r := s.r + 1
	span := func(a, b float32) { lo, hi = min(lo, a, b), max(hi, a, b) }
	disc := func(cx, cy float32) {
		if h := r*r - (y-cy)*(y-cy); h >= 0 {
			w := float32(math.Sqrt(float64(h)))
			span(cx-w, cx+w)
		}
	}
	disc(s.a.X, s.a.Y)
	disc(s.a.X+s.dx, s.a.Y+s.dy)
	if l := float32(math.Hypot(float64(s.dx), float64(s.dy))); l > 0 {
		nx, ny := -s.dy/l*r, s.dx/l*r
		side := func(px, py float32) {
			if t := (y - py) / s.dy; s.dy != 0 && t >= 0 && t <= 1 {
				span(px+t*s.dx, px+t*s.dx)
			}
		}
		side(s.a.X+nx, s.a.Y+ny)
		side(s.a.X-nx, s.a.Y-ny)
	}
	if lo > hi {
		return 0, 0, false
	}
	return int(math.Floor(float64(lo))), int(math.Ceil(float64(hi))), true
}

// cover is how much of the sample around (x, y) the capsule covers, 0..255.
func (s capsule) cover(x, y float32) uint32 {
	px, py := x-s.a.X, y-s.a.Y
	var t float32
	if l := s.dx*s.dx + s.dy*s.dy; l > 0 {
		t = min(max((px*s.dx+py*s.dy)/l, 0), 1)
	}
	px, py = px-t*s.dx, py-t*s.dy
	dist := float32(math.Sqrt(float64(px*px + py*py)))
	return uint32(min(max(s.r+0.5-dist, 0), 1) * 255)
}

// chromaRow blends one row of chroma with the mean cover of its luma samples.
func (s capsule) chromaRow(p pipeline.Picture, cy int, c yuv) {
	y := float32(2 * cy)
	a0, a1, aok := s.row(y + 0.5)
	b0, b1, bok := s.row(y + 1.5)
	switch {
	case !aok && !bok:
		return
	case !aok:
		a0, a1 = b0, b1
	case bok:
		a0, a1 = min(a0, b0), max(a1, b1)
	}
	for cx := max(a0, 0) / 2; cx < (min(a1, p.Width)+1)/2; cx++ {
		x := float32(2 * cx)
		cover := (s.cover(x+0.5, y+0.5) + s.cover(x+1.5, y+0.5) + s.cover(x+0.5, y+1.5) + s.cover(x+1.5, y+1.5) + 2) / 4
		if cover > 0 {
			u, v := chroma(p, cx, cy)
			*u, *v = mix(*u, c.u, cover), mix(*v, c.v, cover)
		}
	}
}

// addPolygon adds the inside of a polygon (even-odd rule): the samples whose
// middles it contains.
func (d *Drawer) addPolygon(g *region, points []pipeline.Point) {
	if len(points) < 3 {
		return
	}
	lo, hi := g.h, 0
	for _, q := range points {
		lo, hi = min(lo, near(q.Y, g.h)), max(hi, far(q.Y, g.h))
	}
	lo, hi = max(lo, 0), min(hi, g.h)
	if lo >= hi {
		return
	}
	for y := lo; y < hi; y++ {
		d.crossings(points, float32(y)+0.5)
		for i := 0; i+1 < len(d.cross); i += 2 {
			g.span(y, max(round(d.cross[i], g.w), 0), min(round(d.cross[i+1], g.w), g.w))
		}
	}
	g.touch(lo, hi)
}

// crossings puts into d.cross, sorted, where the polygon's sides cross a row.
func (d *Drawer) crossings(points []pipeline.Point, y float32) {
	d.cross = d.cross[:0]
	a := points[len(points)-1]
	for _, b := range points {
		if (a.Y <= y) != (b.Y <= y) {
			d.cross = append(d.cross, a.X+(y-a.Y)/(b.Y-a.Y)*(b.X-a.X))
		}
		a = b
	}
	slices.Sort(d.cross)
}
