package webrtc

import (
	"context"
	"errors"
	"time"

	"perch/pipeline"
)

// Show implements [pipeline.Viewer]: it sends the frame's picture, if pictures
// are wanted, and its message. In batch mode it first waits for the client's
// ACKs; in both it waits while the client reads too slowly. It ends early when
// the client goes or the run is told to end, and never fails: what a client
// misses does not concern the run.
func (v *Session) Show(f pipeline.Frame, r *pipeline.Result) error {
	v.showing.Lock()
	defer v.showing.Unlock()
	v.frames++
	v.last = v.frames
	v.count.frames.Add(1)
	ctx, cancel := v.untilEnd()
	defer cancel()
	if v.batch && !v.mayShow(ctx) {
		v.count.skipped.Add(1)
		return nil
	}
	info, o := f.Info(), v.wishes.outputs()
	v.words.errs = append(v.words.errs[:0], r.Errors...)
	connected := v.video == nil || v.video.sending()
	if connected && !v.based {
		v.base, v.based = info.PTS, true
	}
	if v.video != nil && connected {
		v.words.errs = v.video.show(ctx, f, r, o.stream, info.PTS-v.base, v.words.errs)
	}
	if v.results.newest() == nil { // writing images down for nobody would be dear
		v.count.skipped.Add(1)
		return nil
	}
	v.words.result(v.facts(info), r, o, v.opt.JPEGQuality)
	v.post(ctx, v.frames, v.opt.Gzip && (o.all || len(o.names) > 0))
	return nil
}

// Dozing implements [pipeline.Dozer]: a session that sends no pictures takes none
// but those that its workflow made.
func (v *Session) Dozing() bool { return v.video == nil }

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

// facts describe a frame as it was received: a picture that was turned by a
// quarter counts as it lay before.
func (v *Session) facts(info pipeline.FrameInfo) frameFacts {
	stream := v.stream()
	f := frameFacts{id: v.frames, received: info.Wall, pts: info.PTS - v.base, fps: v.fps, width: info.Width, height: info.Height}
	if stream.Rotation%180 != 0 {
		f.width, f.height = f.height, f.width
	}
	if v.uploads.used() && stream.FPS > 0 {
		f.fps = &stream.FPS
	}
	return f
}

// mayShow waits, in batch mode, until a channel for results is open and the
// client's ACKs allow the frame. It reports false when the session ends first.
func (v *Session) mayShow(ctx context.Context) bool {
	select {
	case <-v.results.opened:
	default:
		limit := time.NewTimer(v.opt.ConnectTimeout)
		defer limit.Stop()
		select {
		case <-v.results.opened:
		case <-limit.C: // it has none; there may still be pictures for it
		case <-ctx.Done():
			return false
		}
	}
	for {
		if ack := v.wishes.acked(); ack < 0 || int64(v.frames) <= ack+int64(v.opt.ACKWindow) {
			return ctx.Err() == nil
		}
		select {
		case <-v.wishes.woke:
		case <-ctx.Done():
			return false
		}
	}
}

// post sends what is on the paper.
func (v *Session) post(ctx context.Context, id uint32, zip bool) {
	page := v.words.page
	if zip {
		zipped, err := v.results.compress(page, v.words.zipped)
		if err != nil {
			v.log.Error("message not compressed", "error", err)
			return
		}
		v.words.zipped, page = zipped, zipped
	}
	switch err := v.results.send(ctx, id, page); {
	case err == nil:
	case errors.Is(err, errNoChannel):
		v.count.skipped.Add(1)
	default:
		v.count.abandoned.Add(1)
		if v.ctx.Err() == nil {
			v.log.Warn("message to session abandoned", "frame", id, "error", err)
		}
	}
}

// Explain says what fault has ended the run, for Finish to tell the client. What
// made [Session.Source] fail needs no explaining.
func (v *Session) Explain(fault error) { v.input.fail(fault) }

// Finish ends a session whose run has ended for reason: the client is told why
// there are no (more) pictures if that was a fault, then that processing is
// complete, unless it has gone. What is queued has some time to arrive. After a
// time limit, or when the run was stopped, the connection is closed; otherwise
// that is left to the client, for the time of [SessionOptions.Linger].
func (v *Session) Finish(reason pipeline.Reason) {
	if reason == pipeline.ClientGone || v.ctx.Err() != nil {
		return
	}
	v.say(reason)
	if reason != pipeline.TimeoutReached && reason != pipeline.Stopped {
		v.finished.Store(true)
		linger := time.NewTimer(v.opt.Linger)
		defer linger.Stop()
		select {
		case <-v.ctx.Done():
			return
		case <-linger.C:
			v.log.Warn("session closed: its client did not close it", "waited", v.opt.Linger)
		}
		v.stop(errLingered)
	}
	v.Close()
}

// say sends the last words and waits until they have arrived.
func (v *Session) say(reason pipeline.Reason) {
	v.showing.Lock()
	defer v.showing.Unlock()
	ctx, cancel := context.WithTimeout(v.ctx, v.opt.CompletionDrain)
	defer cancel()
	if v.video != nil {
		v.video.drain(ctx, v.opt.CompletionDrain)
	}
	select { // what is refused at once is refused before the client can be told
	case <-v.results.opened:
	case <-ctx.Done():
	}
	if err := v.input.failure(); err != nil {
		v.words.errs = append(v.words.errs[:0], err.Error())
		v.words.notice(v.frames, time.Now(), false, "")
		v.last++
		v.post(ctx, v.last, false)
	}
	word := ""
	if reason == pipeline.TimeoutReached {
		word = string(reason)
	}
	v.words.errs = v.words.errs[:0]
	v.words.notice(v.frames, time.Now(), true, word)
	v.last++
	v.post(ctx, v.last, false)
	// A client that closes its channel has had its last message.
	if err := v.results.flush(v.opt.CompletionDrain); err != nil && v.ctx.Err() == nil && !errors.Is(err, errNoChannel) {
		v.log.Warn("session ended before its client had read everything", "error", err)
	}
}
