package blocks

import (
	"math"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

func dynamicCrop() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "dynamic_crop@v1", Aliases: []string{"DynamicCrop", "Crop"}, Title: "Dynamic Crop", Group: "image",
		Doc: "Cuts the box of each detection out of an image, as a list of images. With masks, what lies outside of the object can be painted over.",
		Fields: []workflow.Field{
			{Name: "images", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the image to cut from"},
			{Name: "predictions", Aliases: []string{"detections"}, Required: true, Kinds: workflow.AnyDetections(), Doc: "detections on that image"},
			{Name: "mask_opacity", Default: workflow.FloatOf(0), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, Max: 1,
				Doc: "how much of the background colour covers what is outside of an object's mask: 0 nothing, 1 all; without a mask nothing is covered"},
			{Name: "background_color", Default: workflow.ListOf([]workflow.Value{workflow.IntOf(0), workflow.IntOf(0), workflow.IntOf(0)}),
				Kinds: []workflow.Kind{workflow.StringKind, workflow.ColourKind, workflow.ListKind}, Literal: workflow.ColourLiteral,
				Doc: `the background colour: "#rrggbb", "#rgb", "(r, g, b)" or [r, g, b]`},
		},
		Outputs: []workflow.Output{
			{Name: "crops", Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "one image for each detection, null for one that lies outside of the image"},
			{Name: "predictions", Like: "predictions", Doc: "the detection of each crop, on the crop"},
		},
		Delta: 1,
		New: func(p *workflow.Params) (workflow.Block, error) {
			b := &dynamicCropBlock{image: p.In("images"), predictions: p.In("predictions"), opacity: p.In("mask_opacity"), colour: p.In("background_color")}
			if v, known := p.Const("background_color"); known {
				if _, err := colourOf(v); err != nil {
					return nil, p.Fault("background_color", err.Error(), "")
				}
			}
			return b, nil
		},
	}
}

type dynamicCropBlock struct {
	image, predictions, opacity, colour workflow.In
}

// Run implements [workflow.Block].
func (b *dynamicCropBlock) Run(c *workflow.Call) error {
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	d, err := c.Detections(b.predictions)
	if err != nil {
		return err
	}
	opacity, err := c.Float(b.opacity)
	if err != nil {
		return err
	}
	colour, err := colourOf(c.Value(b.colour))
	if err != nil {
		return err
	}
	for i := range d.Items {
		it := &d.Items[i]
		r := rectOf(it.Box).clip(img.Picture.Width, img.Picture.Height)
		if r.empty() {
			if err := c.Add(workflow.Value{}, workflow.Value{}); err != nil {
				return err
			}
			continue
		}
		cut := crop(c, img, r, it.ID.String())
		own := c.NewDetections(cut.Origin)
		own.Keypoints = d.Keypoints
		own.Items = append(own.Items, *it)
		shift(&own.Items[0], r)
		if m := own.Items[0].Mask; m != nil && opacity > 0 {
			cover(cut.Picture, m, colour, opacity)
		}
		if err := c.Add(workflow.ImageOf(cut), workflow.DetectionsOf(own)); err != nil {
			return err
		}
	}
	return nil
}

// rectOf is the rectangle of whole pixels next to a box. Halves go to the even
// neighbour, as upstream's do. A box that is not finite is empty.
func rectOf(b pipeline.Box) rect {
	var at [4]int
	for i, v := range [...]float32{b.X0, b.Y0, b.X1, b.Y1} {
		f := math.RoundToEven(float64(v))
		if !(math.Abs(f) < 1<<30) {
			return rect{}
		}
		at[i] = int(f)
	}
	return rect{at[0], at[1], at[2], at[3]}
}

// shift makes a detection one of the crop r: its places move, and what it had
// of its own stays untouched.
func shift(d *workflow.Detection, r rect) {
	x, y := float32(r.x0), float32(r.y0)
	d.Box = pipeline.Box{X0: d.Box.X0 - x, Y0: d.Box.Y0 - y, X1: d.Box.X1 - x, Y1: d.Box.Y1 - y}
	d.Keypoints = append([]pipeline.Keypoint(nil), d.Keypoints...)
	for i := range d.Keypoints {
		d.Keypoints[i].X -= x
		d.Keypoints[i].Y -= y
	}
	d.Polygon = append([]pipeline.Point(nil), d.Polygon...)
	for i := range d.Polygon {
		d.Polygon[i].X -= x
		d.Polygon[i].Y -= y
	}
	if d.Rect != nil {
		own := *d.Rect
		own.Corners = append([]pipeline.Point(nil), own.Corners...)
		for i := range own.Corners {
			own.Corners[i].X -= x
			own.Corners[i].Y -= y
		}
		d.Rect = &own
	}
	d.Mask = cutMask(d.Mask, r)
}

// cutMask returns what of a mask lies in r, in pixels of r; nil stays nil.
func cutMask(m *pipeline.Mask, r rect) *pipeline.Mask {
	if m == nil {
		return nil
	}
	in := rect{max(r.x0, m.X), max(r.y0, m.Y), min(r.x1, m.X+m.Width), min(r.y1, m.Y+m.Height)}
	if in.empty() {
		return pipeline.NewMask(0, 0, 0, 0)
	}
	out := pipeline.NewMask(in.x0-r.x0, in.y0-r.y0, in.x1-in.x0, in.y1-in.y0)
	stride := m.Stride()
	for y := in.y0; y < in.y1; y++ {
		from := m.Bits[(y-m.Y)*stride:][:stride]
		to := out.Bits[(y-in.y0)*out.Stride():][:out.Stride()]
		copyBits(to, from, in.x0-m.X, in.x1-in.x0)
	}
	return out
}

// copyBits copies n bits of src, from bit at on, to the beginning of dst.
func copyBits(dst, src []byte, at, n int) {
	shift := at & 7
	src = src[at>>3:]
	for i := range dst {
		b := src[i] << shift
		if shift > 0 && i+1 < len(src) {
			b |= src[i+1] >> (8 - shift)
		}
		dst[i] = b
	}
	if rest := n & 7; rest > 0 {
		dst[len(dst)-1] &= 0xff << (8 - rest)
	}
}

// cover paints a colour, so strong, over the pixels that do not belong to an
// object. A sample of chroma is covered as far as its pixels are.
func cover(pic pipeline.Picture, m *pipeline.Mask, colour rgb, opacity float64) {
	ly, lu, lv := colour.yuv(pic)
	at := int(math.Round(opacity * 256))
	mix := func(old, new uint8, at int) uint8 { return uint8((int(old)*(256-at) + int(new)*at + 128) >> 8) }
	for y := range pic.Height {
		row := pic.Planes[0][y*pic.Strides[0]:][:pic.Width]
		for x := range row {
			if !m.At(x, y) {
				row[x] = mix(row[x], ly, at)
			}
		}
	}
	for y := range (pic.Height + 1) / 2 {
		u, v := pic.Planes[1][y*pic.Strides[1]:], pic.Planes[2][y*pic.Strides[2]:]
		for x := range (pic.Width + 1) / 2 {
			all, out := 0, 0
			for k := range 4 {
				if px, py := 2*x+k&1, 2*y+k>>1; px < pic.Width && py < pic.Height {
					all++
					if !m.At(px, py) {
						out++
					}
				}
			}
			part := at * out / all
			u[x], v[x] = mix(u[x], lu, part), mix(v[x], lv, part)
		}
	}
}
