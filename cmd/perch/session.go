package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"perch/cmd/internal/api"
	"perch/cmd/internal/blocks"
	"perch/cmd/internal/guard"
	"perch/gst"
	"perch/pipeline"
	"perch/pipeline/draw"
	"perch/pipeline/webrtc"
	"perch/pipeline/workflow"
)

// sessions are the clients of the worker protocol. Each is a run.
type sessions struct {
	*app
	guard   guard.Guard     // of cameras that clients name
	servers guard.Guard     // of STUN and TURN servers that they name
	ctx     context.Context // done when the program stops
	stop    context.CancelCauseFunc
	wg      sync.WaitGroup

	mu       sync.Mutex
	live     map[string]*session // by run id; guarded by mu
	starting int                 // guarded by mu: see enter
}

// session is one client's run.
type session struct {
	run  *pipeline.Run
	stop context.CancelCauseFunc
}

func (a *app) newSessions() (s *sessions, err error) {
	s = &sessions{app: a, live: map[string]*session{}}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	if s.guard, err = a.guardBy("sessions.allow_urls", a.cfg.Sessions.AllowURLs); err != nil {
		return nil, err
	}
	s.servers, err = a.guardBy("sessions.allow_ice_servers", a.cfg.Sessions.AllowICEServers)
	return s, err
}

// guardBy keeps clients to what a setting allows.
func (a *app) guardBy(setting string, allowed []string) (guard.Guard, error) {
	g := guard.Guard{Setting: setting, OwnPorts: a.ownPorts()}
	for _, text := range allowed {
		rule, err := guard.ParseRule(text)
		if err != nil {
			return g, &pipeline.Error{Op: "read " + setting, On: text, Kind: pipeline.BadConfig, Err: err}
		}
		g.Rules = append(g.Rules, rule)
	}
	return g, nil
}

// ownPorts are those that clients must not make Perch connect to.
func (a *app) ownPorts() []uint16 {
	var ports []uint16
	for _, addr := range []string{a.cfg.HTTP.Listen, a.cfg.MQTT.Embedded.Listen} {
		if _, port, err := net.SplitHostPort(addr); err == nil {
			if n, err := strconv.ParseUint(port, 10, 16); err == nil {
				ports = append(ports, uint16(n))
			}
		}
	}
	if t, ok := a.listen.Addr().(*net.TCPAddr); ok {
		ports = append(ports, uint16(t.Port))
	}
	if u, ok := a.webrtc.Addr().(*net.UDPAddr); ok {
		ports = append(ports, uint16(u.Port))
	}
	return ports
}

// sessionPort is what the HTTP server starts sessions with; nil when there are
// none.
func (a *app) sessionPort() api.Sessions {
	if a.session == nil {
		return nil
	}
	return a.session
}

func (a *app) sessionOptions() api.SessionOptions {
	c := a.cfg.Sessions
	return api.SessionOptions{
		AllowedOrigins: c.AllowedOrigins, APIKeyFromHeader: c.APIKeyFromHeader, Realtime: c.Realtime,
		TimeLimit: time.Duration(c.TimeLimit), StartTimeout: time.Duration(c.StartTimeout),
	}
}

// sessionLibrary returns the blocks that workflows of clients may use.
func (s *sessions) sessionLibrary(ctx context.Context) *workflow.Library {
	opt := s.blockOptions(modelSource{ctx: ctx, reg: s.models})
	opt.Sinks.Guarded = true
	return blocks.Library(opt)
}

// uploadsName is the folder in data_dir of clients' files, while a session has them.
const uploadsName = "uploads"

// peerOptions are what the configuration says of sessions' connections.
func (a *app) peerOptions() webrtc.SessionOptions {
	c := a.cfg.Sessions
	opt := webrtc.SessionOptions{
		MaxSessions: c.MaxSessions, ConnectTimeout: time.Duration(c.ConnectTimeout), ACKWindow: c.AckWindow, BufferLimit: int(c.BufferLimit),
		DrainPoll: time.Duration(c.DrainDelay), Gzip: c.Gzip, JPEGQuality: c.JPEGQuality, Linger: time.Duration(c.Linger),
		MaxUpload: int64(c.MaxUpload), MaxChunks: c.MaxChunks, UploadIdle: time.Duration(c.UploadIdle),
		UploadDir: filepath.Join(string(a.cfg.DataDir), uploadsName), STUN: c.STUNServers, Bitrate: a.cfg.Preview.Bitrate,
		Codecs: []pipeline.Codec{}, OpenFeed: a.media.FeedOpener(c.MaxPixels), OpenEncoder: a.media.OpenEncoder, DrawLines: a.lines.draw,
		OpenFile: func(path string, pace pipeline.Pace) (pipeline.Source, error) {
			return a.media.NewSource(gst.SourceSpec{Kind: pipeline.SourceFile, Name: "upload", Path: path, Pace: pace, RealTime: pace == pipeline.Realtime, MaxPixels: c.MaxPixels})
		},
	}
	if c.AckWindow == 0 {
		opt.ACKWindow = -1 // there 0 means the default
	}
	for _, codec := range []pipeline.Codec{pipeline.CodecH264, pipeline.CodecVP8} {
		if element, _ := a.media.EncoderChoice(codec); element != "" {
			opt.Codecs = append(opt.Codecs, codec)
		}
	}
	opt.AllowServer = a.allowServer
	return opt
}

// allowServer decides on a STUN or TURN server that a client names.
func (a *app) allowServer(ctx context.Context, uri string) ([]string, error) {
	if a.cfg.Sessions.Offline {
		return nil, &pipeline.Error{Op: "use", On: "STUN and TURN servers", Kind: pipeline.Refused, Err: errors.New("sessions.offline is set")}
	}
	return a.session.servers.CheckICE(ctx, uri)
}

// lines writes errors on pictures, for all sessions: they are short and rare.
type lines struct {
	mu     sync.Mutex
	drawer *draw.Drawer // guarded by mu
}

func (l *lines) draw(pic pipeline.Picture, text []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drawer.Lines(pic, text)
}

// Start implements [api.Sessions].
func (s *sessions) Start(ctx context.Context, req api.SessionRequest) (string, error) {
	if err := s.enter(); err != nil {
		return "", err
	}
	defer s.leave()
	if err := s.webrtc.SessionRoom(); err != nil {
		return "", err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.ctx, stop)()
	id := s.ids.next()
	engine, err := s.sessionEngine(ctx, req, id)
	if err != nil {
		return "", err
	}
	begun := false
	defer func() {
		if !begun {
			s.sayClosed(engine.Close())
		}
	}()
	runCtx, cancel := context.WithCancelCause(s.ctx)
	defer func() {
		if !begun {
			cancel(nil)
		}
	}()
	source, err := s.sessionSource(ctx, req)
	if err != nil {
		return "", err
	}
	shut := closing(source)
	defer func() {
		if !begun {
			shut()
		}
	}()
	peer, answer, err := s.webrtc.OpenSession(ctx, webrtc.SessionRequest{
		Type: req.Offer.Type, SDP: req.Offer.SDP, ICEServers: iceServers(req.ICEServers), Realtime: req.Realtime,
		StreamOutput: req.StreamOutput, DataOutput: req.DataOutput, DeclaredFPS: req.DeclaredFPS, Source: source,
	})
	switch pipeline.KindOf(err) {
	case pipeline.BadInput, pipeline.Unsupported, pipeline.Refused:
		return "", &api.ConfigurationError{Message: err.Error()} // the client's own offer, which it may read about
	}
	if err != nil {
		return "", err
	}
	begun = true
	s.begin(runCtx, cancel, id, peer, engine, req, shut)
	return answer, nil
}

// closing returns what gives a source back that is open already. It may be called
// at any time, and more than once.
func closing(source pipeline.Source) func() {
	if opened, ok := source.(interface{ Close() }); ok {
		return opened.Close
	}
	return func() {}
}

// enter admits a start, which is ended with leave. What a start takes before it
// has a place among the sessions, a camera's stream above all, is bounded thus.
func (s *sessions) enter() error {
	refuse := func(format string, args ...any) error {
		return &pipeline.Error{Op: "start session", Kind: pipeline.Busy, Err: fmt.Errorf(format, args...), Hint: "try again in a few seconds"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return refuse("the device is stopping")
	}
	if n := s.cfg.Sessions.MaxSessions; s.starting >= n {
		return refuse("%d are being started already", n)
	}
	s.starting++
	s.wg.Add(1)
	return nil
}

func (s *sessions) leave() {
	s.mu.Lock()
	s.starting--
	s.mu.Unlock()
	s.wg.Done()
}

func (s *sessions) sayClosed(err error) {
	if err != nil {
		s.log.Warn("workflow of a session not closed", "error", err)
	}
}

func iceServers(list []api.ICEServer) []webrtc.ICEServer {
	var out []webrtc.ICEServer
	for _, e := range list {
		out = append(out, webrtc.ICEServer{URLs: e.URLs, Username: e.Username, Credential: e.Credential})
	}
	return out
}

// begin starts the run of a client that has its answer. shut is called after it:
// a run that cannot begin never comes to its source.
func (s *sessions) begin(ctx context.Context, cancel context.CancelCauseFunc, id string, peer *webrtc.Session, engine pipeline.Engine, req api.SessionRequest, shut func()) {
	run := &pipeline.Run{
		ID: id, Device: s.device, Source: peer.Source(), Pace: pipeline.Lossless,
		Engine: engine, Recorder: s.store, Viewers: []pipeline.Viewer{peer}, Limit: s.sessionLimit(req), Log: s.log.With("session", peer.ID()),
		Now: time.Now, Clock: s.clock.Read, OnOpen: peer.Opened, OnEnd: s.ended.count,
	}
	if req.Realtime {
		run.Pace = pipeline.Realtime
	}
	s.mu.Lock()
	s.live[id] = &session{run: run, stop: cancel}
	s.mu.Unlock()
	s.wg.Go(func() {
		defer cancel(nil)
		defer peer.Close()
		watched := make(chan struct{})
		s.wg.Go(func() {
			select {
			case <-peer.Gone():
				cancel(pipeline.ErrClientGone)
			case <-watched:
			}
		})
		record, err := run.Run(ctx)
		close(watched)
		s.mu.Lock()
		delete(s.live, id)
		s.mu.Unlock()
		shut()
		reason := pipeline.Failed
		if record != nil {
			reason = record.Termination
		}
		if err != nil && reason != pipeline.TimeoutReached && reason != pipeline.ClientGone {
			s.log.Warn("session's run ended with a fault", "run", id, "session", peer.ID(), "error", err)
			if reason == pipeline.Failed { // the source tells of its own end
				peer.Explain(explanation(record, err))
			}
		}
		peer.Finish(s.ctx, reason)
	})
}

// explanation is what a client is told of the fault that ended its run. Where and
// why the device cannot store is its own business, which the log says.
func explanation(record *pipeline.Complete, fault error) error {
	if record == nil || pipeline.KindOf(fault) == pipeline.Storage {
		return errNotStored
	}
	return fault
}

var errNotStored = errors.New("the device cannot store this session's results")

// sessionLimit is how long a session's run may take from now.
func (s *sessions) sessionLimit(req api.SessionRequest) time.Duration {
	c := s.cfg.Sessions
	limit := time.Duration(c.TimeLimitMax)
	if req.TimeLimit != nil {
		limit = min(limit, *req.TimeLimit)
	}
	if !req.Started.IsZero() {
		limit -= max(time.Since(req.Started), 0)
	}
	return max(limit-time.Duration(c.ShutdownReserve), time.Nanosecond)
}

// Stop ends the session whose run has this id. It reports false when there is
// none.
func (s *sessions) Stop(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.live[id]
	if l == nil {
		return false
	}
	l.stop(pipeline.ErrStopped)
	return true
}

// status returns how a session's run is doing.
func (s *sessions) status(id string) (pipeline.RunStatus, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.live[id]
	if l == nil {
		return pipeline.RunStatus{}, false
	}
	return l.run.Status(), true
}

// close ends all sessions and waits for them.
func (s *sessions) close() {
	s.mu.Lock() // no start enters from here on
	s.stop(pipeline.ErrStopped)
	s.mu.Unlock()
	s.wg.Wait()
}
