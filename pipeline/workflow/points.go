package workflow

import (
	"fmt"
	"math"

	"perch/pipeline"
)

// maxPoints bounds a polygon or path.
const maxPoints = 10_000

// PointsOf reads a list of points [x, y], in pixels.
func PointsOf(v Value) ([]pipeline.Point, error) {
	items, ok := v.Items()
	if !ok {
		return nil, fmt.Errorf("%s is no list of points [x, y]", v.Describe())
	}
	if len(items) > maxPoints {
		return nil, fmt.Errorf("it has %d points, and at most %d are used", len(items), maxPoints)
	}
	pts := make([]pipeline.Point, len(items))
	for i, item := range items {
		p, ok := pointOf(item)
		if !ok {
			return nil, fmt.Errorf("point %d is %s and must be two numbers [x, y]", i+1, item.Describe())
		}
		pts[i] = p
	}
	return pts, nil
}

func pointOf(v Value) (pipeline.Point, bool) {
	xy, ok := v.Items()
	if !ok || len(xy) != 2 {
		return pipeline.Point{}, false
	}
	x, okX := xy[0].Float()
	y, okY := xy[1].Float()
	if !okX || !okY || math.Abs(x) > 1e7 || math.Abs(y) > 1e7 {
		return pipeline.Point{}, false
	}
	return pipeline.Point{X: float32(x), Y: float32(y)}, true
}

// PolygonsOf reads one polygon, or a list of polygons. "A list of lists of two
// numbers" is one.
func PolygonsOf(v Value) ([][]pipeline.Point, error) {
	items, ok := v.Items()
	if ok && len(items) > 0 {
		if _, isPoint := pointOf(items[0]); !isPoint {
			var all [][]pipeline.Point
			for i, item := range items {
				p, err := PointsOf(item)
				if err != nil {
					return nil, fmt.Errorf("polygon %d: %w", i+1, err)
				}
				all = append(all, p)
			}
			return all, nil
		}
	}
	p, err := PointsOf(v)
	if err != nil {
		return nil, err
	}
	return [][]pipeline.Point{p}, nil
}

// ValueOfPoints is the reverse of [PointsOf].
func ValueOfPoints(pts []pipeline.Point) Value {
	items := make([]Value, len(pts))
	for i, p := range pts {
		items[i] = ListOf([]Value{FloatOf(float64(p.X)), FloatOf(float64(p.Y))})
	}
	return ListOf(items)
}
