package infer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

// An opening collects what a session will own while it is put together.
type opening struct {
	rt    *Runtime
	lib   Library
	model Model
	name  string
	o     Options
	graph Graph

	better string        // only providers before this one will do; "" is any
	left   chan struct{} // closed when nobody waits for the outcome any more
	begun  chan struct{} // has an element when an engine has begun to be built

	plan   *plan
	engine engine // of the provider that is being tried
	sess   *ort.DynamicAdvancedSession
	choice pipeline.ProviderChoice
	waits  string
}

// Inspect reads the model and has ONNX Runtime load it on the CPU, without
// keeping anything. It fails with Kind BadInput when the file is damaged,
// larger than limit bytes (0: 2 GiB) or not a model, and with Unsupported when
// ONNX Runtime lacks an operator of it. It returns what could be read also
// when loading fails.
func (rt *Runtime) Inspect(ctx context.Context, m Model, limit int64) (Graph, error) {
	g, err := readGraph(m, limit)
	if err != nil {
		return Graph{}, err
	}
	lib, err := rt.Start()
	if err != nil {
		return g, err
	}
	op := &opening{rt: rt, lib: lib, model: m, name: m.name(), graph: g}
	if op.o, err = (Options{Providers: []string{CPU}, Threads: 1, OpenTimeout: 5 * time.Minute}).withDefaults(rt); err != nil {
		return g, err
	}
	return g, op.exclusively(ctx, func() error {
		so, err := op.sessionOptions(CPU)
		if err != nil {
			return err
		}
		defer so.Destroy()
		if err := so.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll); err != nil {
			return err
		}
		if err := op.create(so); err != nil {
			return loadError(op.name, err)
		}
		return op.sess.Destroy()
	}, func() {})
}

// Open loads the model, warms it up and starts the goroutine that owns it.
// Models open one at a time: building engines in parallel spoils TensorRT's
// timing (onnxruntime issue 18100). When ctx ends or the time is up, Open
// returns and what was begun is undone in the background once C lets go of it.
//
// Errors: NotFound, BadInput (damaged, not a model, too large), Unsupported (a
// provider or an operator is missing), BadConfig (options that do not fit the
// graph), Busy (an engine has to be built and another process is building one),
// Stuck (loading did not end in time).
func (rt *Runtime) Open(ctx context.Context, m Model, o Options) (*Session, error) {
	r, err := rt.open(ctx, m, o, "")
	if err != nil {
		return nil, err
	}
	return newSession(rt, m, o, r), nil
}

// Build makes the engine that provider needs for the model and keeps it in
// o.EngineCacheDir, where Open and Upgrade then find it. That takes minutes, much
// memory and the GPU: do it in a process of its own, of low priority. An engine
// that is there already is loaded once, and that is all.
func (rt *Runtime) Build(ctx context.Context, m Model, o Options, provider string) error {
	i := slices.Index(o.Providers, provider)
	if len(o.Providers) == 0 {
		o.Providers, i = providers(), slices.Index(providers(), provider)
	}
	if i < 0 || !needsEngine(provider) {
		return badOption(fmt.Errorf("provider %q has no engine to build, or is not among those allowed", provider), "")
	}
	o.Providers, o.Strict, o.OnlyReady = o.Providers[i:], true, false
	r, err := rt.open(ctx, m, o, "")
	if err != nil {
		return err
	}
	return r.close()
}

// open opens the model on a provider before better, "" on any.
func (rt *Runtime) open(ctx context.Context, m Model, o Options, better string) (*runner, error) {
	o, err := o.withDefaults(rt)
	if err != nil {
		return nil, err
	}
	g, err := readGraph(m, o.MaxBytes)
	if err != nil {
		return nil, err
	}
	lib, err := rt.Start()
	if err != nil {
		return nil, err
	}
	op := &opening{rt: rt, lib: lib, model: m, name: m.name(), o: o, graph: g, better: better}
	var s *runner
	err = op.exclusively(ctx, func() (err error) {
		op.askShapes()
		if err := op.choose(); err != nil {
			return named(op.name, err)
		}
		s, err = op.runner()
		return err
	}, func() {
		if s != nil {
			s.close()
		}
	})
	if err != nil {
		return nil, err
	}
	o.Log.Info("model ready", "model", op.name, "provider", s.choice.Name, "why", s.choice.Why,
		"batch", s.plan.batch, "single", s.plan.single, "library", lib.Version)
	return s, nil
}

// exclusively runs f while no other session is being made, and keeps Go's
// signal handlers. undo is called if f ends well after everybody stopped
// waiting for it. f has OpenTimeout, and BuildTimeout once it builds an engine.
func (op *opening) exclusively(ctx context.Context, f func() error, undo func()) error {
	started := time.Now()
	limit := time.NewTimer(op.o.OpenTimeout)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	opening := op.rt.opening // receives from a nil channel block, so this is "still waiting for our turn"
	done := make(chan error)
	op.left, op.begun = make(chan struct{}), make(chan struct{}, 1)
	stage, may := "waiting for another model to load", op.o.OpenTimeout
	hint := "restart Perch; if it happens again, run the model on the CPU"
	for {
		select {
		case opening <- struct{}{}:
			opening, stage = nil, "loading"
			go func() {
				err := op.keepingSignals(f)
				<-op.rt.opening
				select {
				case done <- err:
				case <-op.left:
					if err == nil {
						undo()
					}
				}
			}()
		case <-op.begun:
			stage, may = "building an engine", op.o.BuildTimeout
			hint = "give it longer (models.build_timeout), or leave the provider out of models.providers"
			limit.Reset(may)
		case err := <-done:
			return err
		case <-tick.C:
			if op.o.Progress != nil {
				op.o.Progress(stage, time.Since(started))
			}
		case <-ctx.Done():
			close(op.left)
			return &pipeline.Error{Op: "open model", On: op.name, Err: context.Cause(ctx)}
		case <-limit.C:
			close(op.left)
			return &pipeline.Error{Op: "open model", On: op.name, Kind: pipeline.Stuck, Err: fmt.Errorf("%s took longer than %v", stage, may), Hint: hint}
		}
	}
}

func (op *opening) keepingSignals(f func() error) error {
	restored, err := keepSignals(f)
	if restored > 0 {
		op.o.Log.Debug("signal handlers put back", "signals", restored, "model", op.name)
	}
	return err
}

// load makes a session on provider and runs it once or twice with the plan's
// shapes, so that the first frame finds an engine that is built.
func (op *opening) load(provider string) error {
	var err error
	if op.plan, err = newPlan(op.graph, op.o); err != nil {
		return err
	}
	if op.engine, err = op.prepare(provider); err != nil {
		return err
	}
	err = op.loadWith(provider)
	if op.engine.ready() {
		err = op.loadAgain(provider, err)
	}
	if err != nil {
		return errors.Join(err, op.engine.discard())
	}
	if err := op.engine.keep(); err != nil {
		return errors.Join(err, op.sess.Destroy())
	}
	return nil
}

func (op *opening) loadWith(provider string) error {
	so, err := op.sessionOptions(provider)
	if err != nil {
		return err
	}
	defer so.Destroy()
	if err := op.create(so); err != nil {
		return loadError(op.name, err)
	}
	if err := op.warmUp(provider); err != nil {
		return errors.Join(err, op.sess.Destroy())
	}
	return nil
}

// create hands the model to ONNX Runtime.
func (op *opening) create(so *ort.SessionOptions) (err error) {
	var ins, outs []string
	for _, t := range op.graph.Inputs {
		ins = append(ins, t.Name)
	}
	for _, t := range op.graph.Outputs {
		outs = append(outs, t.Name)
	}
	if op.model.Path != "" { // by path, or weights in a file beside it are not found
		op.sess, err = ort.NewDynamicAdvancedSession(op.model.Path, ins, outs, so)
	} else {
		op.sess, err = ort.NewDynamicAdvancedSessionWithONNXData(op.model.Data, ins, outs, so)
	}
	return err
}

// runner allocates the slots and starts the owner.
func (op *opening) runner() (*runner, error) {
	s, err := newRunner(op)
	if err != nil {
		return nil, errors.Join(named(op.name, err), op.sess.Destroy())
	}
	s.wg.Go(s.own)
	return s, nil
}

// named adds the model to an error of this package that does not name it yet.
func named(name string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*pipeline.Error](err); ok {
		if e.On == "" {
			e.On = name
		}
		return err
	}
	return &pipeline.Error{Op: "open model", On: name, Err: err}
}
