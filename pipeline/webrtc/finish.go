package webrtc

import (
	"context"
	"errors"
	"math"
	"time"

	"perch/pipeline"
)

// Explain says what fault has ended the run, for Finish to tell the client. What
// made [Session.Source] fail needs no explaining: that is told instead.
func (v *Session) Explain(fault error) {
	if v.input.failure() == nil {
		v.input.fail(fault)
	}
}

// Finish ends a session whose run has ended for reason: the client is told why
// there are no (more) pictures if that was a fault, then that processing is
// complete, unless it has gone. What is queued has some time to arrive. After a
// time limit, or when the run was stopped, the connection is closed; otherwise a
// client that has not connected yet may still do so, and closing is left to it, for
// the time of [SessionOptions.Linger]. When ctx is done it is waited for no longer.
func (v *Session) Finish(ctx context.Context, reason pipeline.Reason) {
	if reason == pipeline.ClientGone || v.ctx.Err() != nil {
		return
	}
	stays := reason != pipeline.TimeoutReached && reason != pipeline.Stopped
	v.say(ctx, reason, stays)
	if stays {
		v.finished.Store(true)
		linger := time.NewTimer(v.opt.Linger)
		defer linger.Stop()
		select {
		case <-v.ctx.Done():
			return
		case <-ctx.Done():
		case <-linger.C:
			v.log.Warn("session closed: its client did not close it", "waited", v.opt.Linger)
			v.stop(errLingered)
		}
	}
	v.Close()
}

// say sends the last words and waits until they have arrived. When the
// connection stays, the client may have its last pictures as slowly as they come.
func (v *Session) say(shutdown context.Context, reason pipeline.Reason, stays bool) {
	v.showing.Lock()
	defer v.showing.Unlock()
	ctx, cancel := v.ctx, context.CancelFunc(func() {})
	if !stays {
		ctx, cancel = context.WithTimeout(ctx, v.opt.CompletionDrain)
	}
	defer cancel()
	if v.video != nil {
		v.video.drain(ctx, v.opt.CompletionDrain)
		v.video.shut() // a session may linger for long
	}
	if stays {
		v.awaitClient(shutdown)
	}
	opened, cancel := context.WithTimeout(ctx, v.opt.CompletionDrain)
	defer cancel()
	select {
	case <-v.results.opened:
	case <-opened.Done():
	}
	if err := v.input.failure(); err != nil {
		v.words.errs = append(v.words.errs[:0], err.Error())
		v.words.notice(v.frames, time.Now(), false, "")
		v.lastWord()
	}
	word := ""
	if reason == pipeline.TimeoutReached {
		word = string(reason)
	}
	v.words.errs = v.words.errs[:0]
	v.words.notice(v.frames, time.Now(), true, word)
	v.lastWord()
	// A client that closes its channel has had its last message. One that may
	// go on reading loses nothing by being slow.
	if err := v.results.flush(v.opt.CompletionDrain); err != nil && !stays && v.ctx.Err() == nil && !errors.Is(err, errNoChannel) {
		v.log.Warn("session ended before its client had read everything", "error", err)
	}
}

// awaitClient waits for a client that may still be connecting: what is refused at
// once is refused before it can be told.
func (v *Session) awaitClient(shutdown context.Context) {
	connecting, cancel := context.WithDeadline(shutdown, v.answered.Add(v.opt.ConnectTimeout))
	defer cancel()
	select {
	case <-v.results.opened:
	case <-v.ctx.Done():
	case <-connecting.Done():
	}
}

// lastWord sends what is on the paper, however much is queued before it: it is
// short, and a client that has paused would never learn that this was the end.
func (v *Session) lastWord() {
	v.last++
	v.post(v.ctx, v.last, false, math.MaxUint64)
}
