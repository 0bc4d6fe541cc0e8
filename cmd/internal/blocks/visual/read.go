package visual

import (
	"errors"
	"fmt"

	"perch/pipeline"
	"perch/pipeline/draw"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

// reader reads a step's inputs; the first error stays, and what is read after
// it is nothing.
type reader struct {
	c   *workflow.Call
	err error
}

func (r *reader) int(in workflow.In) int {
	if r.err != nil {
		return 0
	}
	var n int
	n, r.err = r.c.Int(in)
	return n
}

func (r *reader) float(in workflow.In) float32 {
	if r.err != nil {
		return 0
	}
	var f float64
	f, r.err = r.c.Float(in)
	return float32(f)
}

func (r *reader) bool(in workflow.In) bool {
	if r.err != nil {
		return false
	}
	var b bool
	b, r.err = r.c.Bool(in)
	return b
}

func (r *reader) str(in workflow.In) string {
	if r.err != nil {
		return ""
	}
	var s string
	s, r.err = r.c.Str(in)
	return s
}

// detections returns the detections of an input.
func (r *reader) detections(in workflow.In) *workflow.Detections {
	if r.err == nil {
		var d *workflow.Detections
		if d, r.err = r.c.Detections(in); r.err == nil {
			return d
		}
	}
	return &workflow.Detections{}
}

// classes returns the classification of an input.
func (r *reader) classes(in workflow.In) *workflow.Classes {
	if r.err == nil {
		if k, ok := r.c.Value(in).Classes(); ok {
			return k
		}
		r.err = fmt.Errorf("property %q is %s and must be a classification", "predictions", r.c.Value(in).Describe())
	}
	return &workflow.Classes{}
}

// A setting is an input whose value must be understood before it can be used.
// That happens once if it cannot change, and again when it does otherwise; a
// list from a step may be the same memory with other contents, so it always
// counts as changed.
type setting[T any] struct {
	in    workflow.In
	field string
	parse func(workflow.Value) (T, error)
	fixed bool // for the whole run
	known bool // value is what seen means
	seen  workflow.Value
	value T
}

// newSetting reads a field. If its value is known already, it is checked.
func newSetting[T any](p *workflow.Params, field string, parse func(workflow.Value) (T, error)) (setting[T], error) {
	s := setting[T]{in: p.In(field), field: field, parse: parse}
	if v, ok := p.Const(field); ok {
		if err := s.set(v); err != nil {
			return s, fault(p, field, err)
		}
		s.fixed = true
	}
	return s, nil
}

func (s *setting[T]) set(v workflow.Value) (err error) {
	if s.known && v.Type() != workflow.List && v.Equal(s.seen) {
		return nil
	}
	s.value, err = s.parse(v)
	s.seen, s.known = v, err == nil
	return err
}

// of returns the value on this frame.
func (s *setting[T]) of(r *reader) T {
	if r.err == nil && !s.fixed {
		if err := s.set(r.c.Value(s.in)); err != nil {
			r.err = fmt.Errorf("property %q: %w", s.field, err)
		}
	}
	return s.value
}

// fault says what is wrong with a field, with the hint of the cause.
func fault(p *workflow.Params, field string, err error) error {
	if e, ok := errors.AsType[*pipeline.Error](err); ok && e.Err != nil {
		return p.Fault(field, e.Err.Error(), e.Hint)
	}
	return p.Fault(field, err.Error(), "")
}

func text(v workflow.Value) (string, error) {
	if s, ok := v.Str(); ok {
		return s, nil
	}
	return "", fmt.Errorf("it is %s and must be a string", v.Describe())
}

// parseColour reads a colour: what [draw.ParseColour] reads, or [r, g, b].
func parseColour(v workflow.Value) (draw.Colour, error) {
	if s, ok := v.Str(); ok {
		return draw.ParseColour(s)
	}
	items, _ := v.Items()
	var rgb [3]uint8
	for i, item := range items {
		n, ok := item.Int()
		if !ok || n < 0 || n > 255 || len(items) != 3 {
			break
		}
		if rgb[i] = uint8(n); i == 2 {
			return draw.Colour{R: rgb[0], G: rgb[1], B: rgb[2]}, nil
		}
	}
	return draw.Colour{}, fmt.Errorf("%s is no colour: it is a string or three whole numbers from 0 to 255", v.Describe())
}

func parseAnchor(v workflow.Value) (track.Anchor, error) {
	s, err := text(v)
	if err != nil {
		return 0, err
	}
	return track.ParseAnchor(s)
}

// parseZones reads one polygon or several.
func parseZones(v workflow.Value) ([][]pipeline.Point, error) {
	if items, ok := v.Items(); ok && len(items) == 0 {
		return nil, nil
	}
	return workflow.PolygonsOf(v)
}

// parseSegment reads a line of two points.
func parseSegment(v workflow.Value) ([]pipeline.Point, error) {
	points, err := workflow.PointsOf(v)
	if err == nil && len(points) != 2 {
		err = fmt.Errorf("it has %d points and must have 2", len(points))
	}
	return points, err
}
