package draw

import (
	"math"

	"perch/pipeline"
)

// clip returns the part of the segment from a to b that is within margin of
// the picture (Liang and Barsky, "A new concept and method for line clipping",
// 1984). It reports false when there is none, or when a or b is not a number.
func clip(p pipeline.Picture, a, b pipeline.Point, margin float32) (pipeline.Point, pipeline.Point, bool) {
	x, y := finite(a.X), finite(a.Y)
	dx, dy := finite(b.X)-x, finite(b.Y)-y
	if sum := x + y + dx + dy; sum != sum {
		return a, b, false
	}
	m := float64(margin)
	t0, t1 := 0.0, 1.0
	for _, side := range [4][2]float64{
		{-dx, x + m}, {dx, float64(p.Width) + m - x},
		{-dy, y + m}, {dy, float64(p.Height) + m - y},
	} {
		toward, room := side[0], side[1]
		switch {
		case toward == 0 && room < 0:
			return a, b, false
		case toward < 0:
			t0 = max(t0, room/toward)
		case toward > 0:
			t1 = min(t1, room/toward)
		}
	}
	if t0 > t1 {
		return a, b, false
	}
	if t0 > 0 || t1 < 1 {
		a = pipeline.Point{X: float32(x + t0*dx), Y: float32(y + t0*dy)}
		b = pipeline.Point{X: float32(x + t1*dx), Y: float32(y + t1*dy)}
	}
	return a, b, true
}

// finite keeps infinities from making differences that are not numbers.
func finite(x float32) float64 { return min(max(float64(x), -math.MaxFloat32), math.MaxFloat32) }

// around is the rectangle within margin of all points; false when a point is
// no number or lies so far away that the shape cannot be told.
func around(points []pipeline.Point, margin float32) (rect, bool) {
	const reach = 1 << 20
	x0, y0, x1, y1 := float32(reach), float32(reach), float32(-reach), float32(-reach)
	for _, q := range points {
		if !(q.X > -reach && q.X < reach && q.Y > -reach && q.Y < reach) {
			return rect{}, false
		}
		x0, y0, x1, y1 = min(x0, q.X), min(y0, q.Y), max(x1, q.X), max(y1, q.Y)
	}
	if !(margin < reach) || len(points) == 0 {
		return rect{}, false
	}
	return rect{
		int(math.Floor(float64(x0 - margin))), int(math.Floor(float64(y0 - margin))),
		int(math.Ceil(float64(x1 + margin))), int(math.Ceil(float64(y1 + margin))),
	}, true
}
