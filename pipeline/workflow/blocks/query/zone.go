package query

import (
	"fmt"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// inZone compiles (Detection) in zone: a point, or the centre of a detection,
// lies in a polygon or on its edge.
func inZone(left, right *operand) (test, error) {
	zone := &zoneOf{get: right.get}
	if right.known {
		if err := zone.set(right.con); err != nil {
			return nil, &Error{right.path, err.Error(), "(Detection) in zone takes a polygon of 3 points or more, [[x, y], …]"}
		}
		zone.get = nil
	}
	point := pointOf(left)
	return func(st *state) (bool, error) {
		x, y, err := point(st)
		if err != nil {
			return false, err
		}
		pts, err := zone.points(st)
		if err != nil {
			return false, err
		}
		return contains(pts, x, y), st.spend(len(pts))
	}, nil
}

// pointOf reads the left side, without making a list of it where it is a point
// of the detection at hand.
func pointOf(left *operand) func(st *state) (x, y float64, err error) {
	if at := left.point; at != nil {
		return func(st *state) (x, y float64, err error) {
			x, y = at(st.one.Items[0].Box)
			return x, y, nil
		}
	}
	return func(st *state) (x, y float64, err error) {
		v, err := left.get(st)
		if err != nil {
			return 0, 0, err
		}
		if d, ok := v.Detections(); ok && len(d.Items) == 1 {
			x, y = center(d.Items[0].Box)
			return x, y, nil
		}
		if x, y, ok := pairOf(v); ok {
			return x, y, nil
		}
		return 0, 0, fmt.Errorf("(Detection) in zone needs a point [x, y] or one detection and is given %s", v.Describe())
	}
}

func pairOf(v workflow.Value) (x, y float64, ok bool) {
	xy, ok := v.Items()
	if !ok || len(xy) != 2 {
		return 0, 0, false
	}
	x, okX := xy[0].Float()
	y, okY := xy[1].Float()
	return x, y, okX && okY
}

// zoneOf is the right side. A polygon that was read is kept as long as the
// value remains the same, which is looked at anew each time.
type zoneOf struct {
	get value // nil: it never changes
	pts []pipeline.Point
}

func (z *zoneOf) points(st *state) ([]pipeline.Point, error) {
	if z.get == nil {
		return z.pts, nil
	}
	v, err := z.get(st)
	if err != nil {
		return nil, err
	}
	if !z.same(v) {
		if err := z.set(v); err != nil {
			return nil, fmt.Errorf("(Detection) in zone: %w", err)
		}
	}
	return z.pts, nil
}

func (z *zoneOf) set(v workflow.Value) error {
	pts, err := workflow.PointsOf(v)
	if err != nil {
		return err
	}
	if len(pts) < 3 {
		return fmt.Errorf("a zone of %d points has no inside", len(pts))
	}
	z.pts = pts
	return nil
}

func (z *zoneOf) same(v workflow.Value) bool {
	items, ok := v.Items()
	if !ok || len(items) != len(z.pts) || len(items) == 0 {
		return false
	}
	for i, item := range items {
		if x, y, ok := pairOf(item); !ok || float32(x) != z.pts[i].X || float32(y) != z.pts[i].Y {
			return false
		}
	}
	return true
}

// contains reports whether a point lies in a polygon, by the even-odd rule, or
// on its edge.
func contains(pts []pipeline.Point, x, y float64) bool {
	inside := false
	for i, p := range pts {
		q := pts[(i+1)%len(pts)]
		px, py, qx, qy := float64(p.X), float64(p.Y), float64(q.X), float64(q.Y)
		cross := (qx-px)*(y-py) - (qy-py)*(x-px)
		if cross == 0 && min(px, qx) <= x && x <= max(px, qx) && min(py, qy) <= y && y <= max(py, qy) {
			return true
		}
		if (py > y) != (qy > y) && (cross < 0) == (qy < py) {
			inside = !inside
		}
	}
	return inside
}
