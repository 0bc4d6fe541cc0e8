package gst

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
)

// Opening shows that a camera works, and playing goes on over the same session.
func TestOpenSourceConnectsOnce(t *testing.T) {
	t.Parallel()
	cam := &camera{}
	m := openMedia(t)
	o, err := m.OpenSource(t.Context(), SourceSpec{Kind: pipeline.SourceRTSP, URL: cam.start(t), Transport: TransportTCP, Name: "door"})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if i := o.Info(); i.Codec != "H.264" || i.Width != testWidth || !i.Live || o.ID().Name != "door" {
		t.Errorf("%+v %+v", i, o.ID())
	}
	// Nobody takes pictures yet; only the newest is kept.
	until(t, "newer pictures", func() bool { return o.gate.newest() > 5 })
	ctx, cancel := context.WithCancelCause(t.Context())
	c := &collector{}
	c.each = func(context.Context, pipeline.Frame) {
		if len(c.frames) == 10 {
			cancel(errEnough)
		}
	}
	if err := o.Run(ctx, c); !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	for i, f := range c.frames {
		if f.Seq != uint64(i+1) {
			t.Errorf("picture %d has Seq %d", i+1, f.Seq)
		}
	}
	if c.frames[0].PTS != 0 || c.info(t).Codec != "H.264" {
		t.Errorf("begins at %v with %+v", c.frames[0].PTS, c.infos)
	}
	if n := cam.setups.Load(); n != 1 {
		t.Errorf("the camera was connected to %d times", n)
	}
}

// newest is the number of the picture that waits.
func (g *gate) newest() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		return 0
	}
	return g.held.info.Seq
}

// With Lossless pace nothing is lost between opening and playing.
func TestOpenSourceLosesNothing(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	path := makeVideo(t, "clip.mkv", x264+" ! matroskamux")
	o, err := m.OpenSource(t.Context(), lossless(path))
	if err != nil {
		t.Fatal(err)
	}
	var c collector
	if err := o.Run(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	c.wantAll(t, 1, testFrames)
	if i := c.info(t); i.FPS != testFPS || i.Frames == 0 {
		t.Errorf("%+v", i)
	}
	o.Close()
	o.Close()
}

func TestOpenSourceFails(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	hung := &camera{hang: make(chan struct{})}
	url := hung.start(t)
	_, err := m.OpenSource(t.Context(), SourceSpec{Kind: pipeline.SourceRTSP, URL: url, OpenTimeout: 300 * time.Millisecond})
	wantError(t, err, pipeline.Timeout, "no picture within 300ms")
	impatient := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(impatient) })
	if _, err = m.OpenSource(ctx, SourceSpec{Kind: pipeline.SourceRTSP, URL: url}); !errors.Is(err, impatient) {
		t.Errorf("%v", err)
	}
	_, err = m.OpenSource(t.Context(), SourceSpec{Kind: pipeline.SourceRTSP, URL: "rtsp://127.0.0.1:1/none"})
	wantError(t, err, pipeline.Gone)
	_, err = m.OpenSource(t.Context(), SourceSpec{Kind: "floppy"})
	wantError(t, err, pipeline.BadConfig)
}

// TestOpenedSourcesLeaveNothing does not run beside others: it counts what a
// process has.
func TestOpenedSourcesLeaveNothing(t *testing.T) {
	m := openMedia(t)
	path := makeVideo(t, "clip.mp4", x264+" ! mp4mux")
	round := func(n int) {
		for i := range n {
			o, err := m.OpenSource(t.Context(), lossless(path))
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 { // its client never connected
				o.Close()
				continue
			}
			ctx, cancel := context.WithCancel(t.Context())
			err = o.Run(ctx, outletFunc(func(_ context.Context, f pipeline.Frame) { f.Release(); cancel() }))
			if cancel(); err != nil && !errors.Is(err, context.Canceled) { // nil: its end came first
				t.Fatal(err)
			}
		}
	}
	round(40)
	before := usage(t)
	round(60)
	var after resources
	for range 50 { // threads of GStreamer's pool end some time after their work
		if after = usage(t); after.fds <= before.fds && after.goroutines <= before.goroutines {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if after.goroutines > before.goroutines || after.fds > before.fds || after.rss > before.rss+8<<20 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// An address that was approved must not lead to one that was not.
func TestNoRedirect(t *testing.T) {
	t.Parallel()
	inner := httptest.NewServer(mjpeg(t, 200, 10*time.Millisecond))
	t.Cleanup(inner.Close)
	outer := httptest.NewServer(http.RedirectHandler(inner.URL+"/video", http.StatusFound))
	t.Cleanup(outer.Close)
	target := &camera{}
	location := target.start(t)
	for _, spec := range []SourceSpec{
		{Kind: pipeline.SourceHTTP, URL: outer.URL + "/", Username: "viewer", Password: "p@ss:word"},
		{Kind: pipeline.SourceRTSP, URL: redirector(t, location), Transport: TransportTCP},
	} {
		if _, err := watch(t, spec, 3); err != nil {
			t.Errorf("%s: a redirect is not followed where it may be: %v", spec.Kind, err)
		}
		before := target.setups.Load()
		spec.NoRedirect = true
		c, err := watch(t, spec, 3)
		if err == nil || c.count() > 0 || target.setups.Load() != before {
			t.Errorf("%s: %d pictures of another address, %v", spec.Kind, c.count(), err)
		}
		t.Log(err)
	}
	direct := SourceSpec{Kind: pipeline.SourceRTSP, URL: location, Transport: TransportTCP, NoRedirect: true}
	if _, err := watch(t, direct, 3); err != nil {
		t.Errorf("without a redirect: %v", err)
	}
}

// redirector is an RTSP server that knows only that the camera is elsewhere
// (RFC 2326, 10.4 and 11.3).
func redirector(t *testing.T, location string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			answer(conn, location)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "rtsp://" + l.Addr().String() + "/stream"
}

// answer serves one connection until the client hangs up.
func answer(conn net.Conn, location string) {
	defer conn.Close()
	for in := bufio.NewReader(conn); ; {
		request, err := textproto.NewReader(in).ReadLine()
		if err != nil {
			return
		}
		header, err := textproto.NewReader(in).ReadMIMEHeader()
		if err != nil {
			return
		}
		reply := "RTSP/1.0 302 Moved Temporarily\r\nLocation: " + location + "\r\n"
		if strings.HasPrefix(request, "OPTIONS") {
			reply = "RTSP/1.0 200 OK\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
		}
		if _, err := io.WriteString(conn, reply+"CSeq: "+header.Get("CSeq")+"\r\n\r\n"); err != nil {
			return
		}
	}
}
