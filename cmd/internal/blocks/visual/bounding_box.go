package visual

import "perch/pipeline/workflow"

func boundingBox() *workflow.Manifest {
	m := manifest("bounding_box_visualization@v1", "BoundingBoxVisualization", "Bounding Box Visualization", "Draws the boxes of detections.",
		append(coloured(predictions(workflow.AnyDetections()...)),
			thickness("thickness", 2, "width of the lines"),
			fraction("roundness", 0, "how round the corners are, 0 to 1"))...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		return &boundingBoxBlock{base, p.In("thickness"), p.In("roundness")}, err
	}
	return m
}

type boundingBoxBlock struct {
	colourist
	thickness, roundness workflow.In
}

// Run implements [workflow.Block].
func (b *boundingBoxBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	thickness, roundness := r.int(b.thickness), r.float(b.roundness)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil {
		return r.err
	}
	for i := range s.found {
		b.Box(s.Picture, s.found[i].Box, s.colour(i), thickness, roundness)
	}
	return nil
}
