package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"perch/pipeline"
)

// problem is the JSON form of an error.
type problem struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Kind    string `json:"kind"`
}

// statusOf returns the HTTP status for an error.
func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	switch pipeline.KindOf(err) {
	case pipeline.BadInput:
		return http.StatusBadRequest
	case pipeline.NotFound:
		return http.StatusNotFound
	case pipeline.Unsupported:
		return http.StatusUnprocessableEntity
	case pipeline.Refused:
		return http.StatusForbidden
	case pipeline.Gone, pipeline.Busy:
		return http.StatusServiceUnavailable
	case pipeline.Timeout:
		return http.StatusGatewayTimeout
	case pipeline.Storage:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}

// fail answers with an error. What the client did wrong is the client's to
// read; what went wrong here is logged as well.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there to read it
	}
	status := statusOf(err)
	p := problem{Message: err.Error(), Kind: pipeline.KindOf(err).String()}
	if e, ok := errors.AsType[*pipeline.Error](err); ok {
		// The message without the hint, which has a place of its own.
		p.Hint = e.Hint
		bare := *e
		bare.Hint = ""
		p.Message = bare.Error()
	}
	if status >= 500 && status != http.StatusServiceUnavailable {
		s.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	s.write(w, status, map[string]problem{"error": p})
}

// refuse answers with an error of the HTTP layer itself.
func (s *Server) refuse(w http.ResponseWriter, status int, message, hint string) {
	s.write(w, status, map[string]problem{"error": {message, hint, "request"}})
}

// write answers with JSON.
func (s *Server) write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		s.log.Error("answer not encoded", "error", err)
		http.Error(w, "the answer could not be encoded", http.StatusInternalServerError)
		return
	}
	s.writeRaw(w, status, body)
}

func (s *Server) writeRaw(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// An error here means that the client has gone; there is nobody to tell.
	_, _ = w.Write(body)
}

func notFound(what, name, hint string) error {
	return &pipeline.Error{Op: "find " + what, On: name, Kind: pipeline.NotFound, Err: errors.New("there is none of that name"), Hint: hint}
}

func badQuery(name, value, hint string) error {
	return &pipeline.Error{Op: "read query", On: name + "=" + value, Kind: pipeline.BadInput, Err: errors.New("not a value that it can have"), Hint: hint}
}
