package visual

import (
	"math"

	"perch/pipeline"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

func circle() *workflow.Manifest {
	m := manifest("circle_visualization@v1", "CircleVisualization", "Circle Visualization", "Draws circles through the corners of detections' boxes.",
		append(coloured(predictions(workflow.AnyDetections()...)), thickness("thickness", 2, "width of the line"))...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		return &circleBlock{base, p.In("thickness")}, err
	}
	return m
}

type circleBlock struct {
	colourist
	thickness workflow.In
}

// Run implements [workflow.Block].
func (b *circleBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	thickness := r.int(b.thickness)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil {
		return r.err
	}
	for i := range s.found {
		box := s.found[i].Box
		b.Circle(s.Picture, track.Centre.At(box), halfDiagonal(box), s.colour(i), thickness)
	}
	return nil
}

func halfDiagonal(b pipeline.Box) float32 {
	return float32(math.Hypot(float64(b.X1-b.X0), float64(b.Y1-b.Y0)) / 2)
}
