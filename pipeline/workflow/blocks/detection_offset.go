package blocks

import "perch/pipeline/workflow"

func detectionOffset() *workflow.Manifest {
	offset := func(name, alias, doc string) workflow.Field {
		return workflow.Field{Name: name, Aliases: []string{alias}, Required: true, Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 0, MinOpen: true, Doc: doc}
	}
	return &workflow.Manifest{
		Type: prefix + "detection_offset@v1", Aliases: []string{"DetectionOffset"}, Title: "Detection Offset", Group: "detections",
		Doc: "Makes the boxes of detections larger, half of it on each side, but not beyond the image. Masks and key points stay as they are; the detections get new ids.",
		Fields: []workflow.Field{
			{Name: "predictions", Required: true, Kinds: workflow.AnyDetections(), Doc: "the detections"},
			offset("offset_width", "offset_x", "how much wider boxes become"),
			offset("offset_height", "offset_y", "how much higher boxes become"),
			{Name: "units", Default: workflow.StringOf("Pixels"), Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.EnumLiteral, Enum: []string{"Pixels", percent}, Doc: "what the offsets are: pixels, or percents of the image's width and height"},
		},
		Outputs: []workflow.Output{{Name: "predictions", Like: "predictions", Doc: "the detections with larger boxes"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &offsetBlock{predictions: p.In("predictions"), width: p.In("offset_width"), height: p.In("offset_height"), units: p.In("units")}, nil
		},
	}
}

const percent = "Percent (%)"

type offsetBlock struct{ predictions, width, height, units workflow.In }

// Run implements [workflow.Block].
func (b *offsetBlock) Run(c *workflow.Call) error {
	d, err := c.Detections(b.predictions)
	if err != nil {
		return err
	}
	dx, err := c.Int(b.width)
	if err != nil {
		return err
	}
	dy, err := c.Int(b.height)
	if err != nil {
		return err
	}
	units, err := c.Str(b.units)
	if err != nil {
		return err
	}
	w, h := d.Origin.Width, d.Origin.Height
	if units == percent {
		dx, dy = w*dx/200, h*dy/200
	} else {
		dx, dy = dx/2, dy/2
	}
	out := c.NewDetections(d.Origin)
	out.Like(d)
	for i := range d.Items {
		it := d.Items[i]
		it.ID = c.NewID()
		it.Box.X0, it.Box.Y0 = max(0, it.Box.X0-float32(dx)), max(0, it.Box.Y0-float32(dy))
		it.Box.X1, it.Box.Y1 = min(float32(w), it.Box.X1+float32(dx)), min(float32(h), it.Box.Y1+float32(dy))
		out.Items = append(out.Items, it)
	}
	c.Set(0, workflow.DetectionsOf(out))
	return nil
}
