package main

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"perch/cmd/internal/api"
	"perch/pipeline"
)

// A camera that goes away is waited for, and numbers and times go on; without
// sessions.reconnect it ends its session, and a recording always does.
func TestASessionsCameraGoesAway(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	const secret = "unlisted-password"
	for _, tt := range []struct {
		name, setting, length string
		reconnect             bool
	}{{"by default", "", "", true}, {"not waited for", "reconnect: false, ", "", false}, {"a recording", "", "0-3600", false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cam, reconnect := newRTSPCamera(t, secret), tt.reconnect
			cam.unplug()
			cam.length = tt.length
			cam.plug(t)
			dir := t.TempDir()
			d := startDaemon(t, dir, brief+fmt.Sprintf("sessions: {%srtsp_timeout: 10s, rtsp_placeholder: the-door, rtsp_placeholder_url: \"rtsp://viewer:%s@%s/stream\"}\n", tt.setting, secret, cam.addr))
			g := d.guest(t, "", false)
			g.join(map[string]any{"rtsp_url": "the-door"})
			first := g.next()
			cam.unplug()
			if !reconnect {
				frames, last := g.all(func(result) {})
				if last.Reason != nil || len(frames) == 0 || len(frames[len(frames)-1].Errors) == 0 {
					t.Errorf("the end: %+v after %+v", last, frames)
				}
			} else {
				until(t, d.log, "the session says that its camera is away", func() bool { return strings.Contains(d.log.String(), "the camera went away") })
				cam.plug(t)
				newest := first
				until(t, d.log, "pictures come again", func() bool {
					r := g.next()
					if r.Complete || r.Meta.Frame <= newest.Meta.Frame || *r.Meta.PTS <= *newest.Meta.PTS {
						t.Fatalf("after frame %d at %d: %+v", newest.Meta.Frame, *newest.Meta.PTS, r)
					}
					gap := *r.Meta.PTS - *newest.Meta.PTS
					newest = r
					return gap > 90000*4/10 // the wait before the next attempt is half a second or more
				})
			}
			g.leave()
			until(t, d.log, "the client is seen to leave", func() bool { return d.metric(t, "perch_sessions") == 0 })
			if code := d.stop(t); code != exitOK {
				t.Errorf("exit status %d\n%s", code, d.log)
			}
			want := map[bool]pipeline.Reason{false: pipeline.SourceLost, true: pipeline.ClientGone}[reconnect]
			for _, r := range endedRuns(t, dir) {
				if r.Complete.Termination != want {
					t.Errorf("the run ended for %s, not %s", r.Complete.Termination, want)
				}
			}
			absent(t, secret, dir, d.log.String(), jsonOf(t, first))
		})
	}
}

// mjpeg serves pictures as network cameras without a video codec do, for as long
// as somebody looks.
func mjpeg(t *testing.T) *httptest.Server {
	t.Helper()
	var pic bytes.Buffer
	if err := jpeg.Encode(&pic, image.NewGray(image.Rect(0, 0, 160, 120)), nil); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=next")
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for r.Context().Err() == nil {
			if _, err := fmt.Fprintf(w, "--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", pic.Len(), pic.Bytes()); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			<-tick.C
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestASessionOfAnMJPEGCamera(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	cam := mjpeg(t)
	u, err := url.Parse(cam.URL)
	if err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, t.TempDir(), brief+"sessions: {allow_urls: [\""+u.Host+"\"]}\n")
	g := d.guest(t, "recvonly", false)
	g.join(map[string]any{"mjpeg_url": cam.URL, "stream_output": []string{"whole"}, "data_output": []string{"height", "tag"}, "declared_fps": "20"})
	for range 5 {
		if r := g.next(); string(r.Data["height"]) != "120" || !slices.Equal(r.keys(), []string{"height", "tag"}) || r.Meta.FPS == nil || *r.Meta.FPS != 20 {
			t.Errorf("%+v", r)
		}
	}
	until(t, d.log, "pictures come", func() bool { return len(g.pictures()) > 2 })
	runs := runsOf(t, d)
	if len(runs) != 1 || runs[0].Source.Kind != pipeline.SourceHTTP || runs[0].Source.Name != cam.URL {
		t.Errorf("runs: %+v", runs)
	}
	g.leave()
	until(t, d.log, "the run ends with its client", func() bool {
		return slices.ContainsFunc(runsOf(t, d), func(r api.Run) bool { return r.Termination == pipeline.ClientGone })
	})
}
