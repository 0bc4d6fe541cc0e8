package workflow

import (
	"errors"
	"fmt"
	"time"

	"perch/pipeline"
)

// outputs is the result of the last frame, as [pipeline.Outputs].
type outputs struct {
	e      *Engine
	list   []outputPlan
	enc    Encoder
	frame  Frame
	failed bool // the frame has no values
}

type outputPlan struct {
	name string
	own  bool
	con  Value
	col  int      // -1 for a constant
	all  []int    // columns of "$steps.x.*"
	keys []string // their names
}

func (e *Engine) prepareOutputs() {
	e.outs = outputs{e: e, enc: Encoder{JPEG: e.env.JPEG}}
	whole := map[*node]outputPlan{} // outputs that select all of one step share their lists
	for _, o := range e.graph.doc.outputs {
		p := outputPlan{name: o.name, own: o.own, col: -1}
		switch from := e.graph.nodes[o.sel.step]; {
		case from != nil && o.sel.port == "*":
			same, ok := whole[from]
			if !ok {
				same.all = []int{} // an object, also of a step without outputs
				for _, port := range from.ports {
					same.all, same.keys = append(same.all, port.col), append(same.keys, port.name)
				}
				whole[from] = same
			}
			p.all, p.keys = same.all, same.keys
		case from != nil:
			if port := from.port(o.sel.port); port != nil {
				p.col = port.col
			}
		default:
			if root, ok := e.graph.roots[o.sel.input]; ok {
				p.col = root.col
			} else {
				p.con = e.graph.parameter(o.sel.input, e.opts)
			}
		}
		e.outs.list = append(e.outs.list, p)
	}
}

// Len implements [pipeline.Outputs].
func (o *outputs) Len() int { return len(o.list) }

// Name implements [pipeline.Outputs].
func (o *outputs) Name(i int) string { return o.list[i].name }

// Value returns output i: null if its step did not run, nested lists below a
// step that makes lists, with null for a list that was not made.
func (o *outputs) Value(i int) Value {
	p := &o.list[i]
	switch {
	case o.failed:
		return Value{}
	case p.all != nil:
		f := &Fields{Keys: p.keys, Values: make([]Value, len(p.all))}
		for k, col := range p.all {
			f.Values[k] = o.column(col)
		}
		return ObjectOf(f)
	case p.col < 0:
		return p.con
	}
	return o.column(p.col)
}

// column returns what a column holds: its value, or nested lists.
func (o *outputs) column(col int) Value {
	c := &o.e.cols[col]
	if c.dim == 0 {
		if len(c.values) == 0 {
			return Value{}
		}
		return c.values[0]
	}
	return o.nest(c.values, c.dim)
}

// nest folds the values of a dimension into lists until one is left.
func (o *outputs) nest(values []Value, d int) Value {
	for d > 0 {
		parent, g := o.e.graph.dims[d].parent, &o.e.groups[d]
		lists := make([][]Value, o.e.groups[parent].n)
		for i, v := range values {
			at := g.parent[i]
			lists[at] = append(lists[at], v)
		}
		values = make([]Value, len(lists))
		for i, l := range lists {
			if g.made(i) {
				values[i] = ListOf(l)
			}
		}
		d = parent
	}
	if len(values) == 0 {
		return Value{}
	}
	return values[0]
}

// IsImage implements [pipeline.Outputs].
func (o *outputs) IsImage(i int) bool { return o.Value(i).Type() == ImageType }

// Image implements [pipeline.Outputs].
func (o *outputs) Image(i int) (pipeline.Picture, bool) {
	v := o.Value(i)
	if img, ok := v.Image(); ok {
		return img.Picture, true
	}
	f, ok := v.Fields()
	if !ok {
		return pipeline.Picture{}, false
	}
	for k := len(f.Values) - 1; k >= 0; k-- {
		if img, ok := f.Values[k].Image(); ok {
			return img.Picture, true
		}
	}
	return pipeline.Picture{}, false
}

// AppendJSON implements [pipeline.Outputs].
func (o *outputs) AppendJSON(dst []byte, i int, jpegQuality int) ([]byte, error) {
	o.enc.Quality, o.enc.Own = jpegQuality, o.list[i].own
	return o.enc.Append(dst, o.Value(i))
}

// AppendData implements [pipeline.DataKeeper]. In the place of an output that
// would make it longer than there may be stands the session protocol's
// __serialization_error__.
func (o *outputs) AppendData(dst []byte) ([]byte, error) {
	start := len(dst)
	enc := Encoder{NoImages: true, Frame: &o.frame, Limit: len(dst) + maxData}
	for i := range o.list {
		p := &o.list[i]
		v := o.Value(i)
		if v.Type() == ImageType || v.IsNull() || p.all == nil && p.col >= 0 && p.col == o.e.main {
			continue
		}
		sep := byte(',')
		if len(dst) == start {
			sep = '{'
		}
		dst = append(AppendString(append(dst, sep), p.name), ':')
		enc.Own = p.own
		whole, err := enc.Append(dst, v)
		switch {
		case errors.Is(err, errTooLong):
			dst = append(AppendString(append(dst, `{"__serialization_error__":`...), err.Error()), '}')
		case err != nil:
			return dst[:start], fmt.Errorf("output %q: %w", p.name, err)
		default:
			dst = whole
		}
	}
	if len(dst) == start {
		return dst, nil
	}
	return append(dst, '}'), nil
}

// Output returns an output of the last frame by its name; null if there is
// none. It is valid until the next frame.
func (e *Engine) Output(name string) Value {
	for i := range e.outs.list {
		if e.outs.list[i].name == name {
			return e.outs.Value(i)
		}
	}
	return Value{}
}

// OutputNames are the names of the workflow's outputs, in its order.
func (g *Graph) OutputNames() []string {
	names := []string{}
	for _, o := range g.doc.outputs {
		names = append(names, o.name)
	}
	return names
}

// A StepTime is what a step has cost so far.
type StepTime struct {
	Step, Type string
	Frames     uint64
	Total      time.Duration
}

// Times says what each step has cost, in the order in which they run.
func (e *Engine) Times() []StepTime {
	var all []StepTime
	for _, u := range e.units {
		all = append(all, StepTime{u.name, u.m.Type, u.calls, u.spent})
	}
	return all
}

// rate measures how fast frames come, over the last 16 or so.
type rate struct {
	last   time.Duration
	seen   uint64
	period float64 // seconds, smoothed
}

// see takes note of a frame. maxFPS is what the run is limited to, 0 if it is
// not: more than ten seconds without a frame is a gap and says nothing about
// the rate, unless frames are asked for as rarely as that.
func (r *rate) see(pts time.Duration, maxFPS float64) {
	gap := 10.0
	if maxFPS > 0 {
		gap = max(gap, 2/maxFPS)
	}
	r.seen++
	if d := (pts - r.last).Seconds(); r.seen > 1 && d > 0 && d < gap {
		if r.period == 0 {
			r.period = d
		}
		r.period += (d - r.period) / 16
	}
	r.last = pts
}

func (r *rate) fps() float64 {
	if r.period == 0 {
		return 0
	}
	return 1 / r.period
}
