package draw

import (
	"math"

	"perch/pipeline"
)

// rect is a rectangle in luma samples; the far sides are exclusive.
type rect struct{ x0, y0, x1, y1 int }

func (r rect) clip(p pipeline.Picture) rect {
	return rect{max(r.x0, 0), max(r.y0, 0), min(r.x1, p.Width), min(r.y1, p.Height)}
}

// outer returns the smallest rectangle around b that begins and ends on even
// samples. It may lie outside pic, but never so far that sums overflow.
func outer(p pipeline.Picture, b pipeline.Box) rect {
	return rect{
		near(b.X0, p.Width) &^ 1, near(b.Y0, p.Height) &^ 1,
		(far(b.X1, p.Width) + 1) &^ 1, (far(b.Y1, p.Height) + 1) &^ 1,
	}
}

func near(x float32, size int) int { return int(math.Floor(float64(bound(x, size)))) }
func far(x float32, size int) int  { return int(math.Ceil(float64(bound(x, size)))) }

// bound keeps x within a picture's size of the picture, so that a model's
// infinities and not-a-numbers cannot make loops long.
func bound(x float32, size int) float32 {
	s := float32(size)
	if x != x {
		return -s
	}
	return min(max(x, -s), 2*s)
}

// chroma returns the positions of a chroma sample's U and V in their planes.
func chroma(p pipeline.Picture, cx, cy int) (u, v *uint8) {
	if p.Format == pipeline.NV12 {
		i := cy*p.Strides[1] + 2*cx
		return &p.Planes[1][i], &p.Planes[1][i+1]
	}
	return &p.Planes[1][cy*p.Strides[1]+cx], &p.Planes[2][cy*p.Strides[2]+cx]
}
