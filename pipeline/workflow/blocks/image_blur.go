package blocks

import (
	"fmt"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// mostBlur bounds the kernel, so that a picture takes bounded time.
const mostBlur = 99

func imageBlur() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "image_blur@v1", Title: "Image Blur", Group: "image",
		Doc: "Blurs an image. Colour, which has half the resolution, is blurred with half the kernel.",
		Fields: []workflow.Field{
			{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the image"},
			{Name: "blur_type", Default: workflow.StringOf("gaussian"), Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.EnumLiteral, Enum: []string{"average", "gaussian", "median", "bilateral"},
				Doc: "average: the mean of the kernel's samples; gaussian: nearer ones count more; median: the middle one; bilateral: alike ones count more, which keeps edges"},
			{Name: "kernel_size", Default: workflow.IntOf(5), Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 1, Max: mostBlur, Doc: "width and height of the kernel, pixels; it must be odd for gaussian and median. Of a bilateral one larger than 21 so many samples are looked at as 21 has, spread over it"},
		},
		Outputs: []workflow.Output{{Name: "image", Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the blurred image"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			size, sizeKnown := p.Const("kernel_size")
			kind, kindKnown := p.Const("blur_type")
			if n, ok := size.Int(); ok && sizeKnown && kindKnown {
				if s, _ := kind.Str(); !odd(s, int(n)) {
					return nil, p.Fault("kernel_size", fmt.Sprintf("%d is even", n), s+" blur needs an odd kernel")
				}
			}
			return &blurBlock{image: p.In("image"), kind: p.In("blur_type"), size: p.In("kernel_size")}, nil
		},
	}
}

// odd reports whether a kernel has the size that a kind of blur needs.
func odd(kind string, size int) bool {
	return size%2 == 1 || kind != "gaussian" && kind != "median"
}

type blurBlock struct {
	image, kind, size workflow.In
	blur              blurrer
	copied            pipeline.Picture // packed planes to read from
}

// Run implements [workflow.Block].
func (b *blurBlock) Run(c *workflow.Call) error {
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	kind, err := c.Str(b.kind)
	if err != nil {
		return err
	}
	size, err := c.Int(b.size)
	if err != nil {
		return err
	}
	if !odd(kind, size) {
		return fmt.Errorf("property %q is %d, and %s blur needs an odd kernel", "kernel_size", size, kind)
	}
	b.copied = pipeline.CopyPicture(b.copied, img.Picture, 1)
	out := c.NewImage(img.Origin, img.Picture.Width, img.Picture.Height, img.Picture)
	for i, src := range b.copied.Planes {
		w, h, n := b.copied.Width, b.copied.Height, size
		if i > 0 {
			w, h, n = (w+1)/2, (h+1)/2, size/2|1
		}
		if err := b.blur.run(c.Context(), kind, out.Picture.Planes[i][:w*h], src[:w*h], w, h, n); err != nil {
			return err
		}
	}
	c.Set(0, workflow.ImageOf(out))
	return nil
}
