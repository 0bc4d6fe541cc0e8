package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"perch/cmd/internal/api"
	"perch/pipeline"
)

// exported is a frame of a run as perch export writes it.
type exported struct {
	Frame      uint64
	PTS        float64         `json:"pts_s"`
	Detections json.RawMessage // compared as it is written
	Outputs    struct {
		Timed struct {
			Detections struct {
				Predictions []struct {
					Track   int     `json:"tracker_id"`
					Seconds float64 `json:"time_in_zone"`
				}
			} `json:"timed_detections"`
		}
	}
}

// processFile makes one run and returns its record and what was kept of it.
func processFile(t *testing.T, dir string, args ...string) (pipeline.Complete, []exported) {
	t.Helper()
	got := finish(t, perch(t, t.Context(), dir, append([]string{"process", "--json"}, args...)...))
	list := records(t, got.out)
	if got.status != exitOK || len(list) != 1 || list[0].Termination != pipeline.EndOfStream || len(list[0].Errors) > 0 {
		t.Fatalf("exit status %d\n%s%s", got.status, got.out, got.errOut)
	}
	c := list[0]
	if c.Frames.In != c.Frames.Processed+sum(c.Frames.Dropped) {
		t.Errorf("the books do not balance: %+v", c.Frames)
	}
	if strings.Contains(got.errOut, "WARN") && strings.Contains(got.errOut, "max_fps") {
		t.Errorf("it is warned of what was asked for:\n%s", got.errOut)
	}
	var frames []exported
	text := finish(t, perch(t, t.Context(), dir, "export", "--format", "jsonl", c.Run)).out
	for line := range strings.Lines(text) {
		var f exported
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
	if uint64(len(frames)) != c.Frames.Processed {
		t.Errorf("%d frames were kept of %d", len(frames), c.Frames.Processed)
	}
	return c, frames
}

// The clip has ten frames a second. What is found on those that are worked on
// is what a whole run finds there, and the others are all accounted for.
func TestProcessLeavesOutFrames(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	dir := t.TempDir()
	c, frames := processFile(t, dir, "--max-fps", "0.5", "--track=false", os.Getenv("PERCH_TEST_CLIP"))
	if c.Frames.In != sampleFrames || c.Frames.Processed != 40 || c.Frames.Dropped[pipeline.DropRate] != sampleFrames-40 || len(c.Frames.Dropped) != 1 {
		t.Errorf("frames: %+v", c.Frames)
	}
	for i, f := range frames {
		if f.Frame != uint64(20*i+1) || math.Abs(f.PTS-2*float64(i)) > .01 {
			t.Errorf("result %d is of frame %d at %v s", i, f.Frame, f.PTS)
		}
	}

	short := sample(t, filepath.Join(dir, "short.mp4"), 40)
	_, whole := processFile(t, dir, "--track=false", short)
	found := 0
	for limit, want := range map[string][]uint64{
		"3":  {1, 5, 8, 11, 15, 18, 21, 25, 28, 31, 35, 38},
		"2":  {1, 6, 11, 16, 21, 26, 31, 36},
		"10": nil, // all
	} {
		c, frames := processFile(t, dir, "--max-fps", limit, "--track=false", short)
		var taken []uint64
		for _, f := range frames {
			taken = append(taken, f.Frame)
			if same := whole[f.Frame-1]; same.Frame != f.Frame || same.PTS != f.PTS || string(same.Detections) != string(f.Detections) {
				t.Errorf("at most %s: frame %d at %v s\n%s\nwhole run: frame %d at %v s\n%s", limit, f.Frame, f.PTS, f.Detections, same.Frame, same.PTS, same.Detections)
			}
			found += strings.Count(string(f.Detections), "person")
		}
		if want != nil && !slices.Equal(taken, want) || c.Frames.In != 40 || want == nil && len(taken) != 40 {
			t.Errorf("at most %s: frames %v of %+v", limit, taken, c.Frames)
		}
	}
	if found == 0 {
		t.Error("nobody was found")
	}
	got := finish(t, perch(t, t.Context(), dir, "process", "--max-fps", "2", short))
	if got.status != exitOK || !strings.Contains(got.out, "8 processed of 40 (32 left out by --max-fps)") || strings.Contains(got.out, "dropped") {
		t.Errorf("exit status %d\n%s%s", got.status, got.out, got.errOut)
	}
	endedRuns(t, dir)
}

// A video that is made of few frames lasts as long as the one they are of.
func TestAnnotatedVideoOfFewFramesKeepsItsTime(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	dir := t.TempDir()
	in := sample(t, filepath.Join(dir, "gate.mp4"), 60)
	for _, name := range []string{"few.mp4", "few.mkv", "few.webm"} {
		out := filepath.Join(dir, name)
		processFile(t, dir, "--max-fps", "0.5", "--out", out, in)
		_, frames := processFile(t, dir, out)
		var at []string
		for _, f := range frames {
			at = append(at, fmt.Sprintf("%.1f", f.PTS))
		}
		if got := strings.Join(at, " "); got != "0.0 2.0 4.0" {
			t.Errorf("%s: pictures at %s s", name, got)
		}
	}
}

// Time in a zone is in seconds of the video, whichever frames are worked on.
func TestTimeInAZoneOfFewFrames(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	dir := t.TempDir()
	graph := write(t, filepath.Join(dir, "stay.json"), `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}], "steps": [
		{"type": "roboflow_core/roboflow_object_detection_model@v2", "name": "model", "images": "$inputs.image", "model_id": "nanodet-416", "confidence": 0.4},
		{"type": "roboflow_core/byte_tracker@v3", "name": "tracker", "image": "$inputs.image", "detections": "$steps.model.predictions", "minimum_matching_threshold": 0.95},
		{"type": "roboflow_core/time_in_zone@v2", "name": "zone", "image": "$inputs.image", "detections": "$steps.tracker.tracked_detections", "zone": [[0, 0], [768, 0], [768, 576], [0, 576]]}],
		"outputs": [{"type": "JsonField", "name": "timed", "selector": "$steps.zone.*"}]}`)
	for _, limit := range []string{"1", "1.5"} {
		_, frames := processFile(t, dir, "--max-fps", limit, "--workflow", graph, os.Getenv("PERCH_TEST_CLIP"))
		first, longest := map[int]uint64{}, 0.0
		for _, f := range frames {
			for _, p := range f.Outputs.Timed.Detections.Predictions {
				if _, known := first[p.Track]; !known {
					first[p.Track] = f.Frame
				}
				if want := float64(f.Frame-first[p.Track]) / 10; math.Abs(p.Seconds-want) > 1e-6 {
					t.Errorf("at most %s: track %d on frame %d, first on %d: %v s, want %v", limit, p.Track, f.Frame, first[p.Track], p.Seconds, want)
				}
				longest = max(longest, p.Seconds)
			}
		}
		if longest < 10 {
			t.Errorf("at most %s: nobody stayed for more than %v s", limit, longest)
		}
	}
}

// A camera of which a picture is worked on every ten seconds is alive: it is
// not stalled after three seconds without a result, and systemd is told so.
func TestACameraOfFewFramesIsNotTakenForOneThatStopped(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	pets := &journal{}
	told := make(chan struct{})
	go func() { // ended by closing the socket
		defer close(told)
		buf := make([]byte, 4096)
		for n, err := conn.Read(buf); err == nil; n, err = conn.Read(buf) {
			_, _ = pets.Write(append(buf[:n], '\n'))
		}
	}()
	t.Cleanup(func() { conn.Close(); <-told })
	cam := newRTSPCamera(t, "")
	dir := t.TempDir()
	door := func(limit string) string {
		return quiet + "cameras:\n  door: {url: \"rtsp://" + cam.addr + "/stream\", transport: tcp, stall_after: 3s, max_fps: " + limit + "}\n"
	}
	d := startDaemon(t, dir, door("0.1"), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=2000000")
	first := d.camera(t, "door", "has sent for seven seconds", func(c api.Camera) bool { return c.Frames.In >= 70 })
	if first.State != "live" || first.Frames.Processed != 1 || first.Frames.Dropped[pipeline.DropRate] != first.Frames.In-1 || first.Stream.MaxFPS != .1 {
		t.Errorf("camera: %+v", first)
	}
	if n := strings.Count(pets.String(), "WATCHDOG=1"); n < 8 {
		t.Errorf("systemd was told %d times that all is well\n%s", n, d.log)
	}

	write(t, filepath.Join(dir, "perch.yaml"), door("5"))
	d.reload(t, readAgain)
	second := d.camera(t, "door", "has sent for three seconds", func(c api.Camera) bool {
		return c.Run != "" && c.Run != first.Run && c.Frames.In >= 30
	})
	// Half of them, but for the jitter of a busy machine.
	if taken := float64(second.Frames.In - second.Frames.Dropped[pipeline.DropRate]); math.Abs(taken-float64(second.Frames.In)/2) > 3 || second.Stream.MaxFPS != 5 {
		t.Errorf("camera: %+v", second)
	}
	for _, e := range get[struct{ Items []pipeline.Event }](t, d, "/api/v1/events").Items {
		if e.Kind != "camera.live" {
			t.Errorf("event %s: %s", e.Kind, e.Detail)
		}
	}
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(line, "level=WARN") && (strings.Contains(line, "door") || strings.Contains(line, "watchdog")) {
			t.Errorf("log: %s", line)
		}
	}
	list := endedRuns(t, dir)
	if len(list) != 2 || list[0].Run != first.Run || list[1].Run != second.Run {
		t.Fatalf("%d runs", len(list))
	}
	for _, r := range list {
		if c := r.Complete; c.Termination != pipeline.Stopped || len(c.Errors) != 0 || c.FPS > 5.5 {
			t.Errorf("record: %+v", c)
		}
	}
}
