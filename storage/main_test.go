package storage

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"perch/pipeline"
)

// The test binary is also the child process that tests kill or confine.
func TestMain(m *testing.M) {
	switch os.Getenv("PERCH_STORAGE_CHILD") {
	case "":
		os.Exit(m.Run())
	case "write":
		writeForever(os.Getenv("PERCH_STORAGE_DIR"))
	case "tmpfs":
		fillTmpfs(os.Getenv("PERCH_STORAGE_DIR"))
	case "open":
		s, err := Open(context.Background(), Options{Dir: os.Getenv("PERCH_STORAGE_DIR"), Log: quiet()})
		fmt.Println(pipeline.KindOf(err), "|", err)
		if err == nil {
			s.Close()
		}
	}
}

// child returns a command that runs the test binary in the named role.
func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "PERCH_STORAGE_CHILD="+role, "PERCH_STORAGE_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func open(t *testing.T, opt Options) *Store {
	t.Helper()
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	if opt.Log == nil {
		opt.Log = quiet()
	}
	s, err := Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// epoch is when the tests' runs start.
var epoch = time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC)

func startOf(id string) pipeline.RunStart {
	return pipeline.RunStart{
		Run: id, Device: "jetson-1", Camera: "door", Source: pipeline.SourceID{Kind: pipeline.SourceRTSP, Name: "rtsp://10.0.0.5/main"},
		Workflow: pipeline.WorkflowID{Name: "people", Digest: "sha256:00"}, Models: []pipeline.ModelID{{ID: "nanodet", Digest: "sha256:11", Provider: "cpu"}},
		Labels: []string{"person", "car", "dog"}, Stream: pipeline.StreamInfo{Codec: "H.264", Width: 1920, Height: 1080, FPS: 30, Live: true},
		Started: epoch, Clock: pipeline.ClockReading{BootID: "boot-1", MonotonicS: 12.5, WallTrusted: true},
	}
}

func begin(t *testing.T, s *Store, start pipeline.RunStart) {
	t.Helper()
	if err := s.Begin(t.Context(), start); err != nil {
		t.Fatal(err)
	}
}

// frame makes the n-th result of a run at 25 frames a second.
func frame(run string, n uint64, dets ...pipeline.Detection) *pipeline.Result {
	pts := time.Duration(n-1) * 40 * time.Millisecond
	return &pipeline.Result{
		Run: run, Detections: dets,
		Frame: pipeline.FrameInfo{Seq: n, PTS: pts, Wall: epoch.Add(pts + 30*time.Millisecond), Width: 1920, Height: 1080},
	}
}

func person(x float32) pipeline.Detection {
	return pipeline.Detection{Box: pipeline.Box{X0: x, Y0: 100, X1: x + 50, Y1: 300}, Class: 0, Label: "person", Score: 0.75}
}

func record(t *testing.T, s *Store, r *pipeline.Result, msgs ...pipeline.Message) {
	t.Helper()
	if err := s.Record(t.Context(), r, msgs); err != nil {
		t.Fatal(err)
	}
}

func completion(id string, frames uint64) (pipeline.Complete, pipeline.Message) {
	c := pipeline.Complete{
		Schema: pipeline.CompleteSchema, Run: id, Device: "jetson-1", StartedAt: epoch, EndedAt: epoch.Add(time.Second),
		Frames:     pipeline.FrameBooks{In: frames, Processed: frames, Dropped: map[pipeline.Cause]uint64{}},
		Detections: map[string]uint64{"person": frames}, Termination: pipeline.EndOfStream,
	}
	return c, pipeline.Message{Topic: "runs/" + id + "/complete", Payload: []byte(`{"run_id":"` + id + `", "spaces":  "kept", "detections":{"person":` + fmt.Sprint(frames) + `},"frames":{"processed":` + fmt.Sprint(frames) + `}}`)}
}

func finish(t *testing.T, s *Store, id string, frames uint64) {
	t.Helper()
	c, msg := completion(id, frames)
	if err := s.Complete(t.Context(), c, msg); err != nil {
		t.Fatal(err)
	}
}

func event(id string) pipeline.Event {
	return pipeline.Event{
		Schema: pipeline.EventSchema, ID: id, Device: "jetson-1", Time: epoch, Kind: "line.crossed", Camera: "door",
		Clock: pipeline.ClockReading{BootID: "boot-1", MonotonicS: 13.25, WallTrusted: true}, Detail: []byte(`{"line":"gate"}`),
	}
}

// collect returns a run's kept results.
func collect(t *testing.T, s *Store, id string) []*pipeline.Result {
	t.Helper()
	var all []*pipeline.Result
	for r, err := range s.Results(t.Context(), id) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func pending(t *testing.T, s *Store) []pipeline.Message {
	t.Helper()
	msgs, err := s.Pending(t.Context(), 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	return msgs
}

func wantKind(t *testing.T, err error, kind pipeline.Kind) {
	t.Helper()
	if err == nil || pipeline.KindOf(err) != kind {
		t.Errorf("error %v has kind %v, want %v", err, pipeline.KindOf(err), kind)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
