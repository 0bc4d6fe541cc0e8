package webrtc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"perch/pipeline"
)

// A Session is one client of the worker protocol. It is the [pipeline.Viewer]
// of one run, whose pictures it may bring itself.
type Session struct {
	id     string
	server *Server
	opt    SessionOptions
	count  *sessionCounters
	log    *slog.Logger
	batch  bool
	fps    *float64 // declared

	pc        *webrtc.PeerConnection
	ctx       context.Context // done when the client has gone or Close was called
	stop      context.CancelCauseFunc
	connected chan struct{} // closed once
	answered  time.Time     // from which on the client could connect
	group     group

	input   *input
	wishes  *wishes
	results *results
	uploads *uploads
	video   *video // nil when no pictures go back

	showing  sync.Mutex // held by Show and Finish
	frames   uint32     // guarded by showing: shown so far
	last     uint32     // guarded by showing: id of the newest message
	base     time.Duration
	based    bool         // guarded by showing, as base: PTS at which a client's clock stands at 0
	unheard  bool         // guarded by showing: no channel for results was opened in time
	words    paper        // guarded by showing
	channels atomic.Int32 // being read
	finished atomic.Bool  // it only waits for its client to close
	once     sync.Once    // of Close
	mu       sync.Mutex   // of info
	info     pipeline.StreamInfo
}

// group is what a session's goroutines are in. Go refuses when the session is
// being closed, since nobody would wait for them any more.
type group struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func (g *group) Go(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.wg.Go(f)
	}
	return !g.closed
}

func (g *group) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.wg.Wait()
}

// newSession sets up the connection that will answer an offer.
func (s *Server) newSession(req SessionRequest, p *plan, servers []webrtc.ICEServer) (*Session, error) {
	o := s.opts.Sessions
	v := &Session{id: rand.Text(), server: s, opt: o, count: &s.sessions.count, batch: !req.Realtime, fps: req.DeclaredFPS, connected: make(chan struct{})}
	v.log = s.opts.Log.With("session", v.id[:6])
	v.ctx, v.stop = context.WithCancelCause(s.ctx)
	v.wishes = newWishes(req, v.log)
	v.results = newResults(v.ctx, o, v.count)
	v.input = newInput(v, req)
	v.uploads = &uploads{session: v}
	if err := s.register(v); err != nil {
		v.stop(err)
		return nil, err
	}
	if err := v.connect(p, servers); err != nil {
		v.Close()
		return nil, fmt.Errorf("set up session: %w", err)
	}
	return v, nil
}

// connect makes the connection. A server that closes meanwhile waits for it.
func (v *Session) connect(p *plan, servers []webrtc.ICEServer) (err error) {
	v.showing.Lock()
	defer v.showing.Unlock()
	if v.ctx.Err() != nil {
		return &pipeline.Error{Op: "open session", Kind: pipeline.Gone, Err: context.Cause(v.ctx)}
	}
	v.pc, err = v.server.sessions.apis[p.codec].NewPeerConnection(webrtc.Configuration{ICEServers: servers})
	if err != nil && len(servers) > 0 {
		return &pipeline.Error{Op: "read ICE servers", Kind: pipeline.BadInput, Err: err}
	}
	if err != nil {
		return err
	}
	if p.sends {
		if v.video, err = newVideo(v, p); err != nil {
			return err
		}
	}
	v.pc.OnConnectionStateChange(v.changed(sync.OnceFunc(func() { close(v.connected) })))
	v.pc.OnDataChannel(v.accept)
	v.pc.OnTrack(v.input.track)
	return nil
}

// changed returns the callback for the connection's states. It must not block.
func (v *Session) changed(connected func()) func(webrtc.PeerConnectionState) {
	return func(state webrtc.PeerConnectionState) {
		v.log.Debug("session connection", "state", state.String())
		switch state {
		case webrtc.PeerConnectionStateConnected:
			connected()
		case webrtc.PeerConnectionStateFailed:
			v.stop(errSilent)
		case webrtc.PeerConnectionStateClosed:
			v.stop(errHungUp)
		}
	}
}

// negotiate answers the offer with the addresses that were found in time.
func (v *Session) negotiate(ctx context.Context, p *plan) (string, error) {
	bad := func(err error) error {
		if v.ctx.Err() != nil { // it is not the offer's fault
			return &pipeline.Error{Op: "answer session offer", Kind: pipeline.Gone, Err: context.Cause(v.ctx)}
		}
		return &pipeline.Error{Op: "answer session offer", Kind: pipeline.BadInput, Err: err, Hint: offerHint}
	}
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: p.sdp}); err != nil {
		return "", bad(err)
	}
	if p.section && !p.receives && !p.sends {
		// Nobody sends anything: the answer has to say inactive.
		for _, t := range v.pc.GetTransceivers() {
			if t.Kind() == webrtc.RTPCodecTypeVideo {
				if err := t.Stop(); err != nil {
					return "", bad(err)
				}
			}
		}
	}
	answer, err := v.pc.CreateAnswer(nil)
	if err != nil {
		return "", bad(err)
	}
	gathered := webrtc.GatheringCompletePromise(v.pc)
	if err := v.pc.SetLocalDescription(answer); err != nil {
		return "", bad(err)
	}
	limit := time.NewTimer(v.opt.GatherTimeout)
	defer limit.Stop()
	select {
	case <-gathered:
	case <-limit.C:
		v.log.Warn("not all of this device's addresses were found in time", "limit", v.opt.GatherTimeout)
	case <-ctx.Done():
		return "", fmt.Errorf("answer session offer: %w", context.Cause(ctx))
	case <-v.ctx.Done():
	}
	if v.ctx.Err() != nil {
		return "", bad(context.Cause(v.ctx))
	}
	return complete(v.pc.LocalDescription().SDP, v.opt.GatherTimeout)
}

// Source are the pictures of the session's run, wherever they come from. Its
// Run waits for the client's track or upload where it has to.
func (v *Session) Source() pipeline.Source { return v.input }

// Gone is closed when the client has gone or the session was closed.
func (v *Session) Gone() <-chan struct{} { return v.ctx.Done() }

// ID names the session in the log.
func (v *Session) ID() string { return v.id[:6] }

// Opened takes what is known of the source; it is the run's OnOpen.
func (v *Session) Opened(info pipeline.StreamInfo) {
	v.mu.Lock()
	v.info = info
	v.mu.Unlock()
}

func (v *Session) stream() pipeline.StreamInfo {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.info
}

// watch ends a session whose client never connects, and counts.
func (v *Session) watch() {
	limit := time.NewTimer(v.opt.ConnectTimeout)
	defer limit.Stop()
	select {
	case <-v.connected:
		v.count.connected.Add(1)
		defer v.count.connected.Add(-1)
		<-v.ctx.Done()
	case <-limit.C:
		v.stop(errNoDial)
	case <-v.ctx.Done():
	}
	why := context.Cause(v.ctx)
	if errors.Is(why, errSilent) || errors.Is(why, errNoDial) {
		v.count.vanished.Add(1)
	}
	v.log.Info("session left", "why", why)
}

// Close ends the session at once, waits for all that belongs to it and gives
// its place back. It may be called more than once and while Show is at work.
func (v *Session) Close() {
	v.stop(errHangUp)
	v.once.Do(func() {
		v.showing.Lock() // Show has seen that the session is over
		defer v.showing.Unlock()
		if v.video != nil {
			v.video.shut()
		}
		if v.pc != nil {
			if err := v.pc.GracefulClose(); err != nil {
				v.log.Warn("session's connection did not close cleanly", "error", err)
			}
		}
		v.group.close()
		v.uploads.close()
		v.server.unregister(v)
	})
}
