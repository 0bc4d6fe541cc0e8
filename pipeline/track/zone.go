package track

import (
	"math"

	"perch/pipeline"
)

// A Zone is a polygon of the picture. Its edges belong to it; where it crosses
// itself, what lies inside an even number of times is outside (as OpenCV's
// fillPoly has it). One without an area holds no more than its edges.
type Zone struct {
	points  []pipeline.Point
	anchors []Anchor
}

// NewZone returns the zone with these corners, in pixels, in either direction
// and closed or not. A detection is in it when all anchors are; none given is
// [Centre]. The error, of kind BadConfig, says what is wrong.
func NewZone(points []pipeline.Point, anchors ...Anchor) (*Zone, error) {
	const op = "set up zone"
	if len(points) < 3 {
		return nil, refuse(op, "polygon", "a zone needs three points or more", "it has %d", len(points))
	}
	for i, p := range points {
		if !finite(p) {
			return nil, refuse(op, "polygon", "points are in pixels of the frame", "point %d is not finite", i+1)
		}
	}
	if err := checkAnchors(op, anchors); err != nil {
		return nil, err
	}
	if len(anchors) == 0 {
		anchors = []Anchor{Centre}
	}
	return &Zone{points: append([]pipeline.Point(nil), points...), anchors: append([]Anchor(nil), anchors...)}, nil
}

// Area returns the area within, in square pixels, by the shoelace formula; 0
// tells that the points lie on one line, which is seldom meant. It is that of
// the polygon when this does not cross itself.
func (z *Zone) Area() float64 {
	sum := 0.0
	for i, p := range z.points {
		q := z.points[(i+1)%len(z.points)]
		sum += float64(p.X)*float64(q.Y) - float64(q.X)*float64(p.Y)
	}
	return math.Abs(sum) / 2
}

// Has reports whether a detection is in the zone. For [CentreOfMass] it must
// have a mask.
func (z *Zone) Has(d *pipeline.Detection) bool {
	for _, a := range z.anchors {
		if !z.Contains(a.Of(d)) {
			return false
		}
	}
	return true
}

// Contains reports whether a point is in the zone: on an edge, or with an odd
// number of edges crossed by the ray from it to the right.
func (z *Zone) Contains(p pipeline.Point) bool {
	if !finite(p) {
		return false
	}
	x, y := float64(p.X), float64(p.Y)
	inside := false
	for i := range z.points {
		a, b := z.points[i], z.points[(i+1)%len(z.points)]
		ax, ay, bx, by := float64(a.X), float64(a.Y), float64(b.X), float64(b.Y)
		cross := (bx-ax)*(y-ay) - (by-ay)*(x-ax)
		if cross == 0 && min(ax, bx) <= x && x <= max(ax, bx) && min(ay, by) <= y && y <= max(ay, by) {
			return true
		}
		// An edge takes part from its upper end, that included, to its lower
		// end, so a corner is crossed once and a level edge never.
		if (ay > y) != (by > y) && (cross > 0) == (by > ay) {
			inside = !inside
		}
	}
	return inside
}
