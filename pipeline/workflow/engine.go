package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"perch/pipeline"
)

// An Engine is a graph bound for one run. It implements [pipeline.Engine].
type Engine struct {
	graph  *Graph
	env    *Env
	opts   Options
	about  pipeline.EngineInfo // but for its models
	models []func() pipeline.ModelID
	units  []*unit
	cols   []column
	groups []group
	main   int
	image  string // name of the frame
	ids    ids
	stream pipeline.StreamInfo
	number int64
	free   []*work
	outs   outputs
	rate   rate
}

// unit is a step as it runs.
type unit struct {
	m       *Manifest
	name    string
	block   Block
	starter Starter
	early   bool // may start before the frame's turn
	ins     []source
	outs    []int
	dim     int
	outDim  int
	gates   []unitGate
	targets int
	allow   []bool // flow control: target by element
	arena   arena
	ran     []bool // by element
	spent   time.Duration
	calls   uint64
}

type unitGate struct {
	by      *unit
	targets []int
	up      int
}

// column holds the values of one port, by element of its dimension.
type column struct {
	dim    int
	maker  *unit // nil for an input
	users  int   // steps and outputs that read it
	values []Value
}

// group is one dimension on this frame.
type group struct {
	n      int
	parent []int // each element's element in the dimension above
	maker  *unit // nil for the frame
}

// made reports whether the list below element i of the dimension above was made:
// one that was not is null, and not empty.
func (g *group) made(i int) bool { return i < len(g.maker.ran) && g.maker.ran[i] }

// About implements [pipeline.Engine]. Each model is named once, with the
// provider that it runs on now.
func (e *Engine) About() pipeline.EngineInfo {
	about := e.about
	about.Models = []pipeline.ModelID{}
	for _, ask := range e.models {
		if m := ask(); !slices.Contains(about.Models, m) {
			about.Models = append(about.Models, m)
		}
	}
	return about
}

// Opened implements [pipeline.Engine].
func (e *Engine) Opened(info pipeline.StreamInfo) { e.stream = info }

// Close ends the blocks.
func (e *Engine) Close() error {
	var errs []error
	for _, u := range e.units {
		if c, ok := u.block.(Closer); ok {
			if err := c.Close(); err != nil {
				errs = append(errs, fmt.Errorf("step %q: %w", u.name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Begin implements [pipeline.Engine]: it starts the models that need nothing
// but the frame. A tolerant engine reports one that does not start with the
// frame, when it is that step's turn.
func (e *Engine) Begin(ctx context.Context, f pipeline.Frame) (pipeline.Work, error) {
	w := e.newWork(f)
	e.setRoots(w)
	for i, u := range e.units {
		if !u.early {
			continue
		}
		w.call = Call{ctx: ctx, e: e, n: u, work: w}
		p, err := u.starter.Start(&w.call)
		if err != nil && e.tolerates(ctx, err) {
			w.failed, w.failedAt = e.stepError(u, err), i
			break // later steps will not run
		}
		if err != nil {
			w.discard()
			return nil, e.stepError(u, err)
		}
		w.hold(i, 0, p)
	}
	return w, nil
}

// tolerates reports whether a step's error concerns its frame only.
func (e *Engine) tolerates(ctx context.Context, err error) bool {
	return e.opts.Tolerant && ctx.Err() == nil && pipeline.KindOf(err) != pipeline.Stuck
}

// setRoots puts the frame into the columns of the inputs.
func (e *Engine) setRoots(w *work) {
	for _, in := range e.graph.doc.inputs {
		p, ok := e.graph.roots[in.name]
		if !ok {
			continue
		}
		v := ImageOf(&w.image)
		if in.class == metadataInput {
			v = Value{typ: MetadataType, ref: &w.frame}
		}
		c := &e.cols[p.col]
		c.values = append(c.values[:0], v)
	}
}

// ancestor returns the element that lies up levels above element i of dim.
func (e *Engine) ancestor(dim, i, up int) int {
	for ; up > 0; up-- {
		i = e.groups[dim].parent[i]
		dim = e.graph.dims[dim].parent
	}
	return i
}

// Finish implements [pipeline.Work]: it runs all steps.
func (w *work) Finish(ctx context.Context, r *pipeline.Result) error {
	e := w.e
	defer w.discard()
	start := time.Now()
	e.setRoots(w)
	e.outs.failed = false
	err := e.runAll(ctx, w)
	r.Events = append(r.Events, w.events...)
	r.Deliveries = append(r.Deliveries, w.deliveries...)
	for s, d := range w.took {
		r.Took[s] += d
	}
	rest := time.Since(start)
	for _, s := range []pipeline.Stage{pipeline.StagePreprocess, pipeline.StageInference} {
		rest -= w.took[s]
	}
	r.Took[pipeline.StagePostprocess] = max(rest, 0)
	r.Outputs = &e.outs
	e.outs.frame, e.outs.enc.Frame = w.frame, &e.outs.frame
	if err == nil {
		r.Detections = e.appendMain(r.Detections[:0])
		return nil
	}
	e.outs.failed = true
	if !e.tolerates(ctx, err) {
		return err
	}
	r.Errors = append(r.Errors, err.Error())
	return nil
}

func (e *Engine) runAll(ctx context.Context, w *work) error {
	for i := 1; i < len(e.groups); i++ {
		e.groups[i].n, e.groups[i].parent = 0, e.groups[i].parent[:0]
	}
	for i, u := range e.units {
		if w.failed != nil && w.failedAt == i {
			return w.failed
		}
		if err := e.runUnit(ctx, w, i, u); err != nil {
			return err
		}
	}
	return nil
}

// runUnit runs one step for all its elements.
func (e *Engine) runUnit(ctx context.Context, w *work, i int, u *unit) error {
	start := time.Now()
	n := e.groups[u.dim].n
	u.arena.reset()
	if err := w.charge(n * (valueBytes*len(u.outs) + u.targets)); err != nil {
		return e.stepError(u, err)
	}
	u.ran = grow(u.ran, n)
	u.allow = grow(u.allow, u.targets*n)
	for _, out := range u.outs {
		if u.m.Delta > 0 {
			e.cols[out].values = e.cols[out].values[:0]
		} else {
			e.cols[out].values = grow(e.cols[out].values, n)
		}
	}
	if u.starter != nil {
		if err := e.startAll(ctx, w, i, u); err != nil {
			return e.stepError(u, err)
		}
	}
	for el := range n {
		if !e.runs(u, el) {
			continue
		}
		w.call = Call{ctx: ctx, e: e, n: u, work: w, elem: el, pending: w.take(i, el)}
		err := u.block.Run(&w.call)
		if err == nil {
			err = w.charge(0)
		}
		if err != nil {
			return e.stepError(u, err)
		}
		u.ran[el] = true
	}
	u.spent += time.Since(start)
	u.calls++
	return nil
}

// grow returns s with n zero elements, in its own memory if that suffices.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// startAll starts a step for all its elements, so that a model can work on
// several crops at once.
func (e *Engine) startAll(ctx context.Context, w *work, i int, u *unit) error {
	for el := range e.groups[u.dim].n {
		if w.started(i, el) || !e.runs(u, el) {
			continue
		}
		w.call = Call{ctx: ctx, e: e, n: u, work: w, elem: el}
		p, err := u.starter.Start(&w.call)
		if err != nil {
			return err
		}
		w.hold(i, el, p)
	}
	return nil
}

// runs reports whether flow control lets a step run for an element and all its
// inputs are there.
func (e *Engine) runs(u *unit, el int) bool {
	for _, g := range u.gates {
		at := e.ancestor(u.dim, el, g.up)
		if n := e.groups[g.by.dim].n; !g.by.ran[at] || !g.by.allowsAny(g.targets, n, at) {
			return false
		}
	}
	if u.m.AcceptsEmpty {
		return true
	}
	for i := range u.ins {
		s := &u.ins[i]
		switch {
		case s.col < 0:
		case s.gather:
			if !e.groups[e.cols[s.col].dim].made(el) {
				return false
			}
		case e.cols[s.col].values[e.ancestor(u.dim, el, s.up)].IsNull():
			return false
		}
	}
	return true
}

// allowsAny reports whether a step of flow control has allowed one of targets
// for element at of n.
func (u *unit) allowsAny(targets []int, n, at int) bool {
	for _, t := range targets {
		if u.allow[t*n+at] {
			return true
		}
	}
	return false
}

func (e *Engine) stepError(u *unit, err error) error {
	return fmt.Errorf("step %q (%s): %w", u.name, u.m.Type, err)
}

func (e *Engine) appendMain(dst []pipeline.Detection) []pipeline.Detection {
	if e.main < 0 || len(e.cols[e.main].values) == 0 {
		return dst
	}
	v := e.cols[e.main].values[0]
	if d, ok := v.Detections(); ok {
		for i := range d.Items {
			dst = append(dst, d.Items[i].Detection)
		}
	}
	if k, ok := v.Classes(); ok {
		classes := k.Items
		if k.Multi {
			classes = k.Picked
		}
		whole := pipeline.Box{X1: float32(k.Origin.Width), Y1: float32(k.Origin.Height)}
		for _, c := range classes {
			dst = append(dst, pipeline.Detection{Box: whole, Class: c.Class, Label: c.Label, Score: c.Score})
		}
	}
	return dst
}
