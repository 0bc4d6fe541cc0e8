package models

import (
	"context"
	"fmt"
	"time"

	"perch/pipeline"
	"perch/pipeline/infer"
	"perch/pipeline/model"
)

// Task is what the model is for, which decides between [Pending.Finish] and
// [Pending.Classify].
func (l *Loaded) Task() model.Task { return l.Model.Task() }

// Now names the model with the provider that it runs on at this moment; the
// model may have moved since it was loaded.
func (l *Loaded) Now() pipeline.ModelID {
	id := l.ID
	id.Provider = l.Session.Provider().Name
	return id
}

// A Runner takes the pictures of one run through a model: whole frames, or any
// number of crops of them. Several may be open at once; those that wait at the
// same moment run together where the model's batch dimension allows it. It
// keeps memory between pictures and is not safe for concurrent use.
//
// No number of open pictures, and no number of runs, can bring the others to a
// halt: Begin takes one of the session's slots if one is free and else leaves
// the picture for later. It is then begun when an earlier one is finished, and
// at the latest by its own Finish, for which one slot is set apart.
type Runner struct {
	loaded *Loaded
	pre    *model.Preprocessor
	dec    *model.Decoder
	extra  []model.ExtraInput
	late   []*Pending     // open, without a slot yet; in the order of Begin
	idle   []*Pending     // finished, for use again
	outs   []model.Tensor // reused
	replay *replay        // see Replay; nil runs the model each time
}

// NewRunner returns a Runner for one run.
func (l *Loaded) NewRunner() *Runner {
	r := &Runner{loaded: l, pre: l.Model.NewPreprocessor(), dec: l.Model.NewDecoder(), extra: l.Model.ExtraInputs()}
	if l.replays {
		r.Replay()
	}
	return r
}

// Replay makes the runner keep the model's outputs for the next picture and
// give them for all those after it. What remains is Perch's own work, sampling
// included: it is for benchmarks.
func (r *Runner) Replay() { r.replay = &replay{} }

// Begin samples pic into the model's input and queues it, or remembers to do so
// when no slot is free; it never waits for one. pic must stay valid until the
// Pending is finished. Begin fails with Kind BadInput when pic cannot be sampled.
func (r *Runner) Begin(ctx context.Context, pic pipeline.Picture) (*Pending, error) {
	return r.BeginOf(ctx, pic, pipeline.Size{Width: pic.Width, Height: pic.Height})
}

// BeginOf is Begin for a shrunken picture of what has the size whole, in whose
// pixels results are.
func (r *Runner) BeginOf(ctx context.Context, pic pipeline.Picture, whole pipeline.Size) (*Pending, error) {
	p := r.pending()
	p.pic, p.whole = pic, whole
	var err error
	switch {
	case r.replay.ready():
		err = p.sampleOnly()
	case len(r.late) == 0 && r.loaded.places.try():
		err = p.start(ctx, r.loaded.places.shared)
	default:
		r.late = append(r.late, p)
	}
	if err != nil {
		r.recycle(p)
		return nil, err
	}
	return p, nil
}

func (r *Runner) pending() *Pending {
	n := len(r.idle)
	if n == 0 {
		return &Pending{r: r, open: true}
	}
	p := r.idle[n-1]
	r.idle = r.idle[:n-1]
	*p = Pending{r: r, open: true}
	return p
}

func (r *Runner) recycle(p *Pending) {
	p.open, p.pic = false, pipeline.Picture{}
	r.idle = append(r.idle, p)
}

// catchUp begins what was left for later, as far as slots are free.
func (r *Runner) catchUp(ctx context.Context) {
	for len(r.late) > 0 && ctx.Err() == nil && r.loaded.places.try() {
		p := r.late[0]
		r.late = append(r.late[:0], r.late[1:]...)
		p.err = p.start(ctx, r.loaded.places.shared) // its Finish reports it
	}
}

// fill samples a picture and sets the other inputs.
func (r *Runner) fill(slot *infer.Slot, pic pipeline.Picture) (model.Transform, error) {
	for i := range r.extra {
		if err := setExtra(slot, &r.extra[i]); err != nil {
			return model.Transform{}, err
		}
	}
	in := slot.Input()
	switch {
	case in.Float32() != nil:
		padded, ok := slot.Note().(*model.Padding)
		if !ok {
			padded = new(model.Padding)
			slot.SetNote(padded)
		}
		t, now, err := r.pre.Refill(in.Float32(), pic, *padded)
		*padded = now
		return t, err
	case in.Uint8() != nil:
		return r.pre.FillBytes(in.Uint8(), pic)
	case in.Int32() != nil:
		return r.pre.FillInt32(in.Int32(), pic)
	}
	return model.Transform{}, fmt.Errorf("the model's input is %s, which cannot be filled", in.Type)
}

func setExtra(slot *infer.Slot, x *model.ExtraInput) error {
	in, ok := slot.Extra(x.Name)
	if !ok {
		return fmt.Errorf("the graph has no input %q", x.Name)
	}
	for i, v := range x.Ints {
		switch {
		case in.Int64() != nil:
			in.Int64()[i] = v
		case in.Int32() != nil:
			in.Int32()[i] = int32(v)
		case in.Float32() != nil:
			in.Float32()[i] = float32(v)
		default:
			return fmt.Errorf("input %q is %s, which cannot be filled", x.Name, in.Type)
		}
	}
	return nil
}

// Took is where the time of one picture went.
type Took struct {
	Prepare time.Duration // sampling
	Infer   time.Duration // the model, waiting for its turn included
	Decode  time.Duration // what the outputs say
}

// places shares a session's slots out. Whoever holds one from Begin on may wait
// for anything in between, so waiting for such a slot could last for ever: only
// Finish waits, and for it one slot is set apart that is held no longer than
// one inference.
type places struct {
	shared, apart chan struct{} // one element for each slot that is free
}

func newPlaces(slots int) places {
	p := places{shared: make(chan struct{}, max(slots-1, 1)), apart: make(chan struct{}, 1)}
	for range slots - 1 {
		p.shared <- struct{}{}
	}
	p.apart <- struct{}{}
	return p
}

// try takes a shared place if one is free.
func (p places) try() bool {
	select {
	case <-p.shared:
		return true
	default:
		return false
	}
}

// wait takes any place and says to which channel it goes back.
func (p places) wait(ctx context.Context) (chan struct{}, error) {
	if p.try() {
		return p.shared, nil
	}
	select {
	case <-p.shared:
		return p.shared, nil
	case <-p.apart:
		return p.apart, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Replaying returns the model with runners that run it on their first picture
// and give its outputs for all others (see [Runner.Replay]), for benchmarks.
func (l *Loaded) Replaying() *Loaded {
	r := *l
	r.replays = true
	return &r
}
