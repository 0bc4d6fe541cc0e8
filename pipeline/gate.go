package pipeline

import "context"

// A Gate is a [Viewer] that can hold its run back: a frame is not begun before
// every gate lets it. The source waits meanwhile, or its frames are replaced,
// as the run's pace has it.
type Gate interface {
	// MayBegin reports whether a frame may be begun while flight others have
	// been begun and not been shown yet. It does not wait.
	MayBegin(flight int) bool
	// AwaitBegin waits until MayBegin(0), or until ctx is done. It is called
	// only when a frame waits to be begun and none is in flight.
	AwaitBegin(ctx context.Context)
}

// next takes a frame from the lane without waiting. When there is one that may
// not be begun yet it returns the gate that holds it.
func (r *Run) next(l *lane, flight int) (a arrived, ok bool, held Gate) {
	if l.empty() {
		return arrived{}, false, nil
	}
	for _, v := range r.Viewers {
		if g, is := v.(Gate); is && !g.MayBegin(flight) {
			return arrived{}, false, g
		}
	}
	a, ok = l.take() // only this goroutine takes: it is there, or one that is newer
	return a, ok, nil
}
