package gst

import (
	"context"
	"errors"
	"sync"
	"time"

	"perch/pipeline"
)

// errClosed ends a source that was opened and never run.
var errClosed = errors.New("the source was closed")

// An OpenedSource is a source that has shown its first picture already. It is a
// [pipeline.Source] whose Run goes on from there, over the same connection.
// Whoever has one calls Run once, or Close.
type OpenedSource struct {
	src   pipeline.Source
	stop  context.CancelCauseFunc
	gate  *gate
	ended chan struct{}
	err   error // of the source; set before ended is closed
}

// OpenSource starts the source that spec describes and returns when it has
// shown a picture, or with the error of a source that cannot be opened. With
// [pipeline.Realtime] pace the newest picture waits until Run, with
// [pipeline.Lossless] the source waits with the first one.
func (m *Media) OpenSource(ctx context.Context, spec SourceSpec) (*OpenedSource, error) {
	src, err := m.NewSource(spec)
	if err != nil {
		return nil, err
	}
	play, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	o := &OpenedSource{src: src, stop: stop, ended: make(chan struct{})}
	o.gate = &gate{pace: spec.Pace, first: make(chan struct{}), open: make(chan struct{})}
	go func() { // whoever waits for o.ended waits for it: Close, Run, or what follows here
		defer close(o.ended)
		o.err = src.Run(play, o.gate)
	}()
	select {
	case <-o.gate.first:
		return o, nil
	case <-o.ended:
		select {
		case <-o.gate.first:
			return o, nil // a very short one
		default:
		}
		stop(nil)
		if o.err == nil {
			o.err = &pipeline.Error{Op: "open", On: src.ID().Name, Kind: pipeline.BadInput, Err: errNoFrames}
		}
		return nil, o.err
	case <-ctx.Done():
		o.end(context.Cause(ctx))
		return nil, context.Cause(ctx)
	}
}

// ID implements [pipeline.Source].
func (o *OpenedSource) ID() pipeline.SourceID { return o.src.ID() }

// Want implements [pipeline.Scaler].
func (o *OpenedSource) Want(size pipeline.Size) { o.src.(pipeline.Scaler).Want(size) }

// Info is what is known of the stream.
func (o *OpenedSource) Info() pipeline.StreamInfo {
	o.gate.mu.Lock()
	defer o.gate.mu.Unlock()
	return o.gate.info
}

// Run hands over the pictures, the waiting one first. See [pipeline.Source].
// Numbers and times begin anew with the first that is handed over.
func (o *OpenedSource) Run(ctx context.Context, out pipeline.Outlet) error {
	defer o.stop(nil)
	stop := context.AfterFunc(ctx, func() { o.stop(context.Cause(ctx)) })
	defer stop()
	o.gate.attach(ctx, out)
	<-o.ended
	o.gate.drop() // what came when ctx was done already
	return o.err
}

// Close ends a source that is not wanted any more. It may be called at any
// time, and more than once.
func (o *OpenedSource) Close() { o.end(errClosed) }

func (o *OpenedSource) end(cause error) {
	o.stop(cause)
	<-o.ended
	o.gate.drop()
}

// A gate holds a picture back until there is an outlet for it.
type gate struct {
	pace  pipeline.Pace
	first chan struct{} // closed with the first picture
	open  chan struct{} // closed by attach

	mu   sync.Mutex
	info pipeline.StreamInfo // guarded by mu
	held *frame              // guarded by mu: the picture that waits; nil when there is none
	seen bool                // guarded by mu: first is closed
	out  pipeline.Outlet     // guarded by mu: nil until attach
	seq  uint64              // guarded by mu: number of the last picture before the first that is handed over
	base time.Duration       // guarded by mu: and the latter's time
}

func (g *gate) Opened(i pipeline.StreamInfo) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.info = i
}

func (g *gate) PutFrame(ctx context.Context, f pipeline.Frame) {
	fr := f.(*frame) // the only kind that sources of this package make
	g.mu.Lock()
	if g.out == nil && g.held != nil && g.pace == pipeline.Realtime {
		g.held.Release()
		g.held = nil
	}
	if g.out == nil && g.held == nil {
		g.held = fr
		if !g.seen {
			g.seen = true
			close(g.first)
		}
		g.mu.Unlock()
		return
	}
	g.mu.Unlock()
	select {
	case <-g.open:
		g.deliver(ctx, fr)
	case <-ctx.Done():
		fr.Release()
	}
}

// attach opens the gate. The picture that waits goes first: the source's
// goroutine does not pass until it has.
func (g *gate) attach(ctx context.Context, out pipeline.Outlet) {
	g.mu.Lock()
	held := g.held
	g.held, g.out = nil, out
	if held != nil {
		g.seq, g.base = held.info.Seq-1, held.info.PTS
	}
	info := g.info
	g.mu.Unlock()
	out.Opened(info)
	if held != nil {
		g.deliver(ctx, held)
	}
	close(g.open)
}

func (g *gate) deliver(ctx context.Context, f *frame) {
	g.mu.Lock()
	out := g.out
	f.info.Seq -= g.seq
	f.info.PTS -= g.base
	g.mu.Unlock()
	out.PutFrame(ctx, f)
}

// drop gives back a picture that nobody came for.
func (g *gate) drop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held != nil {
		g.held.Release()
		g.held = nil
	}
}
