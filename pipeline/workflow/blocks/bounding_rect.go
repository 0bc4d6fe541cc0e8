package blocks

import (
	"fmt"
	"math"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

func boundingRect() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "bounding_rect@v1", Title: "Bounding Rectangle", Group: "detections",
		Doc:     "Puts the smallest rectangle, turned as it may be, around the largest part of each object's mask. Mask and box become those of the rectangle; its corners, width, height and angle are added. Objects with an empty mask are left out.",
		Fields:  []workflow.Field{{Name: "predictions", Required: true, Kinds: []workflow.Kind{workflow.InstanceMasks}, Doc: "detections with masks"}},
		Outputs: []workflow.Output{{Name: "detections_with_rect", Like: "predictions", Doc: "the detections with rect, width, height and angle (degrees from the horizontal to the side that is the width, clockwise on the screen, above 0 up to 90)"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &boundingRectBlock{predictions: p.In("predictions")}, nil
		},
	}
}

type boundingRectBlock struct{ predictions workflow.In }

// Run implements [workflow.Block].
func (b *boundingRectBlock) Run(c *workflow.Call) error {
	d, err := c.Detections(b.predictions)
	if err != nil {
		return err
	}
	out := c.NewDetections(d.Origin)
	out.Like(d)
	for i := range d.Items {
		it := d.Items[i]
		if it.Mask == nil {
			return fmt.Errorf("detection %d (%s) has no mask: use a model that finds masks", i, it.Label)
		}
		contour := placesOf(it.Mask.Polygon())
		if len(contour) == 0 {
			continue
		}
		enclose(&it, contour, d.Origin)
		out.Items = append(out.Items, it)
	}
	c.Set(0, workflow.DetectionsOf(out))
	return nil
}

// enclose makes a detection that of the rectangle around a contour. Corners are
// cut off to whole pixels, as upstream has them.
func enclose(it *workflow.Detection, contour []place, o workflow.Origin) {
	center, width, height, angle := rotatedRect(contour)
	rect := &workflow.RotatedRect{Width: width, Height: height, Angle: angle}
	lo, hi := pipeline.Point{X: float32(math.Inf(1)), Y: float32(math.Inf(1))}, pipeline.Point{X: float32(math.Inf(-1)), Y: float32(math.Inf(-1))}
	for _, k := range corners(center, width, height, angle) {
		p := pipeline.Point{X: float32(math.Trunc(k.x)), Y: float32(math.Trunc(k.y))}
		rect.Corners = append(rect.Corners, p)
		lo, hi = pipeline.Point{X: min(lo.X, p.X), Y: min(lo.Y, p.Y)}, pipeline.Point{X: max(hi.X, p.X), Y: max(hi.Y, p.Y)}
	}
	it.Rect = rect
	it.Box = pipeline.Box{X0: lo.X, Y0: lo.Y, X1: hi.X, Y1: hi.Y}
	if it.Mask = pipeline.MaskFromPolygon(rect.Corners, o.Width, o.Height); it.Mask == nil {
		it.Mask = pipeline.NewMask(0, 0, 0, 0)
	}
}
