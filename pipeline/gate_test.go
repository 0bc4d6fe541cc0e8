package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
)

// turnstile is a gate that lets so many frames through. It is used in bubbles
// of synctest only, where one goroutine waits while another looks.
type turnstile struct {
	lets  int
	shown int
	moved chan struct{}
}

func (s *turnstile) Show(pipeline.Frame, *pipeline.Result) error { s.shown++; return nil }
func (s *turnstile) MayBegin(flight int) bool                    { return s.shown+flight < s.lets }
func (s *turnstile) AwaitBegin(ctx context.Context) {
	for !s.MayBegin(0) && ctx.Err() == nil {
		select {
		case <-s.moved:
		case <-ctx.Done():
		}
	}
}

// counted is an engine that counts what it is asked to begin.
type counted struct {
	pipelinetest.Engine
	begun int
}

func (e *counted) Begin(ctx context.Context, f pipeline.Frame) (pipeline.Work, error) {
	e.begun++
	return e.Engine.Begin(ctx, f)
}

func TestGateHoldsBackTheEngine(t *testing.T) {
	const frames = 10
	for _, c := range []struct {
		first int // let through at first
		then  int // let through in the end
		stop  error
		want  pipeline.Reason
	}{
		{first: 3, then: frames, want: pipeline.EndOfStream},
		{first: 0, then: 1000, want: pipeline.EndOfStream},
		{first: frames, want: pipeline.EndOfStream}, // nothing waits for a frame that never comes
		{first: 3, stop: pipeline.ErrDeadline, want: pipeline.TimeoutReached},
	} {
		t.Run(fmt.Sprint(c.first, " then ", c.then), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src, eng := &pipelinetest.Source{N: frames}, &counted{}
				gate := &turnstile{lets: c.first, moved: make(chan struct{})}
				run := newRun(src, eng, &pipelinetest.Recorder{}, pipeline.Lossless)
				run.Viewers = []pipeline.Viewer{gate}
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				var record *pipeline.Complete
				done := make(chan struct{})
				go func() {
					defer close(done)
					record, _ = run.Run(ctx)
				}()
				synctest.Wait()
				if eng.begun != c.first || gate.shown != c.first {
					t.Errorf("%d frames were begun and %d shown, the gate lets %d", eng.begun, gate.shown, c.first)
				}
				if c.then > 0 {
					gate.lets = c.then
					gate.moved <- struct{}{}
				}
				if c.stop != nil {
					cancel(c.stop)
				}
				<-done
				if record.Termination != c.want || c.stop == nil && record.Frames.Processed != frames || c.stop != nil && eng.begun != c.first {
					t.Errorf("%d frames were begun: %+v", eng.begun, record)
				}
				balance(t, record, src)
			})
		})
	}
}

// Its start is stored although the context is done: whoever looks for the run
// finds it, and why it ended.
func TestRunThatIsOverAtOnceIsRecorded(t *testing.T) {
	for cause, want := range map[error]pipeline.Reason{
		pipeline.ErrDeadline: pipeline.TimeoutReached, pipeline.ErrClientGone: pipeline.ClientGone, pipeline.ErrStopped: pipeline.Stopped,
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		rec := &pipelinetest.Recorder{}
		c, err := newRun(&pipelinetest.Source{N: 3}, &pipelinetest.Engine{}, rec, pipeline.Lossless).Run(ctx)
		if c == nil || c.Termination != want || len(rec.Started) != 1 || rec.Runs() != 1 {
			t.Fatalf("%v: record %+v, %d starts", cause, c, len(rec.Started))
		}
		if want != pipeline.Stopped && !errors.Is(err, cause) || len(c.Errors) != 0 {
			t.Errorf("%v: error %v, in the record %q", cause, err, c.Errors)
		}
	}
}
