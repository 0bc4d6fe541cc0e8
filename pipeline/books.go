package pipeline

import (
	"maps"
	"sync"
	"time"
)

// RunStatus is a run as it stands now.
type RunStatus struct {
	Stream     StreamInfo
	Books      FrameBooks
	Detections map[string]uint64 // by class, since the run began
	Current    map[string]int    // by class, on the newest finished frame
	FPS        float64           // frames finished per second, over the last few
	LastFrame  time.Time         // when the newest frame arrived; zero before the first
	LastResult *Result
}

// rateWindow is how many finished frames the present frame rate is taken from.
const rateWindow = 32

// books are a run's accounts. Each method takes the lock for a few
// nanoseconds; frames come some hundred times a second.
type books struct {
	mu       sync.Mutex
	now      RunStatus
	finished [rateWindow]time.Time
	n        uint64
}

func (b *books) opened(info StreamInfo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now.Stream = info
}

// stream is what the source said when it opened, zero before.
func (b *books) stream() StreamInfo {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now.Stream
}

func (b *books) arrived(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now.Books.In++
	b.now.LastFrame = at
}

func (b *books) drop(c Cause) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now.Books.Dropped == nil {
		b.now.Books.Dropped = map[Cause]uint64{}
	}
	b.now.Books.Dropped[c]++
}

func (b *books) processed(r *Result, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now.Books.Processed++
	if b.now.Detections == nil {
		b.now.Detections = map[string]uint64{}
	}
	for i := range r.Detections {
		b.now.Detections[r.Detections[i].Label]++
	}
	b.now.LastResult = r
	b.finished[b.n%rateWindow] = at
	b.n++
}

// rate returns frames finished per second over the window that ends now.
func (b *books) rate(now time.Time) float64 {
	k := min(b.n, rateWindow)
	if k < 2 {
		return 0
	}
	newest, oldest := b.finished[(b.n-1)%rateWindow], b.finished[(b.n-k)%rateWindow]
	span := newest.Sub(oldest)
	if idle := now.Sub(newest); idle > 2*time.Second && idle > span/time.Duration(k-1) {
		span += idle // it has stopped; let the figure fall
	}
	if span <= 0 {
		return 0
	}
	return float64(k-1) / span.Seconds()
}

// Status returns a copy of the accounts as they stand.
func (r *Run) Status() RunStatus {
	b := &r.books
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.now
	s.Books.Dropped = maps.Clone(s.Books.Dropped)
	s.Detections = maps.Clone(s.Detections)
	s.Current = map[string]int{}
	if s.LastResult != nil {
		for i := range s.LastResult.Detections {
			s.Current[s.LastResult.Detections[i].Label]++
		}
	}
	s.FPS = b.rate(r.Now())
	return s
}

// close returns the final accounts, in a form that marshals as objects.
func (b *books) close() (FrameBooks, map[string]uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	books, det := b.now.Books, map[string]uint64{}
	books.Dropped = map[Cause]uint64{}
	maps.Copy(books.Dropped, b.now.Books.Dropped)
	maps.Copy(det, b.now.Detections)
	return books, det
}
