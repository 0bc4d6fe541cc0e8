package api

import (
	"io/fs"
	"net/http"
	"path"
	"strconv"

	"perch/pipeline"
)

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	st := s.Device.Status()
	if st.Models == nil {
		st.Models = []Model{}
	}
	if st.Problems == nil {
		st.Problems = []Problem{}
	}
	s.write(w, http.StatusOK, st)
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	s.write(w, http.StatusOK, map[string][]Model{"models": orEmpty(s.Device.Models())})
}

func (s *Server) cameras(w http.ResponseWriter, _ *http.Request) {
	list := orEmpty(s.Cameras.List())
	for i := range list {
		list[i] = list[i].whole()
	}
	s.write(w, http.StatusOK, map[string][]Camera{"cameras": list})
}

func (s *Server) camera(w http.ResponseWriter, r *http.Request) {
	c, err := s.findCamera(r.PathValue("name"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.write(w, http.StatusOK, c)
}

func (s *Server) findCamera(name string) (Camera, error) {
	for _, c := range s.Cameras.List() {
		if c.Name == name {
			return c.whole(), nil
		}
	}
	return Camera{}, notFound("camera", name, "GET /api/v1/cameras lists those that there are")
}

// whole returns c with empty objects instead of nulls.
func (c Camera) whole() Camera {
	if c.Counts == nil {
		c.Counts = map[string]int{}
	}
	if c.Frames.Dropped == nil {
		c.Frames.Dropped = map[pipeline.Cause]uint64{}
	}
	return c
}

// page is one page of a list; Next is the value of before for the next one.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

func (s *Server) runs(w http.ResponseWriter, r *http.Request) {
	limit, err := limitOf(r, 50)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	q := r.URL.Query()
	list, err := s.Runs.List(r.Context(), RunQuery{Camera: q.Get("camera"), Before: q.Get("before"), Limit: limit})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	p := page[Run]{Items: orEmpty(list)}
	for i := range p.Items {
		p.Items[i] = p.Items[i].whole()
	}
	if len(list) == limit {
		p.Next = list[limit-1].ID
	}
	s.write(w, http.StatusOK, p)
}

// whole returns r with empty objects instead of nulls.
func (r Run) whole() Run {
	if r.Detections == nil {
		r.Detections = map[string]uint64{}
	}
	if r.Frames.Dropped == nil {
		r.Frames.Dropped = map[pipeline.Cause]uint64{}
	}
	return r
}

// run returns the completion record as it was stored or, while the run goes
// on, what is known so far.
func (s *Server) run(w http.ResponseWriter, r *http.Request) {
	run, err := s.Runs.Get(r.Context(), r.PathValue("id"))
	switch {
	case err != nil:
		s.fail(w, r, err)
	case run.Record != nil:
		s.writeRaw(w, http.StatusOK, run.Record)
	default:
		s.write(w, http.StatusOK, run.whole())
	}
}

// stopRun asks a run to end. Its completion record follows.
func (s *Server) stopRun(w http.ResponseWriter, r *http.Request) {
	if err := s.Runs.Stop(r.Context(), r.PathValue("id")); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	limit, err := limitOf(r, 100)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	q := r.URL.Query()
	list, err := s.Events.List(r.Context(), EventQuery{
		Camera: q.Get("camera"), Run: q.Get("run"), Kind: q.Get("kind"), Before: q.Get("before"), Limit: limit,
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	p := page[pipeline.Event]{Items: orEmpty(list)}
	if len(list) == limit {
		p.Next = list[limit-1].ID
	}
	s.write(w, http.StatusOK, p)
}

func limitOf(r *http.Request, otherwise int) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > MaxPage {
		return 0, badQuery("limit", text, "it is a number from 1 to "+strconv.Itoa(MaxPage))
	}
	return n, nil
}

// healthy says that the process answers; readyz says whether it can work.
func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) {
	s.write(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.Device.Ready(); err != nil {
		s.write(w, http.StatusServiceUnavailable, map[string]problem{"error": {Message: err.Error(), Kind: pipeline.KindOf(err).String()}})
		return
	}
	s.write(w, http.StatusOK, map[string]string{"status": "ready"})
}

func (s *Server) schema(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if s.Schemas == nil || path.Ext(name) != ".json" {
		s.fail(w, r, notFound("schema", name, ""))
		return
	}
	body, err := fs.ReadFile(s.Schemas, name)
	if err != nil {
		s.fail(w, r, notFound("schema", name, ""))
		return
	}
	s.writeRaw(w, http.StatusOK, body)
}

// console serves the page. Its files change with the binary only, and are
// small; the browser asks each time whether they have.
func (s *Server) console() http.Handler {
	files := http.FileServerFS(s.Console)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path[1:]
		if name == "" {
			name = "index.html"
		}
		if info, err := fs.Stat(s.Console, name); err != nil || info.IsDir() {
			s.fail(w, r, notFound("page", r.URL.Path, "the console is at /, the API begins with /api/v1/"))
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
