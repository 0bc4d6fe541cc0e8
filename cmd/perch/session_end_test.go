package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pion "github.com/pion/webrtc/v4"

	"perch/cmd/internal/api"
	"perch/cmd/internal/config"
	"perch/pipeline"
	"perch/pipeline/pipelinetest"
	"perch/pipeline/webrtc"
)

// watched counts who is looking at a camera.
func watched(t *testing.T) (cam *httptest.Server, eyes *atomic.Int64) {
	t.Helper()
	behind, eyes := mjpeg(t), new(atomic.Int64)
	cam = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		eyes.Add(1)
		defer eyes.Add(-1)
		behind.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(cam.Close)
	return cam, eyes
}

// A session whose time is up before it has begun is a run like any other, and
// leaves its camera.
func TestASessionWhoseTimeIsUpAtOnce(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	cam, eyes := watched(t)
	u, err := url.Parse(cam.URL)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	d := startDaemon(t, dir, brief+"sessions: {allow_urls: [\""+u.Host+"\"]}\n")
	for _, more := range []map[string]any{
		{"processing_timeout": 0}, {"processing_timeout": 1}, {"processing_timeout": -5}, {"processing_session_started": "2020-01-01T00:00:00"},
	} {
		more["mjpeg_url"] = cam.URL
		pc, err := newPeer()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pc.GracefulClose() })
		if _, err := pc.CreateDataChannel("inference", nil); err != nil {
			t.Fatal(err)
		}
		sdp, err := offerOf(pc)
		if err != nil {
			t.Fatal(err)
		}
		if status, text, err := d.start(request(sdp, more)); err != nil || status != http.StatusOK {
			t.Fatalf("%v: %d %v\n%s", more, status, err, text)
		}
	}
	until(t, d.log, "the sessions end and leave the camera", func() bool { return d.metric(t, "perch_sessions") == 0 && eyes.Load() == 0 })
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	runs := endedRuns(t, dir)
	if len(runs) != 4 {
		t.Errorf("%d runs were stored\n%s", len(runs), d.log)
	}
	for _, r := range runs {
		if r.Complete.Termination != pipeline.TimeoutReached || len(r.Complete.Errors) != 0 {
			t.Errorf("the record says %s, %q", r.Complete.Termination, r.Complete.Errors)
		}
	}
}

// shutSource is a source that was opened.
type shutSource struct {
	pipelinetest.Source
	closed atomic.Bool
}

func (s *shutSource) Close() { s.closed.Store(true) }

// A database that takes no run: the camera is left all the same, and the client
// learns that there will be nothing, but not why. It may stay, until the device
// stops.
func TestASessionThatCannotBeStored(t *testing.T) {
	server, err := webrtc.Open(webrtc.Options{Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Sessions: webrtc.SessionOptions{Linger: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	p := newParts(config.Defaults(), slog.New(slog.DiscardHandler))
	dir := t.TempDir()
	p.cfg.DataDir = config.Path(dir)
	if err := p.openStore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil { // nothing can be stored any more
		t.Fatal(err)
	}
	s := &sessions{app: &app{parts: p}, live: map[string]*session{}}
	s.ctx, s.stop = context.WithCancelCause(t.Context())
	g := (&daemon{log: &journal{}}).guest(t, "", false)
	sdp, err := offerOf(g.pc)
	if err != nil {
		t.Fatal(err)
	}
	src := &shutSource{Source: pipelinetest.Source{N: 3}}
	peer, answer, err := server.OpenSession(t.Context(), webrtc.SessionRequest{Type: "offer", SDP: sdp, StreamOutput: []string{}, Source: src})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	g.await("the channel opens", g.open)
	ctx, cancel := context.WithCancelCause(s.ctx)
	s.begin(ctx, cancel, "01RUN", peer, &pipelinetest.Engine{}, api.SessionRequest{}, closing(src))
	frames, last := g.all(func(result) {})
	if len(frames) != 1 || fmt.Sprint(frames[0].Errors) != "["+errNotStored.Error()+"]" || last.Reason != nil {
		t.Errorf("the client was told %+v, %+v", frames, last)
	}
	if strings.Contains(fmt.Sprint(frames), dir) {
		t.Errorf("the client was told where the database is: %+v", frames)
	}
	if !src.closed.Load() {
		t.Error("the camera is still connected")
	}
	over := make(chan struct{})
	go func() { s.close(); close(over) }()
	g.await("the sessions end with the device", over)
	g.await("the channel closes", g.shut)
}
