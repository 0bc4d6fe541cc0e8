package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"perch/pipeline"
)

// The addresses that clients of Roboflow Inference's WebRTC worker know.
const (
	sessionPath      = "/initialise_webrtc_worker"
	heartbeatPath    = "/webrtc/session/heartbeat"
	maxHeartbeatBody = 64 << 10
)

// startSession answers POST /initialise_webrtc_worker.
func (s *Server) startSession(w http.ResponseWriter, r *http.Request) {
	timeout := s.SessionOptions.StartTimeout
	if timeout == 0 {
		timeout = time.Minute
	}
	// The server's own limit would cut off an answer that takes its time. Where
	// it cannot be moved (a test's recorder), there is none.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout + writeLimit))
	req, ok := s.readSession(w, r)
	if !ok {
		return
	}
	if key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && s.SessionOptions.APIKeyFromHeader && key != "" {
		req.APIKey = key
	}
	if err := s.mayStart(r, req.APIKey); err != nil {
		s.failSession(w, r, err)
		return
	}
	if len(req.Workflow.Specification) == 0 && (req.Workflow.Workspace == "" || req.Workflow.ID == "") {
		s.failSession(w, r, &ConfigurationError{"Either workflow_specification, or workspace_name and workflow_id, is needed in workflow_configuration."})
		return
	}
	if req.Offer.Type != "offer" {
		s.failSession(w, r, &ConfigurationError{"webrtc_offer must have the type 'offer'."})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	answer, err := s.Sessions.Start(ctx, req)
	if err != nil {
		s.failSession(w, r, err)
		return
	}
	s.write(w, http.StatusOK, sessionAnswer{Status: "success", SDP: answer, Type: "answer"})
}

// readSession reads the request, or answers that it cannot.
func (s *Server) readSession(w http.ResponseWriter, r *http.Request) (SessionRequest, bool) {
	var body bytes.Buffer
	from := http.MaxBytesReader(w, r.Body, maxSessionBody)
	_, err := body.ReadFrom(io.LimitReader(from, smallSessionBody))
	if err == nil && body.Len() == smallSessionBody {
		leave, ok := s.enterLarge(w, r)
		if !ok {
			return SessionRequest{}, false
		}
		defer leave()
		_, err = body.ReadFrom(from)
	}
	if err != nil {
		s.unreadable(w, r, err)
		return SessionRequest{}, false
	}
	req, details := parseSession(body.Bytes(), s.SessionOptions)
	if details != nil {
		s.unprocessable(w, details)
		return SessionRequest{}, false
	}
	return req, true
}

// enterLarge takes one of the few places for large bodies, so that only a few
// are in memory at a time, or answers that there is none: those who have them may
// be slow. Most requests are small and need none.
func (s *Server) enterLarge(w http.ResponseWriter, r *http.Request) (leave func(), ok bool) {
	limit := time.NewTimer(bodyWait)
	defer limit.Stop()
	select {
	case s.bodies <- struct{}{}:
		return func() { <-s.bodies }, true
	case <-r.Context().Done():
	case <-limit.C:
		s.failSession(w, r, &pipeline.Error{Op: "read session request", Kind: pipeline.Busy,
			Err: fmt.Errorf("%d others of more than %d KiB are being read", maxBodies, smallSessionBody>>10), Hint: "try again in a few seconds"})
	}
	return nil, false
}

// A sessionAnswer is the reply that carries the SDP. Its pipeline_id stays null:
// with one, the browser client would send the user's key to the hosted service
// when it cleans up.
type sessionAnswer struct {
	Status  string `json:"status"`
	Context struct {
		RequestID  *string `json:"request_id"`
		PipelineID *string `json:"pipeline_id"`
	} `json:"context"`
	SDP  string `json:"sdp"`
	Type string `json:"type"`
}

// unreadable answers that a body cannot be read.
func (s *Server) unreadable(w http.ResponseWriter, r *http.Request, err error) {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		s.write(w, http.StatusRequestEntityTooLarge, sessionProblem{Message: "The request is too large."})
	} else if r.Context().Err() == nil {
		s.write(w, http.StatusBadRequest, sessionProblem{Message: "The request could not be read."})
	}
}

func (s *Server) unprocessable(w http.ResponseWriter, details []detail) {
	s.write(w, http.StatusUnprocessableEntity, map[string][]detail{"detail": details})
}

// heartbeat answers what keeps a session's place in the hosted service's quota.
// Sessions here need none: they end with their connection.
func (s *Server) heartbeat(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHeartbeatBody))
	if err != nil {
		s.unreadable(w, r, err)
		return
	}
	l := &lax{body: body}
	if v, ok := l.parseJSON(); ok {
		if f, ok := l.object(v, []any{"body"}); ok {
			if id, ok := f.need("session_id"); ok {
				l.text(id, f.at("session_id"), 1024)
			}
			f.text("api_key", "", true)
		}
	}
	if l.details != nil {
		s.unprocessable(w, l.details)
		return
	}
	s.write(w, http.StatusOK, map[string]string{"status": "ok"})
}

// noSessions answers where sessions would be if there were any.
func (s *Server) noSessions(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, notFound("page", r.URL.Path, "sessions.enabled is false"))
}

// shareSessions lets pages of the allowed sites start sessions, and pages of no
// other. It has the place of [Server.share] and of the protection against
// requests from other sites, for one address only.
func (s *Server) shareSessions(next http.Handler) http.Handler {
	allowed := s.SessionOptions.AllowedOrigins
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		switch {
		case origin == "" || sameOrigin(origin, r.Host):
			next.ServeHTTP(w, r)
			return
		case !slices.Contains(allowed, "*") && !slices.Contains(allowed, origin):
			s.refuse(w, http.StatusForbidden, "the request came from a page of another site", "add that site to sessions.allowed_origins if it may start sessions")
			return
		}
		// The origin itself, not *, which browsers refuse together with credentials.
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
		if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
			h.Set("Access-Control-Allow-Headers", asked) // any, as upstream does
		}
		if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
			h.Set("Access-Control-Allow-Private-Network", "true")
		}
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}

// sameOrigin reports whether a page of origin lies on host, which it was served
// from. A proxy in between may have ended the encryption, so the scheme is not
// compared.
func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}
