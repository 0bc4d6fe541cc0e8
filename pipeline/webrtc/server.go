// Package webrtc talks to browsers. A viewer is shown a preview: its SDP offer
// is answered and encoded pictures are sent until it goes away; the HTTP side of
// that is WHEP (draft-ietf-wish-whep, the egress sibling of RFC 9725). A
// [Session] is a client of the WebRTC worker protocol: it may bring the pictures
// itself, as a track or as an uploaded file, and gets results over a data
// channel and, if it wants, pictures over a track.
package webrtc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"perch/pipeline"
)

// MaxOffer is the largest SDP offer that is looked at, in bytes. Browsers send
// about 6 KB.
const MaxOffer = 64 << 10

// A Feed is what a viewer watches: one preview, in whichever codec its encoders
// can produce. Watch fails with Kind Unsupported when they cannot produce codec.
type Feed interface {
	Watch(codec pipeline.Codec) (pipeline.Watch, error)
}

// Options say how a [Server] reaches its viewers and sessions. Zero values are replaced by
// the defaults given with each field.
type Options struct {
	Listen     string        // UDP address for all media; default ":8189"
	Addresses  []string      // IP addresses to announce instead of the interfaces' own (1:1 NAT)
	MaxViewers int           // more are refused with Kind Busy; default 16
	Gather     time.Duration // limit for finding our own addresses; default 2 s
	Connect    time.Duration // limit from answer to connected; default 15 s
	Silence    time.Duration // a viewer or session unheard of for so long has vanished; default 10 s
	Log        *slog.Logger  // default discards
	Sessions   SessionOptions
}

func (o Options) withDefaults() Options {
	o.Listen = cmp.Or(o.Listen, ":8189")
	o.MaxViewers = cmp.Or(o.MaxViewers, 16)
	o.Gather = cmp.Or(o.Gather, 2*time.Second)
	o.Connect = cmp.Or(o.Connect, 15*time.Second)
	o.Silence = cmp.Or(o.Silence, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Sessions = o.Sessions.withDefaults()
	return o
}

// An Answer is what a viewer gets for its offer.
type Answer struct {
	ID  string // names the viewer in [Server.End]; cannot be guessed
	SDP string // complete: all candidates are in it
}

// Stats are a server's counts.
type Stats struct {
	Viewers     int    // now, whether connected yet or not
	Connected   int    // now
	Accepted    uint64 // offers that were answered
	Rejected    uint64 // offers that were malformed or asked for what we lack
	Full        uint64 // offers refused because of MaxViewers
	Vanished    uint64 // viewers that never connected or went silent
	Units       uint64 // encoded pictures sent, over all viewers
	Skipped     uint64 // pictures not sent because a viewer still waited for a key frame
	Packets     uint64
	Bytes       uint64 // RTP payload
	KeyRequests uint64 // from viewers (PLI, FIR)
	Sessions    SessionStats
}

type counters struct {
	connected                                atomic.Int64
	accepted, rejected, full, vanished       atomic.Uint64
	units, skipped, packets, bytes, keyframe atomic.Uint64
}

// Server holds all viewers' and sessions' connections. They share one UDP port.
type Server struct {
	opts     Options
	mux      *mux
	apis     map[pipeline.Codec]*webrtc.API
	count    counters
	sessions struct {
		apis  map[pipeline.Codec]*webrtc.API
		count sessionCounters
		space *space
		open  map[*Session]bool // guarded by mu
	}

	ctx  context.Context // done when the server closes
	stop context.CancelCauseFunc
	wg   sync.WaitGroup // one for each viewer

	mu      sync.Mutex
	closed  bool
	viewers map[string]*viewer
	places  int // taken, including offers that are still being answered
}

var errClosing = errors.New("the server is closing")

// Open takes the UDP port. It fails with Kind BadConfig when that is not
// possible.
func Open(o Options) (*Server, error) {
	o = o.withDefaults()
	for _, a := range o.Addresses {
		if net.ParseIP(a) == nil {
			return nil, &pipeline.Error{Op: "announce address", On: a, Kind: pipeline.BadConfig,
				Err: errors.New("not an IP address"), Hint: "give the address that viewers reach this device by, without a port"}
		}
	}
	m, err := listen(o.Listen, o.Log)
	if err != nil {
		return nil, err
	}
	s := &Server{opts: o, mux: m, apis: map[pipeline.Codec]*webrtc.API{}, viewers: map[string]*viewer{}}
	s.sessions.apis, s.sessions.open = map[pipeline.Codec]*webrtc.API{}, map[*Session]bool{}
	s.sessions.space = &space{keep: o.Sessions.KeepFree, free: freeBytes}
	for _, codec := range []pipeline.Codec{pipeline.CodecH264, pipeline.CodecVP8} {
		api, err := newAPI(codec, m, o)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("set up WebRTC for %s: %w", codec, err), m.Close())
		}
		s.apis[codec] = api
		if s.sessions.apis[codec], err = newSessionAPI(codec, m, o); err != nil {
			return nil, errors.Join(fmt.Errorf("set up WebRTC sessions for %s: %w", codec, err), m.Close())
		}
	}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	return s, nil
}

// Addr returns the UDP address in use.
func (s *Server) Addr() net.Addr { return s.mux.conn.LocalAddr() }

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	viewers, sessions := len(s.viewers), len(s.sessions.open)
	s.mu.Unlock()
	c := &s.count
	return Stats{
		Viewers: viewers, Connected: int(c.connected.Load()),
		Accepted: c.accepted.Load(), Rejected: c.rejected.Load(), Full: c.full.Load(), Vanished: c.vanished.Load(),
		Units: c.units.Load(), Skipped: c.skipped.Load(), Packets: c.packets.Load(), Bytes: c.bytes.Load(),
		KeyRequests: c.keyframe.Load(), Sessions: s.sessions.count.stats(sessions),
	}
}

// Offer answers a viewer's SDP offer and begins to send feed to it. H.264 is
// preferred to VP8 where viewer and feed have both. Errors: Kind BadInput for
// an offer that is malformed, Unsupported for one that has no codec of ours,
// Busy when all places are taken, Timeout when our own addresses were not found
// in time; or the feed's own.
func (s *Server) Offer(ctx context.Context, feed Feed, sdp []byte) (Answer, error) {
	offer, err := readOffer(sdp)
	if err != nil {
		s.count.rejected.Add(1)
		return Answer{}, err
	}
	if err := s.takePlace(); err != nil {
		return Answer{}, err
	}
	a, err := s.accept(ctx, feed, offer)
	if err != nil {
		s.leavePlace()
		if k := pipeline.KindOf(err); k == pipeline.BadInput || k == pipeline.Unsupported {
			s.count.rejected.Add(1)
		}
		return Answer{}, err
	}
	s.count.accepted.Add(1)
	return a, nil
}

func (s *Server) takePlace() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return &pipeline.Error{Op: "answer viewer", Kind: pipeline.Gone, Err: errClosing, Hint: "try again when the device has restarted"}
	}
	if s.places >= s.opts.MaxViewers {
		s.count.full.Add(1)
		return &pipeline.Error{Op: "answer viewer", Kind: pipeline.Busy, Err: fmt.Errorf("all %d places for viewers are taken", s.opts.MaxViewers),
			Hint: "close another view, or raise the limit on viewers in the configuration"}
	}
	s.places++
	return nil
}

func (s *Server) leavePlace() {
	s.mu.Lock()
	s.places--
	s.mu.Unlock()
}

// accept opens the view and starts its goroutine.
func (s *Server) accept(ctx context.Context, feed Feed, offer *offer) (Answer, error) {
	watch, codec, err := watch(feed, offer)
	if err != nil {
		return Answer{}, err
	}
	v, err := s.newViewer(watch, codec)
	if err != nil {
		watch.Close()
		return Answer{}, err
	}
	answer, err := v.negotiate(ctx, offer, s.opts.Gather)
	if err == nil {
		err = s.add(v)
	}
	if err != nil {
		return Answer{}, errors.Join(err, v.release())
	}
	return Answer{ID: v.id, SDP: answer}, nil
}

// add makes the viewer known and starts it, unless the server has closed.
func (s *Server) add(v *viewer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return &pipeline.Error{Op: "answer viewer", Kind: pipeline.Gone, Err: errClosing}
	}
	s.viewers[v.id] = v
	s.wg.Go(func() {
		err := v.run()
		s.mu.Lock()
		delete(s.viewers, v.id)
		s.places--
		s.mu.Unlock()
		s.opts.Log.Info("viewer left", "viewer", v.short(), "why", err)
		close(v.done)
	})
	s.opts.Log.Info("viewer came", "viewer", v.short(), "codec", string(v.codec))
	return nil
}

// End stops a viewer and waits until it has gone. It fails with Kind NotFound
// when there is none of that name.
func (s *Server) End(id string) error {
	s.mu.Lock()
	v := s.viewers[id]
	s.mu.Unlock()
	if v == nil {
		return &pipeline.Error{Op: "end view", Kind: pipeline.NotFound, Err: errors.New("there is no such viewer"), Hint: "it may have left already"}
	}
	v.stop(errEnded)
	<-v.done
	return nil
}

// Close ends all viewers and sessions, waits for them and gives the port back.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop(errClosing)
	s.closeSessions()
	s.wg.Wait()
	return s.mux.Close()
}
