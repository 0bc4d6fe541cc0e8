package deliver

import "sync/atomic"

// Stats are a worker's figures since it was made. What waits and what was given
// up in all is in the store's.
type Stats struct {
	Delivered uint64
	Failed    uint64 // attempts
	GivenUp   uint64 // refused or expired
	InFlight  int
	LastError string // no credentials
}

type counters struct {
	delivered, failed, givenUp atomic.Uint64
	inFlight                   atomic.Int64
}

// Stats returns the worker's figures.
func (w *Worker) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Stats{
		Delivered: w.stats.delivered.Load(), Failed: w.stats.failed.Load(), GivenUp: w.stats.givenUp.Load(),
		InFlight: int(w.stats.inFlight.Load()), LastError: w.last,
	}
}

// note keeps an error for Stats.
func (w *Worker) note(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = text(err)
}
