package main

import (
	"encoding/json"
	"fmt"
	"image"
	_ "image/jpeg"
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"perch/cmd/internal/api"
)

const (
	shrinks = "platform: {name: rehearsal}\n"
	largest = 1536 // pixels that the enlarged sample is wide: twice what the model looks at, and more
)

// enlarged is the beginning of the sample at twice its size.
func enlarged(t *testing.T, path string) string {
	t.Helper()
	return media(t, path, "filesrc location="+sample(t, filepath.Join(t.TempDir(), "small.mp4"), 12),
		"! qtdemux ! h264parse ! avdec_h264 ! videoscale ! video/x-raw,width=1536,height=1152 ! x264enc speed-preset=ultrafast pass=qual quantizer=18 bitrate=100000 key-int-max=25 ! h264parse ! mp4mux")
}

// overlap is the intersection over union of two boxes.
func overlap(a, b [4]float64) float64 {
	w, h := math.Min(a[2], b[2])-math.Max(a[0], b[0]), math.Min(a[3], b[3])-math.Max(a[1], b[1])
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / ((a[2]-a[0])*(a[3]-a[1]) + (b[2]-b[0])*(b[3]-b[1]) - w*h)
}

// Where the platform shrinks pictures, a model finds the same things in the
// same places of the frame, and whoever draws has whole frames.
func TestShrunkenPicturesShowTheSame(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	clip := enlarged(t, filepath.Join(t.TempDir(), "large.mp4"))
	found := map[string][]shown{}
	for name, platform := range map[string]string{"whole": "platform: {name: software}\n", "shrunk": shrinks} {
		s := newStage(t, platform)
		got := finish(t, perch(t, t.Context(), s.dir, "process", "--config", s.conf, "--json", "--track=false", clip))
		if got.status != exitOK {
			t.Fatal(got.errOut)
		}
		if says := strings.Contains(got.errOut, "picture=832x624"); says != (name == "shrunk") {
			t.Errorf("%s: pictures were shrunk: %v\n%s", name, says, got.errOut)
		}
		found[name] = s.frames(t, records(t, got.out)[0])
	}
	pairs, missing := 0, 0
	for i, f := range found["whole"] {
		for _, d := range f.Detections {
			if d.Score < 0.5 {
				continue
			}
			best := 0.0
			for _, e := range found["shrunk"][i].Detections {
				if e.Label == d.Label {
					best = max(best, overlap(d.Box, e.Box))
				}
			}
			pairs++
			if best < 0.85 {
				missing++
				t.Logf("frame %d: %+v has no like, %.2f at best", f.Frame, d, best)
			}
		}
	}
	if len(found["shrunk"]) != 12 || pairs < 30 || missing*50 > pairs {
		t.Errorf("%d frames; of %d objects %d are not in the shrunken pictures", len(found["shrunk"]), pairs, missing)
	}
}

const boxesWorkflow = `{"version": "1.0", "inputs": [{"type": "InferenceImage", "name": "image"}],
	"steps": [{"type": "roboflow_core/roboflow_object_detection_model@v2", "name": "model", "images": "$inputs.image", "model_id": "nanodet-416", "confidence": 0.5}],
	"outputs": [{"type": "JsonField", "name": "found", "selector": "$steps.model.predictions"}]}`

// A session that sends no pictures needs none; one that does shows whole frames.
func TestASessionWithoutPicturesShrinksThem(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	dir := t.TempDir()
	file := enlarged(t, filepath.Join(dir, "large.mp4"))
	d := startDaemon(t, dir, quiet+shrinks)
	for _, video := range []string{"recvonly", ""} {
		stream := []string{} // no video
		if video != "" {
			stream = nil // whatever there is, here the frame itself
		}
		g := d.guest(t, video, false)
		g.join(map[string]any{
			"webrtc_realtime_processing": false, "data_output": []string{"found"}, "stream_output": stream,
			"workflow_configuration": map[string]any{"type": "WorkflowConfiguration", "workflow_specification": json.RawMessage(boxesWorkflow)},
		})
		g.send(file)
		all, _ := g.all(func(r result) { g.say(fmt.Sprintf(`{"ack":%d}`, r.id)) })
		if len(all) != 12 {
			t.Errorf("video %q: %d results", video, len(all))
		}
		right := 0.0
		for _, r := range all {
			var found struct {
				Image struct{ Width, Height int }
				Boxes []struct{ X, Width float64 } `json:"predictions"`
			}
			if err := json.Unmarshal(r.Data["found"], &found); err != nil || found.Image.Width != largest || r.Meta.Width != largest || video == "" && len(r.Errors) > 0 {
				t.Errorf("video %q, frame %d: %s %v %+v", video, r.id, r.Data["found"], err, r)
			}
			for _, b := range found.Boxes {
				right = max(right, b.X)
			}
		}
		if right < largest*2/3 { // a car stands there
			t.Errorf("video %q: nothing is right of %.0f", video, right)
		}
		g.leave()
		if says := strings.Contains(d.log.String(), "picture=832x624"); says != (video == "") {
			t.Errorf("video %q: pictures were shrunk: %v", video, says)
		}
	}
}

// A workflow that draws keeps frames whole.
func TestWhoeverDrawsHasWholeFrames(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	s := newStage(t, shrinks)
	clip := enlarged(t, filepath.Join(s.dir, "large.mp4"))
	for name, more := range map[string][]string{
		"a step draws": {"--workflow", example("07_rate_limiter")},
		"--out draws":  {"--out", filepath.Join(s.dir, "out.mp4")},
	} {
		got := finish(t, perch(t, t.Context(), s.dir, append([]string{"process", "--config", s.conf, clip}, more...)...))
		if got.status != exitOK || strings.Contains(got.errOut, "pictures change size") {
			t.Errorf("%s: %d\n%s", name, got.status, got.errOut)
		}
	}
	if out := s.perch(t, "workflow", "check", "--config", s.conf, example("07_rate_limiter")); !strings.Contains(out, `Pictures: whole frames, for step "visualization"`+"\n") {
		t.Error(out)
	}
}

// A camera's pictures are shrunk until somebody asks to see one.
func TestACameraIsWholeForWhoeverLooks(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	dir := t.TempDir()
	clip := enlarged(t, filepath.Join(dir, "large.mp4"))
	d := startDaemon(t, dir, quiet+shrinks+"cameras:\n  gate: {url: \""+clip+"\", loop: true, confidence: 0.3}\n")
	d.camera(t, "gate", "sees people", func(c api.Camera) bool { return live(c) && c.Counts["person"] > 0 })
	until(t, d.log, "pictures are shrunk", func() bool { return strings.Contains(d.log.String(), "picture=832x624") })
	resp, err := http.Get(d.url + "/api/v1/cameras/gate/snapshot.jpg")
	if err != nil {
		t.Fatal(err)
	}
	pic, _, err := image.DecodeConfig(resp.Body)
	resp.Body.Close()
	if err != nil || pic.Width != largest {
		t.Errorf("the snapshot is %dx%d: %v", pic.Width, pic.Height, err)
	}
	if c := d.camera(t, "gate", "goes on", live); c.Stream.Width != largest {
		t.Errorf("the stream is said to be %dx%d", c.Stream.Width, c.Stream.Height)
	}
	if status := d.stop(t); status != exitOK {
		t.Errorf("exit status %d\n%s", status, d.log)
	}
	for _, r := range endedRuns(t, dir) {
		books := r.Complete.Frames
		for _, n := range books.Dropped {
			books.Processed += n
		}
		if books.Processed != books.In || len(r.Complete.Errors) != 0 {
			t.Errorf("record: %+v", r.Complete)
		}
	}
}
