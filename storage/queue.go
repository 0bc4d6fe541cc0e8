package storage

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// The states of a request that somebody waits for. Only a waiting request can
// be abandoned, so that what a caller was told has failed is never written.
const (
	opWaiting int32 = iota
	opApplying
	opDone
	opAbandoned
)

// An op is one request to the writer goroutine. It is a savepoint of its own
// inside the transaction that it shares with its neighbours.
type op struct {
	apply  func(*txn) error
	urgent bool // commit at once
	result bool // counts as a result when it is lost
	size   int
	run    *openRun // whose progress it adds to, or nil
	tally  tally    // what it adds

	state atomic.Int32
	err   error         // set before done is closed
	done  chan struct{} // nil when nobody waits
}

func (o *op) finish(err error) {
	if o.done == nil {
		return
	}
	o.err = err
	o.state.Store(opDone)
	close(o.done)
}

// A queue holds requests until the writer takes them, and counts them until
// they are written or refused. Full, it makes callers wait.
type queue struct {
	maxCount, maxBytes int
	wake               chan struct{} // one slot: something changed for the writer
	ended              chan struct{} // closed by close

	mu     sync.Mutex
	items  []*op         // not taken yet
	first  time.Time     // when items[0] was put
	urgent bool          // one of items is
	count  int           // items and what the writer holds
	bytes  int           // of these
	room   chan struct{} // closed and replaced when count or bytes shrink
	closed bool
}

func newQueue(count, bytes int) *queue {
	return &queue{maxCount: count, maxBytes: bytes, wake: make(chan struct{}, 1), ended: make(chan struct{}), room: make(chan struct{})}
}

// put appends o. When the queue is full it waits; blocked is asked from time
// to time whether waiting has become pointless.
func (q *queue) put(ctx context.Context, o *op, blocked func() error) error {
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		room, err := q.tryPut(o)
		if room == nil {
			return err
		}
		if err := blocked(); err != nil {
			return err
		}
		timer := time.NewTimer(retryEvery)
		select {
		case <-room:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// tryPut returns a channel to wait on when there is no room.
func (q *queue) tryPut(o *op) (<-chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, errClosed
	}
	// One request larger than the whole queue still passes, alone.
	if q.count >= q.maxCount || q.count > 0 && q.bytes+o.size > q.maxBytes {
		return q.room, nil
	}
	if len(q.items) == 0 {
		q.first = time.Now()
	}
	q.items = append(q.items, o)
	q.count++
	q.bytes += o.size
	q.urgent = q.urgent || o.urgent
	if len(q.items) == 1 || o.urgent || q.halfFull() {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return nil, nil
}

func (q *queue) halfFull() bool {
	return q.count >= (q.maxCount+1)/2 || q.bytes >= q.maxBytes/2
}

// take waits until something is due and returns all of it: a request that is
// urgent, one that has waited for delay, or half a queue. It returns nil when
// the queue is closed and empty.
func (q *queue) take(delay time.Duration) []*op {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		batch, wait := q.due(delay)
		if wait == 0 {
			return batch
		}
		timer.Reset(wait)
		select {
		case <-q.wake:
		case <-timer.C:
		}
	}
}

func (q *queue) due(delay time.Duration) ([]*op, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 && !q.closed {
		return nil, time.Hour
	}
	if len(q.items) > 0 && !q.urgent && !q.closed && !q.halfFull() {
		if left := delay - time.Since(q.first); left > 0 {
			return nil, left
		}
	}
	batch := q.items
	q.items, q.urgent = nil, false
	return batch, 0
}

// release makes room for as much as batch took.
func (q *queue) release(batch []*op) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, o := range batch {
		q.count--
		q.bytes -= o.size
	}
	close(q.room)
	q.room = make(chan struct{})
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.closed = true
	close(q.ended)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) size() (count, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count, q.bytes
}
