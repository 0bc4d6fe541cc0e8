package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"perch/pipeline"
)

// bounded ends a source whose pictures are larger than a session may have.
type bounded struct {
	pipeline.Source
	pixels int
}

func (b *bounded) Run(ctx context.Context, out pipeline.Outlet) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	gate := &boundedOutlet{Outlet: out, pixels: b.pixels, cancel: cancel}
	err := b.Source.Run(ctx, gate)
	if gate.err != nil {
		return gate.err
	}
	return err
}

type boundedOutlet struct {
	pipeline.Outlet
	pixels int
	cancel context.CancelCauseFunc
	err    error // owned by the source's goroutine
}

func (o *boundedOutlet) Opened(info pipeline.StreamInfo) {
	o.check(info.Width, info.Height)
	o.Outlet.Opened(info)
}

func (o *boundedOutlet) PutFrame(ctx context.Context, f pipeline.Frame) {
	if i := f.Info(); !o.check(i.Width, i.Height) {
		f.Release()
		return
	}
	o.Outlet.PutFrame(ctx, f)
}

func (o *boundedOutlet) check(width, height int) bool {
	if width*height > o.pixels && o.err == nil {
		o.err = &pipeline.Error{
			Op: "play", On: "the session's pictures", Kind: pipeline.BadInput, Err: fmt.Errorf("they have %d x %d pixels and at most %d are processed", width, height, o.pixels),
			Hint: "sessions.max_pixels is the limit",
		}
		o.cancel(o.err)
	}
	return o.err == nil
}

// early plays a source before its run begins, so that a camera which cannot be
// opened is found out while the client still waits for its answer. Pictures
// that come before the run are let go.
type early struct {
	pipeline.Source
	spawn func(func())
	info  chan pipeline.StreamInfo // one element
	ended chan struct{}
	err   error // once ended is closed
	stop  context.CancelCauseFunc

	mu  sync.Mutex
	out pipeline.Outlet // guarded by mu; nil until the run has begun
	ctx context.Context // guarded by mu; of the run
}

func newEarly(src pipeline.Source, spawn func(func())) *early {
	return &early{Source: src, spawn: spawn, info: make(chan pipeline.StreamInfo, 1), ended: make(chan struct{})}
}

// opened starts the source, which plays until runCtx is done, and waits until
// it is open.
func (e *early) opened(ctx, runCtx context.Context) error {
	playCtx, cancel := context.WithCancelCause(runCtx)
	e.stop = cancel
	open := make(chan struct{})
	e.spawn(func() {
		defer close(e.ended)
		defer cancel(nil)
		e.err = e.Source.Run(playCtx, &earlyOutlet{e: e, open: open})
	})
	select {
	case <-open:
		return nil
	case <-e.ended:
		if e.err == nil {
			return errors.New("the source ended before it showed a picture")
		}
		return e.err
	case <-ctx.Done():
		cancel(context.Cause(ctx))
		<-e.ended
		return &pipeline.Error{Op: "open", On: e.ID().Name, Kind: pipeline.Timeout, Err: context.Cause(ctx)}
	}
}

// Run implements [pipeline.Source].
func (e *early) Run(ctx context.Context, out pipeline.Outlet) error {
	out.Opened(<-e.info)
	e.mu.Lock()
	e.out, e.ctx = out, ctx
	e.mu.Unlock()
	defer context.AfterFunc(ctx, func() { e.stop(context.Cause(ctx)) })()
	<-e.ended
	return e.err
}

type earlyOutlet struct {
	e    *early
	open chan struct{}
}

func (o *earlyOutlet) Opened(info pipeline.StreamInfo) {
	o.e.info <- info
	close(o.open)
}

func (o *earlyOutlet) PutFrame(ctx context.Context, f pipeline.Frame) {
	o.e.mu.Lock()
	out := o.e.out
	o.e.mu.Unlock()
	if out == nil {
		f.Release()
		return
	}
	out.PutFrame(ctx, f)
}

// How a session's camera that went away is tried again.
const (
	reconnectLeast = time.Second
	reconnectMost  = 15 * time.Second
)

// persistent opens a live source again when it goes away, until ctx is done.
// Time and numbers of its frames go on where they were.
type persistent struct {
	first pipeline.Source
	open  func() (pipeline.Source, error)
	log   *slog.Logger
}

func (p *persistent) ID() pipeline.SourceID { return p.first.ID() }

func (p *persistent) Run(ctx context.Context, out pipeline.Outlet) error {
	o := &persistentOutlet{Outlet: out, start: time.Now()}
	src, wait := p.first, reconnectLeast
	for {
		seen := o.seq
		err := src.Run(ctx, o)
		if ctx.Err() != nil {
			return err
		}
		if k := pipeline.KindOf(err); err != nil && k != pipeline.Gone && k != pipeline.Timeout || !o.opened {
			return err // it will not get better, or it was never there
		}
		if o.seq > seen {
			wait = reconnectLeast
		}
		p.log.Warn("the session's camera went away and is tried again", "wait", wait, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		wait = min(2*wait, reconnectMost)
		if src, err = p.open(); err != nil {
			return err
		}
		o.again()
	}
}

// persistentOutlet makes one stream of several. It belongs to the goroutine
// that plays.
type persistentOutlet struct {
	pipeline.Outlet
	start   time.Time
	opened  bool
	seq     uint64        // of the newest frame
	skipSeq uint64        // added to the numbers of the present stream
	skipPTS time.Duration // added to its times
}

func (o *persistentOutlet) Opened(info pipeline.StreamInfo) {
	if !o.opened {
		o.opened = true
		o.Outlet.Opened(info)
	}
}

func (o *persistentOutlet) PutFrame(ctx context.Context, f pipeline.Frame) {
	i := f.Info()
	i.Seq, i.PTS = i.Seq+o.skipSeq, i.PTS+o.skipPTS
	o.seq = i.Seq
	o.Outlet.PutFrame(ctx, shifted{f, i})
}

// again is called before the next stream begins.
func (o *persistentOutlet) again() { o.skipSeq, o.skipPTS = o.seq, time.Since(o.start) }

// shifted is a frame with another place in time.
type shifted struct {
	pipeline.Frame
	info pipeline.FrameInfo
}

func (s shifted) Info() pipeline.FrameInfo { return s.info }

func (s shifted) Retain() pipeline.Frame { return shifted{s.Frame.Retain(), s.info} }
