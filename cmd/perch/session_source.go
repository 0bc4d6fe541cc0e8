package main

import (
	"context"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"perch/cmd/internal/api"
	"perch/gst"
	"perch/pipeline"
)

// sessionSource returns the pictures that the device itself must get; nil when
// the client brings them. It is open, or the request fails.
func (s *sessions) sessionSource(ctx context.Context, req api.SessionRequest) (pipeline.Source, error) {
	c := s.cfg.Sessions
	kind, address := pipeline.SourceRTSP, req.RTSPURL
	if address == "" {
		kind, address = pipeline.SourceHTTP, req.MJPEGURL
	}
	if address == "" {
		return nil, nil
	}
	trusted, name := c.RTSPPlaceholder != "" && address == c.RTSPPlaceholder, "of the placeholder"
	if trusted {
		address = c.RTSPPlaceholderURL.Reveal()
	} else {
		pinned, err := s.guard.Check(ctx, address)
		if err != nil {
			return nil, &api.ConfigurationError{Message: err.Error() + ". The device's administrator can allow it with sessions.allow_urls."}
		}
		name, address = hostOf(address), pinned
	}
	pace := pipeline.Lossless
	if req.Realtime {
		pace = pipeline.Realtime
	}
	spec := gst.SourceSpec{
		Kind: kind, Name: name, URL: address, Transport: gst.TransportTCP, Pace: pace, RealTime: true, NoRedirect: !trusted, MaxPixels: c.MaxPixels,
		OpenTimeout: time.Duration(c.RTSPTimeout), StallTimeout: time.Duration(c.RTSPTimeout),
	}
	opened, err := s.media.OpenSource(ctx, spec)
	if err != nil {
		return nil, &api.SourceError{Err: err}
	}
	if !c.Reconnect {
		return opened, nil
	}
	again := func() (pipeline.Source, error) { return s.media.NewSource(spec) }
	return &persistent{first: opened, open: again, log: s.log}, nil
}

// hostOf names a camera by its address, without user, password and path.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "of the client"
	}
	return u.Scheme + "://" + u.Host
}

// How a session's camera that went away is tried again.
const (
	reconnectLeast = time.Second
	reconnectMost  = 15 * time.Second
)

// persistent opens a live source again when it goes away, until ctx is done.
// Time and numbers of its frames go on where they were.
type persistent struct {
	first interface {
		pipeline.Source
		Close()
	}
	open func() (pipeline.Source, error)
	log  *slog.Logger

	mu   sync.Mutex
	now  pipeline.Source // guarded by mu: what is played
	want pipeline.Size   // guarded by mu
}

// Want implements [pipeline.Scaler].
func (p *persistent) Want(size pipeline.Size) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want = size
	p.tell()
}

// play says what is played from now on.
func (p *persistent) play(src pipeline.Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = src
	p.tell()
}

// tell hands the wish on. The mu is held.
func (p *persistent) tell() {
	if s, ok := p.now.(pipeline.Scaler); ok {
		s.Want(p.want)
	}
}

func (p *persistent) ID() pipeline.SourceID { return p.first.ID() }

// Close ends a source that is not run.
func (p *persistent) Close() { p.first.Close() }

func (p *persistent) Run(ctx context.Context, out pipeline.Outlet) error {
	o := &persistentOutlet{Outlet: out, start: time.Now()}
	src, wait := pipeline.Source(p.first), reconnectLeast
	for {
		seen := o.seq
		p.play(src)
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
		src, err = p.open()
		if err != nil {
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
