package blocks

import (
	"fmt"

	"perch/pipeline/workflow"
)

func absoluteStaticCrop() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "absolute_static_crop@v1", Aliases: []string{"AbsoluteStaticCrop"}, Title: "Absolute Static Crop", Group: "image",
		Doc: "Cuts a rectangle of fixed size out of an image.",
		Fields: []workflow.Field{
			{Name: "images", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the image to cut from"},
			{Name: "x_center", Required: true, Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Doc: "centre of the rectangle, pixels from the left"},
			{Name: "y_center", Required: true, Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Doc: "centre of the rectangle, pixels from the top"},
			{Name: "width", Required: true, Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, MinOpen: true, Doc: "pixels"},
			{Name: "height", Required: true, Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, MinOpen: true, Doc: "pixels"},
		},
		Outputs: []workflow.Output{{Name: "crops", Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the rectangle, as far as it lies in the image; null if it has no pixel"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &absoluteCropBlock{
				image: p.In("images"), x: p.In("x_center"), y: p.In("y_center"), width: p.In("width"), height: p.In("height"), name: p.Step(),
			}, nil
		},
	}
}

type absoluteCropBlock struct {
	image, x, y, width, height workflow.In
	name                       string
}

// Run implements [workflow.Block].
func (b *absoluteCropBlock) Run(c *workflow.Call) error {
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	var at [4]float64
	for i, in := range []workflow.In{b.x, b.y, b.width, b.height} {
		n, err := c.Int(in)
		if err != nil {
			return err
		}
		at[i] = float64(n)
	}
	r := around(at[0], at[1], at[2], at[3]).clip(img.Picture.Width, img.Picture.Height)
	if r.empty() {
		return nil
	}
	c.Set(0, workflow.ImageOf(crop(c, img, r, fmt.Sprintf("%s.%d", b.name, c.Index()))))
	return nil
}
