package blocks

import "perch/pipeline/workflow"

func convertGrayscale() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "convert_grayscale@v1", Title: "Image Convert Grayscale", Group: "image",
		Doc:     "Takes the colour out of an image.",
		Fields:  []workflow.Field{{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the image"}},
		Outputs: []workflow.Output{{Name: "image", Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the image in grey"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &grayBlock{image: p.In("image")}, nil
		},
	}
}

type grayBlock struct{ image workflow.In }

// Run implements [workflow.Block].
func (b *grayBlock) Run(c *workflow.Call) error {
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	src := img.Picture
	out := c.NewImage(img.Origin, src.Width, src.Height, src)
	for y := range src.Height {
		copy(out.Picture.Planes[0][y*out.Picture.Strides[0]:][:src.Width], src.Planes[0][y*src.Strides[0]:][:src.Width])
	}
	for _, plane := range out.Picture.Planes[1:] {
		for i := range plane {
			plane[i] = 128
		}
	}
	c.Set(0, workflow.ImageOf(out))
	return nil
}
