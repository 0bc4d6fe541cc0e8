package pipeline

import (
	"math"
	"slices"
)

// onEdge is how far a pixel's centre may be from an edge and still be on it,
// which makes up for rounding.
const onEdge = 1e-6

// MaskFromPolygon returns the mask of the pixels of a frame of width by height
// whose centres are in the polygon or on its edges, where the first pixel's
// centre is (0, 0): what [Mask.Contours] of one part without holes gives, gives
// that part back. Where edges cross each other, what lies inside an even number
// of times is outside. It returns nil when the polygon has no points, has one
// that is no number, or does not touch the frame.
func MaskFromPolygon(polygon []Point, width, height int) *Mask {
	lo, hi, ok := extent(polygon)
	if !ok {
		return nil
	}
	x0, y0 := max(int(math.Ceil(max(lo.x, 0)-onEdge)), 0), max(int(math.Ceil(max(lo.y, 0)-onEdge)), 0)
	x1 := int(math.Floor(min(hi.x, float64(width-1)) + onEdge))
	y1 := int(math.Floor(min(hi.y, float64(height-1)) + onEdge))
	if x1 < x0 || y1 < y0 {
		return nil
	}
	m := NewMask(x0, y0, x1-x0+1, y1-y0+1)
	var crossings []float64
	for y := y0; y <= y1; y++ {
		crossings = m.fillRow(polygon, float64(y), crossings[:0])
	}
	return m
}

type place struct{ x, y float64 }

// extent is the rectangle around the points; false if there is none.
func extent(polygon []Point) (lo, hi place, ok bool) {
	lo, hi = place{math.Inf(1), math.Inf(1)}, place{math.Inf(-1), math.Inf(-1)}
	for _, p := range polygon {
		x, y := float64(p.X), float64(p.Y)
		if math.IsNaN(x-x) || math.IsNaN(y-y) {
			return lo, hi, false
		}
		lo, hi = place{min(lo.x, x), min(lo.y, y)}, place{max(hi.x, x), max(hi.y, y)}
	}
	return lo, hi, len(polygon) > 0
}

// fillRow sets the pixels of row y that are in the polygon or on its edges.
func (m *Mask) fillRow(polygon []Point, y float64, crossings []float64) []float64 {
	for i, a := range polygon {
		b := polygon[(i+1)%len(polygon)]
		ax, ay, bx, by := float64(a.X), float64(a.Y), float64(b.X), float64(b.Y)
		if ay > by {
			ax, ay, bx, by = bx, by, ax, ay
		}
		switch {
		case y < ay || y > by:
		case ay == by:
			m.setRow(int(y), min(ax, bx), max(ax, bx))
		case y == by:
			m.setRow(int(y), bx, bx) // it crosses the rows above, not this one
		default:
			crossings = append(crossings, ax+(y-ay)*(bx-ax)/(by-ay))
		}
	}
	slices.Sort(crossings)
	for i := 0; i+1 < len(crossings); i += 2 {
		m.setRow(int(y), crossings[i], crossings[i+1])
	}
	return crossings
}

// setRow sets the pixels of row y of the frame whose centres are from lo to hi.
func (m *Mask) setRow(y int, lo, hi float64) {
	m.SetRun(y, int(math.Ceil(max(lo, float64(m.X))-onEdge)), int(math.Floor(min(hi, float64(m.X+m.Width))+onEdge))+1)
}
