package blocks

import (
	"fmt"
	"math"

	"perch/pipeline/workflow"
)

func relativeStaticCrop() *workflow.Manifest {
	part := func(name, doc string) workflow.Field {
		return workflow.Field{Name: name, Required: true, Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, Max: 1, Doc: doc}
	}
	return &workflow.Manifest{
		// The type is misspelt in Roboflow's engine, so it is in documents.
		Type: prefix + "relative_statoic_crop@v1", Aliases: []string{"RelativeStaticCrop"}, Title: "Relative Static Crop", Group: "image",
		Doc: "Cuts a rectangle out of an image whose place and size are parts of the image's.",
		Fields: []workflow.Field{
			{Name: "images", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the image to cut from"},
			part("x_center", "centre of the rectangle: 0 is the left edge of the image, 1 the right one"),
			part("y_center", "centre of the rectangle: 0 is the top of the image, 1 the bottom"),
			part("width", "part of the image's width, above 0 up to 1"),
			part("height", "part of the image's height, above 0 up to 1"),
		},
		Outputs: []workflow.Output{{Name: "crops", Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the rectangle, as far as it lies in the image; null if it has no pixel"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &relativeCropBlock{image: p.In("images"), x: p.In("x_center"), y: p.In("y_center"), width: p.In("width"), height: p.In("height"), name: p.Step()}, nil
		},
	}
}

type relativeCropBlock struct {
	image, x, y, width, height workflow.In
	name                       string
}

// Run implements [workflow.Block].
func (b *relativeCropBlock) Run(c *workflow.Call) error {
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	var at [4]float64
	for i, in := range []workflow.In{b.x, b.y, b.width, b.height} {
		if at[i], err = c.Float(in); err != nil {
			return err
		}
		whole := float64(img.Picture.Width)
		if i%2 == 1 {
			whole = float64(img.Picture.Height)
		}
		at[i] = math.RoundToEven(at[i] * whole)
	}
	r := around(at[0], at[1], at[2], at[3]).clip(img.Picture.Width, img.Picture.Height)
	if !r.empty() {
		c.Set(0, workflow.ImageOf(crop(c, img, r, fmt.Sprintf("%s.%d", b.name, c.Index()))))
	}
	return nil
}

// around is the rectangle of a size whose centre is at (x, y), rounded as
// upstream rounds it.
func around(x, y, width, height float64) rect {
	r := rect{x0: int(math.RoundToEven(x - width/2)), y0: int(math.RoundToEven(y - height/2))}
	r.x1, r.y1 = r.x0+int(width), r.y0+int(height)
	return r
}
