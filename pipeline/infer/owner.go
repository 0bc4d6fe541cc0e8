package infer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

// own is the goroutine that runs the model.
func (s *runner) own() {
	defer close(s.ended)
	for {
		select {
		case <-s.quit:
			s.drain()
			return
		case first := <-s.queue:
			s.serve(s.gather(first))
		}
	}
}

// gather takes what waits already, up to the batch, and waits for nothing:
// while a run is in progress the next batch collects by itself.
func (s *runner) gather(first *Slot) []*Slot {
	batch := []*Slot{first}
	for len(batch) < s.plan.batch {
		select {
		case next := <-s.queue:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

func (s *runner) drain() {
	for {
		select {
		case slot := <-s.queue:
			s.mu.Lock()
			s.stats.Cancelled++
			s.finish(slot, s.closedError())
			s.mu.Unlock()
		default:
			return
		}
	}
}

// serve runs the frames that are still wanted.
func (s *runner) serve(batch []*Slot) {
	r := &activeRun{}
	s.mu.Lock()
	// Close closes quit before it takes the lock, so a run either sees that
	// here or is seen, and terminated, by Close.
	var closed error
	select {
	case <-s.quit:
		closed = s.closedError()
	default:
	}
	batch = slices.DeleteFunc(batch, func(slot *Slot) bool {
		if !slot.cancelled && closed == nil {
			return false
		}
		s.stats.Cancelled++
		s.finish(slot, cmp.Or(closed, context.Canceled))
		return true
	})
	if len(batch) == 0 {
		s.mu.Unlock()
		return
	}
	for _, slot := range batch {
		slot.run = r
	}
	r.live = len(batch)
	s.active = r
	s.mu.Unlock()

	late := time.AfterFunc(s.deadline, func() { s.expire(r) })
	start := time.Now()
	err := s.infer(batch)
	took := time.Since(start)
	late.Stop()

	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = nil
	if r.giveUp != nil {
		r.giveUp.Stop()
	}
	if r.terminated {
		if e := s.ro.UnsetTerminate(); e != nil {
			err = errors.Join(err, e)
		}
	}
	s.stats.Busy += took
	s.account(batch, r, err)
}

// account tells the callers how the run ended. s.mu is held.
func (s *runner) account(batch []*Slot, r *activeRun, err error) {
	if err == nil {
		s.stats.Batches++
	} else {
		err = s.runError(r, err)
	}
	for _, slot := range batch {
		switch {
		case err == nil:
			s.stats.Frames++
		case slot.cancelled || errors.Is(err, ErrClosed):
			s.stats.Cancelled++
		default:
			s.stats.Failures++
		}
		s.finish(slot, err)
	}
}

func (s *runner) runError(r *activeRun, err error) error {
	e := &pipeline.Error{Op: "run model", On: s.name, Err: errors.New(oneLine(err))}
	switch {
	case r.late:
		e.Kind, e.Err = pipeline.Timeout, fmt.Errorf("it took longer than %v on %s", s.deadline, s.choice.Name)
		e.Hint = "use a smaller model or a better execution provider"
	case r.terminated && r.live == 0:
		return context.Canceled
	case r.terminated:
		return s.closedError()
	}
	return e
}

// finish hands the slot back to its caller, or its memory to the next if the
// caller has gone. s.mu is held.
func (s *runner) finish(slot *Slot, err error) {
	slot.err = err
	slot.run = nil
	slot.took = time.Since(slot.submitted)
	slot.state = finished
	if slot.abandoned {
		slot.state = released
		s.free <- slot.lane // has room for every lane
	}
	close(slot.done)
}

// expire ends a run that takes too long, and gives it up when that does not
// help: C code cannot be interrupted, only reported.
func (s *runner) expire(r *activeRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active != r {
		return
	}
	r.late = true
	s.terminate()
	r.giveUp = time.AfterFunc(s.grace, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.active == r {
			s.log.Error("model is stuck", "model", s.name, "provider", s.choice.Name, "deadline", s.deadline)
			close(s.stuck)
		}
	})
}

// terminate asks the run in progress to stop at its next operator. s.mu is held.
func (s *runner) terminate() {
	if s.active == nil || s.active.terminated {
		return
	}
	s.active.terminated = true
	if err := s.ro.Terminate(); err != nil {
		s.log.Warn("run could not be terminated", "model", s.name, "err", err)
	}
}

// infer runs the frames and puts the outputs into their lanes.
func (s *runner) infer(batch []*Slot) (err error) {
	lanes := make([]*lane, len(batch))
	for i, slot := range batch {
		lanes[i] = slot.lane
	}
	if len(batch) == 1 && !s.plan.fixed {
		return s.inferOne(lanes[0])
	}
	rows := len(batch)
	if s.plan.fixed {
		rows = s.plan.batch // the rest of the rows hold earlier frames; nobody reads them
	}
	s.stack.gather(s.plan, lanes)
	outs := slices.Clone(s.stack.outVals[rows])
	defer func() { err = errors.Join(err, s.destroyCopied(outs)) }()
	if err := s.run(s.stack.inVals[rows], outs, s.ro); err != nil {
		return err
	}
	return s.stack.split(s.plan, lanes, outs, rows)
}

// inferOne runs one frame without copying anything.
func (s *runner) inferOne(l *lane) (err error) {
	outs := slices.Clone(l.outVals)
	defer func() { err = errors.Join(err, s.destroyCopied(outs)) }()
	if err := s.run(l.inVals, outs, s.ro); err != nil {
		return err
	}
	for i, o := range s.plan.outputs {
		if o.shape != nil {
			continue
		}
		if l.f32[i], l.shapes[i], err = copied(outs[i]); err != nil {
			return fmt.Errorf("output %q: %w", o.name, err)
		}
	}
	return nil
}

// destroyCopied frees the values that ONNX Runtime allocated in a run.
func (s *runner) destroyCopied(outs []ort.Value) error {
	var errs []error
	for i, o := range s.plan.outputs {
		if o.shape == nil && !absent(outs[i]) {
			errs = append(errs, outs[i].Destroy())
		}
	}
	return errors.Join(errs...)
}
