package blocks

import (
	"math"
	"slices"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// place is a point in the precision of geometry.
type place struct{ x, y float64 }

func (p place) minus(q place) place { return place{p.x - q.x, p.y - q.y} }

// cross is above 0 if q lies to the right of p, seen on the screen.
func (p place) cross(q place) float64 { return p.x*q.y - p.y*q.x }

func (p place) dot(q place) float64 { return p.x*q.x + p.y*q.y }

func (p place) length() float64 { return math.Hypot(p.x, p.y) }

// rounded is the place at whole pixels, halves to the even one, never minus 0.
func (p place) rounded() place { return place{math.RoundToEven(p.x) + 0, math.RoundToEven(p.y) + 0} }

func placesOf(pts []pipeline.Point) []place {
	out := make([]place, len(pts))
	for i, p := range pts {
		out[i] = place{float64(p.X), float64(p.Y)}
	}
	return out
}

func pointsOf(places []place) []pipeline.Point {
	out := make([]pipeline.Point, len(places))
	for i, p := range places {
		out[i] = pipeline.Point{X: float32(p.x), Y: float32(p.y)}
	}
	return out
}

// valueOf is a list of points of whole pixels.
func valueOf(places []place) workflow.Value {
	items := make([]workflow.Value, len(places))
	for i, p := range places {
		items[i] = workflow.ListOf([]workflow.Value{workflow.IntOf(int64(p.x)), workflow.IntOf(int64(p.y))})
	}
	return workflow.ListOf(items)
}

// convexHull returns the corners of the smallest convex polygon around points,
// counter-clockwise on the screen as contours go (Andrew's monotone chain). It
// begins with the one that comes first in pts.
func convexHull(pts []place) []place {
	order := make([]int, len(pts))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		switch a, b := pts[i], pts[j]; {
		case a.x < b.x || a.x == b.x && a.y < b.y:
			return -1
		case a == b:
			return i - j
		}
		return 1
	})
	order = slices.CompactFunc(order, func(i, j int) bool { return pts[i] == pts[j] })
	if len(order) < 3 {
		slices.Sort(order)
	}
	var hull []int
	chain := func(base int, i int) {
		for len(hull) >= base+2 {
			a, b := pts[hull[len(hull)-2]], pts[hull[len(hull)-1]]
			if b.minus(a).cross(pts[i].minus(b)) < 0 {
				break
			}
			hull = hull[:len(hull)-1]
		}
		hull = append(hull, i)
	}
	for _, i := range order {
		chain(0, i)
	}
	base := len(hull) - 1
	for _, i := range slices.Backward(order[:max(len(order)-1, 0)]) {
		chain(base, i)
	}
	if len(hull) > 1 {
		hull = hull[:len(hull)-1] // where it began
	}
	first := 0
	for k := range hull {
		if hull[k] < hull[first] {
			first = k
		}
	}
	out := make([]place, len(hull))
	for k := range hull {
		out[k] = pts[hull[(first+k)%len(hull)]]
	}
	return out
}

// perimeter is the length around a polygon.
func perimeter(pts []place) (sum float64) {
	for i, p := range pts {
		sum += pts[(i+1)%len(pts)].minus(p).length()
	}
	return sum
}

// approximate returns a polygon with fewer corners whose edges are within
// epsilon of the corners left out (Douglas and Peucker, "Algorithms for the
// reduction of the number of points required to represent a digitized line or
// its caricature", The Canadian Cartographer 10, 1973). As OpenCV's
// approxPolyDP does for closed curves, it begins with two corners far from each
// other, found from the first one in three steps, and leaves out corners
// that lie close to the line through their new neighbours.
func approximate(pts []place, epsilon float64) []place {
	n := len(pts)
	if n == 0 {
		return nil
	}
	start, far := 0, 0
	var most float64
	for range 3 {
		start = (start + far) % n
		most, far = 0, 0
		for j := 1; j < n; j++ {
			d := pts[(start+j)%n].minus(pts[start])
			if d.dot(d) > most {
				most, far = d.dot(d), j
			}
		}
	}
	if most <= epsilon*epsilon {
		return []place{pts[start]}
	}
	end := (start + far) % n
	out := split(pts, start, end, epsilon, nil)
	return straighten(split(pts, end, start, epsilon, out), epsilon)
}

// split appends the corners that are needed from one corner up to, and without,
// another.
func split(pts []place, from, to int, epsilon float64, out []place) []place {
	n := len(pts)
	a, edge := pts[from], pts[to].minus(pts[from])
	most, at := 0.0, from
	for i := (from + 1) % n; i != to; i = (i + 1) % n {
		if d := math.Abs(edge.cross(pts[i].minus(a))); d > most {
			most, at = d, i
		}
	}
	if most*most <= epsilon*epsilon*edge.dot(edge) {
		return append(out, a)
	}
	return split(pts, at, to, epsilon, split(pts, from, at, epsilon, out))
}

// straighten leaves out corners on almost straight lines, in place.
func straighten(pts []place, epsilon float64) []place {
	n := len(pts)
	left, write, read := n, 0, 1
	before, here := pts[n-1], pts[0]
	for i := 0; i < n && left > 2; i++ {
		next := pts[read%n]
		read++
		edge, in, out := next.minus(before), here.minus(before), next.minus(here)
		off := math.Abs(in.cross(edge))
		if off*off <= 0.5*epsilon*epsilon*edge.dot(edge) && edge.x != 0 && edge.y != 0 && in.dot(out) >= 0 {
			left--
			pts[write], before = next, next
			write++
			here = pts[read%n]
			read++
			i++
			continue
		}
		pts[write], before = here, here
		write++
		here = next
	}
	return pts[:left]
}

// rotatedRect is the rectangle of smallest area around points. One of its sides
// lies on an edge of their hull (Freeman and Shapira, "Determining the
// minimum-area encasing rectangle for an arbitrary closed curve", CACM 18,
// 1975). Its width is that along the angle.
func rotatedRect(pts []place) (center place, width, height, angle float64) {
	hull := convexHull(pts)
	best := math.Inf(1)
	for i, p := range hull {
		u := hull[(i+1)%len(hull)].minus(p)
		turn := math.Mod(math.Atan2(u.y, u.x)*180/math.Pi+360, 90)
		if turn == 0 {
			turn = 90
		}
		s, c := math.Sincos(turn * math.Pi / 180)
		if turn == 90 {
			s, c = 1, 0
		}
		along, across := place{c, s}, place{-s, c}
		lo, hi := place{math.Inf(1), math.Inf(1)}, place{math.Inf(-1), math.Inf(-1)}
		for _, q := range hull {
			a, b := q.dot(along), q.dot(across)
			lo, hi = place{min(lo.x, a), min(lo.y, b)}, place{max(hi.x, a), max(hi.y, b)}
		}
		if size := hi.minus(lo); size.x*size.y < best {
			best, width, height, angle = size.x*size.y, size.x, size.y, turn
			mid := place{(lo.x + hi.x) / 2, (lo.y + hi.y) / 2}
			center = place{mid.x*along.x + mid.y*across.x, mid.x*along.y + mid.y*across.y}
		}
	}
	return center, width, height, angle
}

// corners are those of a rotated rectangle, in the order of OpenCV's boxPoints.
func corners(center place, width, height, angle float64) [4]place {
	s, c := math.Sincos(angle * math.Pi / 180)
	w, h := place{c * width / 2, s * width / 2}, place{-s * height / 2, c * height / 2}
	return [4]place{
		{center.x - w.x + h.x, center.y - w.y + h.y}, {center.x - w.x - h.x, center.y - w.y - h.y},
		{center.x + w.x - h.x, center.y + w.y - h.y}, {center.x + w.x + h.x, center.y + w.y + h.y},
	}
}

// middle is the centroid of the area within a polygon; false if it has none.
func middle(pts []place) (place, bool) {
	var twice, x, y float64
	for i, p := range pts {
		q := pts[(i+1)%len(pts)]
		c := p.cross(q)
		twice += c
		x += (p.x + q.x) * c
		y += (p.y + q.y) * c
	}
	if twice == 0 {
		return place{}, false
	}
	return place{x / (3 * twice), y / (3 * twice)}, true
}
