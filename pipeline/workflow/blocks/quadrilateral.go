package blocks

import (
	"math"
	"slices"

	"perch/pipeline"
)

// A quadrilateral has its corners in the order bottom left, top left, top
// right, bottom right, as they are seen.
type quadrilateral [4]place

const (
	bottomLeft = iota
	topLeft
	topRight
	bottomRight
)

// quadrilateralOf puts four points in order: clockwise around their middle, and
// then begun where they are closest to the corners of the upright rectangle
// around them.
func quadrilateralOf(pts []place) (q quadrilateral) {
	lo, hi := pts[0], pts[0]
	for _, p := range pts {
		lo, hi = place{min(lo.x, p.x), min(lo.y, p.y)}, place{max(hi.x, p.x), max(hi.y, p.y)}
	}
	mid := place{(lo.x + hi.x) / 2, (lo.y + hi.y) / 2}
	angle := func(p place) float64 { return math.Atan2(mid.x-p.x, mid.y-p.y) }
	sorted := slices.Clone(pts)
	slices.SortStableFunc(sorted, func(a, b place) int {
		switch da, db := angle(a), angle(b); {
		case da > db:
			return -1
		case da < db:
			return 1
		}
		return 0
	})
	upright := [4]place{{lo.x, hi.y}, {lo.x, lo.y}, {hi.x, lo.y}, {hi.x, hi.y}}
	best := math.Inf(1)
	for turn := range 4 {
		var turned quadrilateral
		sum := 0.0
		for i := range turned {
			turned[i] = sorted[(i+4-turn)%4]
			sum += upright[i].minus(turned[i]).length()
		}
		if sum < best || sum == best && turned[0].x < q[0].x {
			best, q = sum, turned
		}
	}
	return q
}

// sides are the quadrilateral's longer width and longer height.
func (q *quadrilateral) sides() (width, height float64) {
	width = max(q[bottomLeft].minus(q[bottomRight]).length(), q[topLeft].minus(q[topRight]).length())
	height = max(q[bottomLeft].minus(q[topLeft]).length(), q[bottomRight].minus(q[topRight]).length())
	return width, height
}

// has reports whether a point lies in the quadrilateral or on its edge.
func (q *quadrilateral) has(p place) bool {
	inside := false
	for i, a := range q {
		b := q[(i+1)%4]
		cross := b.minus(a).cross(p.minus(a))
		if cross == 0 && min(a.x, b.x) <= p.x && p.x <= max(a.x, b.x) && min(a.y, b.y) <= p.y && p.y <= max(a.y, b.y) {
			return true
		}
		if (a.y > p.y) != (b.y > p.y) && (cross > 0) == (b.y > a.y) {
			inside = !inside
		}
	}
	return inside
}

// allAnchors is the name for the whole of a box.
const allAnchors = "ALL"

// extend moves the sides of a quadrilateral outwards, each parallel to itself,
// so that it holds an anchor of each detection, and returns by how much it has
// become wider and higher.
func (q *quadrilateral) extend(dets []*pipeline.Detection, anchor string) (width, height float64, err error) {
	for _, d := range dets {
		for _, side := range [...]struct {
			a, b, beforeA, afterB, measured int
			whole                           [2]string
			to                              *float64
		}{
			{bottomLeft, topLeft, bottomRight, topRight, bottomLeft, [2]string{"BOTTOM_LEFT", "TOP_LEFT"}, &width},
			{topRight, bottomRight, topLeft, bottomLeft, bottomRight, [2]string{"BOTTOM_RIGHT", "TOP_RIGHT"}, &width},
			{bottomRight, bottomLeft, topRight, topLeft, bottomLeft, [2]string{"BOTTOM_RIGHT", "BOTTOM_LEFT"}, &height},
			{topLeft, topRight, bottomLeft, bottomRight, topLeft, [2]string{"TOP_RIGHT", "TOP_LEFT"}, &height},
		} {
			names := side.whole[:]
			if anchor != allAnchors {
				names = []string{anchor}
			}
			for _, name := range names {
				p, err := anchorOf(d, name)
				if err != nil {
					return 0, 0, err
				}
				edge := q[side.b].minus(q[side.a])
				if math.IsNaN(p.x) || q.has(p) || edge.cross(p.minus(q[side.a])) > 0 {
					continue
				}
				a, okA := meet(p, edge, q[side.a], q[side.beforeA].minus(q[side.a]))
				b, okB := meet(p, edge, q[side.b], q[side.afterB].minus(q[side.b]))
				if !okA || !okB {
					continue
				}
				was := q[side.measured]
				q[side.a], q[side.b] = a.rounded(), b.rounded()
				*side.to += q[side.measured].minus(was).length()
			}
		}
	}
	return width, height, nil
}
