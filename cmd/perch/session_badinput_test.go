package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"perch/cmd/internal/config"
	"perch/pipeline"
)

// mute is a server that takes connections and answers nothing; it returns its
// address.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
	return l.Addr().String()
}

// strict is a daemon whose sessions may do and cost little.
func strict(t *testing.T, dir, more string) *daemon {
	t.Helper()
	return startDaemon(t, dir, brief+"sessions: {max_sessions: 4, connect_timeout: 3s, upload_idle: 2s, rtsp_timeout: 1s, max_upload: 8 MiB, max_chunks: 1000, buffer_limit: 64 KiB"+more+"}\n")
}

// A patient client has a session half done while others misbehave.
type patient struct {
	*guest
	acked uint32
}

func (d *daemon) patient(t *testing.T, file string) *patient {
	t.Helper()
	p := &patient{guest: d.guest(t, "", false)}
	p.join(map[string]any{"webrtc_realtime_processing": false})
	p.say(`{"ack":0}`)
	p.send(file)
	p.read(20)
	return p
}

// read acknowledges results up to a number, each of which must come.
func (p *patient) read(upTo uint32) {
	p.t.Helper()
	for p.acked < upTo {
		if r := p.next(); r.id != p.acked+1 || r.Complete || len(r.Errors) > 0 {
			p.t.Fatalf("after result %d: %+v\n%s", p.acked, r, p.d.log)
		}
		p.acked++
		p.say(fmt.Sprintf(`{"ack":%d}`, p.acked))
	}
}

// end reads the rest.
func (p *patient) end(frames uint32) {
	p.t.Helper()
	p.read(frames)
	if r := p.next(); !r.Complete || r.Reason != nil {
		p.t.Errorf("the last message: %+v", r)
	}
	p.leave()
}

// What a client may get wrong when it starts a session: it is told what, and
// others notice nothing.
func TestSessionsThatCannotStart(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	const secret = "hidden-from-clients"
	silent, gone := mute(t), freePort(t)
	dir := t.TempDir()
	file := smallClip(t, filepath.Join(t.TempDir(), "clip.mp4"), 120)
	d := strict(t, dir, ", allow_urls: [\""+silent+"\", \""+gone+"\"]")
	other := d.patient(t, file)

	pc, err := newPeer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	if _, err := pc.CreateDataChannel("inference", nil); err != nil {
		t.Fatal(err)
	}
	offer, err := offerOf(pc)
	if err != nil {
		t.Fatal(err)
	}
	camera := func(address string) map[string]any {
		return map[string]any{"rtsp_url": "rtsp://viewer:" + secret + "@" + address + "/stream"}
	}
	servers := func(url string) map[string]any {
		return map[string]any{"webrtc_config": map[string]any{"iceServers": []any{map[string]any{"urls": url, "username": "viewer", "credential": secret}}}}
	}
	for _, tt := range []struct {
		name, sdp string
		more      map[string]any
		status    int
		says      string
	}{
		{"no sections", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", nil, 400, "section"},
		{"no SDP", "hello", nil, 400, "SDP"},
		{"5 MB", offer + strings.Repeat("a=padding\r\n", 5<<20/11), nil, 422, "characters"},
		{"40 MB", strings.Repeat("a=padding\r\n", 40<<20/11), nil, 413, "too large"},
		{"no video section", offer, map[string]any{"stream_output": []string{"whole"}}, 400, "video"},
		{"unknown output", offer, map[string]any{"data_output": []string{"*", "height"}}, 400, "Invalid data_output fields: ['*']"},
		{"no workflow", offer, map[string]any{"workflow_configuration": map[string]any{"type": "WorkflowConfiguration"}}, 400, "workflow"},
		{"a broken workflow", offer, map[string]any{"workflow_configuration": map[string]any{"type": "WorkflowConfiguration", "workflow_specification": json.RawMessage(strings.ReplaceAll(plainWorkflow, "$inputs.image", "$inputs.picture"))}}, 400, "WorkflowSyntaxError"},
		{"another's workflow", offer, map[string]any{"workflow_configuration": map[string]any{"type": "WorkflowConfiguration", "workspace_name": "w", "workflow_id": "../perch"}}, 400, "no name of a workflow"},
		{"a workflow that is not here", offer, map[string]any{"workflow_configuration": map[string]any{"type": "WorkflowConfiguration", "workspace_name": "w", "workflow_id": "ghost"}}, 404, "ghost"},
		{"a camera that hangs in DESCRIBE", offer, camera(silent), 502, silent},
		{"a camera that is away", offer, camera(gone), 502, gone},
		{"this machine", offer, camera("127.0.0.1:554"), 400, "sessions.allow_urls"},
		{"the metadata of a cloud", offer, camera("169.254.169.254"), 400, "sessions.allow_urls"},
		{"a TURN server on this machine", offer, servers("turn:" + silent + "?transport=tcp"), 400, "sessions.allow_ice_servers"},
		{"a STUN server in the metadata of a cloud", offer, servers("stun:169.254.169.254:80"), 400, "sessions.allow_ice_servers"},
		{"a file of this machine", offer, map[string]any{"rtsp_url": "file:///etc/passwd"}, 400, "rtsp://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, text, err := d.start(request(tt.sdp, tt.more))
			if err != nil || status != tt.status || !strings.Contains(text, tt.says) || strings.Contains(text, secret) {
				t.Errorf("%d %v %.400s\nwant %d and %q", status, err, text, tt.status, tt.says)
			}
		})
	}
	if open := d.metric(t, "perch_sessions"); open != 1 {
		t.Errorf("%v sessions are open", open)
	}
	d.storm(t, offer)
	other.end(120)
	until(t, d.log, "no session is left", func() bool { return d.metric(t, "perch_sessions") == 0 })
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	absent(t, secret, dir, d.log.String())
	for _, r := range endedRuns(t, dir) {
		if c := r.Complete; c.Termination == pipeline.Failed {
			t.Errorf("record: %+v", c)
		}
	}
}

// Offline, no server of a client is used, wherever it is.
func TestOfflineSessionsRefuseServers(t *testing.T) {
	a := &app{parts: &parts{cfg: config.Defaults()}}
	a.cfg.Sessions.Offline = true
	if use, err := a.allowServer(t.Context(), "stun:192.168.1.20"); pipeline.KindOf(err) != pipeline.Refused || !strings.Contains(err.Error(), "sessions.offline") || use != nil {
		t.Errorf("%q, %v", use, err)
	}
}

// storm asks for ten thousand sessions and connects to none.
func (d *daemon) storm(t *testing.T, offer string) {
	t.Helper()
	body, before := request(offer, nil), d.footprint(t)
	var counts [600]atomic.Int64 // by status
	var left atomic.Int64
	left.Store(10_000)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				status, text, err := d.start(body)
				if err != nil || status == http.StatusTooManyRequests && !strings.Contains(text, "SessionLimitError") {
					t.Errorf("%d %v %s", status, err, text)
					return
				}
				counts[status].Add(1)
			}
		})
	}
	wg.Wait()
	started, refused := counts[http.StatusOK].Load(), counts[http.StatusTooManyRequests].Load()
	if started == 0 || refused == 0 || started+refused != 10_000 {
		t.Errorf("%d were started and %d refused", started, refused)
	}
	var after footprint
	until(t, d.log, "those who did not connect are given up", func() bool {
		after = d.footprint(t)
		return d.metric(t, "perch_sessions") == 1 && after.goroutines <= before.goroutines+5 && after.files <= before.files+20
	})
	t.Logf("%d started, before %+v, after %+v", started, before, after)
	if after.rssMB > before.rssMB+100 {
		t.Errorf("resident memory grew from %d to %d MB", before.rssMB, after.rssMB)
	}
}

// What a client may get wrong once it is connected.
func TestSessionsThatMisbehave(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	dir, clips := t.TempDir(), t.TempDir()
	file := smallClip(t, filepath.Join(clips, "clip.mp4"), 120)
	large := sample(t, filepath.Join(clips, "large.mp4"), 60)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	notes := write(t, filepath.Join(clips, "notes.mp4"), strings.Repeat("These are my notes.\n", 100))
	cut := write(t, filepath.Join(clips, "cut.mp4"), string(whole[:len(whole)/2]))
	d := strict(t, dir, "")
	other := d.patient(t, file)
	before := d.footprint(t)

	raw := func(msgs ...[]byte) func(*guest) {
		return func(g *guest) {
			g.await("the upload channel opens", g.ready)
			for _, m := range msgs {
				if err := g.upload.Send(m); err != nil {
					g.t.Fatal(err)
				}
			}
		}
	}
	t.Run("uploads", func(t *testing.T) {
		for _, tt := range []struct {
			name string
			send func(*guest)
			says string
		}{
			{"no video", func(g *guest) { g.send(notes) }, "video"},
			{"cut off", func(g *guest) { g.send(cut) }, "upload"},
			{"never ends", raw(chunk(0, 2, whole[:1000])), "nothing came"},
			{"never begins", func(*guest) {}, "nothing came"},
			{"2^32-1 chunks", raw(chunk(0, 1<<32-1, whole[:1000])), "chunks"},
			{"too large", raw(chunk(0, 1000, whole[:49152])), "bytes"},
			{"chunks of two sizes", raw(chunk(0, 3, whole[:1000]), chunk(1, 3, whole[:900])), "size"},
			{"another total", raw(chunk(0, 3, whole[:1000]), chunk(1, 4, whole[:1000])), "says there are"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				g := d.guest(t, "", false)
				g.join(map[string]any{"webrtc_realtime_processing": false})
				tt.send(g)
				frames, last := g.all(func(result) {})
				if len(frames) != 1 || len(frames[0].Errors) != 1 || !strings.Contains(frames[0].Errors[0], tt.says) || frames[0].Data != nil {
					t.Errorf("before the end: %+v, which should say %q", frames, tt.says)
				}
				if last.Reason != nil {
					t.Errorf("the end: %s", *last.Reason)
				}
				g.leave()
			})
		}
	})
	t.Run("nonsense in between", func(t *testing.T) {
		g := d.guest(t, "", false)
		g.join(map[string]any{"webrtc_realtime_processing": false})
		for _, text := range []string{`{"ack":-5}`, `{"ack":"x"}`, `{"ack":1e300}`, "no JSON", "[]", `{"data_output":5}`, `{"stream_output":["whole"]}`, strings.Repeat("[", 60_000)} {
			g.say(text)
		}
		raw([]byte{1, 2, 3}, chunk(5, 2, nil), []byte{7})(g)
		g.send(file)
		if frames, last := g.all(func(result) {}); len(frames) != 120 || last.Reason != nil {
			t.Errorf("%d results", len(frames))
		}
		g.leave()
	})
	t.Run("the deadline without pictures", func(t *testing.T) {
		g := d.guest(t, "", false)
		g.join(map[string]any{"processing_timeout": 2})
		if frames, last := g.all(func(result) {}); len(frames) != 0 || last.Reason == nil || *last.Reason != "timeout_reached" {
			t.Errorf("%d results, then %+v", len(frames), last)
		}
		g.await("the channel closes", g.shut)
	})
	t.Run("does not read", func(t *testing.T) {
		g := d.guest(t, "", true)
		g.join(map[string]any{"webrtc_realtime_processing": false, "data_output": []string{"whole"}})
		g.send(large)
		done := d.metric(t, "perch_session_frames_total")
		uploadOnce(t, d, file, 120, false, false) // somebody else, meanwhile
		if shown := d.metric(t, "perch_session_frames_total") - done - 120; shown >= 60 {
			t.Errorf("%v results of 60 were made for somebody who does not read", shown)
		}
		close(g.hear)
		frames, _ := g.all(func(result) {})
		if len(frames) != 60 {
			t.Errorf("%d results of 60", len(frames))
		}
		g.leave()
	})
	other.end(120)
	var after footprint
	until(t, d.log, "what the sessions used is free", func() bool {
		after = d.footprint(t)
		return d.metric(t, "perch_sessions") == 0 && after.files <= before.files+20
	})
	t.Logf("before %+v, after %+v", before, after)
	if after.rssMB > before.rssMB+150 {
		t.Errorf("resident memory grew from %d to %d MB", before.rssMB, after.rssMB)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "uploads")); err != nil || len(left) != 0 {
		t.Errorf("%d uploads are left: %v", len(left), err)
	}
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	endedRuns(t, dir)
}
