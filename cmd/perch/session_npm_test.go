package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"perch/cmd/internal/api"
	"perch/pipeline"
)

// webcam is the camera of the browser itself.
func webcam() map[string]any { return map[string]any{} }

// npm is a daemon and a page with the published client.
type npm struct {
	d     *daemon
	b     *browser
	site  string
	files string
	cam   *rtspCamera
}

// join opens a page and starts a session on it.
func (n *npm) join(t *testing.T, source, params map[string]any, more string) *tab {
	t.Helper()
	p := n.b.open(t, n.d.log, n.site+"/")
	p.await("the page is loaded", "window.loaded")
	p.do(n.begin(t, source, params, more))
	return p
}

// begin is JavaScript that starts a session.
func (n *npm) begin(t *testing.T, source, params map[string]any, more string) string {
	if _, ok := params["workflowId"]; !ok {
		params["workflowSpec"] = json.RawMessage(plainWorkflow)
	}
	return fmt.Sprintf("begin({server: %s, source: %s, params: %s%s})", jsonOf(t, n.d.url), jsonOf(t, source), jsonOf(t, params), more)
}

func (p *tab) results() []result { return js[[]result](p, "seen.messages") }

// leave cleans up as applications do, and checks whom the page has ever
// contacted.
func (n *npm) leave(t *testing.T, p *tab) {
	t.Helper()
	for _, peer := range js[[]string](p, "peers()") {
		if peer != "127.0.0.1" {
			t.Errorf("the page sent packets to %s", peer)
		}
	}
	p.do("cleanUp()")
	if state := js[map[string]string](p, "state()"); state["connection"] != "closed" {
		t.Errorf("after cleaning up the connection is %s", state["connection"])
	}
	want := []string{strings.TrimPrefix(n.d.url, "http://"), strings.TrimPrefix(n.site, "http://")}
	slices.Sort(want)
	if got := p.asked(); !slices.Equal(got, want) {
		t.Errorf("the page asked %v, not only %v", got, want)
	}
}

// The client that Roboflow publishes for browsers, unchanged, against the
// whole program.
func TestThePublishedBrowserClient(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_SDK")
	t.Parallel()
	const secret = "camera-secret-77"
	broker := startMosquitto(t, "")
	ear := broker.listen(t)
	dir := t.TempDir()
	n := &npm{b: startBrowser(t), files: t.TempDir(), cam: newRTSPCamera(t, secret)}
	n.site = site(t, n.files)
	if err := os.Mkdir(filepath.Join(dir, "workflows"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "workflows", "doorway.json"), plainWorkflow)
	n.d = startDaemon(t, dir, quiet+"mqtt: {url: \""+broker.url()+"\"}\nsessions: {allow_urls: [private, \""+n.cam.addr+"\"]}\n")

	t.Run("sessions", func(t *testing.T) {
		for _, tt := range []struct {
			name string
			run  func(*npm, *testing.T)
		}{
			{"camera, video and named data", (*npm).cameraWithVideo},
			{"camera, all data", (*npm).cameraWithoutVideo},
			{"camera, video found, no data", (*npm).cameraWithoutData},
			{"network camera", func(n *npm, t *testing.T) { n.networkCamera(t, secret) }},
			{"file, acknowledged slowly", (*npm).slowHandler},
			{"file, until the deadline", (*npm).deadline},
			{"outputs switched", (*npm).reconfigured},
			{"names that are not there", (*npm).invalidNames},
			{"ended over the API", (*npm).endedOverTheAPI},
		} {
			t.Run(tt.name, func(t *testing.T) { tt.run(n, t) })
		}
	})

	if code := n.d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, n.d.log)
	}
	reasons := map[pipeline.Reason]int{}
	for _, r := range endedRuns(t, dir) {
		if r.Complete == nil {
			continue
		}
		reasons[r.Complete.Termination]++
		if r.Complete.Termination == pipeline.Failed {
			t.Errorf("a run failed: %+v", r.Complete)
		}
		if got := ear.on(r.Run + "/complete"); len(got) != 1 {
			t.Errorf("%d messages of the end of run %s", len(got), r.Run)
		}
	}
	want := map[pipeline.Reason]int{pipeline.ClientGone: 5, pipeline.EndOfStream: 1, pipeline.TimeoutReached: 1, pipeline.Stopped: 1}
	if !maps.Equal(reasons, want) {
		t.Errorf("runs ended for %v, not for %v", reasons, want)
	}
	absent(t, secret, dir, n.d.log.String(), ear.heard.String())
	if strings.Contains(n.d.log.String(), "Pwd") {
		t.Error("a password of ICE is in the log")
	}
}

func (n *npm) cameraWithVideo(t *testing.T) {
	p := n.join(t, webcam(), map[string]any{"streamOutputNames": []string{"part"}, "dataOutputNames": []string{"tag", "height"}, "workflowsParameters": map[string]string{"tag": "cam-7"}}, "")
	p.await("pictures and results come", "seen.pictures > 5 && seen.messages.length > 5")
	if w, h := js[int](p, "seen.width"), js[int](p, "seen.height"); w != 160 || h != 120 {
		t.Errorf("the picture has %d x %d", w, h)
	}
	p.await("the picture is not black", "light() > 20")
	for i, r := range p.results() {
		if !slices.Equal(r.keys(), []string{"height", "tag"}) || string(r.Data["tag"]) != `"cam-7"` || string(r.Data["height"]) != "240" || r.Meta.Width != 320 || len(r.Errors) > 0 {
			t.Fatalf("result %d: %+v", i+1, r)
		}
		if r.Meta.PTS == nil || r.Meta.Base == nil || *r.Meta.Base != 1.0/90000 {
			t.Errorf("result %d has time %v in units of %v", i+1, r.Meta.PTS, r.Meta.Base)
		}
	}
	n.leave(t, p)
}

func (n *npm) cameraWithoutVideo(t *testing.T) {
	p := n.join(t, webcam(), map[string]any{"streamOutputNames": []string{}, "dataOutputNames": []string{"*"}}, "")
	p.await("results come", "seen.messages.length > 5")
	last := uint32(0)
	for _, r := range p.results() {
		if !slices.Equal(r.keys(), []string{"height", "tag"}) || r.Meta.Frame <= last {
			t.Fatalf("after frame %d: %+v", last, r)
		}
		last = r.Meta.Frame
	}
	if shown := js[int](p, "seen.pictures"); shown != 0 {
		t.Errorf("%d pictures that nobody asked for", shown)
	}
	n.leave(t, p)
}

func (n *npm) cameraWithoutData(t *testing.T) {
	p := n.join(t, webcam(), map[string]any{"streamOutputNames": nil, "dataOutputNames": []string{}}, "")
	p.await("pictures and results come", "seen.pictures > 3 && seen.messages.length > 3")
	if w, h := js[int](p, "seen.width"), js[int](p, "seen.height"); w != 320 || h != 240 {
		t.Errorf("the picture has %d x %d", w, h)
	}
	for _, r := range p.results() {
		if r.Data != nil || len(r.Errors) > 0 {
			t.Fatalf("%+v", r)
		}
	}
	n.leave(t, p)
}

func (n *npm) networkCamera(t *testing.T, secret string) {
	address := url.URL{Scheme: "rtsp", User: url.UserPassword("viewer", secret), Host: n.cam.addr, Path: "/stream"}
	p := n.join(t, map[string]any{"rtsp": address.String()}, map[string]any{"streamOutputNames": []string{"whole"}, "dataOutputNames": []string{"height"}}, "")
	p.await("pictures and results come", "seen.pictures > 3 && seen.messages.length > 3")
	if w, h := js[int](p, "seen.width"), js[int](p, "seen.height"); w != 320 || h != 240 {
		t.Errorf("the picture has %d x %d", w, h)
	}
	n.leave(t, p)
}

// clipOf puts a clip of so many small pictures where the page finds it.
func (n *npm) clipOf(t *testing.T, name string, frames int) map[string]any {
	t.Helper()
	media(t, filepath.Join(n.files, name), fmt.Sprintf("videotestsrc num-buffers=%d pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1 ! x264enc speed-preset=ultrafast key-int-max=25 ! h264parse ! mp4mux", frames))
	return map[string]any{"file": "/files/" + name}
}

func (n *npm) slowHandler(t *testing.T) {
	p := n.join(t, n.clipOf(t, "slow.mp4", 40), map[string]any{"realtimeProcessing": false, "dataOutputNames": []string{"height", "part"}}, ", slow: 20")
	p.await("the last message comes", "seen.last")
	all := p.results()
	if len(all) != 40 {
		t.Errorf("%d results of 40 pictures", len(all))
	}
	for i, r := range all {
		if int(r.Meta.Frame) != i+1 || string(r.Data["height"]) != "240" || r.Meta.FPS == nil || *r.Meta.FPS != 25 {
			t.Fatalf("result %d: frame %d, height %s, fps %v", i+1, r.Meta.Frame, r.Data["height"], r.Meta.FPS)
		}
		var image struct{ Type, Value string }
		if err := json.Unmarshal(r.Data["part"], &image); err != nil || image.Type != "base64" || !strings.HasPrefix(image.Value, "/9j/") {
			t.Fatalf("result %d has the image %.40s", i+1, r.Data["part"])
		}
	}
	if ahead := js[int](p, "seen.ahead"); ahead > 1 {
		t.Errorf("results came %d ahead of the acknowledgements", ahead)
	}
	if last := js[result](p, "seen.last"); last.Reason != nil || last.Meta.Frame != 40 {
		t.Errorf("the last message is %+v", last)
	}
	n.leave(t, p)
}

func (n *npm) deadline(t *testing.T) {
	p := n.join(t, n.clipOf(t, "long.mp4", 1500), map[string]any{"processingTimeout": 6, "realtimeProcessing": true, "dataOutputNames": []string{"height"}, "streamOutputNames": []string{"part"}}, "")
	p.await("the last message comes and the client says so", "seen.last && seen.completed")
	last := js[result](p, "seen.last")
	if last.Reason == nil || *last.Reason != "timeout_reached" {
		t.Errorf("the last message is %+v", last)
	}
	if got := len(p.results()); got == 0 {
		t.Error("nothing came before the deadline")
	}
	if state := js[map[string]string](p, "state()"); state["channel"] != "closed" {
		t.Errorf("the channel is %s", state["channel"])
	}
	n.leave(t, p)
}

func (n *npm) reconfigured(t *testing.T) {
	p := n.join(t, webcam(), map[string]any{"streamOutputNames": []string{"whole"}, "dataOutputNames": []string{"height"}}, "")
	const newest = "seen.messages.at(-1)"
	for _, step := range []struct{ change, then string }{
		{"", newest + "?.serialized_output_data.height === 240 && seen.width === 320"},
		{"{dataOutput: ['tag']}", "Object.keys(" + newest + ".serialized_output_data).join() === 'tag' && seen.width === 320"},
		{"{streamOutput: ['part'], dataOutput: null}", "Object.keys(" + newest + ".serialized_output_data).join() === 'tag' && seen.width === 160"},
		{"{dataOutput: ['nothing']}", newest + `.errors.join() === "Output 'nothing' not found"`},
		{"{dataOutput: []}", newest + ".serialized_output_data === null && " + newest + ".errors.length === 0"},
		{"{streamOutput: ['nothing']}", newest + ".errors.length === 4 && seen.width === 320"},
		{"{streamOutput: [], dataOutput: ['*']}", "Object.keys(" + newest + ".serialized_output_data ?? {}).join() === 'height,tag' && " + newest + ".errors.length === 0 && seen.width === 320"},
	} {
		if step.change != "" {
			p.do("reconfigure(" + step.change + ")")
		}
		p.await("after "+step.change, step.then)
	}
	n.leave(t, p)
}

func (n *npm) invalidNames(t *testing.T) {
	p := n.b.open(t, n.d.log, n.site+"/")
	p.await("the page is loaded", "window.loaded")
	for _, tt := range []struct {
		params map[string]any
		says   string
	}{
		{map[string]any{"dataOutputNames": []string{"height", "ghost"}}, "Invalid data_output fields: ['ghost']. Available workflow outputs: ['whole', 'part', 'height', 'tag']"},
		{map[string]any{"streamOutputNames": []string{"ghost"}}, "Invalid stream_output field: 'ghost'. Available workflow outputs: ['whole', 'part', 'height', 'tag']"},
	} {
		said := js[string](p, n.begin(t, webcam(), tt.params, "")+".then(() => 'it began', e => e.message)")
		body, ok := strings.CutPrefix(said, "initialise_webrtc_worker failed (400): ")
		var problem struct {
			Message string `json:"message"`
			Type    string `json:"error_type"`
		}
		if err := json.Unmarshal([]byte(body), &problem); err != nil || !ok || problem.Message != tt.says || problem.Type != "WebRTCConfigurationError" {
			t.Errorf("the client says %s", said)
		}
	}
}

// The workflow is one of the device's own here, so that its run can be told
// from the others.
func (n *npm) endedOverTheAPI(t *testing.T) {
	p := n.join(t, webcam(), map[string]any{"workspaceName": "any", "workflowId": "doorway", "dataOutputNames": []string{"height"}}, "")
	p.await("results come", "seen.messages.length > 3")
	var run api.Run
	until(t, n.d.log, "the run is listed", func() bool {
		for _, run = range runsOf(t, n.d) {
			if run.Workflow.Name == "doorway" && run.Frames.Processed > 3 {
				return true
			}
		}
		return false
	})
	if run.State != "running" || run.Camera != "" || run.Source.Kind != pipeline.SourceWebRTC {
		t.Errorf("the run: %+v", run)
	}
	if status, body := n.d.ask(t, http.MethodDelete, "/api/v1/runs/"+run.ID); status != http.StatusNoContent {
		t.Errorf("DELETE: %d %s", status, body)
	}
	p.await("the last message comes and the channel closes", "seen.last && state().channel === 'closed'")
	n.leave(t, p)
	if status, _ := n.d.ask(t, http.MethodDelete, "/api/v1/runs/"+run.ID); status != http.StatusNotFound {
		t.Errorf("DELETE of a run that has ended: %d", status)
	}
}

// runsOf returns the newest runs, as the API lists them.
func runsOf(t *testing.T, d *daemon) []api.Run {
	t.Helper()
	return get[struct{ Items []api.Run }](t, d, "/api/v1/runs").Items
}
