package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func newRun(src pipeline.Source, eng pipeline.Engine, rec pipeline.Recorder, pace pipeline.Pace) *pipeline.Run {
	return &pipeline.Run{
		ID: "01RUN", Device: "dev", Source: src, Pace: pace, Engine: eng, Recorder: rec,
		Log: quiet, Now: time.Now, Clock: func() pipeline.ClockReading { return pipeline.ClockReading{BootID: "boot"} },
	}
}

// balance checks rule 8: every frame that came is accounted for, and none is
// still on loan.
func balance(t *testing.T, c *pipeline.Complete, src *pipelinetest.Source) {
	t.Helper()
	sum := c.Frames.Processed
	for _, n := range c.Frames.Dropped {
		sum += n
	}
	if sum != c.Frames.In || c.Frames.In != uint64(src.Sent()) {
		t.Errorf("books do not balance: %+v, source sent %d", c.Frames, src.Sent())
	}
	if src.Lent() != 0 {
		t.Errorf("%d frames were not released", src.Lent())
	}
}

func oneOfEach(pipeline.Frame) ([]pipeline.Detection, error) {
	return []pipeline.Detection{{Label: "person"}, {Label: "car"}, {Label: "car"}}, nil
}

func TestLosslessRunKeepsEveryFrameInOrder(t *testing.T) {
	src, rec := &pipelinetest.Source{N: 100, Info: pipeline.StreamInfo{FPS: 12.5}}, &pipelinetest.Recorder{}
	eng := &pipelinetest.Engine{Find: oneOfEach}
	c, err := newRun(src, eng, rec, pipeline.Lossless).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	balance(t, c, src)
	if c.Termination != pipeline.EndOfStream || c.Frames.Processed != 100 || c.Detections["car"] != 200 {
		t.Errorf("%+v", c)
	}
	for i, r := range rec.Results {
		if r.Frame.Seq != uint64(i+1) {
			t.Fatalf("result %d is of frame %d", i, r.Frame.Seq)
		}
	}
	if eng.Info.FPS != 12.5 {
		t.Errorf("the engine was told %+v of the stream", eng.Info)
	}
	if eng.Peak != 2 {
		t.Errorf("%d frames in flight, want 2: preprocessing does not overlap inference", eng.Peak)
	}
	if len(rec.Completed) != 1 || len(rec.Messages) != 1 || rec.Messages[0].Topic != "runs/01RUN/complete" {
		t.Fatalf("%d records, messages %v", len(rec.Completed), rec.Messages)
	}
	var told pipeline.Complete
	if err := json.Unmarshal(rec.Messages[0].Payload, &told); err != nil || told.Frames.In != 100 {
		t.Errorf("message %s: %v", rec.Messages[0].Payload, err)
	}
}

// A limit leaves out frames by their own times, gives them back at once and
// counts them as what they are; how fast frames come and are worked on does not
// matter. The source makes ten frames a second.
func TestRunLeavesOutFrames(t *testing.T) {
	for _, c := range []struct {
		max       float64
		n         int
		processed uint64
		second    uint64 // frame
	}{{0, 100, 100, 2}, {1, 100, 10, 11}, {4, 100, 40, 4}, {10, 100, 100, 2}, {.1, 1000, 10, 101}, {30, 100, 100, 2}} {
		for _, pace := range []pipeline.Pace{pipeline.Lossless, pipeline.Realtime} {
			synctest.Test(t, func(t *testing.T) {
				info := pipeline.StreamInfo{FPS: 10, Frames: uint64(c.n)}
				src, rec, eng := &pipelinetest.Source{N: c.n, Every: time.Millisecond, Info: info}, &pipelinetest.Recorder{}, &pipelinetest.Engine{Find: oneOfEach}
				run := newRun(src, eng, rec, pace)
				run.MaxFPS = c.max
				var opened pipeline.StreamInfo
				run.OnOpen = func(i pipeline.StreamInfo) { opened = i }
				record, err := run.Run(t.Context())
				if err != nil || len(record.Errors) != 0 {
					t.Fatalf("%v, %q", err, record.Errors) // so few frames are no file that is cut off
				}
				balance(t, record, src)
				left, told := record.Frames.Dropped[pipeline.DropRate]
				if record.Frames.Processed != c.processed || left != uint64(c.n)-c.processed || told != (left > 0) {
					t.Errorf("at most %v: %+v", c.max, record.Frames)
				}
				if rec.Results[0].Frame.Seq != 1 || rec.Results[1].Frame.Seq != c.second {
					t.Errorf("at most %v: the second is frame %d, want %d", c.max, rec.Results[1].Frame.Seq, c.second)
				}
				info.MaxFPS = c.max
				if eng.Info != info || opened != info || run.Status().Stream != info {
					t.Errorf("at most %v: the engine was told %+v, others %+v", c.max, eng.Info, opened)
				}
			})
		}
	}
}

func TestRealtimeRunTakesTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, rec := &pipelinetest.Source{N: 50, Every: 10 * time.Millisecond}, &pipelinetest.Recorder{}
		c, err := newRun(src, &pipelinetest.Engine{Delay: 35 * time.Millisecond}, rec, pipeline.Realtime).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		balance(t, c, src)
		if c.Frames.Dropped[pipeline.DropBusy] < 30 || c.Frames.Processed < 10 {
			t.Errorf("frames %+v", c.Frames)
		}
		if q := c.LatencyMS["queue"]; q.P99 > 40 {
			t.Errorf("a frame waited %v ms: not the newest one", q.P99)
		}
		if f := c.LatencyMS["inference"]; f.P50 < 33 || f.P50 > 37 {
			t.Errorf("inference %+v, want about 35 ms", f)
		}
	})
}

func TestEveryEndingLeavesOneRecord(t *testing.T) {
	gone := &pipeline.Error{Op: "read", On: "cam", Kind: pipeline.Gone, Err: io.ErrUnexpectedEOF}
	broken := &pipeline.Error{Op: "read", On: "cam", Kind: pipeline.BadInput, Err: io.ErrUnexpectedEOF}
	for _, tt := range []struct {
		name  string
		src   *pipelinetest.Source
		limit time.Duration
		cause error // cancels the run after 1 s
		find  func(pipeline.Frame) ([]pipeline.Detection, error)
		want  pipeline.Reason
		err   error
	}{
		{name: "end", src: &pipelinetest.Source{N: 3}, want: pipeline.EndOfStream},
		{name: "live stream ends", src: &pipelinetest.Source{N: 3, Info: pipeline.StreamInfo{Live: true}}, want: pipeline.SourceLost},
		{name: "camera goes away", src: &pipelinetest.Source{N: 3, Err: gone}, want: pipeline.SourceLost, err: gone},
		{name: "file breaks off", src: &pipelinetest.Source{N: 3, Err: broken}, want: pipeline.Failed, err: broken},
		{name: "never opens", src: &pipelinetest.Source{N: 0, Err: broken}, want: pipeline.Failed, err: broken},
		{name: "limit", src: &pipelinetest.Source{N: -1, Every: time.Second / 10}, limit: time.Second, want: pipeline.TimeoutReached, err: pipeline.ErrDeadline},
		{name: "stopped", src: &pipelinetest.Source{N: -1, Every: time.Second / 10}, cause: pipeline.ErrStopped, want: pipeline.Stopped},
		{name: "signal", src: &pipelinetest.Source{N: -1, Every: time.Second / 10}, cause: context.Canceled, want: pipeline.Stopped},
		{name: "client gone", src: &pipelinetest.Source{N: -1, Every: time.Second / 10}, cause: pipeline.ErrClientGone, want: pipeline.ClientGone, err: pipeline.ErrClientGone},
		{name: "stalled", src: &pipelinetest.Source{N: -1, Every: time.Second / 10}, cause: pipeline.ErrStalled, want: pipeline.SourceLost, err: pipeline.ErrStalled},
		{name: "model always fails", src: &pipelinetest.Source{N: -1}, want: pipeline.Failed, err: io.ErrNoProgress,
			find: func(pipeline.Frame) ([]pipeline.Detection, error) { return nil, io.ErrNoProgress }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, pace := range []pipeline.Pace{pipeline.Realtime, pipeline.Lossless} {
					src, rec := &pipelinetest.Source{N: tt.src.N, Every: tt.src.Every, Err: tt.src.Err, Info: tt.src.Info}, &pipelinetest.Recorder{}
					ctx, cancel := context.WithCancelCause(t.Context())
					if tt.cause != nil {
						time.AfterFunc(time.Second, func() { cancel(tt.cause) })
					}
					run := newRun(src, &pipelinetest.Engine{Find: tt.find}, rec, pace)
					run.Limit = tt.limit
					c, err := run.Run(ctx)
					cancel(nil)
					if c == nil || c.Termination != tt.want {
						t.Fatalf("record %+v, want %s", c, tt.want)
					}
					if tt.err != nil && !errors.Is(err, tt.err) || tt.err == nil && err != nil && tt.want != pipeline.SourceLost {
						t.Errorf("error %v, want %v", err, tt.err)
					}
					if rec.Runs() != 1 {
						t.Errorf("%d completion records", rec.Runs())
					}
					balance(t, c, src)
				}
			})
		})
	}
}

func TestRunOnFirstFrameLeavesNoEmptyRun(t *testing.T) {
	away := &pipeline.Error{Op: "open", On: "cam", Kind: pipeline.Gone, Err: io.EOF}
	rec := &pipelinetest.Recorder{}
	run := newRun(&pipelinetest.Source{N: 0, Err: away}, &pipelinetest.Engine{}, rec, pipeline.Realtime)
	run.OnFirstFrame = true
	c, err := run.Run(t.Context())
	if c != nil || !errors.Is(err, away) || len(rec.Started) != 0 || len(rec.Messages) != 0 {
		t.Errorf("record %v, error %v, started %v", c, err, rec.Started)
	}
}

func TestOneBadFrameIsCountedAndTheRunGoesOn(t *testing.T) {
	src, rec := &pipelinetest.Source{N: 20}, &pipelinetest.Recorder{}
	eng := &pipelinetest.Engine{Find: func(f pipeline.Frame) ([]pipeline.Detection, error) {
		if f.Info().Seq == 7 {
			return nil, errors.New("kernel failed")
		}
		return nil, nil
	}}
	c, err := newRun(src, eng, rec, pipeline.Lossless).Run(t.Context())
	if err != nil || c.Frames.Processed != 19 || c.Frames.Dropped[pipeline.DropError] != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	if len(c.Errors) != 1 || !strings.Contains(c.Errors[0], "frame 7: kernel failed") {
		t.Errorf("errors %q", c.Errors)
	}
	balance(t, c, src)
}

func TestAFileThatIsShorterThanItSays(t *testing.T) {
	for frames, want := range map[int]int{100: 0, 95: 0, 60: 1} {
		src := &pipelinetest.Source{N: frames, Info: pipeline.StreamInfo{Frames: 100}}
		c, err := newRun(src, &pipelinetest.Engine{}, &pipelinetest.Recorder{}, pipeline.Lossless).Run(t.Context())
		if err != nil || c.Termination != pipeline.EndOfStream || len(c.Errors) != want {
			t.Errorf("%d of 100 frames: %s, errors %q, %v", frames, c.Termination, c.Errors, err)
		}
	}
}

func TestStorageFailure(t *testing.T) {
	full := &pipeline.Error{Op: "store results", Kind: pipeline.Storage, Err: errors.New("disk full")}
	synctest.Test(t, func(t *testing.T) {
		// A file stops at once: nobody wants half of its results without being told.
		n := 0
		rec := &pipelinetest.Recorder{Fail: func(op string) error {
			if n++; op == "record" && n > 5 {
				return full
			}
			return nil
		}}
		src := &pipelinetest.Source{N: 100}
		c, err := newRun(src, &pipelinetest.Engine{}, rec, pipeline.Lossless).Run(t.Context())
		if pipeline.KindOf(err) != pipeline.Storage || c.Termination != pipeline.Failed || c.Frames.Dropped[pipeline.DropStorage] == 0 {
			t.Errorf("%+v, %v", c, err)
		}
		balance(t, c, src)

		// A camera stays up and its loss is in the books; the record is tried again.
		tries := 0
		rec = &pipelinetest.Recorder{Fail: func(op string) error {
			if op == "complete" {
				if tries++; tries < 3 {
					return full
				}
			}
			if op == "record" {
				return full
			}
			return nil
		}}
		src = &pipelinetest.Source{N: 100, Every: time.Millisecond}
		c, err = newRun(src, &pipelinetest.Engine{}, rec, pipeline.Realtime).Run(t.Context())
		if err != nil || c.Frames.Dropped[pipeline.DropStorage] != 100 || rec.Runs() != 1 {
			t.Errorf("%+v, %v", c, err)
		}
		balance(t, c, src)
	})
}
