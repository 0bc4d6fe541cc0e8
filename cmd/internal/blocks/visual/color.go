package visual

import (
	"perch/pipeline/draw"
	"perch/pipeline/workflow"
)

func colour() *workflow.Manifest {
	m := manifest("color_visualization@v1", "ColorVisualization", "Color Visualization", "Tints the boxes of detections. Where boxes overlap, the later detection's colour shows.",
		append(coloured(predictions(workflow.AnyDetections()...)), fraction("opacity", 0.5, "strength of the colour, 0 to 1"))...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		return &colourBlock{colourist: base, opacity: p.In("opacity")}, err
	}
	return m
}

type colourBlock struct {
	colourist
	opacity workflow.In
	areas   []draw.Area // reused
}

// Run implements [workflow.Block].
func (b *colourBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	opacity := r.float(b.opacity)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil {
		return r.err
	}
	b.areas = b.areas[:0]
	for i := range s.found {
		b.areas = append(b.areas, draw.Area{Box: s.found[i].Box, Colour: s.colour(i)})
	}
	b.Overlay(s.Picture, b.areas, opacity)
	return nil
}
