package workflow

import (
	"fmt"
	"slices"
	"strings"
)

// A Graph is a checked specification.
type Graph struct {
	doc    *document
	lib    *Library
	order  []*node
	nodes  map[string]*node
	dims   []dim
	cols   int
	roots  map[string]*port // columns of the image and metadata inputs, by input
	rootOf []inputClass     // of which input each of the first columns is
	main   int              // column of the detections that stand for the whole; -1 without
	text   []byte
}

// dim is one dimension below the frame. Dimension 0 is the frame itself.
type dim struct {
	parent int
	depth  int
	maker  string // the step that makes it
}

// port is what is known of one output of a step, or of an input.
type port struct {
	name    string
	kinds   []Kind
	tracked bool
	dim     int
	col     int
	users   int // steps and outputs that read it
}

// node is a step with what the checks found out.
type node struct {
	*step
	ports  []port
	named  map[string]int // ports by their names
	dim    int            // in which it runs
	outDim int
	deps   []*node // steps whose outputs or decisions it needs
	gates  []gate
	params *Params
}

// gate is a flow control step that may keep a step from running.
type gate struct {
	by      *node
	targets []int // which of its targets lead there: one that is allowed will do
}

// Compile checks a specification. What is wrong with it is a [*SpecError] that
// holds all of it.
func Compile(data []byte, lib *Library, env *Env) (*Graph, error) {
	fs := &faults{}
	d := readDocument(data, lib, fs)
	if d == nil {
		return nil, fs.err()
	}
	g := &Graph{doc: d, lib: lib, nodes: map[string]*node{}, dims: []dim{{parent: -1}}, roots: map[string]*port{}, text: slices.Clone(data)}
	for _, s := range d.steps {
		s.readUses(fs)
		g.nodes[s.name] = &node{step: s}
		if fs.full() {
			return nil, fs.err()
		}
	}
	for _, in := range d.inputs {
		if in.class == imageInput || in.class == metadataInput {
			g.rootOf = append(g.rootOf, in.class)
			g.roots[in.name] = &port{name: in.name, kinds: in.kinds, col: g.column()}
		}
	}
	g.link(fs)
	if fs.full() || !g.sort(fs) {
		return nil, fs.err()
	}
	for _, n := range g.order {
		if g.resolve(n, env, fs); fs.full() {
			return nil, fs.err()
		}
	}
	g.checkGates(fs)
	g.checkOutputs(fs)
	if err := fs.err(); err != nil {
		return nil, err
	}
	g.main = g.findMain()
	return g, nil
}

func (g *Graph) column() int { g.cols++; return g.cols - 1 }

// resolve checks one step, whose dependencies are resolved, and works out its
// ports.
func (g *Graph) resolve(n *node, env *Env, fs *faults) {
	if n.m == nil {
		return
	}
	before := len(fs.list)
	whole := g.checkSelectors(n, fs)
	n.outDim = n.dim
	switch {
	case n.m.Delta < 0 && n.dim == 0:
		fs.add(n.fault("", "it gathers a list into one value, and its input is no list", "use the value itself, or put a crop before it"))
	case n.m.Delta < 0:
		n.dim = g.dims[n.dim].parent
		n.outDim = n.dim
	case n.m.Delta > 0:
		if g.dims[n.dim].depth >= maxDims {
			fs.add(n.fault("", fmt.Sprintf("crops of crops go deeper than %d levels here", maxDims), ""))
		}
		g.dims = append(g.dims, dim{parent: n.dim, depth: g.dims[n.dim].depth + 1, maker: n.name})
		n.outDim = len(g.dims) - 1
	}
	n.params = newParams(g, n, env)
	n.named = map[string]int{}
	outs := n.m.Outputs
	if n.m.Ports != nil && whole {
		outs = append(slices.Clone(outs), n.m.Ports(n.params)...)
	}
	for _, o := range outs {
		p := port{name: o.Name, kinds: o.Kinds, tracked: o.Tracked, dim: n.outDim, col: g.column()}
		if o.Like != "" {
			p.kinds, p.tracked = g.like(n, o)
		}
		if _, twice := n.named[p.name]; !twice {
			n.named[p.name] = len(n.ports)
		}
		n.ports = append(n.ports, p)
	}
	if !whole || len(fs.list) > before || n.m.New == nil {
		return
	}
	n.params.checking = true
	if _, err := n.m.New(n.params); err != nil {
		fs.add(n.faultOf(err))
	}
}

// maxDims bounds how deep crops of crops go.
const maxDims = 4

// faultOf makes a fault of what a block said of its step.
func (n *node) faultOf(err error) Fault {
	var f *FieldError
	if asField(err, &f) {
		return n.fault(f.Field, f.Text, f.Hint)
	}
	return n.fault("", err.Error(), "")
}

// checkSelectors checks the kinds of all selectors of a step and finds the
// dimension in which it runs. It reports whether all of them lead somewhere.
func (g *Graph) checkSelectors(n *node, fs *faults) bool {
	whole := true
	for i, u := range n.uses {
		f := &n.m.Fields[i]
		if f.Form == Steps || f.Form == Cases {
			for _, r := range u.refs {
				whole = whole && (r.sel.text == "" || g.nodes[r.sel.step] != nil)
			}
			continue
		}
		if f.Required && !u.given || f.Form == One && len(u.refs) == 0 {
			whole = false // it is missing, or what is written there will not do
		}
		for _, r := range u.refs {
			if r.sel.text == "" {
				continue
			}
			p, ok := g.lookUp(n, f, r.sel, fs)
			if !ok {
				whole = false
				continue
			}
			p.users++
			g.checkKinds(n, f, r.sel, p, fs)
			if !g.deepen(n, p.dim) {
				whole = false
				fs.add(n.fault(f.Name, fmt.Sprintf("%s is a list made by step %q, and another input is a list made by step %q", r.sel.text, g.dims[p.dim].maker, g.dims[n.dim].maker),
					"the elements of two lists do not belong together: use inputs that come from the same one"))
			}
		}
	}
	return whole
}

// deepen makes n run in dimension d if that lies below the one it runs in. It
// reports false if neither lies below the other.
func (g *Graph) deepen(n *node, d int) bool {
	switch {
	case g.above(n.dim, d):
		n.dim = d
	case !g.above(d, n.dim):
		return false
	}
	return true
}

// above reports whether a is d or one of the dimensions that d lies in.
func (g *Graph) above(a, d int) bool {
	for ; d >= 0; d = g.dims[d].parent {
		if d == a {
			return true
		}
	}
	return false
}

func (g *Graph) checkKinds(n *node, f *Field, sel selector, p *port, fs *faults) {
	switch {
	case !fits(p.kinds, f.Kinds):
		fs.add(n.fault(f.Name, fmt.Sprintf("%s is %s", sel.text, kindNames(p.kinds)), "it takes "+f.takes()))
	case f.Tracked && !p.tracked && sel.step != "" && !slices.Contains(p.kinds, Any):
		fs.add(n.fault(f.Name, fmt.Sprintf("the detections of %s carry no track ids, and this block follows objects from frame to frame", sel.text),
			"put a roboflow_core/byte_tracker@v3 step between and select its tracked_detections"))
	}
}

func kindNames(kinds []Kind) string {
	var names []string
	for _, k := range kinds {
		names = append(names, string(k))
	}
	return strings.Join(names, " or ")
}

// lookUp finds the port that a selector means.
func (g *Graph) lookUp(n *node, f *Field, sel selector, fs *faults) (*port, bool) {
	if sel.step == "" {
		if p, ok := g.roots[sel.input]; ok {
			return p, true
		}
		in := g.doc.input(sel.input)
		if in == nil {
			return nil, false
		}
		return &port{name: in.name, kinds: in.kinds, col: -1}, true
	}
	from := g.nodes[sel.step]
	if from == nil || from.m == nil {
		return nil, false // said already
	}
	if p := from.port(sel.port); p != nil {
		return p, true
	}
	if from.params == nil || from.m.Ports != nil && len(from.ports) == len(from.m.Outputs) {
		return nil, false // its own faults come first
	}
	fs.add(n.fault(f.Name, fmt.Sprintf("%s: step %q (%s) has no output %q", sel.text, from.name, from.typ, sel.port), from.portHint(sel.port)))
	return nil, false
}

// port is the output of a name; nil if there is none.
func (n *node) port(name string) *port {
	if i, ok := n.named[name]; ok {
		return &n.ports[i]
	}
	return nil
}

func (n *node) portHint(name string) string {
	var all []string
	for _, p := range n.ports {
		all = append(all, p.name)
	}
	return didYouMean("outputs", nearest(name, all), all)
}

// like works out the kinds of a port that has those of a field.
func (g *Graph) like(n *node, o Output) (kinds []Kind, tracked bool) {
	i := n.m.field(o.Like)
	if i < 0 {
		panic(fmt.Sprintf("block %s: output %s is like field %s, which there is not", n.m.Type, o.Name, o.Like))
	}
	for _, r := range n.uses[i].refs {
		if r.sel.text == "" {
			continue
		}
		if p, ok := g.lookUp(n, &n.m.Fields[i], r.sel, &faults{}); ok {
			return p.kinds, o.Tracked || p.tracked || slices.Contains(p.kinds, Any)
		}
	}
	return n.m.Fields[i].Kinds, o.Tracked
}

// checkGates checks that flow control can decide about its targets.
func (g *Graph) checkGates(fs *faults) {
	for _, n := range g.order {
		for _, gt := range n.gates {
			if fs.full() {
				return
			}
			if n.m != nil && gt.by.m != nil && !g.above(gt.by.dim, n.dim) {
				fs.add(gt.by.fault("next_steps", fmt.Sprintf("it decides for each element of the list made by %q, and step %q runs once a frame", g.dims[gt.by.dim].maker, n.name),
					"gather the list first, or let it lead to a step that works on the elements"))
			}
		}
	}
}

func (g *Graph) checkOutputs(fs *faults) {
	for _, o := range g.doc.outputs {
		if fs.full() {
			return
		}
		where := fmt.Sprintf("output %q", o.name)
		if o.sel.step == "" {
			if g.doc.input(o.sel.input) == nil {
				fs.add(Fault{Property: where, Text: fmt.Sprintf("%s: there is no input %q", o.sel.text, o.sel.input), Hint: g.nearInput(o.sel.input)})
			} else if p, ok := g.roots[o.sel.input]; ok {
				p.users++
			}
			continue
		}
		from := g.nodes[o.sel.step]
		if from == nil {
			fs.add(Fault{Property: where, Text: fmt.Sprintf("%s: there is no step %q", o.sel.text, o.sel.step), Hint: g.nearStep(o.sel.step)})
			continue
		}
		p := from.port(o.sel.port)
		switch {
		case o.sel.port == "*":
			for i := range from.ports {
				from.ports[i].users++
			}
			continue
		case p != nil:
			p.users++
			continue
		}
		if from.params != nil && (from.m.Ports == nil || len(from.ports) > len(from.m.Outputs)) {
			fs.add(Fault{Property: where, Text: fmt.Sprintf("%s: step %q (%s) has no output %q", o.sel.text, from.name, from.typ, o.sel.port), Hint: from.portHint(o.sel.port)})
		}
	}
}

// findMain chooses the detections, or the classes, that stand for the frame in
// results, counts and previews: the first output that is some, else what the
// last step in the order that hands out those of whole frames handed out.
func (g *Graph) findMain() int {
	for _, o := range g.doc.outputs {
		if from := g.nodes[o.sel.step]; from != nil {
			if p := from.port(o.sel.port); p != nil && p.dim == 0 && isMain(p.kinds) {
				return p.col
			}
		}
	}
	// What nobody reads, such as those that crossed a line just now, is second
	// choice.
	for _, least := range []int{1, 0} {
		for _, n := range slices.Backward(g.order) {
			for _, p := range n.ports {
				if p.dim == 0 && p.users >= least && isMain(p.kinds) {
					return p.col
				}
			}
		}
	}
	return -1
}

func isMain(kinds []Kind) bool {
	return slices.ContainsFunc(kinds, func(k Kind) bool { return k == Classification || slices.Contains(anyDetections, k) })
}
