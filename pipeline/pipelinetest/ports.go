package pipelinetest

import (
	"context"
	"sync"
	"time"

	"perch/pipeline"
)

// Engine finds what Find says in every frame, after Delay.
type Engine struct {
	Find  func(f pipeline.Frame) ([]pipeline.Detection, error)
	Delay time.Duration
	Open  int // Work begun and not finished; owned by the run's goroutine
	Peak  int // the largest Open
	Info  pipeline.StreamInfo
}

// Opened implements [pipeline.Engine].
func (e *Engine) Opened(info pipeline.StreamInfo) { e.Info = info }

// About implements [pipeline.Engine].
func (e *Engine) About() pipeline.EngineInfo {
	return pipeline.EngineInfo{
		Workflow: pipeline.WorkflowID{Name: "fake", Digest: "sha256:00"},
		Models:   []pipeline.ModelID{{ID: "fake", Digest: "sha256:01", Provider: "cpu"}},
		Labels:   []string{"person", "car"},
	}
}

// Begin implements [pipeline.Engine].
func (e *Engine) Begin(_ context.Context, f pipeline.Frame) (pipeline.Work, error) {
	e.Open++
	e.Peak = max(e.Peak, e.Open)
	return &work{e, f}, nil
}

// Close implements [pipeline.Engine].
func (e *Engine) Close() error { return nil }

type work struct {
	e *Engine
	f pipeline.Frame
}

func (w *work) Finish(_ context.Context, r *pipeline.Result) (err error) {
	w.e.Open--
	if w.e.Delay > 0 {
		time.Sleep(w.e.Delay)
	}
	_ = w.f.Picture() // panics if the run gave the frame back too early
	if w.e.Find != nil {
		r.Detections, err = w.e.Find(w.f)
	}
	r.Took[pipeline.StageInference] = max(w.e.Delay, time.Microsecond)
	return err
}

// Recorder keeps everything in memory, but nothing for a context that is done.
// Fail, when set, is asked before each call; op is "begin", "record", "complete"
// or "append".
type Recorder struct {
	Fail func(op string) error

	mu        sync.Mutex
	Started   []pipeline.RunStart
	Results   []*pipeline.Result
	Completed []pipeline.Complete
	Messages  []pipeline.Message
	Events    []pipeline.Event
}

func (r *Recorder) do(ctx context.Context, op string, f func()) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if r.Fail != nil {
		if err := r.Fail(op); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	return nil
}

// Begin implements [pipeline.Recorder].
func (r *Recorder) Begin(ctx context.Context, s pipeline.RunStart) error {
	return r.do(ctx, "begin", func() { r.Started = append(r.Started, s) })
}

// Record implements [pipeline.Recorder].
func (r *Recorder) Record(ctx context.Context, res *pipeline.Result, msgs []pipeline.Message) error {
	return r.do(ctx, "record", func() {
		r.Results, r.Messages = append(r.Results, res), append(r.Messages, msgs...)
		r.Events = append(r.Events, res.Events...)
	})
}

// Complete implements [pipeline.Recorder].
func (r *Recorder) Complete(ctx context.Context, c pipeline.Complete, msg pipeline.Message) error {
	return r.do(ctx, "complete", func() {
		r.Completed, r.Messages = append(r.Completed, c), append(r.Messages, msg)
	})
}

// Append implements [pipeline.EventLog].
func (r *Recorder) Append(ctx context.Context, events []pipeline.Event, msgs []pipeline.Message) error {
	return r.do(ctx, "append", func() {
		r.Events, r.Messages = append(r.Events, events...), append(r.Messages, msgs...)
	})
}

// Runs returns how many runs were completed.
func (r *Recorder) Runs() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.Completed)
}
