package webrtc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"perch/pipeline"
)

// play runs one source. It is called in the goroutine of the session's run.
type play func(ctx context.Context, out pipeline.Outlet) error

// input is where a session's pictures come from: a source of the device's own,
// or the first that the client brings.
type input struct {
	session *Session
	given   pipeline.Source // nil when the client brings the pictures
	chosen  chan play       // of one
	life    chan struct{}   // told when the client did something toward bringing pictures
	run     atomic.Pointer[context.Context]
	scaler  atomic.Pointer[pipeline.Scaler] // what is played, if it is one

	mu      sync.Mutex
	claimed string // guarded by mu: what counts; "" while nothing has come
	err     error  // guarded by mu: what ended the source
}

func newInput(v *Session, req SessionRequest) *input {
	in := &input{session: v, given: req.Source, chosen: make(chan play, 1), life: make(chan struct{}, 1)}
	if in.given != nil {
		in.claimed = "source"
		in.chosen <- in.given.Run
		in.shrinks(in.given)
	}
	return in
}

// shrinks notes that src is played from now on.
func (in *input) shrinks(src pipeline.Source) {
	if s, ok := src.(pipeline.Scaler); ok {
		in.scaler.Store(&s)
	}
}

// Want implements [pipeline.Scaler]. It comes after the first picture.
func (in *input) Want(size pipeline.Size) {
	if s := in.scaler.Load(); s != nil {
		(*s).Want(size)
	}
}

// claim reports whether what is the first to come.
func (in *input) claim(what string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.claimed != "" {
		return false
	}
	in.claimed = what
	return true
}

// ID implements [pipeline.Source].
func (in *input) ID() pipeline.SourceID {
	if in.given != nil {
		return in.given.ID()
	}
	return pipeline.SourceID{Kind: pipeline.SourceWebRTC, Name: "session " + in.session.ID()}
}

// Run implements [pipeline.Source].
func (in *input) Run(ctx context.Context, out pipeline.Outlet) error {
	in.run.Store(&ctx)
	p, err := in.wait(ctx)
	if err == nil {
		err = p(ctx, out)
	}
	if in.session.ctx.Err() != nil {
		// Nobody is left to show it to. Whoever watches Gone ends the run; that
		// the pictures ended as well is not why.
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	in.fail(err)
	return err
}

// wait returns what to play as soon as it is known.
func (in *input) wait(ctx context.Context) (play, error) {
	idle := in.session.opt.UploadIdle
	timer := time.NewTimer(idle)
	timer.Stop() // a client that never connects is not ours to send away
	defer timer.Stop()
	connected := in.session.connected
	for {
		select {
		case p := <-in.chosen:
			return p, nil
		case <-connected:
			connected = nil
			timer.Reset(idle)
		case <-in.life:
			timer.Reset(idle)
		case <-in.session.ctx.Done():
			return nil, context.Cause(in.session.ctx)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-timer.C:
			return nil, &pipeline.Error{Op: "receive pictures from the client", Kind: pipeline.Timeout,
				Err: fmt.Errorf("nothing came for %v", idle), Hint: "send a track, or a whole file over the channel " + uploadLabel}
		}
	}
}

// choose says what will be played. Only what has claimed the input may.
func (in *input) choose(p play) { in.chosen <- p }

// refuse ends the source with an error before it has begun.
func (in *input) refuse(err error) {
	in.choose(func(context.Context, pipeline.Outlet) error { return err })
}

func (in *input) fail(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.err = err
}

// failure is what ended the source, nil at its end.
func (in *input) failure() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.err
}

// track takes a track that the client sends.
func (in *input) track(tr *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	v := in.session
	if tr.Kind() != webrtc.RTPCodecTypeVideo || !in.claim("track "+tr.ID()) {
		v.log.Debug("session's track ignored: its pictures come from elsewhere")
		return
	}
	codec := pipeline.CodecVP8
	if tr.Codec().MimeType == webrtc.MimeTypeH264 {
		codec = pipeline.CodecH264
	}
	r := &trackReader{session: v, track: tr, receiver: receiver, codec: codec, ended: make(chan struct{})}
	if v.group.Go(r.readControl) {
		in.choose(r.play)
	}
}

var errNoCodec = errors.New("no decoder or encoder was set up for sessions")
