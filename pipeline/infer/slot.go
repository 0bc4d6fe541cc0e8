package infer

import (
	"context"
	"time"

	"perch/pipeline"
)

// A Slot is the way of one frame through the model: filled, submitted, waited
// for, read, released, in this order, by one goroutine. Its slices are valid
// until Release. Misuse panics.
type Slot struct {
	s    *runner
	lane *lane
	done chan struct{} // closed when the run has ended

	// Guarded by s.mu, and read freely once done is closed.
	state     slotState
	cancelled bool
	abandoned bool // released before it was done
	run       *activeRun
	submitted time.Time
	took      time.Duration
	err       error
}

type slotState uint8

const (
	leased slotState = iota
	submitted
	finished
	released
)

// A Tensor is one output of one frame.
type Tensor struct {
	Name  string
	Shape []int64
	Data  []float32 // other types converted; whole numbers above 2^24 lose digits
}

// An Input is one input of one frame, in the caller's hands.
type Input struct {
	pipeline.TensorInfo
	raw  []byte
	half []float32
}

// Float32 is the memory of a float32 input, or of a float16 input before it is
// narrowed; nil for others.
func (in Input) Float32() []float32 {
	switch in.Type {
	case pipeline.Float32:
		return view[float32](in.raw)
	case pipeline.Float16:
		return in.half
	}
	return nil
}

// Uint8 is the memory of a uint8 input; nil for others.
func (in Input) Uint8() []uint8 {
	if in.Type != pipeline.Uint8 {
		return nil
	}
	return in.raw
}

// Int32 is the memory of an int32 input; nil for others.
func (in Input) Int32() []int32 {
	if in.Type != pipeline.Int32 {
		return nil
	}
	return view[int32](in.raw)
}

// Int64 is the memory of an int64 input; nil for others.
func (in Input) Int64() []int64 {
	if in.Type != pipeline.Int64 {
		return nil
	}
	return view[int64](in.raw)
}

// lease is [Session.Lease].
func (s *runner) lease(ctx context.Context) (*Slot, error) {
	select {
	case <-s.quit:
		return nil, s.closedError()
	case <-s.stuck:
		return nil, s.stuckError("run model")
	default:
	}
	select {
	case l := <-s.free:
		return &Slot{s: s, lane: l, done: make(chan struct{})}, nil
	case <-ctx.Done():
		return nil, s.cancelledError(ctx)
	case <-s.quit:
		return nil, s.closedError()
	case <-s.stuck:
		return nil, s.stuckError("run model")
	}
}

// Input is the image input.
func (sl *Slot) Input() Input { return sl.input(sl.s.plan.primary) }

// Note is what SetNote last said of this slot, by whoever leased it then; nil
// at first. It is for what the input's memory holds from an earlier frame.
func (sl *Slot) Note() any { return sl.lane.note }

// SetNote leaves a note for the next that leases this slot.
func (sl *Slot) SetNote(v any) { sl.lane.note = v }

// Float32 is the image input's memory if that is of float32 or float16, else nil.
func (sl *Slot) Float32() []float32 { return sl.Input().Float32() }

// Uint8 is the image input's memory if that is of uint8, else nil.
func (sl *Slot) Uint8() []uint8 { return sl.Input().Uint8() }

// Int32 is the image input's memory if that is of int32, else nil.
func (sl *Slot) Int32() []int32 { return sl.Input().Int32() }

// Extra is another input by name, for example orig_target_sizes; false if the
// model has none of that name. Whole numbers are one until they are set.
func (sl *Slot) Extra(name string) (Input, bool) {
	for i, in := range sl.s.plan.inputs {
		if in.name == name {
			return sl.input(i), true
		}
	}
	return Input{}, false
}

func (sl *Slot) input(i int) Input {
	p := sl.s.plan.inputs[i]
	return Input{
		TensorInfo: pipeline.TensorInfo{Name: p.name, Type: p.typ, Shape: p.shape},
		raw:        sl.lane.in[i].raw, half: sl.lane.half[i],
	}
}

// Submit queues the frame. It never blocks. The input must not be touched
// between Submit and a Wait that returned no error.
func (sl *Slot) Submit() {
	sl.lane.narrow()
	sl.s.mu.Lock()
	if sl.state != leased {
		sl.s.mu.Unlock()
		panic("infer: Submit of a slot that was submitted or released")
	}
	sl.state = submitted
	sl.submitted = time.Now()
	sl.s.mu.Unlock()
	sl.s.queue <- sl // has room for every slot
}

// Wait waits for the run and returns the time since Submit, waiting included.
// When ctx ends first it returns at once; the run is stopped if nobody else
// waits for it, and the slot is good for nothing but Release.
//
// Kinds of error: Timeout when the run took longer than the deadline, Gone
// after Close, Stuck when C code hangs, Other when the run failed.
func (sl *Slot) Wait(ctx context.Context) (took time.Duration, err error) {
	select {
	case <-sl.done:
		return sl.result(ctx)
	default:
	}
	select {
	case <-sl.done:
		return sl.result(ctx)
	case <-ctx.Done():
		sl.cancel()
		return 0, sl.s.cancelledError(ctx)
	case <-sl.s.stuck:
		return 0, sl.s.stuckError("run model")
	case <-sl.s.ended:
		select {
		case <-sl.done: // it was done before the end
			return sl.result(ctx)
		default:
			return 0, sl.s.closedError()
		}
	}
}

func (sl *Slot) result(ctx context.Context) (time.Duration, error) {
	if sl.err == context.Canceled && ctx.Err() != nil {
		return 0, sl.s.cancelledError(ctx)
	}
	return sl.took, sl.err
}

func (sl *Slot) cancel() {
	sl.s.mu.Lock()
	defer sl.s.mu.Unlock()
	if sl.state != submitted || sl.cancelled {
		return
	}
	sl.cancelled = true
	if r := sl.run; r != nil {
		if r.live--; r.live == 0 {
			sl.s.terminate()
		}
	}
}

// Outputs are the frame's results in the graph's order, valid until Release.
// They are nil unless Wait returned no error.
func (sl *Slot) Outputs() []Tensor {
	select {
	case <-sl.done:
	default:
		return nil
	}
	if sl.err != nil || sl.lane == nil {
		return nil
	}
	sl.lane.widen(sl.s.plan)
	ts := make([]Tensor, len(sl.lane.f32))
	for i, f := range sl.lane.f32 {
		ts[i] = Tensor{Name: sl.s.plan.outputs[i].name, Shape: sl.lane.shapes[i], Data: f}
	}
	return ts
}

// Release gives the slot back. A frame that was submitted and not waited for
// is cancelled.
func (sl *Slot) Release() {
	sl.cancel()
	sl.s.mu.Lock()
	defer sl.s.mu.Unlock()
	switch {
	case sl.state == released || sl.abandoned:
		panic("infer: Release of a slot that was released")
	case sl.state == submitted:
		sl.abandoned = true // finish returns the memory
	default:
		sl.state = released
		sl.s.free <- sl.lane
		sl.lane = nil
	}
}
