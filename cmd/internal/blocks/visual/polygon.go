package visual

import "perch/pipeline/workflow"

func polygon() *workflow.Manifest {
	m := manifest("polygon_visualization@v1", "PolygonVisualization", "Polygon Visualization", "Draws the outlines of detections' masks, or their boxes where they have none.",
		append(coloured(predictions(workflow.AnyDetections()...)), thickness("thickness", 2, "width of the line"))...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		return &polygonBlock{base, p.In("thickness")}, err
	}
	return m
}

type polygonBlock struct {
	colourist
	thickness workflow.In
}

// Run implements [workflow.Block].
func (b *polygonBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	thickness := r.int(b.thickness)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil {
		return r.err
	}
	for i := range s.found {
		if m := s.found[i].Mask; m != nil {
			b.Outline(s.Picture, m, s.colour(i), thickness)
		} else {
			b.Box(s.Picture, s.found[i].Box, s.colour(i), thickness, 0)
		}
	}
	return nil
}
