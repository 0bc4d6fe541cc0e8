package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// counters are what the writer goroutine and the callers count for [Stats].
type counters struct {
	results, skipped, events, messages, batches, retries, refused, lost, deleted atomic.Uint64

	outboxCount, outboxBytes, outboxLost  atomic.Int64
	deliveryCount, deliveryBytes, givenUp atomic.Int64
	deliveries                            atomic.Uint64

	failing   atomic.Pointer[failure] // nil while writing works
	saidFull  atomic.Int64            // when the outbox's loss was last logged, Unix nanoseconds
	saidWrite atomic.Int64
	saidOwed  atomic.Int64
}

// A failure is a spell during which nothing could be written.
type failure struct {
	since time.Time
	err   error
}

// write is the writer goroutine: it turns what is queued into transactions
// until the queue is closed and empty.
func (s *Store) write() {
	for {
		batch := s.queue.take(s.opt.Commit)
		if batch == nil {
			return
		}
		s.writeBatch(batch)
		s.queue.release(batch)
	}
}

// writeBatch tries until batch is written. What was accepted is given up only
// when the store is closed while it still cannot be written.
func (s *Store) writeBatch(batch []*op) {
	for {
		err := s.tryBatch(batch)
		if err == nil {
			if f := s.stats.failing.Swap(nil); f != nil {
				s.opt.Log.Info("database can be written again", "path", s.path, "after", time.Since(f.since).Round(time.Millisecond))
			}
			return
		}
		s.stats.retries.Add(1)
		s.noteFailure(err)
		select {
		case <-time.After(retryEvery):
			continue
		case <-s.queue.ended:
		}
		if s.tryBatch(batch) != nil {
			s.giveUp(batch, err)
		}
		return
	}
}

func (s *Store) noteFailure(err error) {
	err = s.explain("write results", err)
	since := time.Now()
	if f := s.stats.failing.Load(); f != nil {
		since = f.since
	}
	s.stats.failing.Store(&failure{since, err})
	if count, _ := s.queue.size(); seldom(&s.stats.saidWrite) {
		s.opt.Log.Error("database cannot be written, trying again", "error", err, "queued", count, "since", since.UTC().Format(time.RFC3339))
	}
}

func (s *Store) giveUp(batch []*op, err error) {
	err = s.explain("write results", err)
	var lost uint64
	for _, o := range batch {
		if o.result {
			lost++
		}
		if o.done != nil && o.state.CompareAndSwap(opWaiting, opApplying) {
			o.finish(err)
		}
	}
	s.stats.lost.Add(lost)
	s.opt.Log.Error("queued results are lost", "error", err, "results", lost)
}

// seldom reports whether half a minute has passed since it last said so: what
// lasts for hours must not fill the journal.
func seldom(last *atomic.Int64) bool {
	now := time.Now().UnixNano()
	was := last.Load()
	return now-was > int64(30*time.Second) && last.CompareAndSwap(was, now)
}

// tryBatch writes batch in one transaction. It fails only with an error that
// concerns all of it; a request that was wrong gets its own error and leaves
// its neighbours alone.
func (s *Store) tryBatch(batch []*op) error {
	tx, err := s.w.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	t := &txn{tx: tx, s: s, done: map[*openRun]*tally{}}
	applied := make([]*op, 0, len(batch))
	errs := make([]error, 0, len(batch))
	for _, o := range batch {
		if o.done != nil && !o.state.CompareAndSwap(opWaiting, opApplying) {
			continue // its caller has given up
		}
		applied = append(applied, o)
		opErr := t.do(o)
		if affectsAll(opErr) {
			err = opErr
			break
		}
		errs = append(errs, opErr)
	}
	if err == nil {
		err = t.settle()
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		tx.Rollback() // SQLite may have done it already
		for _, o := range applied {
			if o.done != nil {
				o.state.Store(opWaiting)
			}
		}
		return err
	}
	t.committed()
	for i, o := range applied {
		s.report(o, errs[i])
	}
	return nil
}

// report tells whoever waits for o; an error for which nobody waits is kept
// for the run's next call.
func (s *Store) report(o *op, err error) {
	if err != nil && o.done == nil {
		s.stats.refused.Add(1)
		if o.run != nil {
			o.run.broken.CompareAndSwap(nil, &failure{time.Now(), err})
		}
		s.opt.Log.Error("a result was refused by the database", "error", err)
	}
	if o.done != nil {
		o.finish(err)
	}
}

// do queues a request and waits until it is durable. When ctx ends first, or
// nothing can be written for longer than Patience, the request is withdrawn.
func (s *Store) do(ctx context.Context, what string, o *op) error {
	if s.queue == nil {
		return s.explain(what, errReadOnly)
	}
	o.urgent = true
	o.done = make(chan struct{})
	asked := time.Now()
	if err := s.queue.put(ctx, o, func() error { return s.blocked(asked) }); err != nil {
		return s.explain(what, err)
	}
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	cancelled := ctx.Done()
	for {
		var err error
		select {
		case <-o.done:
			return s.explain(what, o.err)
		case <-cancelled:
			err = context.Cause(ctx)
			cancelled = nil // once is enough: from here on the ticker asks
		case <-tick.C:
			if err = s.blocked(asked); err == nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
		}
		if err != nil && o.state.CompareAndSwap(opWaiting, opAbandoned) {
			return s.explain(what, err)
		}
	}
}

// blocked returns why nothing can be written, once that has lasted and the
// caller, who asked at that time, has waited long enough.
func (s *Store) blocked(asked time.Time) error {
	f := s.stats.failing.Load()
	if f == nil || time.Since(f.since) < s.opt.Patience || time.Since(asked) < min(s.opt.Patience, time.Second) {
		return nil
	}
	return f.err
}

// A txn is one transaction of the writer goroutine.
type txn struct {
	tx   *sql.Tx
	s    *Store
	done map[*openRun]*tally // progress made in this transaction

	events, messages, results, deleted uint64
	outbox                             bool // rows were added to the outbox
	lost                               int64
	deliveries                         uint64 // that were taken on
	givenUp                            int64
}

func (t *txn) exec(st *sql.Stmt, args ...any) (sql.Result, error) {
	return t.tx.Stmt(st).Exec(args...)
}

// do applies o inside a savepoint.
func (t *txn) do(o *op) error {
	was := *t
	if _, err := t.exec(t.s.stmts.savepoint); err != nil {
		return err
	}
	if err := o.apply(t); err != nil {
		if affectsAll(err) {
			return err
		}
		_, undo := t.exec(t.s.stmts.rollback)
		_, end := t.exec(t.s.stmts.release) // ROLLBACK TO leaves the savepoint open
		if undo = errors.Join(undo, end); undo != nil {
			return undo
		}
		*t = was
		return err
	}
	if _, err := t.exec(t.s.stmts.release); err != nil {
		return err
	}
	if o.run != nil && o.tally.frames > 0 {
		sum := t.done[o.run]
		if sum == nil {
			sum = &tally{}
			t.done[o.run] = sum
		}
		sum.merge(&o.tally)
	}
	return nil
}

// settle writes what is written once for the whole transaction.
func (t *txn) settle() error {
	for run, sum := range t.done {
		if err := t.addProgress(run, sum); err != nil {
			return err
		}
		if err := t.addTracks(run.number, sum); err != nil {
			return err
		}
	}
	if t.deliveries > 0 {
		if err := t.trimDeliveries(); err != nil {
			return err
		}
	}
	if !t.outbox {
		return nil
	}
	return t.trimOutbox()
}

// addProgress rewrites the run's progress row, unless the run has ended.
func (t *txn) addProgress(run *openRun, sum *tally) error {
	total := run.written.plus(sum)
	text, err := json.Marshal(total.detections)
	if err != nil {
		return fmt.Errorf("encode progress: %w", err)
	}
	_, err = t.exec(t.s.stmts.progress, run.number, int64(total.frames), string(text), total.last.UnixMicro())
	return err
}

func (t *txn) addTracks(number int64, sum *tally) error {
	for id, sp := range sum.tracks {
		_, err := t.exec(t.s.stmts.track, number, int64(id), sp.class, sp.label, int64(sp.first), int64(sp.last),
			sp.firstPTS.Microseconds(), sp.lastPTS.Microseconds(), int64(sp.frames), float64(sp.best))
		if err != nil {
			return err
		}
	}
	return nil
}

// committed moves what the transaction has changed into the store's memory.
func (t *txn) committed() {
	c := &t.s.stats
	for run, sum := range t.done {
		run.written = run.written.plus(sum)
	}
	c.batches.Add(1)
	c.results.Add(t.results)
	c.events.Add(t.events)
	c.messages.Add(t.messages)
	c.deleted.Add(t.deleted)
	if t.outbox {
		if t.lost > 0 && seldom(&c.saidFull) {
			t.s.opt.Log.Warn("outbox is full: oldest messages dropped", "total", c.outboxLost.Load()+t.lost)
		}
		signal(t.s.wake)
	}
	if err := t.s.loadSizes(context.Background()); err != nil {
		t.s.opt.Log.Debug("sizes not read", "error", err)
	}
	c.deliveries.Add(t.deliveries)
	if t.deliveries > 0 {
		signal(t.s.wakeDeliveries)
	}
	if t.givenUp > 0 && seldom(&c.saidOwed) {
		t.s.opt.Log.Warn("deliveries were given up, see the events of kind "+failedKind, "total", c.givenUp.Load())
	}
}

// plus returns the counts of t and o; tracks are not among them.
func (t tally) plus(o *tally) tally {
	sum := tally{frames: t.frames, last: t.last, detections: map[string]uint64{}}
	for label, n := range t.detections {
		sum.detections[label] += n
	}
	sum.merge(&tally{frames: o.frames, last: o.last, detections: o.detections})
	return sum
}
