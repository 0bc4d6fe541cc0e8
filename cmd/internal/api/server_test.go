package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"perch/cmd/internal/api"
	"perch/pipeline"
)

func newServer(t testing.TB, a *appliance) *api.Server {
	t.Helper()
	s, err := api.New(a.options())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// call sends a request and returns the answer; header is pairs.
func call(s http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestAnswers(t *testing.T) {
	a := newAppliance(t, pipeline.CodecVP8)
	s := newServer(t, a)
	for _, c := range []struct {
		method, path string
		status       int
		kind, says   string
	}{
		{"GET", "/", 200, "text/html", "<title>Perch</title>"},
		{"GET", "/main.js", 200, "text/javascript", "showCameras"},
		{"GET", "/console.css", 200, "text/css", "--ground"},
		{"GET", "/fonts/inter.woff2", 200, "font/woff2", "wOF2"},
		{"GET", "/fonts/", 404, "application/json", "there is none of that name"},
		{"GET", "/fonts", 404, "application/json", "not found"},
		{"GET", "/console.go", 404, "application/json", "not found"},
		{"GET", "/api/v2/status", 404, "application/json", "not found"},
		{"GET", "/api/v1/status", 200, "application/json", `"device_id":"jetson-yard"`},
		{"GET", "/api/v1/status", 200, "application/json", `"problems":[]`},
		{"GET", "/api/v1/models", 200, "application/json", `"provider":"cpu"`},
		{"GET", "/api/v1/cameras", 200, "application/json", `"name":"door"`},
		{"GET", "/api/v1/cameras/yard", 200, "application/json", `"dropped":{"busy":11,"error":1,"max_fps":23460}`},
		{"GET", "/api/v1/cameras/door", 200, "application/json", `"cause":"the camera refuses user admin"`},
		{"GET", "/api/v1/cameras/door", 200, "application/json", `"counts":{}`},
		{"GET", "/api/v1/cameras/cellar", 404, "application/json", `"hint":"GET /api/v1/cameras lists`},
		{"GET", "/api/v1/cameras/cellar/snapshot.jpg", 404, "application/json", `"kind":"not found"`},
		{"GET", "/api/v1/cameras/door/snapshot.jpg", 503, "application/json", `"kind":"gone"`},
		{"GET", "/api/v1/runs", 200, "application/json", `"state":"running"`},
		{"GET", "/api/v1/runs?limit=1", 200, "application/json", `"next":"01J9ZC0000000000000000000B"`},
		{"GET", "/api/v1/runs?limit=0", 400, "application/json", "it is a number from 1 to 500"},
		{"GET", "/api/v1/runs?limit=many", 400, "application/json", `"kind":"bad input"`},
		{"GET", "/api/v1/runs/01J9ZC0000000000000000000A", 200, "application/json", finished},
		{"GET", "/api/v1/runs/01J9ZC0000000000000000000B", 200, "application/json", `"processed":23448`},
		{"GET", "/api/v1/runs/none", 404, "application/json", `"hint":"look at the list"`},
		{"DELETE", "/api/v1/runs/01J9ZC0000000000000000000B", 204, "", ""},
		{"DELETE", "/api/v1/runs/none", 404, "application/json", "there is none"},
		{"PUT", "/api/v1/runs/none", 405, "application/json", "PUT is not possible here"},
		{"GET", "/api/v1/events?kind=camera.lost", 200, "application/json", `"kind":"camera.lost"`},
		{"GET", "/api/v1/events?limit=501", 400, "application/json", "500"},
		{"GET", "/healthz", 200, "application/json", `"ok"`},
		{"GET", "/readyz", 200, "application/json", `"ready"`},
		{"GET", "/schemas/run.complete.v1.json", 200, "application/json", `{"$id":"x"}`},
		{"GET", "/schemas/secret.txt", 404, "application/json", "not found"},
		{"GET", "/schemas/..%2fserver.go.json", 404, "application/json", "not found"},
		{"GET", "/schemas/", 404, "application/json", "not found"},
		{"DELETE", "/whep/views/none", 404, "application/json", "no such viewer"},
		{"PATCH", "/whep/views/none", 405, "application/json", "PATCH is not possible here"},
		{"POST", "/healthz", 405, "application/json", "use GET"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			w := call(s, c.method, c.path, "")
			if w.Code != c.status || !strings.HasPrefix(w.Header().Get("Content-Type"), c.kind) || !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("got %d %s %.300s\nwant %d %s ...%s...", w.Code, w.Header().Get("Content-Type"), w.Body, c.status, c.kind, c.says)
			}
			if h := w.Header(); !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("security headers are missing: %v", h)
			}
			if w.Code >= 400 && c.method != "HEAD" {
				var e struct {
					Error struct{ Message, Kind string }
				}
				if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Error.Message == "" || e.Error.Kind == "" {
					t.Errorf("error is %s (%v)", w.Body, err)
				}
			}
		})
	}
	if !reflect.DeepEqual(a.stopped, []string{"01J9ZC0000000000000000000B"}) {
		t.Errorf("stopped %v", a.stopped)
	}
}

func TestQueriesArrive(t *testing.T) {
	a := newAppliance(t, pipeline.CodecVP8)
	s := newServer(t, a)
	call(s, "GET", "/api/v1/runs?camera=yard&before=01X&limit=7", "")
	call(s, "GET", "/api/v1/events?camera=door&run=01R&kind=line.crossed&before=01E", "")
	want := []any{api.RunQuery{Camera: "yard", Before: "01X", Limit: 7}, api.EventQuery{Camera: "door", Run: "01R", Kind: "line.crossed", Before: "01E", Limit: 100}}
	if !reflect.DeepEqual(a.asked, want) {
		t.Errorf("asked %+v, want %+v", a.asked, want)
	}
}

func TestEmptyListsAreLists(t *testing.T) {
	a := newAppliance(t, pipeline.CodecVP8)
	a.cameras, a.runs, a.events = nil, nil, nil
	s := newServer(t, a)
	for path, want := range map[string]string{"/api/v1/cameras": `{"cameras":[]}`, "/api/v1/runs": `{"items":[]}`, "/api/v1/events": `{"items":[]}`} {
		if got := call(s, "GET", path, "").Body.String(); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestErrorsHaveTheirStatus(t *testing.T) {
	a := newAppliance(t, pipeline.CodecVP8)
	s := newServer(t, a)
	for kind, want := range map[pipeline.Kind]int{
		pipeline.Other: 500, pipeline.BadConfig: 500, pipeline.BadInput: 400, pipeline.NotFound: 404, pipeline.Unsupported: 422, pipeline.Refused: 403,
		pipeline.Gone: 503, pipeline.Storage: 507, pipeline.Timeout: 504, pipeline.Stuck: 500, pipeline.Busy: 503,
	} {
		a.broken = fmt.Errorf("list: %w", &pipeline.Error{Op: "read runs", Kind: kind, Err: errors.New("it failed"), Hint: "do this"})
		w := call(s, "GET", "/api/v1/runs", "")
		if w.Code != want || !strings.Contains(w.Body.String(), `"message":"read runs: it failed","hint":"do this","kind":"`+kind.String()) {
			t.Errorf("%v: %d %s, want %d", kind, w.Code, w.Body, want)
		}
		if (w.Header().Get("Retry-After") != "") != (want == 503) {
			t.Errorf("%v: Retry-After is %q", kind, w.Header().Get("Retry-After"))
		}
	}
	a.ready = &pipeline.Error{Op: "open database", Kind: pipeline.Storage, Err: errors.New("read-only")}
	if w := call(s, "GET", "/readyz", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "read-only") {
		t.Errorf("not ready: %d %s", w.Code, w.Body)
	}
}

func TestOtherSitesAreKeptOut(t *testing.T) {
	s := newServer(t, newAppliance(t, pipeline.CodecVP8))
	const path = "/api/v1/runs/01J9ZC0000000000000000000B"
	for _, c := range []struct {
		header []string
		want   int
	}{
		{nil, 204}, // curl
		{[]string{"Sec-Fetch-Site", "same-origin"}, 204},
		{[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{[]string{"Origin", "https://evil.example"}, 403},
		{[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://console.example.org"}, 204},
	} {
		if w := call(s, "DELETE", path, "", c.header...); w.Code != c.want {
			t.Errorf("%v: %d %s, want %d", c.header, w.Code, w.Body, c.want)
		}
	}
	w := call(s, "OPTIONS", path, "", "Origin", "https://console.example.org", "Access-Control-Request-Method", "DELETE")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != "https://console.example.org" {
		t.Errorf("preflight of an allowed site: %d %v", w.Code, w.Header())
	}
	if w := call(s, "GET", "/api/v1/status", "", "Origin", "https://evil.example"); w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("another site may read the status")
	}
	o := newAppliance(t, pipeline.CodecVP8).options()
	o.AllowedOrigins = []string{"console.example.org/x"}
	if _, err := api.New(o); pipeline.KindOf(err) != pipeline.BadConfig {
		t.Errorf("origin that is none: %v", err)
	}
}

func TestWHEPRefusals(t *testing.T) {
	s := newServer(t, newAppliance(t, pipeline.CodecVP8))
	for _, c := range []struct {
		path, kind, body string
		want             int
	}{
		{"/whep/cameras/yard", "text/plain", "v=0", 415},
		{"/whep/cameras/yard", "", "v=0", 415},
		{"/whep/cameras/yard", "application/sdp", "hello", 400},
		{"/whep/cameras/yard", "application/sdp; charset=utf-8", "hello", 400},
		{"/whep/cameras/yard", "application/sdp", strings.Repeat("a", 65<<10), 413},
		{"/whep/cameras/cellar", "application/sdp", "v=0", 404},
		{"/whep/runs/none", "application/sdp", "v=0", 404},
		{"/whep/runs/01J9ZC0000000000000000000B", "application/sdp", "v=0", 400},
	} {
		if w := call(s, "POST", c.path, c.body, "Content-Type", c.kind); w.Code != c.want {
			t.Errorf("%s %s %.20q: %d %s, want %d", c.path, c.kind, c.body, w.Code, w.Body, c.want)
		}
	}
}

func TestSnapshotHasTheRightColours(t *testing.T) {
	// Red and its samples, from the tables of BT.601 and BT.709.
	for _, c := range []struct {
		matrix  pipeline.ColourMatrix
		full    bool
		y, u, v byte
	}{
		{pipeline.BT601, false, 81, 90, 240}, {pipeline.BT709, false, 63, 102, 240},
		{pipeline.BT601, true, 76, 85, 255}, {pipeline.BT709, true, 54, 99, 255},
	} {
		for _, format := range []pipeline.PixelFormat{pipeline.I420, pipeline.NV12} {
			a := newAppliance(t, pipeline.CodecVP8)
			p := pipeline.NewPicture(63, 47)
			set(p.Planes[0], c.y)
			set(p.Planes[1], c.u)
			set(p.Planes[2], c.v)
			if format == pipeline.NV12 {
				p.Format, p.Strides[1], p.Strides[2] = format, 64, 0
				p.Planes[1], p.Planes[2] = bytes.Repeat([]byte{c.u, c.v}, 32*24), nil
			}
			p.Matrix, p.FullRange = c.matrix, c.full
			a.picture = p
			w := call(newServer(t, a), "GET", "/api/v1/cameras/yard/snapshot.jpg", "")
			if w.Code != 200 || w.Header().Get("Content-Type") != "image/jpeg" || w.Header().Get("X-Perch-Taken-At") != "2026-05-04T09:30:00Z" {
				t.Fatalf("%d %v", w.Code, w.Header())
			}
			img, err := jpeg.Decode(w.Body)
			if err != nil || img.Bounds().Dx() != 63 || img.Bounds().Dy() != 47 {
				t.Fatalf("%v, %v", err, img.Bounds())
			}
			if r, g, b, _ := img.At(62, 46).RGBA(); r>>8 < 250 || g>>8 > 6 || b>>8 > 6 {
				t.Errorf("%+v %v: red came out as %d %d %d", c, format, r>>8, g>>8, b>>8)
			}
		}
	}
	a := newAppliance(t, pipeline.CodecVP8)
	a.picture.Planes[2] = nil
	if w := call(newServer(t, a), "GET", "/api/v1/cameras/yard/snapshot.jpg", ""); w.Code != 500 {
		t.Errorf("damaged picture: %d", w.Code)
	}
}

func set(plane []byte, v byte) {
	for i := range plane {
		plane[i] = v
	}
}

func TestMetrics(t *testing.T) {
	a := newAppliance(t, pipeline.CodecVP8)
	a.cameras[0].Counts[`od"d`] = 2
	body := call(newServer(t, a), "GET", "/metrics", "").Body.String()
	for _, want := range []string{
		`perch_build_info{device="jetson-yard",platform="software",version="0.1.0"} 1`,
		`perch_camera_state{camera="yard",state="live"} 1`, `perch_camera_state{camera="yard",state="lost"} 0`,
		`perch_camera_frames_in_total{camera="yard"} 46920`, `perch_camera_frames_processed_total{camera="yard"} 23448`,
		`perch_camera_frames_dropped_total{camera="yard",cause="busy"} 11`, `perch_camera_frames_dropped_total{camera="yard",cause="max_fps"} 23460`, `perch_camera_objects{camera="yard",class="person"} 4`,
		`perch_camera_objects{camera="yard",class="od\"d"} 2`,
		`perch_camera_decoder_info{camera="yard",decoder="avdec_h264",fallback="yes",hardware="no"} 1`,
		`perch_model_info{lesser="no",model="nanodet-plus-m-416",provider="cpu",state="ready"} 1`,
		`perch_model_warmup_info{model="nanodet-plus-m-416",state="building engine",target="tensorrt"} 1`,
		`perch_model_warmup_elapsed_seconds{model="nanodet-plus-m-416"} 95`, `perch_model_warmup_expected_seconds{model="nanodet-plus-m-416"} 300`,
		`perch_model_busy_seconds_total{model="nanodet-plus-m-416"} 1.5`, `perch_storage_ok 1`, `perch_storage_results_total 100`,
		`perch_mqtt_connected 1`, `perch_mqtt_confirmed_total 77`, `perch_mqtt_waiting 3`, `perch_viewer_offers_total{outcome="accepted"} 0`,
		`perch_sessions 2`, `perch_sessions_connected 1`, `perch_session_offers_total{outcome="full"} 3`, `perch_session_messages_total{outcome="sent"} 40`,
		`perch_session_messages_total{outcome="abandoned"} 1`, `perch_session_uploads_total{outcome="refused"} 5`,
		`perch_preview_encoders{camera="yard"} 1`, `perch_runs_ended_total{reason="end_of_stream"} 6`, `go_goroutines `, `process_open_fds `,
	} {
		if !strings.Contains(body, "\n"+want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

func TestListenAndServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := api.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.Listen(ctx, l.Addr().String()); pipeline.KindOf(err) != pipeline.BadConfig || !strings.Contains(err.Error(), "another program") {
		t.Errorf("port taken: %v", err)
	}
	if _, err := api.Listen(ctx, "nowhere"); pipeline.KindOf(err) != pipeline.BadConfig {
		t.Errorf("no address: %v", err)
	}
	s := newServer(t, newAppliance(t, pipeline.CodecVP8))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.Body.Close() != nil || !bytes.Contains(body, []byte("ok")) {
		t.Errorf("%s, %v", body, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("stopping: %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the port is still open")
	}
	l, err = api.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listener that closed by itself: %v", err)
	}
}

// Connections beyond the limit wait until others have closed.
func TestConnectionsAreBounded(t *testing.T) {
	l, err := api.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const limit = 256
	accepted := make(chan net.Conn, limit+1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	for range limit + 1 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	var first net.Conn
	for range limit {
		first = <-accepted
	}
	select {
	case <-accepted:
		t.Fatal("one too many was accepted")
	case <-time.After(50 * time.Millisecond):
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	<-accepted
}
