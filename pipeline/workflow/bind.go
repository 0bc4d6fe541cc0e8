package workflow

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"perch/pipeline"
)

// Options say how one run uses a graph.
type Options struct {
	Name       string           // of the workflow, for results
	ImageInput string           // the image input that frames are given to; "" takes the only one
	Parameters map[string]Value // values of the workflow's parameters
	FPS        float64          // declared frame rate; 0, and files that know theirs, take what the stream says
	// Tolerant makes a step that fails an error of its frame's result instead
	// of a failed frame.
	Tolerant bool
}

// Bind makes an engine of the graph for one run. What is wrong with the
// parameters is a [*SpecError]; an error of a block, for example a model that
// is not there, says which step it belongs to.
func (g *Graph) Bind(env *Env, o Options) (_ *Engine, err error) {
	fs := &faults{}
	e := &Engine{graph: g, env: env.withDefaults(), opts: o, groups: make([]group, len(g.dims)), main: g.main, ids: newIDs(), number: 0}
	e.groups[0] = group{n: 1, parent: []int{0}}
	e.image = g.imageName(o)
	e.cols = make([]column, g.cols)
	g.checkImageInput(o, fs)
	g.checkParameters(o, fs)
	if err := fs.err(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	units := map[*node]*unit{}
	for _, n := range g.order {
		u, err := e.build(n, fs)
		if err != nil {
			return nil, err
		}
		units[n] = u
	}
	if err := fs.err(); err != nil {
		return nil, err
	}
	for _, n := range g.order {
		for _, gt := range n.gates {
			units[n].gates = append(units[n].gates, unitGate{units[gt.by], gt.targets, g.dims[n.dim].depth - g.dims[gt.by.dim].depth})
		}
		units[n].early = units[n].starter != nil && n.dim == 0 && len(n.gates) == 0 && e.rootOnly(units[n])
	}
	e.about.Workflow = pipeline.WorkflowID{Name: o.Name, Digest: g.digest(o)}
	e.prepareOutputs()
	return e, nil
}

// rootOnly reports whether a step needs nothing but the frame and constants.
func (e *Engine) rootOnly(u *unit) bool {
	return !slices.ContainsFunc(u.ins, func(s source) bool { return s.col >= 0 && !e.graph.isRoot(s.col) })
}

// isRoot reports whether a column is an input's: they come first.
func (g *Graph) isRoot(col int) bool { return col >= 0 && col < len(g.rootOf) }

// imageInputs are the names of the inputs that take a picture.
func (g *Graph) imageInputs() []string {
	var names []string
	for _, in := range g.doc.inputs {
		if in.class == imageInput {
			names = append(names, in.name)
		}
	}
	return names
}

// imageName is what the frame is called: as the input that it is given to.
func (g *Graph) imageName(o Options) string {
	if names := g.imageInputs(); len(names) == 1 {
		return names[0]
	}
	return cmp.Or(o.ImageInput, "image")
}

func (g *Graph) checkImageInput(o Options, fs *faults) {
	names := g.imageInputs()
	switch {
	case o.ImageInput == "" && len(names) > 1:
		fs.add(Fault{Property: "inputs", Text: fmt.Sprintf("the workflow takes %d images (%v) and there is one camera", len(names), names), Hint: "name the one that frames are given to"})
	case o.ImageInput != "" && len(names) > 0 && !slices.Contains(names, o.ImageInput):
		fs.add(Fault{Property: "inputs", Text: fmt.Sprintf("frames are to be given to the image input %q, which there is not", o.ImageInput), Hint: didYouMean("image inputs", nearest(o.ImageInput, slices.Clone(names)), names)})
	case len(names) > 1:
		fs.add(Fault{Property: "inputs", Text: fmt.Sprintf("the workflow takes %d images and one is given", len(names))})
	}
}

// checkParameters looks at values before any step is made, so that everything
// missing is said at once.
func (g *Graph) checkParameters(o Options, fs *faults) {
	for _, name := range g.MissingParameters(o.Parameters) {
		fs.add(Fault{Property: fmt.Sprintf("parameter %q", name), Text: "the workflow needs it, and it has no default and was given no value", Hint: "set it in workflows_parameters (a session), workflow_parameters (a camera) or with --param (the command line)"})
	}
}

// MissingParameters names the parameters that a run needs besides these values:
// those that have no default and that something selects.
func (g *Graph) MissingParameters(values map[string]Value) []string {
	var missing []string
	read := g.readInputs()
	for _, in := range g.doc.inputs {
		if v, given := values[in.name]; in.isParameter() && !in.hasDef && (!given || v.IsNull()) && read[in.name] {
			missing = append(missing, in.name)
		}
	}
	return missing
}

// CheckParameters finds, without a run, what is wrong with values for the
// workflow's inputs: names that it does not have and values that the steps
// which select them do not take. Values that are missing are not looked for.
// The error is a [*SpecError].
func (g *Graph) CheckParameters(values map[string]Value) error {
	fs := &faults{}
	var known []string
	for _, in := range g.doc.inputs {
		if in.isParameter() {
			known = append(known, in.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if in := g.doc.input(name); (in == nil || !in.isParameter()) && !fs.full() {
			fs.add(Fault{Property: fmt.Sprintf("parameter %q", name), Text: "the workflow has none of that name", Hint: Suggest("parameters", name, known)})
		}
	}
	for _, n := range g.order {
		for i := range n.params.ins {
			s := n.params.ins[i]
			if v, given := values[s.param]; given && s.param != "" {
				s.con = g.parameter(s.param, Options{Parameters: values})
				if !v.IsNull() {
					n.checkParameter(&s, fs)
				}
			}
		}
	}
	return fs.err()
}

// checkParameter finds what is wrong with a parameter's value for a field.
func (n *node) checkParameter(s *source, fs *faults) {
	f := &n.m.Fields[s.field]
	if fs.full() {
		return
	}
	if problem := f.check(s.con); problem != "" && f.Literal != NoLiteral && !s.con.IsNull() {
		fs.add(n.fault(f.Name, fmt.Sprintf("parameter %q: %s", s.param, problem), "it takes "+f.takes()))
	}
}

// readInputs are the inputs that something selects.
func (g *Graph) readInputs() map[string]bool {
	read := map[string]bool{}
	for _, s := range g.doc.steps {
		for _, u := range s.uses {
			for _, r := range u.refs {
				if r.sel.text != "" && r.sel.step == "" {
					read[r.sel.input] = true
				}
			}
		}
	}
	for _, o := range g.doc.outputs {
		if o.sel.step == "" {
			read[o.sel.input] = true
		}
	}
	return read
}

// parameter returns an input's value for a run.
func (g *Graph) parameter(name string, o Options) Value {
	in := g.doc.input(name)
	v, given := o.Parameters[name]
	if !given || v.IsNull() && in.hasDef {
		return in.def
	}
	if items, ok := v.Items(); in.class == batchInput && ok && len(items) == 1 {
		return items[0] // a batch of one frame
	}
	return v
}

// build makes the block of one step.
func (e *Engine) build(n *node, fs *faults) (*unit, error) {
	p := *n.params
	p.env, p.checking, p.ins, p.models = e.env, false, slices.Clone(n.params.ins), nil
	for i := range p.ins {
		s := &p.ins[i]
		if s.param != "" {
			s.con, s.known = e.graph.parameter(s.param, e.opts), true
			n.checkParameter(s, fs)
		}
		// A step that runs once per element would draw all of them on one picture.
		s.owned = s.col >= 0 && s.up == 0 && !e.graph.isRoot(s.col) && e.cols[s.col].users == 1
	}
	u := &unit{m: n.m, name: n.name, ins: p.ins, dim: n.dim, outDim: n.outDim, targets: len(p.targets)}
	for _, port := range n.ports {
		u.outs = append(u.outs, port.col)
		e.cols[port.col] = column{dim: port.dim, maker: u, users: port.users}
	}
	e.units = append(e.units, u)
	if n.m.Delta > 0 {
		e.groups[n.outDim].maker = u
	}
	if len(fs.list) > 0 {
		return u, nil
	}
	b, err := n.m.New(&p)
	if err != nil {
		var f *FieldError
		if asField(err, &f) {
			fs.add(n.fault(f.Field, f.Text, f.Hint))
			return u, nil
		}
		return nil, &pipeline.Error{Op: "start workflow step", On: n.name, Kind: pipeline.KindOf(err), Err: err}
	}
	u.block = b
	u.starter, _ = b.(Starter)
	e.models = append(e.models, p.models...)
	if e.about.Labels == nil {
		e.about.Labels = p.labels
	}
	return u, nil
}

// digest identifies what runs: the document and its parameters.
func (g *Graph) digest(o Options) string {
	h := sha256.New()
	h.Write(g.text)
	var names []string
	for name := range o.Parameters {
		names = append(names, name)
	}
	slices.Sort(names)
	enc := &Encoder{}
	for _, name := range names {
		b, err := enc.Append(AppendString(nil, name), o.Parameters[name])
		if err != nil {
			b = []byte(err.Error()) // no JSON form: its kind still counts
		}
		h.Write(b)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// ids makes random ids. They name detections and guard nothing, so a fast
// generator will do.
type ids struct{ rng *rand.ChaCha8 }

func newIDs() ids {
	var seed [32]byte
	for i := 0; i < len(seed); i += 8 {
		n := rand.Uint64()
		for k := range 8 {
			seed[i+k] = byte(n >> (8 * k))
		}
	}
	return ids{rand.NewChaCha8(seed)}
}

func (r ids) next() (id ID) {
	a, b := r.rng.Uint64(), r.rng.Uint64()
	for i := range 8 {
		id[i], id[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}
