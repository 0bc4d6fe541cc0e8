// Package api is what Perch says over HTTP: the control API, WHEP, metrics and
// the console.
package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"perch/pipeline"
)

// Limits on what a client may cost.
const (
	maxHeader   = 16 << 10
	maxOffer    = 64 << 10 // an SDP; browsers send about 6 KB
	maxConns    = 256      // more wait in the kernel's queue
	readLimit   = 15 * time.Second
	writeLimit  = 30 * time.Second
	idleLimit   = 60 * time.Second
	closeLimit  = 5 * time.Second // for requests that are going on at the end
	maxTogether = 4               // snapshots encoded at a time
	maxBodies   = 8               // large requests for sessions read at a time
	bodyWait    = 3 * time.Second // for a place among them
)

// Options are what the server serves. All but Sessions, AllowedOrigins and
// Schemas are needed.
type Options struct {
	Device  Device
	Cameras Cameras
	Runs    Runs
	Events  Events
	Viewers Viewers
	// Sessions is nil when there are none; their addresses then do not exist.
	Sessions       Sessions
	SessionOptions SessionOptions
	Stats          func() Stats // read at each scrape
	Console        fs.FS        // index.html and what it needs
	Schemas        fs.FS        // *.json, served below /schemas/; nil for none
	// AllowedOrigins are other sites that may use the API, for example
	// "https://console.example.org".
	AllowedOrigins []string
	// Claim knows the device's owner; nil: there is none, and everybody may
	// everything. Private keeps reading to the owner, too.
	Claim   Claimer
	Private bool
	Log     *slog.Logger
}

// Server answers HTTP requests. It is an [http.Handler].
type Server struct {
	Options
	log       *slog.Logger
	handler   http.Handler
	snapshots chan struct{} // places for encoders of snapshots
	bodies    chan struct{} // places for large requests for sessions that are being read
}

// New returns a server. It fails with Kind BadConfig when an allowed origin is
// not one.
func New(o Options) (*Server, error) {
	s := &Server{Options: o, log: o.Log, snapshots: make(chan struct{}, maxTogether), bodies: make(chan struct{}, maxBodies)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var cross http.CrossOriginProtection
	for _, origin := range o.AllowedOrigins {
		if err := cross.AddTrustedOrigin(origin); err != nil {
			return nil, &pipeline.Error{Op: "allow origin", On: origin, Kind: pipeline.BadConfig, Err: err, Hint: "write it as https://console.example.org, without a path"}
		}
	}
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.refuse(w, http.StatusForbidden, "the request came from a page of another site", "add that site to http.allowed_origins if it may use this device")
	}))
	s.handler = s.secure(s.apart(s.share(cross.Handler(s.guard(s.routes())))))
	return s, nil
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/status", s.status)
	mux.HandleFunc("GET /api/v1/models", s.models)
	mux.HandleFunc("GET /api/v1/cameras", s.cameras)
	mux.HandleFunc("GET /api/v1/cameras/{name}", s.camera)
	mux.HandleFunc("GET /api/v1/cameras/{name}/snapshot.jpg", s.snapshot)
	mux.HandleFunc("GET /api/v1/runs", s.runs)
	mux.HandleFunc("GET /api/v1/runs/{id}", s.run)
	mux.HandleFunc("DELETE /api/v1/runs/{id}", s.stopRun)
	mux.HandleFunc("GET /api/v1/events", s.events)
	mux.HandleFunc("POST /whep/cameras/{name}", s.whepCamera)
	mux.HandleFunc("POST /whep/runs/{id}", s.whepRun)
	mux.HandleFunc("DELETE /whep/views/{id}", s.whepEnd)
	mux.HandleFunc("GET "+claimPath, s.claimState)
	mux.HandleFunc("POST "+claimPath, s.claim)
	mux.HandleFunc("POST "+signInPath, s.signIn)
	mux.HandleFunc("GET /healthz", s.healthy)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.metrics())
	mux.HandleFunc("GET /schemas/{file}", s.schema)
	beat := s.heartbeat
	if s.Sessions == nil {
		beat = s.noSessions
		mux.HandleFunc("POST "+sessionPath, s.noSessions)
	}
	mux.HandleFunc("POST "+heartbeatPath, beat)
	mux.HandleFunc("POST "+heartbeatPath+"/end", beat)
	mux.Handle("GET /", s.console())
	return s.explain(mux)
}

// apart sends requests for sessions past the rules that hold for the rest: other
// sites may start them.
func (s *Server) apart(rest http.Handler) http.Handler {
	if s.Sessions == nil {
		return rest
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+sessionPath, s.startSession)
	sessions := s.shareSessions(s.explain(mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == sessionPath {
			sessions.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// explain turns the mux's own plain-text refusals into ours.
func (s *Server) explain(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		// The mux knows whether it is the method or the path.
		rec := refusal{header: http.Header{}}
		mux.ServeHTTP(&rec, r)
		if allow := rec.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			s.refuse(w, http.StatusMethodNotAllowed, r.Method+" is not possible here", "use "+allow)
			return
		}
		s.fail(w, r, notFound("page", r.URL.Path, "the API begins with /api/v1/"))
	})
}

// refusal takes the mux's answer and keeps its header.
type refusal struct{ header http.Header }

func (r *refusal) Header() http.Header         { return r.header }
func (r *refusal) WriteHeader(int)             {}
func (r *refusal) Write(b []byte) (int, error) { return len(b), nil }

// secure adds the headers that keep a browser from being talked into things.
func (s *Server) secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		next.ServeHTTP(w, r)
	})
}

// share lets pages of the allowed origins read answers (CORS).
func (s *Server) share(next http.Handler) http.Handler {
	allowed := map[string]bool{}
	for _, o := range s.AllowedOrigins {
		allowed[o] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if !allowed[origin] {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Expose-Headers", "Location")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
			w.Header().Set("Access-Control-Allow-Headers", "Content-Type, Authorization")
			w.Header().Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Listen takes a TCP address. It fails with Kind BadConfig when that is not
// possible.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err == nil {
		return &limited{Listener: l, places: make(chan struct{}, maxConns), closed: make(chan struct{})}, nil
	}
	e := &pipeline.Error{Op: "listen on", On: address, Kind: pipeline.BadConfig, Err: err}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.Hint = "another program, or another Perch, uses this port: stop it or choose another one in http.listen"
	case errors.Is(err, syscall.EACCES):
		e.Hint = "ports below 1024 need privileges: choose a higher one in http.listen"
	default:
		e.Hint = "http.listen is an address and a port, for example :8080 or 127.0.0.1:8080"
	}
	return nil, e
}

// Serve answers requests until ctx is done, then lets those that are going on
// finish within a limit. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: s, ReadHeaderTimeout: readLimit / 3, ReadTimeout: readLimit, WriteTimeout: writeLimit,
		IdleTimeout: idleLimit, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(quiet{s.log.Handler()}, slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	err := srv.Shutdown(late)
	if err != nil {
		// Whoever is that slow is cut off; the device must stop.
		s.log.Warn("requests cut off", "after", closeLimit)
		err = srv.Close()
	}
	<-ended
	return err
}

// quiet keeps net/http's lines about clients that sent nonsense at debug level,
// for there can be thousands, and raises those about panics.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(context.Context, slog.Level) bool { return true } // not known yet

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "http: panic") {
		r.Level = slog.LevelError
	}
	if !q.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}
