package api

import (
	"context"
	"io"
	"mime"
	"net/http"
)

// whepCamera and whepRun begin a view: an SDP offer in, 201 with the answer and
// the view's address out. Trickled candidates are not taken (the answer to
// PATCH is 405): the answer has all of ours, and viewers call us.
func (s *Server) whepCamera(w http.ResponseWriter, r *http.Request) {
	s.whep(w, r, s.Viewers.WatchCamera, r.PathValue("name"))
}

func (s *Server) whepRun(w http.ResponseWriter, r *http.Request) {
	s.whep(w, r, s.Viewers.WatchRun, r.PathValue("id"))
}

type watch func(ctx context.Context, name string, offer []byte) (id, answer string, err error)

func (s *Server) whep(w http.ResponseWriter, r *http.Request, watch watch, name string) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/sdp" {
		w.Header().Set("Accept-Post", "application/sdp")
		s.refuse(w, http.StatusUnsupportedMediaType, "the body must be an SDP offer", "send it with Content-Type: application/sdp")
		return
	}
	offer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOffer))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	id, answer, err := watch(r.Context(), name, offer)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Location", "/whep/views/"+id)
	w.Header().Set("Content-Type", "application/sdp")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	if _, err := io.WriteString(w, answer); err != nil {
		// Without the answer nobody can connect. If the view has ended by
		// itself in the meantime, that is as good.
		_ = s.Viewers.End(id)
	}
}

func (s *Server) whepEnd(w http.ResponseWriter, r *http.Request) {
	if err := s.Viewers.End(r.PathValue("id")); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}
