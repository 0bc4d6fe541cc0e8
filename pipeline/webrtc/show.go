package webrtc

import (
	"context"
	"errors"
	"time"

	"perch/pipeline"
)

// Show implements [pipeline.Viewer]: it sends the frame's picture, if pictures
// are wanted, and its message. It waits while the client reads too slowly, and in
// batch mode for an ACK that a frame begun before the first one lacks. It ends
// early when the client goes or the run is told to end, and never fails: what a
// client misses does not concern the run.
func (v *Session) Show(f pipeline.Frame, r *pipeline.Result) error {
	v.showing.Lock()
	defer v.showing.Unlock()
	ctx, cancel := v.untilEnd()
	defer cancel()
	if v.batch && !v.mayShow(ctx) {
		v.count.skipped.Add(1)
		return nil
	}
	v.frames++
	v.last = v.frames
	v.count.frames.Add(1)
	info, o := f.Info(), v.wishes.outputs()
	v.words.errs = append(v.words.errs[:0], r.Errors...)
	switch {
	case v.video == nil:
		v.start(info.PTS)
	case v.video.sending():
		v.words.errs = v.video.show(ctx, f, r, o.stream, v.words.errs)
	}
	if v.results.newest() == nil { // writing images down for nobody would be dear
		v.count.skipped.Add(1)
		return nil
	}
	v.words.result(v.facts(info), r, o, v.opt.JPEGQuality)
	v.post(ctx, v.frames, v.opt.Gzip && (o.all || len(o.names) > 0), uint64(v.opt.BufferLimit))
	return nil
}

// start sets the client's clock to 0 at a frame's time, unless it goes already.
func (v *Session) start(pts time.Duration) {
	if !v.based {
		v.base, v.based = pts, true
	}
}

// Dozing implements [pipeline.Dozer]: a session that sends no pictures takes none
// but those that its workflow made.
func (v *Session) Dozing() bool { return v.video == nil }

// facts describe a frame as it was received: a picture that was turned by a
// quarter counts as it lay before.
func (v *Session) facts(info pipeline.FrameInfo) frameFacts {
	stream := v.stream()
	f := frameFacts{id: v.frames, received: info.Wall, pts: info.PTS - v.base, timed: v.based, fps: v.fps, width: info.Width, height: info.Height}
	if stream.Rotation%180 != 0 {
		f.width, f.height = f.height, f.width
	}
	if v.uploads.used() && stream.FPS > 0 {
		f.fps = &stream.FPS
	}
	return f
}

// post sends what is on the paper, waiting while more than limit bytes are queued.
func (v *Session) post(ctx context.Context, id uint32, zip bool, limit uint64) {
	page := v.words.page
	if zip {
		zipped, err := v.results.compress(page, v.words.zipped)
		if err != nil {
			v.log.Error("message not compressed", "error", err)
			return
		}
		v.words.zipped, page = zipped, zipped
	}
	switch err := v.results.send(ctx, id, page, limit); {
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
