package deliver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"perch/pipeline"
	"perch/storage"
)

const (
	batchOf = 32 // deliveries read at once
	turnOf  = 8  // batches sent to one destination before others have their turn
)

// tryAll makes an attempt at each delivery of a batch, several at a time, until
// one fails in a way that concerns its neighbours too.
func (w *Worker) tryAll(ctx, work context.Context, batch []pipeline.Delivery, parallel int, s *served) {
	var (
		wg   sync.WaitGroup
		next atomic.Int64
		stop atomic.Bool
		mu   sync.Mutex // guards what follows
		done []int64
	)
	for range min(parallel, len(batch)) {
		wg.Go(func() {
			for !stop.Load() && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(batch) {
					return
				}
				arrived, f := w.try(work, &batch[i])
				mu.Lock()
				if arrived {
					done = append(done, batch[i].ID)
				}
				if f != nil {
					s.failed, s.after = true, max(s.after, f.after)
					stop.Store(true)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(done) == 0 {
		return
	}
	s.arrived = true
	// Also when stopping: what has arrived should not be sent again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := w.opt.Store.DeliveriesDone(ctx, done...); err != nil {
		s.failed = true // nothing more is sent while it would only be sent again
		w.note(err)
		w.opt.Log.Warn("deliveries that arrived stay in the database and will be sent again", "error", err)
	}
}

// try makes one attempt, or gives the delivery up when its time is over. A
// failure that is returned concerns the destination, and was stored.
func (w *Worker) try(ctx context.Context, d *pipeline.Delivery) (arrived bool, f *failure) {
	if time.Now().After(d.Expires) {
		return false, w.giveUp(ctx, d, storage.GivenUpExpired, d.Error)
	}
	w.stats.inFlight.Add(1)
	limited, cancel := context.WithTimeout(ctx, w.opt.Attempt)
	err := w.Send(limited, *d)
	cancel()
	w.stats.inFlight.Add(-1)
	if err == nil {
		w.stats.delivered.Add(1)
		return true, nil
	}
	f = asFailure(err)
	if ctx.Err() != nil {
		return false, f // cut short by us: that says nothing of the destination
	}
	w.stats.failed.Add(1)
	w.note(err)
	if f.final {
		return false, w.giveUp(ctx, d, storage.GivenUpRefused, text(err))
	}
	wait := max(f.after, backoff(w.opt.RetryMin, w.opt.RetryMax, d.Tries+1))
	again := time.Now().Add(wait)
	if again.After(d.Expires) {
		again = d.Expires.Add(time.Millisecond) // to be given up then
	}
	w.opt.Log.Info("delivery failed, trying again", "kind", d.Kind, "to", d.To, "tries", d.Tries+1, "error", text(err), "again", again.UTC())
	if err := w.opt.Store.DeliveryFailed(ctx, d.ID, text(err), again); err != nil {
		w.note(err)
		w.opt.Log.Warn("a failed delivery could not be noted", "error", err)
	}
	return false, f
}

// giveUp returns a failure only when the store did not take it.
func (w *Worker) giveUp(ctx context.Context, d *pipeline.Delivery, why, last string) *failure {
	w.opt.Log.Warn("delivery given up", "kind", d.Kind, "to", d.To, "why", why, "tries", d.Tries, "error", last)
	if err := w.opt.Store.GiveUpDelivery(ctx, d.ID, why, last); err != nil {
		w.note(err)
		w.opt.Log.Warn("a delivery could not be given up", "error", err)
		return &failure{error: err}
	}
	w.stats.givenUp.Add(1)
	return nil
}

// text is what an error says, without the "deliver:" that all begin with.
func text(err error) string {
	if e, ok := errors.AsType[*pipeline.Error](err); ok && e.Op == "deliver" && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}
