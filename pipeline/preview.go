package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Drawer draws a result on a picture, in place.
type Drawer interface {
	Draw(pic Picture, r *Result)
}

// PreviewOptions bound what a preview costs.
type PreviewOptions struct {
	Codecs   []Codec       // that an encoder exists for, best first
	MaxWidth int           // pixels; wider pictures are shrunk by a whole factor; 0: never
	FPS      float64       // pictures a second at most; 0: every one
	Bitrate  int           // bits per second
	Linger   time.Duration // how long an encoder outlives its last viewer
}

// watchQueue is how many units a viewer may be behind before it loses all up
// to the next key frame: about a second.
const watchQueue = 30

// A Preview shows a camera's pictures with what was found on them. One encoder
// a codec serves all viewers; without a viewer nothing is copied, drawn or
// encoded. It is a [Viewer] of its camera's runs.
type Preview struct {
	opt    PreviewOptions
	open   OpenEncoder
	drawer Drawer
	log    *slog.Logger

	viewers atomic.Int32
	wake    chan struct{}

	mu      sync.Mutex
	slot    *shown                      // guarded by mu: the newest frame, on loan
	watches map[Codec]map[*viewing]bool // guarded by mu
	closed  bool                        // guarded by mu
	snaps   []chan Picture              // guarded by mu: who waits for a still picture
	stats   PreviewStats                // guarded by mu
}

// PreviewStats are a preview's accounts.
type PreviewStats struct {
	Viewers  int
	Encoders int    // open now
	Shown    uint64 // pictures handed to an encoder
	Dropped  uint64 // pictures that came while the one before was being drawn, or that an encoder had no room for
	Lost     uint64 // units that a slow viewer missed
}

type shown struct {
	frame Frame
	dets  []Detection
}

// NewPreview returns a preview that lives while its Run does.
func NewPreview(opt PreviewOptions, open OpenEncoder, drawer Drawer, log *slog.Logger) *Preview {
	return &Preview{
		opt: opt, open: open, drawer: drawer, log: log,
		wake: make(chan struct{}, 1), watches: map[Codec]map[*viewing]bool{},
	}
}

// Show implements [Viewer]. It never blocks: the newest picture wins.
func (p *Preview) Show(f Frame, r *Result) error {
	if p.Dozing() || !Whole(f) {
		return nil
	}
	next := &shown{f.Retain(), r.Detections}
	p.mu.Lock()
	old := p.slot
	p.slot = next
	if p.closed {
		old, p.slot = next, nil
	} else if old != nil {
		p.stats.Dropped++
	}
	p.mu.Unlock()
	if old != nil {
		old.frame.Release()
	}
	signal(p.wake)
	return nil
}

// Dozing implements [Dozer]: nobody is watching.
func (p *Preview) Dozing() bool { return p.viewers.Load() == 0 }

// Stats returns a copy of the accounts.
func (p *Preview) Stats() PreviewStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Viewers = int(p.viewers.Load())
	return s
}

// Codecs returns what can be watched, best first.
func (p *Preview) Codecs() []Codec { return p.opt.Codecs }

// Watch adds a viewer. Its first unit is a key frame.
func (p *Preview) Watch(codec Codec) (Watch, error) {
	if !slices.Contains(p.opt.Codecs, codec) {
		return nil, &Error{Op: "watch", Kind: Unsupported, Err: fmt.Errorf("no encoder for %s on this device", codec)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, &Error{Op: "watch", Kind: Gone, Err: errors.New("the camera is being stopped")}
	}
	w := &viewing{p: p, codec: codec, units: make(chan AccessUnit, watchQueue), needKey: true}
	if p.watches[codec] == nil {
		p.watches[codec] = map[*viewing]bool{}
	}
	p.watches[codec][w] = true
	p.viewers.Add(1)
	return w, nil
}

// Snapshot returns the next picture, at its full size and with what was found
// on it. It fails with ctx, or when the camera is being stopped.
func (p *Preview) Snapshot(ctx context.Context) (Picture, error) {
	snap := make(chan Picture, 1)
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return Picture{}, &Error{Op: "take snapshot", Kind: Gone, Err: errors.New("the camera is being stopped")}
	}
	p.snaps = append(p.snaps, snap)
	p.mu.Unlock()
	p.viewers.Add(1)
	defer p.viewers.Add(-1)
	select {
	case pic := <-snap:
		return pic, nil
	case <-ctx.Done():
		return Picture{}, &Error{Op: "take snapshot", Kind: Gone, Err: errors.New("the camera sends no pictures at present")}
	}
}

// viewing is one viewer's [Watch]. Its fields are guarded by the preview's mu.
type viewing struct {
	p       *Preview
	codec   Codec
	units   chan AccessUnit
	needKey bool // nothing may be sent before a key frame
	gone    bool
}

func (w *viewing) Units() <-chan AccessUnit { return w.units }

// NeedKey asks for a key frame; until it comes the viewer is sent nothing, for
// it could not decode it.
func (w *viewing) NeedKey() {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.needKey = w.needKey || !w.gone
}

func (w *viewing) Close() {
	w.p.mu.Lock()
	w.p.remove(w)
	w.p.mu.Unlock()
	signal(w.p.wake)
}

// remove ends a viewing; mu is held.
func (p *Preview) remove(w *viewing) {
	if !w.gone {
		w.gone = true
		delete(p.watches[w.codec], w)
		p.viewers.Add(-1)
		close(w.units)
	}
}

// spread hands u to everybody who watches codec.
func (p *Preview) spread(codec Codec, u AccessUnit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.watches[codec] {
		if w.needKey && !u.Key {
			continue
		}
		select {
		case w.units <- u:
			w.needKey = false
		default:
			w.needKey = true // it would decode garbage: skip to the next key frame
			p.stats.Lost++
		}
	}
}

// Run draws and encodes for whoever watches, until ctx is done. Then all
// viewers are sent away.
func (p *Preview) Run(ctx context.Context) {
	b := &previewBench{p: p, encoders: map[Codec]*previewEncoder{}}
	defer b.close()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			b.rest(time.Now())
		case <-p.wake:
			p.mu.Lock()
			s := p.slot
			p.slot = nil
			p.mu.Unlock()
			if s != nil {
				b.show(s)
				s.frame.Release()
			}
		}
	}
}
