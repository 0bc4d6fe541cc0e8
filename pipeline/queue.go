package pipeline

import (
	"context"
	"sync"
)

// lane carries frames from a source to its run. With [Realtime] pace it holds
// one frame and the newest wins; with [Lossless] it holds a few and blocks.
type lane struct {
	pace    Pace
	mu      sync.Mutex
	frames  []arrived // guarded by mu
	closed  bool      // guarded by mu: nothing more will be taken
	arrive  chan struct{}
	space   chan struct{}
	dropped func(Cause)
}

// losslessDepth is how many decoded pictures a lossless run may have waiting:
// enough to ride over a slow commit, few enough not to matter in memory.
const losslessDepth = 4

func newLane(pace Pace, dropped func(Cause)) *lane {
	return &lane{pace: pace, arrive: make(chan struct{}, 1), space: make(chan struct{}, 1), dropped: dropped}
}

// put owns a. It blocks only with lossless pace, until there is room, ctx is
// done or the lane is closed.
func (l *lane) put(ctx context.Context, a arrived) {
	for {
		l.mu.Lock()
		if l.closed || ctx.Err() != nil {
			l.mu.Unlock()
			a.frame.Release()
			l.dropped(DropStopped)
			return
		}
		if l.pace == Realtime || len(l.frames) < losslessDepth {
			break
		}
		l.mu.Unlock()
		select {
		case <-l.space:
		case <-ctx.Done():
		}
	}
	var old []arrived
	if l.pace == Realtime {
		old, l.frames = l.frames, nil
	}
	l.frames = append(l.frames, a)
	l.mu.Unlock()
	for _, o := range old {
		o.frame.Release()
		l.dropped(DropBusy)
	}
	signal(l.arrive)
}

// empty reports whether take would return nothing.
func (l *lane) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.frames) == 0
}

// take returns the next frame without waiting.
func (l *lane) take() (arrived, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.frames) == 0 {
		return arrived{}, false
	}
	a := l.frames[0]
	l.frames = append(l.frames[:0], l.frames[1:]...)
	signal(l.space)
	return a, true
}

// close releases what is left and makes every later put a drop.
func (l *lane) close() {
	l.mu.Lock()
	left := l.frames
	l.frames, l.closed = nil, true
	l.mu.Unlock()
	signal(l.space)
	for _, a := range left {
		a.frame.Release()
		l.dropped(DropStopped)
	}
}

// signal leaves a note in a channel of one without waiting.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
