package track

import (
	"math"

	"perch/pipeline"
)

// A box is a [pipeline.Box] in the precision of the filter.
type box struct{ x0, y0, x1, y1 float64 }

func wide(b pipeline.Box) box {
	return box{float64(b.X0), float64(b.Y0), float64(b.X1), float64(b.Y1)}
}

// usable reports whether a box can be followed: finite, with an area.
func usable(b pipeline.Box) bool {
	for _, v := range [...]float32{b.X0, b.Y0, b.X1, b.Y1} {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return false
		}
	}
	return b.X1 > b.X0 && b.Y1 > b.Y0
}

// iou returns the intersection over union of two boxes; 0 when either is
// inside out, as a prediction far ahead may be.
func iou(a, b box) float64 {
	w := min(a.x1, b.x1) - max(a.x0, b.x0)
	h := min(a.y1, b.y1) - max(a.y0, b.y0)
	if !(w > 0 && h > 0) {
		return 0
	}
	both := w * h
	return both / ((a.x1-a.x0)*(a.y1-a.y0) + (b.x1-b.x0)*(b.y1-b.y0) - both)
}
