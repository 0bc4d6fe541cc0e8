package blocks

import (
	"fmt"

	"perch/pipeline/workflow"
)

// mostSlices bounds how many slices a picture is cut into.
const mostSlices = 4096

func imageSlicer() *workflow.Manifest {
	size := func(name, doc string) workflow.Field {
		return workflow.Field{Name: name, Default: workflow.IntOf(640), Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 1, Doc: doc}
	}
	ratio := func(name, doc string) workflow.Field {
		return workflow.Field{Name: name, Default: workflow.FloatOf(0.2), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, Max: 0.99, Doc: doc}
	}
	return &workflow.Manifest{
		Type: prefix + "image_slicer@v1", Title: "Image Slicer", Group: "image",
		Doc: "Cuts an image into overlapping slices, row by row, so that a model finds what is small on it. Slices at the right and at the bottom are as small as what is left. At most 4096 are made.",
		Fields: []workflow.Field{
			{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the image"},
			size("slice_width", "width of a slice, pixels"),
			size("slice_height", "height of a slice, pixels"),
			ratio("overlap_ratio_width", "which part of a slice's width the next one shows again"),
			ratio("overlap_ratio_height", "which part of a slice's height the next row shows again"),
		},
		Outputs: []workflow.Output{{Name: "slices", Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the slices"}},
		Delta:   1,
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &slicerBlock{
				image: p.In("image"), width: p.In("slice_width"), height: p.In("slice_height"), overlapX: p.In("overlap_ratio_width"), overlapY: p.In("overlap_ratio_height"), name: p.Step(),
			}, nil
		},
	}
}

type slicerBlock struct {
	image, width, height, overlapX, overlapY workflow.In
	name                                     string
}

// Run implements [workflow.Block].
func (b *slicerBlock) Run(c *workflow.Call) error {
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	w, dx, err := slicing(c, b.width, b.overlapX)
	if err != nil {
		return err
	}
	h, dy, err := slicing(c, b.height, b.overlapY)
	if err != nil {
		return err
	}
	pic := img.Picture
	if n := ((pic.Width + dx - 1) / dx) * ((pic.Height + dy - 1) / dy); n > mostSlices {
		return fmt.Errorf("a picture of %d x %d would be cut into %d slices, and at most %d are made: make them larger", pic.Width, pic.Height, n, mostSlices)
	}
	n := 0
	for y := 0; y < pic.Height; y += dy {
		for x := 0; x < pic.Width; x += dx {
			r := rect{x, y, x + w, y + h}.clip(pic.Width, pic.Height)
			if err := c.Add(workflow.ImageOf(crop(c, img, r, fmt.Sprintf("%s.%d.%d", b.name, c.Index(), n)))); err != nil {
				return err
			}
			n++
		}
	}
	return nil
}

// slicing reads the size of slices and how far apart they begin.
func slicing(c *workflow.Call, size, overlap workflow.In) (n, step int, err error) {
	if n, err = c.Int(size); err != nil {
		return 0, 0, err
	}
	part, err := c.Float(overlap)
	if err != nil {
		return 0, 0, err
	}
	return n, n - int(part*float64(n)), nil
}
