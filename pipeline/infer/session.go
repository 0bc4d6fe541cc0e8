// Package infer runs ONNX models. It is the only package that imports
// onnxruntime_go, and none of that library's types leaves it.
//
// A [Runtime] is ONNX Runtime in this process; [Runtime.Open] loads a model
// into a [Session]. Callers lease a [Slot], fill its input, submit it, wait
// and read its outputs, so that one frame is prepared while another runs.
// Frames of several callers that wait at the same moment run together where
// the model's batch dimension allows it.
//
// TensorRT compiles a model into an engine before it runs, which takes minutes.
// A session that was opened with OnlyReady starts without; [Runtime.Build]
// makes the engine, best in another process, and [Session.Upgrade] moves the
// session to it while frames go through.
package infer

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"perch/pipeline"
)

// ErrClosed is what callers get from a session that was closed.
var ErrClosed = errors.New("the model was closed")

// A Session is one model, loaded and warm, on the execution provider of the
// moment. Its methods may be called from any goroutine.
type Session struct {
	rt    *Runtime
	name  string
	model Model
	opt   Options
	log   *slog.Logger

	quit     chan struct{}  // closed by Close
	retiring sync.WaitGroup // runners that were replaced and still have frames

	mu   sync.Mutex
	now  *runner   // guarded by mu
	old  []*runner // guarded by mu; replaced, not yet freed
	past Stats     // guarded by mu; of runners that were freed
}

func newSession(rt *Runtime, m Model, o Options, r *runner) *Session {
	return &Session{rt: rt, name: r.name, model: m, opt: o, log: r.log, quit: make(chan struct{}), now: r}
}

func (s *Session) current() *runner {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Name is what the model is called in messages.
func (s *Session) Name() string { return s.name }

// Digest is "sha256:<hex>" of the model's bytes.
func (s *Session) Digest() string { return s.current().graph.Digest }

// Graph is what the file says of itself, open dimensions included, and what ONNX
// Runtime infers of outputs where it is silent.
func (s *Session) Graph() Graph { return s.current().graph }

// Metadata are the exporter's own keys and values.
func (s *Session) Metadata() map[string]string { return s.current().graph.Metadata }

// Provider says what the model runs on now, and why on nothing better.
func (s *Session) Provider() pipeline.ProviderChoice { return s.current().choice }

// Waits is the better provider that only lacks its engine, "" when there is
// none: see [Runtime.Build].
func (s *Session) Waits() string { return s.current().waits }

// MaxBatch is how many frames run together at most, and why not more where the
// graph's batch dimension is open but cannot be used.
func (s *Session) MaxBatch() (n int, why string) {
	p := s.current().plan
	return p.batch, p.single
}

// Inputs describes the inputs of one frame, the image first.
func (s *Session) Inputs() []pipeline.TensorInfo { return s.current().inputs() }

// Outputs describes the outputs of one frame. Where the graph leaves a
// dimension open it is what the warm-up had, or -1 if that was zero; only
// [Slot.Outputs] tells the shape of a frame's own.
func (s *Session) Outputs() []pipeline.TensorInfo { return s.current().outputs() }

// Lease waits for a slot to become free. What it holds from an earlier frame
// is still in it.
func (s *Session) Lease(ctx context.Context) (*Slot, error) {
	for {
		r := s.current()
		slot, err := r.lease(ctx)
		if errors.Is(err, ErrClosed) && r != s.current() {
			continue // it was replaced while we waited
		}
		return slot, err
	}
}

// Stats returns the figures of this moment; counts go on over an upgrade.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.now.figures()
	st.add(s.past)
	for _, r := range s.old {
		st.add(r.figures())
	}
	return st
}

// Upgrade opens the model on a better provider than the present one, if one is
// ready now, and moves the session there: frames that were leased before end
// where they are, those after go to the new one, and none is lost. Both are in
// memory meanwhile. Errors are those of [Runtime.Open]; the session then goes
// on as it was.
func (s *Session) Upgrade(ctx context.Context) error {
	before := s.current()
	o := s.opt
	o.Slots = cap(before.free) // callers may count on as many
	r, err := s.rt.open(ctx, s.model, o, before.choice.Name)
	if err != nil {
		return err
	}
	if err := sameTensors(before, r); err != nil {
		return errors.Join(named(s.name, err), r.close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.quit:
		return errors.Join(s.now.closedError(), r.close())
	default:
	}
	if s.now != before {
		return errors.Join(&pipeline.Error{Op: "upgrade model", On: s.name, Kind: pipeline.Busy, Err: errors.New("it was upgraded meanwhile")}, r.close())
	}
	s.now = r
	s.old = append(s.old, before)
	s.retiring.Go(func() { s.retire(before) })
	s.log.Info("model moved to a better provider", "model", s.name, "from", before.choice.Name, "to", r.choice.Name)
	return nil
}

// sameTensors refuses a provider that would need callers to change.
func sameTensors(a, b *runner) error {
	differ := func(x, y pipeline.TensorInfo) bool {
		return x.Name != y.Name || x.Type != y.Type || !slices.Equal(x.Shape, y.Shape)
	}
	for i, in := range b.inputs() {
		if differ(in, a.inputs()[i]) {
			return &pipeline.Error{Op: "upgrade model", Kind: pipeline.Unsupported, Err: errors.New("input " + in.Name + " has another shape there")}
		}
	}
	for i, out := range b.outputs() {
		if was := a.outputs()[i]; out.Name != was.Name || out.Type != was.Type || len(out.Shape) != len(was.Shape) {
			return &pipeline.Error{Op: "upgrade model", Kind: pipeline.Unsupported, Err: errors.New("output " + out.Name + " has another shape there")}
		}
	}
	return nil
}

// retire frees r once nobody has a slot of it: whoever holds all lanes holds
// the only ones.
func (s *Session) retire(r *runner) {
	for range cap(r.free) {
		select {
		case <-r.free:
		case <-s.quit:
			return // Close frees it
		case <-r.stuck:
			return // C code holds it for good; the frame's caller is told
		}
	}
	err := r.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past.add(r.figures())
	s.old = slices.DeleteFunc(s.old, func(o *runner) bool { return o == r })
	if err != nil {
		s.log.Error("memory of the provider before was not freed", "model", s.name, "error", err)
	}
}

// Close stops the run in progress, fails the frames that wait with [ErrClosed]
// and frees the model. Slots may be released later; their memory stays
// readable. It fails with Kind Stuck, and frees nothing, when C code does not
// come back.
func (s *Session) Close() error {
	s.mu.Lock()
	select {
	case <-s.quit:
	default:
		close(s.quit)
	}
	s.mu.Unlock()
	s.retiring.Wait()
	s.mu.Lock()
	all := append(slices.Clone(s.old), s.now)
	s.mu.Unlock()
	var errs []error
	for _, r := range all {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}
