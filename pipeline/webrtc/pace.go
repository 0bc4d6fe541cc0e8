package webrtc

import (
	"context"
	"time"
)

// MayBegin implements [pipeline.Gate]: in batch mode the workflow does not run
// on a frame before the client may be sent it.
func (v *Session) MayBegin(flight int) bool {
	if !v.batch {
		return true
	}
	v.showing.Lock()
	defer v.showing.Unlock()
	return v.attended() && v.allows(flight+1)
}

// AwaitBegin implements [pipeline.Gate].
func (v *Session) AwaitBegin(ctx context.Context) {
	both, cancel := context.WithCancel(v.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	v.showing.Lock()
	ok := v.mayShow(both)
	v.showing.Unlock()
	if !ok {
		<-ctx.Done() // whoever watches Gone ends the run
	}
}

// untilEnd returns a context that is done when the client has gone or the run
// has been told to end.
func (v *Session) untilEnd() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(v.ctx)
	run := v.input.run.Load()
	if run == nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(*run, cancel)
	return ctx, func() { stop(); cancel() }
}

// mayShow waits, in batch mode, until a channel for results is open and the
// client's ACKs allow the next frame. It reports false when the session ends
// first; showing is held.
func (v *Session) mayShow(ctx context.Context) bool {
	if !v.attended() {
		limit := time.NewTimer(v.opt.ConnectTimeout)
		defer limit.Stop()
		select {
		case <-v.results.opened:
		case <-limit.C: // it has none; there may still be pictures for it
			v.unheard = true
		case <-ctx.Done():
			return false
		}
	}
	for !v.allows(1) {
		select {
		case <-v.wishes.woke:
		case <-ctx.Done():
			return false
		}
	}
	return v.ctx.Err() == nil
}

// attended reports whether a channel for results is open, or was waited for in
// vain; showing is held.
func (v *Session) attended() bool {
	select {
	case <-v.results.opened:
		return true
	default:
		return v.unheard
	}
}

// allows reports whether the client's ACKs allow n more frames; showing is held.
func (v *Session) allows(n int) bool {
	ack := v.wishes.acked()
	return ack < 0 || int64(v.frames)+int64(n) <= ack+int64(v.opt.ACKWindow)
}
