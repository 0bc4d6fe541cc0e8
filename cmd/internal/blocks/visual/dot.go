package visual

import (
	"perch/pipeline/draw"
	"perch/pipeline/workflow"
)

func dot() *workflow.Manifest {
	m := manifest("dot_visualization@v1", "DotVisualization", "Dot Visualization", "Draws a dot on each detection.",
		append(coloured(predictions(workflow.AnyDetections()...)),
			position("position", "CENTER", "where on the detection the dot is"),
			pixels("radius", 4, "of the dot"),
			pixels("outline_thickness", 0, "width of a black line around the dot"))...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		if err != nil {
			return nil, err
		}
		at, err := newAnchor(p, "position")
		return &dotBlock{base, at, p.In("radius"), p.In("outline_thickness")}, err
	}
	return m
}

type dotBlock struct {
	colourist
	at              anchor
	radius, outline workflow.In
}

// Run implements [workflow.Block].
func (b *dotBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	at, radius, outline := b.at.of(&r), r.int(b.radius), r.int(b.outline)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil {
		return r.err
	}
	for i := range s.found {
		b.Dot(s.Picture, at.Of(&s.found[i].Detection), float32(radius), s.colour(i), outline, draw.Colour{})
	}
	return nil
}
