package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
)

// newCamera returns a camera whose attempt n plays play(n).
func newCamera(rec *pipelinetest.Recorder, play func(attempt int) pipeline.Source) *pipeline.Camera {
	attempt := 0
	return &pipeline.Camera{
		Name: "door", Device: "dev",
		Start: func(context.Context) (*pipeline.Run, error) {
			attempt++
			run := newRun(play(attempt), &pipelinetest.Engine{}, rec, pipeline.Realtime)
			run.ID, run.Camera, run.OnFirstFrame = fmt.Sprint("run", attempt), "door", true
			return run, nil
		},
		StallAfter: 5 * time.Second, LostAfter: 10 * time.Second,
		Retry:   pipeline.Backoff{Min: time.Second, Max: 30 * time.Second},
		Refused: pipeline.Backoff{Min: time.Minute, Max: 10 * time.Minute},
		Events:  rec, NewID: func() string { return "id" }, Log: quiet, Now: time.Now,
		Clock: func() pipeline.ClockReading { return pipeline.ClockReading{} },
	}
}

func phases(t *testing.T, rec *pipelinetest.Recorder) (p []pipeline.CameraPhase) {
	t.Helper()
	for _, m := range rec.Messages {
		if m.Topic != "cameras/door/state" {
			continue
		}
		var s pipeline.CameraState
		if err := json.Unmarshal(m.Payload, &s); err != nil || !m.Retain {
			t.Fatalf("%s: %v, retain %v", m.Payload, err, m.Retain)
		}
		p = append(p, s.State)
	}
	return p
}

func TestCameraComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := &pipeline.Error{Op: "read", Kind: pipeline.Gone, Err: errors.New("connection reset")}
		rec := &pipelinetest.Recorder{}
		cam := newCamera(rec, func(n int) pipeline.Source {
			switch n {
			case 1, 4:
				return &pipelinetest.Source{N: 50, Every: 100 * time.Millisecond, Err: gone, Info: pipeline.StreamInfo{Live: true}}
			case 5:
				return &pipelinetest.Source{N: -1, Every: 100 * time.Millisecond, Info: pipeline.StreamInfo{Live: true}}
			}
			return &pipelinetest.Source{Err: gone} // does not open
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := cam.Run(ctx); err != nil {
			t.Fatal(err)
		}
		want := []pipeline.CameraPhase{"connecting", "live", "lost", "live", "lost", "live"}
		if got := phases(t, rec); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("phases %v, want %v", got, want)
		}
		if n := len(rec.Completed); n != 3 { // two lost, one stopped; attempts that saw nothing are no runs
			t.Errorf("%d runs", n)
		}
		for i, reason := range []pipeline.Reason{pipeline.SourceLost, pipeline.SourceLost, pipeline.Stopped} {
			if rec.Completed[i].Termination != reason {
				t.Errorf("run %d ended with %s", i, rec.Completed[i].Termination)
			}
		}
	})
}

func TestCameraStallsAndIsReconnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &pipelinetest.Recorder{}
		cam := newCamera(rec, func(n int) pipeline.Source { return &silentAfter{frames: 20} })
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		if err := cam.Run(ctx); err != nil {
			t.Fatal(err)
		}
		want := []pipeline.CameraPhase{"connecting", "live", "stalled", "lost", "live"}
		if got := phases(t, rec); len(got) < 5 || fmt.Sprint(got[:5]) != fmt.Sprint(want) {
			t.Errorf("phases %v, want %v", got, want)
		}
		if rec.Completed[0].Termination != pipeline.SourceLost {
			t.Errorf("ended with %s", rec.Completed[0].Termination)
		}
	})
}

// A camera whose pictures are worked on every ten seconds has not stopped; one
// that has is found out as soon as any other.
func TestCameraOfFewFramesIsNotStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &pipelinetest.Recorder{}
		cam := newCamera(rec, func(int) pipeline.Source { return &silentAfter{frames: 600} })
		start := cam.Start
		cam.Start = func(ctx context.Context) (*pipeline.Run, error) {
			run, err := start(ctx)
			run.MaxFPS = .1
			return run, err
		}
		cam.StallAfter, cam.LostAfter = time.Second, time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 59*time.Second)
		time.AfterFunc(58*time.Second, func() {
			if got := fmt.Sprint(phases(t, rec)); got != "[connecting live]" {
				t.Errorf("phases %s", got)
			}
			_, run := cam.Status()
			if s := run.Status(); s.Books.Processed != 6 || s.FPS < .09 || s.FPS > .11 {
				t.Errorf("after 58 s: %+v, %v a second", s.Books, s.FPS)
			}
		})
		defer cancel()
		if err := cam.Run(ctx); err != nil {
			t.Fatal(err)
		}

		rec = &pipelinetest.Recorder{}
		cam.Events = rec
		cam.Start = func(ctx context.Context) (*pipeline.Run, error) {
			run := newRun(&silentAfter{frames: 20}, &pipelinetest.Engine{}, rec, pipeline.Realtime)
			run.MaxFPS = .1
			return run, nil
		}
		ctx, cancel = context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		if err := cam.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if got := phases(t, rec); len(got) < 3 || got[2] != pipeline.Stalled {
			t.Errorf("phases %v", got)
		}
	})
}

func TestCameraThatRefusesIsAskedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, tries := &pipelinetest.Recorder{}, 0
		cam := newCamera(rec, func(n int) pipeline.Source {
			tries = n
			return &pipelinetest.Source{Err: &pipeline.Error{Op: "open", Kind: pipeline.Refused, Err: errors.New("401 Unauthorized")}}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := cam.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if tries > 15 { // or the camera locks the account
			t.Errorf("%d attempts in an hour", tries)
		}
		state, _ := cam.Status()
		if state.State != pipeline.RefusedBy || state.Cause == "" || state.NextRetryS == 0 {
			t.Errorf("state %+v", state)
		}
		if n := len(rec.Messages); n != 3 { // connecting, refused, and its event: the retries are not news
			t.Errorf("%d messages", n)
		}
	})
}

func TestHangingCodeEndsTheCamera(t *testing.T) {
	stuck := &pipeline.Error{Op: "stop pipeline", Kind: pipeline.Stuck, Err: errors.New("no answer")}
	cam := newCamera(&pipelinetest.Recorder{}, func(int) pipeline.Source { return &pipelinetest.Source{Err: stuck} })
	if err := cam.Run(t.Context()); pipeline.KindOf(err) != pipeline.Stuck {
		t.Errorf("Run: %v", err)
	}
}

func TestStopRunBeginsANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &pipelinetest.Recorder{}
		cam := newCamera(rec, func(int) pipeline.Source {
			return &pipelinetest.Source{N: -1, Every: 100 * time.Millisecond, Info: pipeline.StreamInfo{Live: true}}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		time.AfterFunc(5*time.Second, func() {
			if cam.StopRun("run2") || !cam.StopRun("run1") {
				t.Error("StopRun: wrong run")
			}
		})
		if err := cam.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if len(rec.Completed) != 2 || rec.Completed[0].Run != "run1" || rec.Completed[0].Termination != pipeline.Stopped {
			t.Errorf("%+v", rec.Completed)
		}
	})
}

func TestBackoffGrowsAndIsCapped(t *testing.T) {
	b := pipeline.Backoff{Min: time.Second, Max: 30 * time.Second}
	for n, want := range map[int]time.Duration{1: time.Second, 3: 4 * time.Second, 6: 30 * time.Second, 1000: 30 * time.Second} {
		for range 50 {
			if d := b.After(n); d < want/2 || d > want {
				t.Errorf("After(%d) = %v, want %v to %v", n, d, want/2, want)
			}
		}
	}
}

// silentAfter sends some frames, then stays open and says nothing.
type silentAfter struct{ frames int }

func (s *silentAfter) ID() pipeline.SourceID {
	return pipeline.SourceID{Kind: pipeline.SourceRTSP, Name: "door"}
}

func (s *silentAfter) Run(ctx context.Context, out pipeline.Outlet) error {
	src := &pipelinetest.Source{N: s.frames, Every: 100 * time.Millisecond, Info: pipeline.StreamInfo{Live: true}}
	if err := src.Run(ctx, out); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}
