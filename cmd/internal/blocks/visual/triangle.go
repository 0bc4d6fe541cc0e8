package visual

import (
	"perch/pipeline/draw"
	"perch/pipeline/workflow"
)

func triangle() *workflow.Manifest {
	m := manifest("triangle_visualization@v1", "TriangleVisualization", "Triangle Visualization", "Draws a triangle that points down at each detection.",
		append(coloured(predictions(workflow.AnyDetections()...)),
			position("position", "TOP_CENTER", "where on the detection the tip is"),
			pixels("base", 10, "width of the triangle"),
			pixels("height", 10, "height of the triangle"),
			pixels("outline_thickness", 0, "width of a black line around the triangle"))...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		if err != nil {
			return nil, err
		}
		at, err := newAnchor(p, "position")
		return &triangleBlock{base, at, p.In("base"), p.In("height"), p.In("outline_thickness")}, err
	}
	return m
}

type triangleBlock struct {
	colourist
	at                    anchor
	base, height, outline workflow.In
}

// Run implements [workflow.Block].
func (b *triangleBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	at, base, height, outline := b.at.of(&r), r.int(b.base), r.int(b.height), r.int(b.outline)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil {
		return r.err
	}
	for i := range s.found {
		b.Triangle(s.Picture, at.Of(&s.found[i].Detection), float32(base), float32(height), s.colour(i), outline, draw.Colour{})
	}
	return nil
}
