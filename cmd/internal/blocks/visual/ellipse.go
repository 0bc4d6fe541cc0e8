package visual

import (
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

func ellipse() *workflow.Manifest {
	angle := func(name string, standard int64, doc string) workflow.Field {
		return workflow.Field{
			Name: name, Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: -3600, Max: 3600, Default: workflow.IntOf(standard), Doc: doc,
		}
	}
	m := manifest("ellipse_visualization@v1", "EllipseVisualization", "Ellipse Visualization", "Draws an open ellipse at the foot of each detection, as wide as two of its boxes.",
		append(coloured(predictions(workflow.AnyDetections()...)),
			thickness("thickness", 2, "width of the line"),
			angle("start_angle", -45, "where the line begins, degrees clockwise from the right"),
			angle("end_angle", 235, "where it ends"))...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		return &ellipseBlock{base, p.In("thickness"), p.In("start_angle"), p.In("end_angle")}, err
	}
	return m
}

type ellipseBlock struct {
	colourist
	thickness, start, end workflow.In
}

// Run implements [workflow.Block].
func (b *ellipseBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	thickness, start, end := r.int(b.thickness), r.float(b.start), r.float(b.end)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil {
		return r.err
	}
	const flat = 0.35 // height by width: a circle on the ground, seen from a camera
	for i := range s.found {
		box := s.found[i].Box
		width := box.X1 - box.X0
		b.Arc(s.Picture, track.BottomCentre.At(box), width, flat*width, start, end, s.colour(i), thickness)
	}
	return nil
}
