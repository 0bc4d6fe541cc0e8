package blocks

import (
	"fmt"
	"math"
	"slices"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

func dynamicZone() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "dynamic_zone@v1", Aliases: []string{"DynamicZone"}, Title: "Dynamic Zone", Group: "detections",
		Doc: "Makes a polygon with a given number of corners of each object's mask: the convex hull of its largest part, simplified until as many are left. Objects with an empty mask are left out.",
		Fields: []workflow.Field{
			{Name: "predictions", Required: true, Kinds: []workflow.Kind{workflow.InstanceMasks}, Doc: "detections with masks"},
			{Name: "required_number_of_vertices", Required: true, Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 2, Max: 1000, Doc: "how many corners a polygon has; when it cannot be simplified to so many, the last one is repeated or the rest is cut off"},
			{Name: "scale_ratio", Default: workflow.FloatOf(1), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, MinOpen: true, Doc: "how much larger the polygon is made around its middle: 1.05 by a twentieth"},
			{Name: "apply_least_squares", Default: workflow.BoolOf(false), Kinds: []workflow.Kind{workflow.BooleanKind}, Literal: workflow.BoolLiteral, Doc: "lay each edge through the outline's points along it, so that they are as close to it as can be (their squared distances from the line are least), instead of from corner to corner"},
			{Name: "midpoint_fraction", Default: workflow.FloatOf(1), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, Max: 1, Doc: "with least squares: which part of an edge's points is used, those in its middle"},
		},
		Outputs: []workflow.Output{
			{Name: "zones", Kinds: []workflow.Kind{workflow.ListKind}, Doc: "the polygons, in pixels"},
			{Name: "predictions", Like: "predictions", Doc: "the detections with their polygon (before scaling), and its mask (after)"},
			{Name: "simplification_converged", Kinds: []workflow.Kind{workflow.BooleanKind}, Doc: "whether every polygon came to have so many corners"},
		},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &dynamicZoneBlock{
				predictions: p.In("predictions"), corners: p.In("required_number_of_vertices"), scale: p.In("scale_ratio"),
				squares: p.In("apply_least_squares"), fraction: p.In("midpoint_fraction"),
			}, nil
		},
	}
}

type dynamicZoneBlock struct{ predictions, corners, scale, squares, fraction workflow.In }

// zoneShape is what a polygon is to be like.
type zoneShape struct {
	corners         int
	scale, fraction float64
	squares         bool
}

func (b *dynamicZoneBlock) read(c *workflow.Call) (s zoneShape, err error) {
	if s.corners, err = c.Int(b.corners); err != nil {
		return s, err
	}
	if s.scale, err = c.Float(b.scale); err != nil {
		return s, err
	}
	if s.squares, err = c.Bool(b.squares); err != nil {
		return s, err
	}
	s.fraction, err = c.Float(b.fraction)
	return s, err
}

// Run implements [workflow.Block].
func (b *dynamicZoneBlock) Run(c *workflow.Call) error {
	d, err := c.Detections(b.predictions)
	if err != nil {
		return err
	}
	shape, err := b.read(c)
	if err != nil {
		return err
	}
	out := c.NewDetections(d.Origin)
	out.Like(d)
	zones, all := []workflow.Value{}, true
	for i := range d.Items {
		it := d.Items[i]
		if it.Mask == nil {
			return fmt.Errorf("detection %d (%s) has no mask: use a model that finds masks", i, it.Label)
		}
		polygon, ok := shape.of(it.Mask)
		if polygon == nil {
			continue
		}
		all = all && ok
		it.Polygon, it.Has = pointsOf(polygon), it.Has|workflow.HasPolygon
		scaled := scaleAround(polygon, shape.scale)
		if it.Mask = pipeline.MaskFromPolygon(pointsOf(scaled), d.Origin.Width, d.Origin.Height); it.Mask == nil {
			it.Mask = pipeline.NewMask(0, 0, 0, 0)
		}
		out.Items = append(out.Items, it)
		zones = append(zones, valueOf(scaled))
	}
	c.Set(0, workflow.ListOf(zones))
	c.Set(1, workflow.DetectionsOf(out))
	c.Set(2, workflow.BoolOf(all))
	return nil
}

// of makes a polygon of a mask, nil if that is empty, and reports whether it has
// as many corners as it should without being padded or cut.
func (s *zoneShape) of(m *pipeline.Mask) (polygon []place, ok bool) {
	contour := placesOf(m.Polygon())
	if len(contour) == 0 {
		return nil, false
	}
	polygon = simplified(convexHull(contour), s.corners)
	if s.squares {
		polygon = s.fit(polygon, contour)
	}
	ok = len(polygon) == s.corners
	for len(polygon) < s.corners {
		polygon = append(polygon, polygon[len(polygon)-1])
	}
	return polygon[:s.corners], ok
}

// simplified looks for the tolerance at which a polygon is left with so many
// corners, by bisection; without success it returns what the last one gives.
func simplified(hull []place, corners int) []place {
	upper, lower := perimeter(hull), 1e-7
	epsilon := lower + upper/2
	for {
		out := approximate(hull, epsilon)
		switch {
		case len(out) == corners:
			return out
		case len(out) > corners:
			lower = epsilon
		default:
			upper = epsilon
		}
		next := lower + (upper-lower)/2
		if next == epsilon { // there is no number between them
			return out
		}
		epsilon = next
	}
}

// fit moves the edges of a polygon so that they lie along the contour, and the
// corners to where they then meet. A corner whose edges do not meet stays.
func (s *zoneShape) fit(polygon, contour []place) []place {
	n := len(polygon)
	if n < 3 {
		return polygon
	}
	type line struct {
		at, way place
		ok      bool
	}
	lines := make([]line, n) // from each corner to the next
	for i := range polygon {
		points := s.between(contour, polygon[i], polygon[(i+1)%n])
		lines[i].at, lines[i].way, lines[i].ok = fitLine(points)
	}
	out := slices.Clone(polygon)
	for i := range polygon {
		a, b := lines[(i+n-1)%n], lines[i]
		if !a.ok || !b.ok {
			continue
		}
		if p, ok := meet(a.at, a.way, b.at, b.way); ok {
			out[i] = p.rounded()
		}
	}
	return out
}

// between returns the points of a contour from one corner to another, those in
// the middle if only a part is wanted.
func (s *zoneShape) between(contour []place, from, to place) (points []place) {
	i, j := nearest(contour, from), nearest(contour, to)
	for k := i; ; k = (k + 1) % len(contour) {
		points = append(points, contour[k])
		if k == j {
			break
		}
	}
	if keep := int(math.RoundToEven(float64(len(points)) * s.fraction)); s.fraction < 1 && keep > 2 {
		drop := (len(points) - keep) / 2
		points = points[drop : len(points)-drop]
	}
	return points
}

func nearest(pts []place, to place) (at int) {
	best := math.Inf(1)
	for i, p := range pts {
		if d := p.minus(to); d.dot(d) < best {
			best, at = d.dot(d), i
		}
	}
	return at
}

// fitLine is the line to which points are closest, by the squares of their
// distances from it (Pearson, "On lines and planes of closest fit to systems of
// points in space", 1901): unlike a function of x it can be upright.
func fitLine(pts []place) (at, way place, ok bool) {
	n := float64(len(pts))
	for _, p := range pts {
		at.x += p.x / n
		at.y += p.y / n
	}
	var xx, xy, yy float64
	for _, p := range pts {
		d := p.minus(at)
		xx += d.x * d.x
		xy += d.x * d.y
		yy += d.y * d.y
	}
	if xx+yy == 0 {
		return at, way, false
	}
	s, c := math.Sincos(math.Atan2(2*xy, xx-yy) / 2)
	return at, place{c, s}, true
}

// meet is where two lines cross; false if they are, or almost are, parallel.
func meet(a, u, b, v place) (place, bool) {
	cross := u.cross(v)
	if math.Abs(cross) <= 1e-6*u.length()*v.length() {
		return place{}, false
	}
	t := b.minus(a).cross(v) / cross
	return place{a.x + t*u.x, a.y + t*u.y}, true
}

// scaleAround makes a polygon larger around its middle, to whole pixels; one
// without an area stays.
func scaleAround(polygon []place, ratio float64) []place {
	m, ok := middle(polygon)
	if ratio == 1 || !ok {
		return polygon
	}
	out := make([]place, len(polygon))
	for i, p := range polygon {
		d := p.minus(m)
		out[i] = place{m.x + d.x*ratio, m.y + d.y*ratio}.rounded()
	}
	return out
}
