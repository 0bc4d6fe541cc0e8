package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	guard guard.Guard
	ctx   context.Context // done when the program stops
	stop  context.CancelCauseFunc
	wg    sync.WaitGroup

	mu   sync.Mutex
	live map[string]*session // by run id; guarded by mu
}

// session is one client's run.
type session struct {
	run  *pipeline.Run
	stop context.CancelCauseFunc
}

func (a *app) newSessions() (*sessions, error) {
	s := &sessions{app: a, live: map[string]*session{}}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	for _, text := range a.cfg.Sessions.AllowURLs {
		rule, err := guard.ParseRule(text)
		if err != nil {
			return nil, &pipeline.Error{Op: "read sessions.allow_urls", On: text, Kind: pipeline.BadConfig, Err: err}
		}
		s.guard.Rules = append(s.guard.Rules, rule)
	}
	s.guard.OwnPorts = a.ownPorts()
	return s, nil
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

// peerOptions are what the configuration says of sessions' connections.
func (a *app) peerOptions() webrtc.SessionOptions {
	c := a.cfg.Sessions
	opt := webrtc.SessionOptions{
		MaxSessions: c.MaxSessions, ConnectTimeout: time.Duration(c.ConnectTimeout), ACKWindow: c.AckWindow, BufferLimit: int(c.BufferLimit),
		DrainPoll: time.Duration(c.DrainDelay), Gzip: c.Gzip, JPEGQuality: c.JPEGQuality, Linger: time.Duration(c.Linger),
		MaxUpload: int64(c.MaxUpload), MaxChunks: c.MaxChunks, UploadIdle: time.Duration(c.UploadIdle),
		UploadDir: filepath.Join(string(a.cfg.DataDir), "uploads"), STUN: c.STUNServers, Bitrate: a.cfg.Preview.Bitrate,
		Codecs: []pipeline.Codec{}, OpenFeed: a.media.OpenFeed, OpenEncoder: a.media.OpenEncoder, DrawLines: a.lines.draw,
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
	if c.Offline {
		opt.AllowServer = func(string) error {
			return errors.New("sessions.offline is set: no STUN or TURN server is used")
		}
	}
	return opt
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
	if s.ctx.Err() != nil {
		return "", &pipeline.Error{Op: "start session", Kind: pipeline.Busy, Err: errors.New("the device is stopping")}
	}
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
	if opened, ok := source.(interface{ Close() }); ok {
		defer func() {
			if !begun {
				opened.Close()
			}
		}()
	}
	peer, answer, err := s.webrtc.OpenSession(ctx, webrtc.SessionRequest{
		Type: req.Offer.Type, SDP: req.Offer.SDP, ICEServers: iceServers(req.ICEServers), Realtime: req.Realtime,
		StreamOutput: req.StreamOutput, DataOutput: req.DataOutput, DeclaredFPS: req.DeclaredFPS, Source: source,
	})
	if err != nil {
		return "", err
	}
	begun = true
	s.begin(runCtx, cancel, id, peer, engine, req)
	return answer, nil
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

// begin starts the run of a client that has its answer.
func (s *sessions) begin(ctx context.Context, cancel context.CancelCauseFunc, id string, peer *webrtc.Session, engine pipeline.Engine, req api.SessionRequest) {
	run := &pipeline.Run{
		ID: id, Device: s.device, Source: &bounded{Source: peer.Source(), pixels: s.cfg.Sessions.MaxPixels}, Pace: pipeline.Lossless,
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
		reason := pipeline.Failed
		if record != nil {
			reason = record.Termination
		}
		if err != nil && reason != pipeline.TimeoutReached && reason != pipeline.ClientGone {
			s.log.Warn("session's run ended with a fault", "run", id, "session", peer.ID(), "error", err)
			if reason == pipeline.Failed { // the source tells of its own end
				peer.Explain(err)
			}
		}
		peer.Finish(reason)
	})
}

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
	s.stop(pipeline.ErrStopped)
	s.wg.Wait()
}

// sessionEngine compiles a client's workflow, checks the names of the outputs
// that it asks for, and makes the engine of its run.
func (s *sessions) sessionEngine(ctx context.Context, req api.SessionRequest, id string) (*workflow.Engine, error) {
	text, err := s.sessionWorkflow(req.Workflow)
	if err != nil {
		return nil, err
	}
	params, err := workflow.ParseParameters(req.Workflow.Parameters)
	if err != nil {
		return nil, &api.ConfigurationError{Message: "workflows_parameters cannot be read: " + err.Error()}
	}
	env := s.env("", id)
	env.DisableSinks = req.Workflow.DisableSinks
	g, err := workflow.Compile(text, s.sessionLibrary(ctx), env)
	if err != nil {
		return nil, workflowError(err)
	}
	if err := checkOutputs(g.OutputNames(), req); err != nil {
		return nil, err
	}
	opt := workflow.Options{Name: cmp.Or(req.Workflow.ID, "session"), ImageInput: req.Workflow.ImageInput, Parameters: params, Tolerant: true}
	if req.DeclaredFPS != nil && *req.DeclaredFPS > 0 {
		opt.FPS = *req.DeclaredFPS
	}
	e, err := g.Bind(env, opt)
	if err != nil {
		return nil, workflowError(err)
	}
	return e, nil
}

// sessionWorkflow returns the specification: inline, or a file of this device
// whose name is the workflow's id.
func (s *sessions) sessionWorkflow(w api.SessionWorkflow) ([]byte, error) {
	if len(w.Specification) > 0 {
		return w.Specification, nil
	}
	if strings.ContainsAny(w.ID, "/\\") || strings.HasPrefix(w.ID, ".") {
		return nil, &api.ConfigurationError{Message: fmt.Sprintf("workflow_id %q is no name of a workflow on this device.", w.ID)}
	}
	text, err := readWorkflow(s.cfg.WorkflowFile(w.ID))
	if pipeline.KindOf(err) == pipeline.NotFound {
		return nil, &pipeline.Error{
			Op: "find workflow", On: w.ID, Kind: pipeline.NotFound, Err: errors.New("this device has no workflow of that name, and fetches none from elsewhere"),
			Hint: "put " + w.ID + ".json into its folder of workflows, or send workflow_specification",
		}
	}
	return text, err
}

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
	trusted, err := false, error(nil)
	if c.RTSPPlaceholder != "" && address == c.RTSPPlaceholder {
		trusted, address = true, c.RTSPPlaceholderURL.Reveal()
	} else if address, err = s.guard.Check(ctx, address); err != nil {
		return nil, &api.ConfigurationError{Message: err.Error() + ". The device's administrator can allow it with sessions.allow_urls."}
	}
	pace := pipeline.Lossless
	if req.Realtime {
		pace = pipeline.Realtime
	}
	spec := gst.SourceSpec{
		Kind: kind, Name: "session", URL: address, Transport: gst.TransportTCP, Pace: pace, RealTime: true, NoRedirect: !trusted, MaxPixels: c.MaxPixels,
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

// checkOutputs refuses names that the workflow does not have.
func checkOutputs(have []string, req api.SessionRequest) error {
	given := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" })
	}
	data := given(req.DataOutput)
	if !slices.Equal(data, []string{"*"}) {
		if bad := slices.DeleteFunc(data, func(n string) bool { return slices.Contains(have, n) }); len(bad) > 0 {
			return &api.ConfigurationError{Message: fmt.Sprintf("Invalid data_output fields: %s. Available workflow outputs: %s", pythonList(bad), pythonList(have))}
		}
	}
	if stream := given(req.StreamOutput); len(stream) > 0 && !slices.Contains(have, stream[0]) {
		return &api.ConfigurationError{Message: fmt.Sprintf("Invalid stream_output field: %s. Available workflow outputs: %s", pythonString(stream[0]), pythonList(have))}
	}
	return nil
}

// pythonList writes names as clients of Roboflow Inference read them in its
// messages.
func pythonList(names []string) string {
	var quoted []string
	for _, n := range names {
		quoted = append(quoted, pythonString(n))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func pythonString(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	s = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s)
	if quote == "'" {
		s = strings.ReplaceAll(s, "'", `\'`)
	}
	return quote + s + quote
}

// workflowError puts what is wrong with a workflow into the form that clients
// of Roboflow Inference know.
func workflowError(err error) error {
	var spec *workflow.SpecError
	if !errors.As(err, &spec) {
		var e *pipeline.Error
		if errors.As(err, &e) {
			return &api.WorkflowError{Type: "WorkflowError", Message: err.Error(), Context: "workflow_compilation | engine_initialisation", Inner: err.Error()}
		}
		return err
	}
	out := &api.WorkflowError{
		Type: "WorkflowSyntaxError", Message: spec.Error(), Context: "workflow_compilation | specification_parsing", InnerType: "SpecError", Inner: spec.Faults[0].String(),
	}
	for _, f := range spec.Faults {
		details := f.Text
		if f.Hint != "" {
			details += " (" + f.Hint + ")"
		}
		out.Blocks = append(out.Blocks, api.BlockError{BlockID: f.Step, BlockType: f.Type, BlockDetails: f.String(), PropertyName: f.Property, PropertyDetails: details})
	}
	return out
}
