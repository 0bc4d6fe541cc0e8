package visual

import (
	"perch/pipeline/draw"
	"perch/pipeline/workflow"
)

func backgroundColour() *workflow.Manifest {
	m := manifest("background_color_visualization@v1", "BackgroundColorVisualization", "Background Color Visualization", "Tints all that is in no detection's mask, or box where it has none.",
		predictions(workflow.AnyDetections()...),
		colourField("color", "BLACK", "the colour of the background"),
		fraction("opacity", 0.5, "strength of the colour, 0 to 1"))
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newPainter(p)
		if err != nil {
			return nil, err
		}
		colour, err := newTint(p, "color")
		return &backgroundBlock{painter: base, predictions: p.In("predictions"), colour: colour, opacity: p.In("opacity")}, err
	}
	return m
}

type backgroundBlock struct {
	painter
	predictions, opacity workflow.In
	colour               tint
	areas                []draw.Area // reused
}

// Run implements [workflow.Block].
func (b *backgroundBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	d, colour, opacity := r.detections(b.predictions), b.colour.of(&r), r.float(b.opacity)
	img := b.canvas(&r)
	if r.err != nil {
		return r.err
	}
	b.areas = b.areas[:0]
	for i := range d.Items {
		b.areas = append(b.areas, draw.Area{Box: d.Items[i].Box, Mask: d.Items[i].Mask})
	}
	b.Outside(img.Picture, b.areas, colour, opacity)
	return nil
}
