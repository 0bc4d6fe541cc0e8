package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"perch/pipeline"
	"perch/storage"
)

// place names a destination.
type place struct{ kind, to string }

// round is the state of one Run or Drain; it belongs to its goroutine.
type round struct {
	w       *Worker
	ctx     context.Context
	work    context.Context // of attempts; lasts a little longer
	wg      *sync.WaitGroup
	ended   chan served
	running map[place]bool
	rest    map[place]rest // destinations that failed
	wall    time.Time      // when the clock was last looked at
}

// served is what came of serving a destination for a while.
type served struct {
	place
	arrived bool          // something did
	failed  bool          // an attempt failed and may succeed later
	after   time.Duration // what the destination asked for
}

// rest is how long a destination is left alone.
type rest struct {
	until    time.Time
	failures int // in a row
}

// Run delivers until ctx is done. Attempts under way then get a few seconds.
// While another process delivers, it waits.
func (w *Worker) Run(ctx context.Context) {
	for ctx.Err() == nil {
		unlock, err := w.opt.Store.DeliveriesLock(ctx)
		if err != nil {
			if ctx.Err() == nil {
				w.note(err)
				w.opt.Log.Error("deliveries are not sent", "error", err)
				sleep(ctx, scanEvery)
			}
			continue
		}
		w.deliver(ctx, false)
		unlock()
	}
}

// Drain delivers until nothing waits or the limit is over. What is left then
// stays in the store and goes out the next time; the error says how much.
func (w *Worker) Drain(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for ctx.Err() == nil {
		if left, err := w.waiting(ctx); err == nil && left == 0 {
			return nil // maybe through another process
		}
		brief, cancel := context.WithTimeout(ctx, time.Second)
		unlock, err := w.opt.Store.DeliveriesLock(brief)
		cancel()
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				return err
			}
			continue
		}
		w.deliver(ctx, true)
		unlock()
	}
	left, err := w.waiting(context.WithoutCancel(ctx))
	if err != nil || left == 0 {
		return err
	}
	e := &pipeline.Error{Op: "deliver", On: fmt.Sprintf("%d messages", left), Kind: pipeline.Timeout, Err: errors.New("the time was over"),
		Hint: "what was not delivered waits in the database and is sent the next time"}
	if last := w.Stats().LastError; last != "" {
		e.Err = errors.New(last)
	}
	return e
}

func (w *Worker) waiting(ctx context.Context) (int, error) {
	all, err := w.opt.Store.Destinations(ctx)
	n := 0
	for _, d := range all {
		n += d.Waiting
	}
	return n, err
}

// deliver serves destinations until ctx is done or, with untilEmpty, nothing
// waits.
func (w *Worker) deliver(ctx context.Context, untilEmpty bool) {
	var wg sync.WaitGroup
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer w.Close()
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	defer stop()
	r := &round{
		w: w, ctx: ctx, work: work, wg: &wg, ended: make(chan served, w.opt.Destinations),
		running: map[place]bool{}, rest: map[place]rest{}, wall: time.Now(),
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-r.ended:
			r.note(s)
		case <-w.opt.Store.DeliveriesWake():
		case <-timer.C:
		}
		r.watchClock()
		w.brokers.close(brokerIdle)
		next, waiting := r.start()
		if untilEmpty && waiting == 0 && len(r.running) == 0 {
			return
		}
		timer.Reset(next)
		if !sleep(ctx, scanGap) { // several wakes become one look
			return
		}
	}
}

// start serves each destination that is due and returns when to look again,
// and how many deliveries wait.
func (r *round) start() (next time.Duration, waiting int) {
	all, err := r.w.opt.Store.Destinations(r.ctx)
	if err != nil {
		if r.ctx.Err() == nil {
			r.w.note(err)
			r.w.opt.Log.Warn("deliveries cannot be read, trying again", "error", err)
		}
		return time.Second, 1 // not known to be none
	}
	slices.SortFunc(all, func(a, b storage.Destination) int { return a.Due.Compare(b.Due) }) // who waits longest comes first
	now := time.Now()
	next = scanEvery
	known := make(map[place]bool, len(all))
	for _, d := range all {
		p := place{d.Kind, d.To}
		known[p] = true
		waiting += d.Waiting
		if r.running[p] {
			continue
		}
		wait := max(d.Due.Sub(now.Round(0)), r.rest[p].until.Sub(now)) // Due is wall time, until is not
		if wait > 0 {
			next = min(next, wait)
			continue
		}
		if len(r.running) >= r.w.opt.Destinations {
			continue // one that ends makes room, and a look
		}
		r.running[p] = true
		r.wg.Go(func() { r.ended <- r.w.serve(r.ctx, r.work, d) })
	}
	for p := range r.rest {
		if !known[p] {
			delete(r.rest, p)
		}
	}
	return max(next, 0), waiting
}

// note takes in what came of a destination.
func (r *round) note(s served) {
	delete(r.running, s.place)
	if !s.failed {
		delete(r.rest, s.place)
		return
	}
	n := 1
	if !s.arrived { // one that fails now and then is not one that is down
		n += r.rest[s.place].failures
	}
	r.rest[s.place] = rest{time.Now().Add(max(s.after, backoff(r.w.opt.RetryMin, min(maxRest, r.w.opt.RetryMax), n))), n}
}

// watchClock moves the times of what waits when the wall clock was set.
func (r *round) watchClock() {
	was, now := r.wall, time.Now()
	r.wall = now
	before, step := clockSet(was.Round(0), now.Round(0), now.Sub(was))
	if step == 0 {
		return
	}
	r.w.opt.Log.Info("the clock was set, deliveries move with it", "by", step.Round(time.Millisecond))
	if err := r.w.opt.Store.ClockSet(r.ctx, before, step); err != nil && r.ctx.Err() == nil {
		r.w.opt.Log.Warn("deliveries did not move with the clock", "error", err)
	}
}

// clockSet compares how far the wall clock and the monotonic one went. It
// returns by how much the wall clock was set, 0 for not at all, and what it
// would show otherwise.
func clockSet(was, now time.Time, elapsed time.Duration) (before time.Time, step time.Duration) {
	before = was.Add(elapsed)
	if step = now.Sub(before); step.Abs() < clockStep {
		return before, 0
	}
	return before, step
}

// serve makes attempts at what is due for a destination, until one fails,
// nothing is due, the worker stops, or it is others' turn.
func (w *Worker) serve(ctx, work context.Context, d storage.Destination) served {
	s := served{place: place{d.Kind, d.To}}
	inOrder := d.Kind == MQTT
	for turn := 0; turn < turnOf && ctx.Err() == nil && !s.failed; turn++ {
		batch, err := w.opt.Store.DueDeliveries(ctx, d.Kind, d.To, time.Now(), inOrder, batchOf)
		if err != nil || len(batch) == 0 {
			w.note(err)
			break
		}
		parallel := w.opt.Parallel
		if inOrder {
			parallel = 1
		}
		w.tryAll(ctx, work, batch, parallel, &s)
	}
	return s
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
