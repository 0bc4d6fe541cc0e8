package pipeline

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Persistent source opens a live source again when it goes away, for as long
// as its run lasts, so that a short loss does not take the state of trackers and
// counters with it. Numbers and times of its frames go on where they were.
// How long a loss may be is for the one to say who ends the run, or for Enough.
// Fill in the fields, then call Run once.
type Persistent struct {
	First Source                 // played first
	Again func() (Source, error) // returns the same camera's next one
	Wait  Backoff                // before each attempt
	Lost  func(err error)        // told of each loss; may be nil
	Log   *slog.Logger

	// Enough reports whether a loss that may pass by itself is final all the
	// same: of a stream described by info, whose newest picture came so long
	// ago. nil: none is.
	Enough func(info StreamInfo, silent time.Duration, err error) bool

	mu   sync.Mutex
	now  Source // guarded by mu: what is played
	want Size   // guarded by mu
}

// ID implements [Source].
func (p *Persistent) ID() SourceID { return p.First.ID() }

// Want implements [Scaler].
func (p *Persistent) Want(size Size) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want = size
	p.tell()
}

// play says what is played from now on.
func (p *Persistent) play(src Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = src
	p.tell()
}

// tell hands the wish on. The mu is held.
func (p *Persistent) tell() {
	if s, ok := p.now.(Scaler); ok {
		s.Want(p.want)
	}
}

// Run implements [Source]. It returns when ctx is done, when the camera was
// never there, when it is lost for a reason that waiting does not mend, and when
// it has been Enough.
func (p *Persistent) Run(ctx context.Context, out Outlet) error {
	o := &joined{Outlet: out, shown: time.Now()}
	for src, attempt := p.First, 0; ; {
		p.play(src)
		err := src.Run(ctx, o)
		if ctx.Err() != nil || !o.opened || err != nil && !passes(err) {
			return err
		}
		if p.Enough != nil && p.Enough(o.info, time.Since(o.shown), err) {
			return p.final(err)
		}
		if o.lasted() >= p.Wait.Max { // one that ends again and again is asked ever more rarely
			attempt = 0
		}
		attempt++
		wait := p.Wait.After(attempt)
		p.Log.Warn("the camera went away and is tried again", "wait", wait, "error", text(err))
		if p.Lost != nil {
			p.Lost(err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if src, err = p.Again(); err != nil {
			return err
		}
		o.next()
	}
}

// final is how a loss is told of that ends the run: whatever came of the last
// attempt, the camera went away.
func (p *Persistent) final(err error) error {
	if k := KindOf(err); err == nil || k == Gone || k == Timeout {
		return err
	}
	return &Error{Op: "play", On: p.ID().Name, Kind: Gone, Err: err}
}

// passes reports whether the reason why an open camera went away may pass by
// itself. One that starts again may have its stream a little after its network.
func passes(err error) bool {
	switch KindOf(err) {
	case Gone, Timeout, NotFound, Busy:
		return true
	}
	return false
}

// joined makes one stream of several. It belongs to the goroutine that plays.
type joined struct {
	Outlet
	opened  bool
	info    StreamInfo
	playing bool          // the present stream has shown a picture
	since   time.Time     // when it showed its first
	zero    time.Time     // the moment at which frames have the time 0
	last    FrameInfo     // of the newest frame
	shown   time.Time     // when it had been taken
	skipSeq uint64        // added to the numbers of the present stream
	skipPTS time.Duration // added to its times
}

func (o *joined) Opened(info StreamInfo) {
	o.opened, o.info = true, info
	o.Outlet.Opened(info)
}

func (o *joined) PutFrame(ctx context.Context, f Frame) {
	i := f.Info()
	if !o.playing {
		o.begin(i)
	}
	i.Seq, i.PTS = i.Seq+o.skipSeq, i.PTS+o.skipPTS
	o.last = i
	o.Outlet.PutFrame(ctx, shifted{f, i})
	o.shown = time.Now()
}

// begin places a stream, whose first frame is described, behind those before it.
// As much time lies between them as the clock says.
func (o *joined) begin(first FrameInfo) {
	o.playing, o.since = true, time.Now()
	if o.zero.IsZero() {
		o.zero = o.since.Add(-first.PTS)
		return
	}
	o.skipPTS = max(o.since.Sub(o.zero), o.last.PTS+time.Millisecond) - first.PTS
}

// lasted returns for how long the present stream has shown pictures.
func (o *joined) lasted() time.Duration {
	if !o.playing {
		return 0
	}
	return time.Since(o.since)
}

// next is called before the next stream is played.
func (o *joined) next() { o.playing, o.skipSeq = false, o.last.Seq }

// shifted is a frame with another place in time.
type shifted struct {
	Frame
	info FrameInfo
}

func (s shifted) Info() FrameInfo { return s.info }

func (s shifted) Retain() Frame { return shifted{s.Frame.Retain(), s.info} }
