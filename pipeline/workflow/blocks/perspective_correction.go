package blocks

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

func perspectiveCorrection() *workflow.Manifest {
	side := func(name, doc string) workflow.Field {
		return workflow.Field{Name: name, Default: workflow.IntOf(1000), Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 2, Max: mostSide, Doc: doc}
	}
	return &workflow.Manifest{
		Type: prefix + "perspective_correction@v1", Aliases: []string{"PerspectiveCorrection"}, Title: "Perspective Correction", Group: "image",
		Doc: "Shows a quadrilateral of the picture as if it was looked at from right above: as a rectangle. Detections are moved there, and the picture if that is wanted. " +
			"The first quadrilateral is kept for the whole run, unless it is extended to hold detections; until there is one nothing is put out.",
		Fields: []workflow.Field{
			{Name: "images", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the image"},
			{Name: "predictions", Kinds: workflow.AnyDetections(), Doc: "detections on that image"},
			{Name: "perspective_polygons", Required: true, Kinds: []workflow.Kind{workflow.ListKind, workflow.ZoneKind}, Literal: workflow.AnyLiteral, Doc: "the quadrilateral's four corners [[x, y], ...] in any order, or a list of polygons, of which the largest with four corners is taken"},
			side("transformed_rect_width", "width of the rectangle, pixels"),
			side("transformed_rect_height", "height of the rectangle, pixels"),
			{Name: "extend_perspective_polygon_by_detections_anchor", Default: workflow.StringOf(""), Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.EnumLiteral, Enum: append([]string{"", allAnchors}, anchorNames[:]...),
				Doc: "makes the quadrilateral larger on each frame, so that it holds this place of each detection (ALL: its whole box), and the rectangle with it"},
			{Name: "warp_image", Default: workflow.BoolOf(false), Kinds: []workflow.Kind{workflow.BooleanKind}, Literal: workflow.BoolLiteral, Doc: "move the picture as well; otherwise it is put out as it came"},
		},
		Outputs: []workflow.Output{
			{Name: "corrected_coordinates", Like: "predictions", Doc: "the detections on the rectangle: the upright boxes around what their boxes or masks become"},
			{Name: "warped_image", Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the rectangle's picture"},
			{Name: "extended_transformed_rect_width", Kinds: []workflow.Kind{workflow.IntegerKind}, Doc: "its width with what it was extended by, pixels"},
			{Name: "extended_transformed_rect_height", Kinds: []workflow.Kind{workflow.IntegerKind}, Doc: "its height with what it was extended by, pixels"},
		},
		New: func(p *workflow.Params) (workflow.Block, error) {
			b := &perspectiveBlock{
				image: p.In("images"), predictions: p.In("predictions"), polygons: p.In("perspective_polygons"), width: p.In("transformed_rect_width"),
				height: p.In("transformed_rect_height"), anchor: p.In("extend_perspective_polygon_by_detections_anchor"), warp: p.In("warp_image"),
			}
			if v, known := p.Const("perspective_polygons"); known {
				if err := checkPolygons(v); err != nil {
					return nil, p.Fault("perspective_polygons", err.Error(), "give four points [[x, y], ...]")
				}
			}
			return b, nil
		},
	}
}

// mostSide bounds the rectangle's sides, also after it was extended.
const mostSide = 10_000

// checkPolygons finds what is wrong with a quadrilateral that is known before
// the run.
func checkPolygons(v workflow.Value) error {
	pts, err := largestOfFour(v)
	switch {
	case err != nil:
		return err
	case pts == nil:
		return errors.New("it is empty")
	}
	_, err = homographyOf(quadrilateralOf(pts), rectangle(2, 2))
	return err
}

type perspectiveBlock struct {
	image, predictions, polygons, width, height, anchor, warp workflow.In

	fixed []*perspective // by the image's place in its list
}

// perspective is how a quadrilateral becomes a rectangle.
type perspective struct {
	h             homography
	width, height int
}

// Run implements [workflow.Block].
func (b *perspectiveBlock) Run(c *workflow.Call) error {
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	var d *workflow.Detections
	if !c.Value(b.predictions).IsNull() {
		if d, err = c.Detections(b.predictions); err != nil {
			return err
		}
	}
	p, err := b.perspective(c, d)
	if err != nil || p == nil {
		return err
	}
	warp, err := c.Bool(b.warp)
	if err != nil {
		return err
	}
	o := img.Origin
	o.Width, o.Height, o.Warped = p.width, p.height, true
	if d != nil {
		out := c.NewDetections(o)
		out.Keypoints = d.Keypoints
		for i := range d.Items {
			out.Items = append(out.Items, p.move(d.Items[i]))
		}
		c.Set(0, workflow.DetectionsOf(out))
	}
	if warp {
		rect := c.NewImage(o, p.width, p.height, img.Picture)
		p.h.warp(rect.Picture, img.Picture)
		img = rect
	}
	c.Set(1, workflow.ImageOf(img))
	c.Set(2, workflow.IntOf(int64(p.width)))
	c.Set(3, workflow.IntOf(int64(p.height)))
	return nil
}

// perspective is that of the run, or of the frame if the quadrilateral is
// extended; nil while there is none.
func (b *perspectiveBlock) perspective(c *workflow.Call, d *workflow.Detections) (*perspective, error) {
	anchor, err := c.Str(b.anchor)
	if err != nil {
		return nil, err
	}
	for len(b.fixed) <= c.Index() {
		b.fixed = append(b.fixed, nil)
	}
	if p := b.fixed[c.Index()]; p != nil && anchor == "" {
		return p, nil
	}
	pts, err := largestOfFour(c.Value(b.polygons))
	if err != nil {
		return nil, fmt.Errorf("property %q: %w", "perspective_polygons", err)
	}
	if pts == nil {
		return nil, nil
	}
	w, err := c.Int(b.width)
	if err != nil {
		return nil, err
	}
	h, err := c.Int(b.height)
	if err != nil {
		return nil, err
	}
	q := quadrilateralOf(pts)
	p := &perspective{width: w, height: h}
	if anchor != "" && d != nil && len(d.Items) > 0 {
		if err := p.extend(&q, d, anchor); err != nil {
			return nil, err
		}
	}
	if p.h, err = homographyOf(q, rectangle(p.width, p.height)); err != nil {
		return nil, fmt.Errorf("property %q: %w", "perspective_polygons", err)
	}
	b.fixed[c.Index()] = p
	return p, nil
}

// extend makes quadrilateral and rectangle large enough for detections.
func (p *perspective) extend(q *quadrilateral, d *workflow.Detections, anchor string) error {
	dets := make([]*pipeline.Detection, len(d.Items))
	for i := range d.Items {
		dets[i] = &d.Items[i].Detection
	}
	w, h := q.sides()
	wider, higher, err := q.extend(dets, anchor)
	if err != nil {
		return err
	}
	width := float64(p.width) + math.RoundToEven(wider*float64(p.width)/max(w, 1))
	height := float64(p.height) + math.RoundToEven(higher*float64(p.height)/max(h, 1))
	if width > mostSide || height > mostSide {
		return fmt.Errorf("to hold all detections the rectangle would have to be %.0f x %.0f pixels, and at most %d x %d are possible: a detection lies near the horizon of the quadrilateral", width, height, mostSide, mostSide)
	}
	p.width, p.height = int(width), int(height)
	return nil
}

func rectangle(width, height int) [4]place {
	r, b := float64(width-1), float64(height-1)
	return [4]place{{0, b}, {0, 0}, {r, 0}, {r, b}}
}

// largestOfFour reads one polygon, which must have four corners, or picks of
// several the one with four that is largest; nil if the list is empty.
func largestOfFour(v workflow.Value) ([]place, error) {
	if items, ok := v.Items(); ok && len(items) == 0 {
		return nil, nil
	}
	polygons, err := workflow.PolygonsOf(v)
	if err != nil {
		return nil, err
	}
	polygons = slices.DeleteFunc(polygons, func(p []pipeline.Point) bool { return len(p) != 4 })
	if len(polygons) == 0 {
		return nil, errors.New("no polygon has four corners")
	}
	var best []place
	most := -1.0
	for _, p := range polygons {
		q := quadrilateralOf(placesOf(p))
		if a := pipeline.PolygonArea(pointsOf(q[:])); a > most {
			best, most = q[:], a
		}
	}
	return best, nil
}

// move returns a detection on the rectangle. Its mask's largest part counts;
// one that has an empty mask keeps it.
func (p *perspective) move(it workflow.Detection) workflow.Detection {
	x0, y0, x1, y1 := math.RoundToEven(float64(it.Box.X0)), math.RoundToEven(float64(it.Box.Y0)), math.RoundToEven(float64(it.Box.X1)), math.RoundToEven(float64(it.Box.Y1))
	outline := []place{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}
	if it.Mask != nil && it.Mask.Area() > 0 {
		outline = placesOf(it.Mask.Polygon())
	}
	lo, hi := place{math.Inf(1), math.Inf(1)}, place{math.Inf(-1), math.Inf(-1)}
	for i := range outline {
		outline[i] = p.h.apply(outline[i])
		lo, hi = place{min(lo.x, outline[i].x), min(lo.y, outline[i].y)}, place{max(hi.x, outline[i].x), max(hi.y, outline[i].y)}
	}
	lo, hi = lo.rounded(), hi.rounded()
	it.Box = pipeline.Box{X0: float32(lo.x), Y0: float32(lo.y), X1: float32(hi.x), Y1: float32(hi.y)}
	if it.Mask != nil {
		for i := range outline {
			outline[i] = outline[i].rounded()
		}
		if it.Mask = pipeline.MaskFromPolygon(pointsOf(outline), p.width, p.height); it.Mask == nil {
			it.Mask = pipeline.NewMask(0, 0, 0, 0)
		}
	}
	keypoints := make([]pipeline.Keypoint, len(it.Keypoints))
	for i, k := range it.Keypoints {
		at := p.h.apply(place{float64(k.X), float64(k.Y)}).rounded()
		keypoints[i] = pipeline.Keypoint{Point: pipeline.Point{X: float32(at.x), Y: float32(at.y)}, Score: k.Score}
	}
	it.Keypoints = keypoints
	// What was measured on the picture says nothing about the rectangle.
	it.Polygon, it.Rect, it.Has = nil, nil, it.Has&^workflow.HasPolygon
	return it
}
