package visual

import (
	"perch/pipeline"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

func crop() *workflow.Manifest {
	m := manifest("crop_visualization@v1", "CropVisualization", "Crop Visualization", "Shows each detection enlarged, in a frame beside it.",
		append(coloured(predictions(workflow.AnyDetections()...)),
			position("position", "TOP_CENTER", "where on the detection the enlarged picture is"),
			workflow.Field{
				Name: "scale_factor", Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, MinOpen: true, Max: 20, Default: workflow.FloatOf(2),
				Doc: "how many times as wide and high as the box",
			},
			pixels("border_thickness", 2, "width of the frame"))...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		if err != nil {
			return nil, err
		}
		at, err := newAnchor(p, "position")
		return &cropBlock{colourist: base, at: at, factor: p.In("scale_factor"), border: p.In("border_thickness")}, err
	}
	return m
}

type cropBlock struct {
	colourist
	at             anchor
	factor, border workflow.In
	before         pipeline.Picture // reused: the image without what is drawn
}

// Run implements [workflow.Block].
func (b *cropBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	at, factor, border := b.at.of(&r), r.float(b.factor), r.int(b.border)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil || len(s.found) == 0 {
		return r.err
	}
	b.before = pipeline.CopyPicture(b.before, s.Picture, 1)
	for i := range s.found {
		d := &s.found[i].Detection
		w, h := near((d.Box.X1-d.Box.X0)*factor), near((d.Box.Y1-d.Box.Y0)*factor)
		if w < 1 || h < 1 {
			continue // nothing to see
		}
		x, y := away(at, at.Of(d), w, h)
		to := pipeline.Box{X0: float32(x), Y0: float32(y), X1: float32(x + w), Y1: float32(y + h)}
		b.Enlarge(s.Picture, to, b.before, d.Box)
		if border > 0 {
			b.Box(s.Picture, to, s.colour(i), border, 0)
		}
	}
	return nil
}

// away returns the upper left corner of a w by h picture that lies on the
// anchor's side of point p.
func away(a track.Anchor, p pipeline.Point, w, h int) (x, y int) {
	x, y = near(p.X), near(p.Y)
	switch a {
	case track.TopLeft, track.CentreLeft, track.BottomLeft:
		x -= w
	case track.TopCentre, track.Centre, track.BottomCentre, track.CentreOfMass:
		x -= w / 2
	}
	switch a {
	case track.TopLeft, track.TopCentre, track.TopRight:
		y -= h
	case track.CentreLeft, track.Centre, track.CentreRight, track.CentreOfMass:
		y -= h / 2
	}
	return x, y
}
