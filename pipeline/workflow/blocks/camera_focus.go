package blocks

import (
	"perch/pipeline"
	"perch/pipeline/workflow"
)

func cameraFocus() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "camera_focus@v1", Title: "Camera Focus", Group: "image",
		Doc:    "Measures how sharp an image is, by Brenner's function: the mean of the squared steps in brightness over two pixels, to the right or down, whichever is larger, where it grows. What is sharp enough depends on what is to be seen: compare with the same scene in focus.",
		Fields: []workflow.Field{{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the image"}},
		Outputs: []workflow.Output{
			{Name: "image", Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "where it is sharp: the measure of each pixel, the largest in white"},
			{Name: "focus_measure", Kinds: []workflow.Kind{workflow.FloatKind}, Doc: "the measure, of brightness from 0 to 255"},
		},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &focusBlock{image: p.In("image"), shown: p.Used("image")}, nil
		},
	}
}

type focusBlock struct {
	image    workflow.In
	shown    bool // somebody looks at the picture
	measures []int32
}

// Run implements [workflow.Block].
func (b *focusBlock) Run(c *workflow.Call) error {
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	src := img.Picture
	sum, most := b.measure(src)
	scale := 1.0
	if !src.FullRange {
		scale = 255.0 / 219 // brightness is stored in fewer steps
	}
	c.Set(1, workflow.FloatOf(float64(sum)/float64(src.Width*src.Height)*scale*scale))
	if !b.shown {
		return nil
	}
	out := c.NewImage(img.Origin, src.Width, src.Height, src)
	low, high := 16, 219
	if src.FullRange {
		low, high = 0, 255
	}
	for i, m := range b.measures {
		out.Picture.Planes[0][i/src.Width*out.Picture.Strides[0]+i%src.Width] = byte(low + high*int(m)/max(most, 1))
	}
	for _, plane := range out.Picture.Planes[1:] {
		for i := range plane {
			plane[i] = 128
		}
	}
	c.Set(0, workflow.ImageOf(out))
	return nil
}

// measure works out each pixel's measure, and their sum and the largest.
func (b *focusBlock) measure(pic pipeline.Picture) (sum int64, most int) {
	w, h := pic.Width, pic.Height
	b.measures = b.measures[:0]
	for y := range h {
		row := pic.Planes[0][y*pic.Strides[0]:][:w]
		var below []byte
		if y+2 < h {
			below = pic.Planes[0][(y+2)*pic.Strides[0]:][:w]
		}
		for x := range row {
			step := 0
			if x+2 < w {
				step = max(step, int(row[x+2])-int(row[x]))
			}
			if below != nil {
				step = max(step, int(below[x])-int(row[x]))
			}
			sum += int64(step * step)
			most = max(most, step*step)
			b.measures = append(b.measures, int32(step*step))
		}
	}
	return sum, most
}
