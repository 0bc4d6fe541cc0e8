package visual

import "perch/pipeline/workflow"

func corner() *workflow.Manifest {
	m := manifest("corner_visualization@v1", "CornerVisualization", "Corner Visualization", "Draws the corners of detections' boxes.",
		append(coloured(predictions(workflow.AnyDetections()...)),
			thickness("thickness", 4, "width of the lines"),
			pixels("corner_length", 15, "length of the lines from a corner"))...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		return &cornerBlock{base, p.In("thickness"), p.In("corner_length")}, err
	}
	return m
}

type cornerBlock struct {
	colourist
	thickness, length workflow.In
}

// Run implements [workflow.Block].
func (b *cornerBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	thickness, length := r.int(b.thickness), r.int(b.length)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil {
		return r.err
	}
	for i := range s.found {
		b.Corners(s.Picture, s.found[i].Box, s.colour(i), thickness, length)
	}
	return nil
}
