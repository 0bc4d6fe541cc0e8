package infer

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
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

// warmUp runs the model on empty frames and settles the plan with what comes
// out: one frame, two where the batch is open, and on a GPU every further
// number, since each new shape is tuned when it is first seen.
func (op *opening) warmUp(provider string) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	p := op.plan
	rows := 1
	if p.fixed {
		rows = p.batch
	}
	one, err := op.try(rows, &pin)
	if err != nil {
		return warmUpError(op.name, err)
	}
	var two [][]int64
	if p.open && (p.batch > 1 || provider != TensorRT) && p.single == "" {
		if two, err = op.try(2, &pin); err != nil {
			p.single = "two frames at a time failed: " + oneLine(err)
		}
	}
	if err := p.settle(one, two); err != nil {
		return named(op.name, err)
	}
	for n := 3; p.open && n <= p.batch && provider != CPU; n++ {
		if _, err := op.try(n, &pin); err != nil {
			return warmUpError(op.name, err)
		}
	}
	return nil
}

// try runs rows empty frames and returns the shapes of the outputs.
func (op *opening) try(rows int, pin *runtime.Pinner) (shapes [][]int64, err error) {
	var ins, outs []ort.Value
	defer func() { err = errors.Join(err, destroy(ins), destroy(outs)) }()
	for _, in := range op.plan.inputs {
		shape := in.shape
		if in.rows {
			shape = withRows(in.shape, rows)
		}
		v, err := emptyValue(in.typ, shape, pin)
		if err != nil {
			return nil, err
		}
		ins = append(ins, v)
	}
	for _, o := range op.plan.outputs {
		var v ort.Value
		// The binding cannot copy float16, so its memory comes from here.
		if o.typ == pipeline.Float16 && len(o.given) > 0 && isFixed(o.given[1:]) {
			shape := o.given
			if shape[0] < 0 || op.plan.open && rows > 1 {
				shape = withRows(o.given, rows)
			}
			if v, err = emptyValue(o.typ, shape, pin); err != nil {
				return nil, err
			}
		}
		outs = append(outs, v)
	}
	if err := op.sess.Run(ins, outs); err != nil {
		return nil, err
	}
	for _, v := range outs {
		shapes = append(shapes, v.GetShape())
	}
	return shapes, nil
}

// emptyValue is a tensor of ones for whole numbers, which are often sizes that
// something is divided by (a division by zero ends the process), else zeros.
func emptyValue(t pipeline.TensorType, shape []int64, pin *runtime.Pinner) (ort.Value, error) {
	b, err := newBuffer(t, elements(shape), pin)
	if err != nil {
		return nil, err
	}
	b.clear()
	return b.value(shape)
}

func destroy(vs []ort.Value) error {
	var errs []error
	for _, v := range vs {
		if !absent(v) {
			errs = append(errs, v.Destroy())
		}
	}
	return errors.Join(errs...)
}

// absent reports whether there is no value. When the binding fails to copy an
// output it leaves an interface that is not nil around a pointer that is.
func absent(v ort.Value) bool { return v == nil || reflect.ValueOf(v).IsNil() }

// loadError sorts ONNX Runtime's refusals, which are text only.
func loadError(name string, err error) error {
	e := &pipeline.Error{Op: "load model", On: name, Kind: pipeline.BadInput, Err: errors.New(oneLine(err)), Hint: hintDamaged}
	for _, s := range []string{"NOT_IMPLEMENTED", "Could not find an implementation", "is not a registered function/op", "No Op registered", "opset", "IR version", "ir_version"} {
		if strings.Contains(err.Error(), s) {
			e.Kind, e.Hint = pipeline.Unsupported, "use a newer ONNX Runtime, or export the model with an older opset"
		}
	}
	return e
}

func warmUpError(name string, err error) error {
	e := &pipeline.Error{Op: "warm up model", On: name, Kind: pipeline.BadInput, Err: errors.New(oneLine(err)), Hint: hintDamaged}
	if errors.Is(err, ort.ZeroShapeLengthError) {
		e.Kind, e.Hint = pipeline.Unsupported, "export the model without outputs that are a single number"
	}
	return e
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
