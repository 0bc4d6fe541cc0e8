package infer

import (
	"context"
	"errors"
	"fmt"
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

	plan   *plan
	sess   *ort.DynamicAdvancedSession
	choice pipeline.ProviderChoice
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
// graph), Stuck (loading did not end in time).
func (rt *Runtime) Open(ctx context.Context, m Model, o Options) (*Session, error) {
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
	op := &opening{rt: rt, lib: lib, model: m, name: m.name(), o: o, graph: g}
	var s *Session
	err = op.exclusively(ctx, func() (err error) {
		if err := op.choose(); err != nil {
			return named(op.name, err)
		}
		s, err = op.session()
		return err
	}, func() {
		if s != nil {
			s.Close()
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
// waiting for it.
func (op *opening) exclusively(ctx context.Context, f func() error, undo func()) error {
	started := time.Now()
	limit := time.NewTimer(op.o.OpenTimeout)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	opening := op.rt.opening // receives from a nil channel block, so this is "still waiting for our turn"
	done, left := make(chan error), make(chan struct{})
	for {
		stage := "loading"
		if opening != nil {
			stage = "waiting for another model to load"
		}
		select {
		case opening <- struct{}{}:
			opening = nil
			go func() {
				restored, err := keepSignals(f)
				if restored > 0 {
					op.o.Log.Debug("signal handlers put back", "signals", restored, "model", op.name)
				}
				<-op.rt.opening
				select {
				case done <- err:
				case <-left:
					if err == nil {
						undo()
					}
				}
			}()
		case err := <-done:
			return err
		case <-tick.C:
			if op.o.Progress != nil {
				op.o.Progress(stage, time.Since(started))
			}
		case <-ctx.Done():
			close(left)
			return &pipeline.Error{Op: "open model", On: op.name, Err: context.Cause(ctx)}
		case <-limit.C:
			close(left)
			return &pipeline.Error{Op: "open model", On: op.name, Kind: pipeline.Stuck,
				Err: fmt.Errorf("%s took longer than %v", stage, op.o.OpenTimeout), Hint: "restart Perch; if it happens again, run the model on the CPU"}
		}
	}
}

// load makes a session on provider and runs it once or twice with the plan's
// shapes, so that the first frame finds an engine that is built.
func (op *opening) load(provider string) error {
	var err error
	if op.plan, err = newPlan(op.graph, op.o); err != nil {
		return err
	}
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

// session allocates the slots and starts the owner.
func (op *opening) session() (*Session, error) {
	s, err := newSession(op)
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
