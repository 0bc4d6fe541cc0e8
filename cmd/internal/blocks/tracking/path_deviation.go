package tracking

import (
	"fmt"

	"perch/pipeline"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

func pathDeviation(version int) *workflow.Manifest {
	return &workflow.Manifest{
		Type: fmt.Sprintf("%spath_deviation_analytics@v%d", prefix, version), Title: "Path Deviation", Group: group,
		Doc: "Measures how far the way that each object has taken since it was first seen is from a reference path, and adds it to its detection as path_deviation: their discrete Fréchet distance in pixels. " +
			"0 is an object that followed the path; one that has not come to its end yet is at least as far as the end is away. The path is fixed at the first frame; the 4096 tracks seen last are remembered.",
		Fields: []workflow.Field{
			frameField(version),
			trackedField(),
			anchorField(workflow.StringOf("CENTER"), "the place on a box whose way is measured"),
			{Name: "reference_path", Required: true, Kinds: []workflow.Kind{workflow.ListKind, workflow.ZoneKind}, Literal: workflow.PointsLiteral, MinItems: 2,
				Doc: "the path's points [[x, y], ...] from its beginning to its end, 2 to 1000, in pixels of the image"},
		},
		Outputs: []workflow.Output{{Name: "path_deviation_detections", Like: "detections", Doc: "the detections with path_deviation in pixels"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			b := &deviationBlock{detections: p.In("detections"), anchor: p.In("triggering_anchor"), path: p.In("reference_path")}
			return b, b.check(p)
		},
	}
}

type deviationBlock struct {
	detections, anchor, path workflow.In

	deviation *track.Deviation
	dets      []pipeline.Detection
}

// check finds what is wrong with a path that is known before the run.
func (b *deviationBlock) check(p *workflow.Params) error {
	path, known := p.Const("reference_path")
	anchor, alsoKnown := p.Const("triggering_anchor")
	if !known || !alsoKnown {
		return nil
	}
	if _, err := newDeviation(path, anchor); err != nil {
		return fault(p, "reference_path", err)
	}
	return nil
}

func newDeviation(path, anchor workflow.Value) (*track.Deviation, error) {
	pts, err := workflow.PointsOf(path)
	if err != nil {
		return nil, fmt.Errorf("the path: %w", err)
	}
	anchors, err := anchorsOf(anchor)
	if err != nil {
		return nil, err
	}
	return track.NewDeviation(pts, append(anchors, track.Centre)[0])
}

// Run implements [workflow.Block].
func (b *deviationBlock) Run(c *workflow.Call) error {
	if err := onFrame(c); err != nil {
		return err
	}
	d, err := c.Detections(b.detections)
	if err != nil {
		return err
	}
	if b.deviation == nil {
		if b.deviation, err = newDeviation(c.Value(b.path), c.Value(b.anchor)); err != nil {
			return err
		}
	}
	b.dets = plain(b.dets, d)
	far, err := b.deviation.Update(b.dets)
	if err != nil {
		return err
	}
	out := c.NewDetections(d.Origin)
	out.Like(d)
	out.Items = append(out.Items, d.Items...)
	for i := range out.Items {
		out.Items[i].PathDeviation = far[i]
		out.Items[i].Has |= workflow.HasPathDeviation
	}
	c.Set(0, workflow.DetectionsOf(out))
	return nil
}
