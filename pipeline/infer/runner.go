package infer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

// A runner is one model on one execution provider, loaded and warm. One
// goroutine owns it: ONNX Runtime sees one run at a time. Its methods may be
// called from any goroutine.
type runner struct {
	name     string
	log      *slog.Logger
	graph    Graph
	plan     *plan
	choice   pipeline.ProviderChoice
	waits    string // the better provider that lacks its engine
	deadline time.Duration
	grace    time.Duration // from asking C to stop to giving it up

	// Owned by the goroutine, and freed in this order once it has ended.
	sess  *ort.DynamicAdvancedSession
	ro    *ort.RunOptions // used by others to terminate, under mu
	lanes []*lane
	stack *stack // nil when the model runs one frame at a time
	pin   runtime.Pinner
	run   func(ins, outs []ort.Value, ro *ort.RunOptions) error // sess.RunWithOptions

	free  chan *lane // holds those that nobody has
	queue chan *Slot // has room for every slot, so Submit never blocks
	quit  chan struct{}
	ended chan struct{} // the owner has returned
	stuck chan struct{} // C did not return in time; nothing may be freed any more
	wg    sync.WaitGroup

	closing  sync.Once
	closeErr error

	mu     sync.Mutex // guards what follows, and every Slot's state
	active *activeRun // nil between runs
	stats  Stats
}

// An activeRun is what others may know of the run in progress.
type activeRun struct {
	live       int // frames that somebody still waits for
	terminated bool
	late       bool        // the deadline passed
	giveUp     *time.Timer // set when late
}

// newRunner allocates what frames need. On failure it has freed that again,
// but not op.sess.
func newRunner(op *opening) (s *runner, err error) {
	p := op.plan
	n := op.o.Slots
	if n == 0 {
		n = 2*p.batch + 1
	}
	s = &runner{
		name: op.name, log: op.o.Log, graph: op.graph, plan: p, choice: op.choice, waits: op.waits,
		deadline: op.o.Deadline, grace: 10 * time.Second, sess: op.sess,
		free: make(chan *lane, n), queue: make(chan *Slot, n),
		quit: make(chan struct{}), ended: make(chan struct{}), stuck: make(chan struct{}),
		stats: Stats{Provider: op.choice.Name, Slots: n},
	}
	s.run = s.sess.RunWithOptions
	defer func() {
		if err != nil {
			err = errors.Join(err, s.freeTensors())
		}
	}()
	if s.ro, err = ort.NewRunOptions(); err != nil {
		return s, err
	}
	for range n {
		l, err := newLane(p, &s.pin)
		if err != nil {
			return s, err
		}
		s.lanes = append(s.lanes, l)
		s.free <- l
	}
	if p.batch > 1 {
		if s.stack, err = newStack(p, &s.pin); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *runner) inputs() []pipeline.TensorInfo {
	var ts []pipeline.TensorInfo
	for _, in := range s.plan.inputs {
		ts = append(ts, pipeline.TensorInfo{Name: in.name, Type: in.typ, Shape: slices.Clone(in.shape)})
	}
	ts[0], ts[s.plan.primary] = ts[s.plan.primary], ts[0]
	return ts
}

func (s *runner) outputs() []pipeline.TensorInfo {
	var ts []pipeline.TensorInfo
	for _, o := range s.plan.outputs {
		shape := slices.Clone(o.seen)
		for i, d := range shape {
			if d <= 0 {
				shape[i] = -1
			}
		}
		ts = append(ts, pipeline.TensorInfo{Name: o.name, Type: o.typ, Shape: shape})
	}
	return ts
}

func (s *runner) figures() Stats {
	s.mu.Lock()
	st := s.stats
	s.mu.Unlock()
	st.Waiting, st.InUse = len(s.queue), st.Slots-len(s.free)
	return st
}

// close is [Session.Close].
func (s *runner) close() error {
	s.closing.Do(func() {
		close(s.quit)
		s.mu.Lock()
		s.terminate()
		s.mu.Unlock()
		select {
		case <-s.ended:
		case <-s.stuck:
			s.closeErr = s.stuckError("close model")
			return
		}
		s.wg.Wait()
		s.closeErr = named(s.name, s.freeAll())
	})
	return s.closeErr
}

func (s *runner) freeAll() error {
	if err := errors.Join(s.sess.Destroy(), s.freeTensors()); err != nil {
		return fmt.Errorf("free: %w", err)
	}
	return nil
}

func (s *runner) freeTensors() error {
	var errs []error
	if s.ro != nil {
		errs = append(errs, s.ro.Destroy())
	}
	for _, l := range s.lanes {
		errs = append(errs, l.destroy())
	}
	if s.stack != nil {
		errs = append(errs, s.stack.destroy())
	}
	s.pin.Unpin()
	return errors.Join(errs...)
}

func (s *runner) closedError() error {
	return &pipeline.Error{Op: "run model", On: s.name, Kind: pipeline.Gone, Err: ErrClosed}
}

func (s *runner) stuckError(op string) error {
	return &pipeline.Error{Op: op, On: s.name, Kind: pipeline.Stuck,
		Err:  fmt.Errorf("a run on %s did not end %v after its deadline of %v", s.choice.Name, s.grace, s.deadline),
		Hint: "restart Perch"}
}

func (s *runner) cancelledError(ctx context.Context) error {
	return &pipeline.Error{Op: "run model", On: s.name, Err: context.Cause(ctx)}
}
