package tracking

import (
	"fmt"

	"perch/pipeline"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

func lineCounter(version int) *workflow.Manifest {
	anchor := anchorField(workflow.Value{}, "the place on a box that must cross; without it all four corners must")
	outs := []workflow.Output{
		{Name: "count_in", Kinds: []workflow.Kind{workflow.IntegerKind}, Doc: "how many objects have come in since the run began"},
		{Name: "count_out", Kinds: []workflow.Kind{workflow.IntegerKind}, Doc: "how many objects have gone out since the run began"},
	}
	if version == 1 {
		anchor = anchorField(workflow.StringOf("CENTER"), "the place on a box that must cross")
	} else {
		outs = append(outs,
			workflow.Output{Name: "detections_in", Like: "detections", Doc: "the objects that came in on this frame"},
			workflow.Output{Name: "detections_out", Like: "detections", Doc: "the objects that went out on this frame"})
	}
	return &workflow.Manifest{
		Type: fmt.Sprintf("%sline_counter@v%d", prefix, version), Title: "Line Counter", Group: group,
		Doc: "Counts the objects that cross a line, in each direction. Seen by somebody who walks along the line from its first point to its second, an object that comes to be on the left has come in: " +
			"over a line drawn from left to right, upwards is in. Only the stretch between its two points counts. Each crossing is an event line.crossed. " +
			"The line is fixed at the first frame; the 4096 tracks seen last are remembered.",
		Fields: []workflow.Field{
			frameField(version),
			trackedField(),
			{Name: "line_segment", Required: true, Kinds: []workflow.Kind{workflow.ListKind, workflow.ZoneKind}, Literal: workflow.PointsLiteral, MinItems: 2, Doc: "the line's two points [[x, y], [x, y]], in pixels of the image"},
			anchor,
		},
		Outputs: outs,
		New: func(p *workflow.Params) (workflow.Block, error) {
			b := &lineBlock{step: p.Step(), detections: p.In("detections"), segment: p.In("line_segment"), anchor: p.In("triggering_anchor"), lists: version > 1}
			return b, b.check(p)
		},
	}
}

type lineBlock struct {
	step                        string
	detections, segment, anchor workflow.In
	lists                       bool

	line *track.Line
	dets []pipeline.Detection
}

// check finds what is wrong with a line that is known before the run.
func (b *lineBlock) check(p *workflow.Params) error {
	segment, known := p.Const("line_segment")
	anchor, alsoKnown := p.Const("triggering_anchor")
	if !known || !alsoKnown {
		return nil
	}
	anchors, err := anchorsOf(anchor)
	if err != nil {
		return fault(p, "triggering_anchor", err)
	}
	if _, err := newLine(segment, anchors); err != nil {
		return fault(p, "line_segment", err)
	}
	return nil
}

func newLine(segment workflow.Value, anchors []track.Anchor) (*track.Line, error) {
	pts, err := workflow.PointsOf(segment)
	if err != nil {
		return nil, fmt.Errorf("the line: %w", err)
	}
	if len(pts) != 2 {
		return nil, fmt.Errorf("the line has %d points and must have two", len(pts))
	}
	return track.NewLine(track.LineOptions{From: pts[0], To: pts[1], Anchors: anchors})
}

// Run implements [workflow.Block].
func (b *lineBlock) Run(c *workflow.Call) error {
	if err := onFrame(c); err != nil {
		return err
	}
	d, err := c.Detections(b.detections)
	if err != nil {
		return err
	}
	if b.line == nil {
		anchors, err := anchorsOf(c.Value(b.anchor))
		if err != nil {
			return err
		}
		if b.line, err = newLine(c.Value(b.segment), anchors); err != nil {
			return err
		}
	}
	b.dets = plain(b.dets, d)
	crossed, err := b.line.Update(b.dets)
	if err != nil {
		return err
	}
	in, out := b.line.Counts()
	c.Set(0, workflow.IntOf(int64(in)))
	c.Set(1, workflow.IntOf(int64(out)))
	if b.lists {
		b.list(c, d, crossed)
	}
	for _, x := range crossed {
		if err := b.tell(c, &d.Items[x.Index], x.In); err != nil {
			return err
		}
	}
	return nil
}

// list puts out which detections crossed.
func (b *lineBlock) list(c *workflow.Call, d *workflow.Detections, crossed []track.Crossing) {
	in, out := c.NewDetections(d.Origin), c.NewDetections(d.Origin)
	in.Like(d)
	out.Like(d)
	for _, x := range crossed {
		to := out
		if x.In {
			to = in
		}
		to.Items = append(to.Items, d.Items[x.Index])
	}
	c.Set(2, workflow.DetectionsOf(in))
	c.Set(3, workflow.DetectionsOf(out))
}

// crossing is the detail of an event line.crossed.
type crossing struct {
	Line      string `json:"line"`
	Direction string `json:"direction"` // "in" or "out"
}

func (b *lineBlock) tell(c *workflow.Call, d *workflow.Detection, in bool) error {
	detail := crossing{Line: b.step, Direction: "out"}
	if in {
		detail.Direction = "in"
	}
	return c.Emit("line.crossed", d, detail)
}
