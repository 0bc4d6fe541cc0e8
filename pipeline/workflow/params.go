package workflow

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"perch/pipeline"
)

// Env is what the program lends to the blocks.
type Env struct {
	// JPEG encodes a picture at a quality (1 to 100).
	JPEG func(pic pipeline.Picture, quality int) ([]byte, error)
	// Event makes an event of a kind with its id, device, time and clock set.
	Event func(kind string) pipeline.Event
	Now   func() time.Time
	Log   *slog.Logger
	// DisableSinks turns every block with an effect outside off.
	DisableSinks bool

	shared map[string]any // of one run: [Params.Shared]
}

// withDefaults returns an environment in which nothing is nil.
func (e *Env) withDefaults() *Env {
	out := Env{}
	if e != nil {
		out = *e
	}
	out.shared = map[string]any{}
	if out.Now == nil {
		out.Now = time.Now
	}
	if out.Log == nil {
		out.Log = slog.New(slog.DiscardHandler)
	}
	if out.Event == nil {
		now := out.Now
		out.Event = func(kind string) pipeline.Event {
			return pipeline.Event{Schema: pipeline.EventSchema, Kind: kind, Time: now().UTC()}
		}
	}
	if out.JPEG == nil {
		out.JPEG = func(pipeline.Picture, int) ([]byte, error) {
			return nil, errors.New("there is no JPEG encoder here")
		}
	}
	return &out
}

// A FieldError is what a block says of one of its fields.
type FieldError struct {
	Field string
	Text  string // what was found and why it will not do
	Hint  string // what would do
}

func (e *FieldError) Error() string {
	s := e.Field + ": " + e.Text
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func asField(err error, f **FieldError) bool { return errors.As(err, f) }

// In is one input of a step, as its block reads it on each frame.
type In struct{ i int }

// A NamedIn is an input with the key under which it was written.
type NamedIn struct {
	Key string
	In  In
}

// A Target is a step that flow control may let run.
type Target struct {
	Key  string // in a field of form Cases
	Step string
	i    int
}

// source is where an input's value comes from.
type source struct {
	con    Value // a constant: literal, default, parameter
	known  bool  // con is its value for the whole run
	param  string
	col    int
	up     int  // levels from the step's dimension to the column's
	gather bool // the column lies one level below the step: read it as a list
	field  int
	owned  bool // nobody else reads the column: its picture may be drawn on
}

// Params is how a step is written, for [Manifest.New].
type Params struct {
	env      *Env
	graph    *Graph
	node     *node
	checking bool
	ins      []source
	first    []int // of each field, its first input
	targets  []Target
	models   []func() pipeline.ModelID
	labels   []string
}

func newParams(g *Graph, n *node, env *Env) *Params {
	p := &Params{env: env.withDefaults(), graph: g, node: n, first: make([]int, len(n.uses))}
	for i, u := range n.uses {
		p.first[i] = len(p.ins)
		f := &n.m.Fields[i]
		for _, r := range u.refs {
			if f.Form == Steps || f.Form == Cases {
				p.targets = append(p.targets, Target{Key: r.key, Step: r.sel.step, i: len(p.targets)})
				continue
			}
			p.ins = append(p.ins, g.source(n, i, r))
		}
	}
	return p
}

// source works out where a reference leads.
func (g *Graph) source(n *node, field int, r ref) source {
	s := source{col: -1, field: field}
	switch {
	case r.sel.text == "":
		s.con, s.known = r.val, true
		return s
	case r.sel.step == "":
		if p, ok := g.roots[r.sel.input]; ok {
			s.col = p.col
			s.up = g.dims[n.dim].depth
			return s
		}
		s.param = r.sel.input
		if in := g.doc.input(r.sel.input); in != nil && in.hasDef {
			s.con, s.known = in.def, true
		}
		return s
	}
	from := g.nodes[r.sel.step]
	if from == nil {
		return s // a fault that has been said
	}
	if p := from.port(r.sel.port); p != nil {
		s.col = p.col
		s.up = g.dims[n.dim].depth - g.dims[p.dim].depth
		s.gather = s.up < 0
	}
	return s
}

// Step is the step's name.
func (p *Params) Step() string { return p.node.name }

// Type is the type as the step writes it, which may be an older name.
func (p *Params) Type() string { return p.node.typ }

// Env is what the program lends.
func (p *Params) Env() *Env { return p.env }

// Checking reports whether the graph is only being checked: parameters may
// have no value yet, and nothing outside may be touched.
func (p *Params) Checking() bool { return p.checking }

// Given reports whether the step writes the field.
func (p *Params) Given(field string) bool { return p.node.uses[p.fieldIndex(field)].given }

// fieldIndex panics for a field that the manifest lacks: that is a mistake in
// the block.
func (p *Params) fieldIndex(name string) int {
	i := p.node.m.field(name)
	if i < 0 {
		panic(fmt.Sprintf("block %s has no field %q", p.node.m.Type, name))
	}
	return i
}

// In is the input of a field of form One.
func (p *Params) In(field string) In { return In{p.first[p.fieldIndex(field)]} }

// Many are the inputs of a field of form Many.
func (p *Params) Many(field string) []In {
	i := p.fieldIndex(field)
	ins := make([]In, len(p.node.uses[i].refs))
	for k := range ins {
		ins[k] = In{p.first[i] + k}
	}
	return ins
}

// Named are the inputs of a field of form Named, in the order written.
func (p *Params) Named(field string) []NamedIn {
	i := p.fieldIndex(field)
	var ins []NamedIn
	for k, r := range p.node.uses[i].refs {
		ins = append(ins, NamedIn{r.key, In{p.first[i] + k}})
	}
	return ins
}

// Targets are the steps of a field of form Steps or Cases.
func (p *Params) Targets(field string) []Target {
	i := p.fieldIndex(field)
	start := 0
	for k := range i {
		if f := p.node.m.Fields[k].Form; f == Steps || f == Cases {
			start += len(p.node.uses[k].refs)
		}
	}
	return p.targets[start : start+len(p.node.uses[i].refs)]
}

// Const returns a field's value if it does not change during the run: a
// literal, a default, or a parameter. While checking, a parameter without a
// default is not known.
func (p *Params) Const(field string) (Value, bool) { return p.ConstOf(p.In(field)) }

// ConstOf is [Params.Const] of an input.
func (p *Params) ConstOf(in In) (Value, bool) {
	s := p.ins[in.i]
	return s.con, s.known
}

// Uses says that the step runs a model. m is asked for it whenever somebody
// wants to know, since a model may move to a better provider.
func (p *Params) Uses(m func() pipeline.ModelID, labels []string) {
	p.models = append(p.models, m)
	if p.labels == nil {
		p.labels = labels
	}
}

// Shared returns what the steps of one run have in common under a name. The
// first step that asks for it makes it.
func (p *Params) Shared(name string, make func() any) any {
	v, ok := p.env.shared[name]
	if !ok {
		v = make()
		p.env.shared[name] = v
	}
	return v
}

// Fault makes an error about one field.
func (p *Params) Fault(field, text, hint string) error {
	return &FieldError{Field: field, Text: text, Hint: hint}
}

// Used reports whether anything reads an output of the step, so that what is
// costly and not read need not be made. It is known when the graph is bound.
func (p *Params) Used(output string) bool {
	port := p.node.port(output)
	return port != nil && port.users > 0
}
