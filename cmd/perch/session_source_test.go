package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
)

// numbered counts the frames that come.
type numbered struct {
	frames uint64
	t      *testing.T
}

func (*numbered) Opened(pipeline.StreamInfo) {}

func (n *numbered) PutFrame(_ context.Context, f pipeline.Frame) {
	if n.frames++; f.Info().Seq != n.frames {
		n.t.Errorf("frame %d has number %d", n.frames, f.Info().Seq)
	}
	f.Release()
}

// What ends a session's camera, and after how many attempts.
func TestWhenASessionsCameraIsGivenUp(t *testing.T) {
	gone := &pipeline.Error{Op: "watch camera", Kind: pipeline.Gone, Err: errors.New("no picture for 10s")}
	ended := &pipeline.Error{Op: "watch camera", Kind: pipeline.Gone, Err: pipeline.ErrCameraEnded}
	wrong := &pipeline.Error{Op: "open camera", Kind: pipeline.Refused, Err: errors.New("wrong password")}
	for _, tt := range []struct {
		name   string
		kind   pipeline.SourceKind
		length time.Duration
		ends   []error // of one source after the other, with two frames each; the last, without any, of all that follow
		want   error
		frames uint64
		least  time.Duration // that it takes; not much more
	}{
		{"goes away for good", pipeline.SourceRTSP, 0, []error{gone, ended, gone}, gone, 4, 2 * time.Minute},
		{"changes its password", pipeline.SourceRTSP, 0, []error{gone, wrong}, wrong, 2, 0},
		{"a recording ends", pipeline.SourceRTSP, time.Hour, []error{ended, gone}, ended, 2, 0},
		{"a recording breaks off", pipeline.SourceRTSP, time.Hour, []error{gone, gone}, gone, 2, 0},
		{"MJPEG goes away", pipeline.SourceHTTP, 0, []error{gone, ended, gone}, ended, 4, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				next := 0
				open := func() (pipeline.Source, error) {
					s := &pipelinetest.Source{N: 2, Info: pipeline.StreamInfo{Live: true, Duration: tt.length}, Err: tt.ends[next]}
					if next == len(tt.ends)-1 {
						s.N = 0
					} else {
						next++
					}
					return s, nil
				}
				first, _ := open()
				p := &pipeline.Persistent{First: first, Again: open, Wait: reconnect, Enough: enoughOf(tt.kind), Log: slog.New(slog.DiscardHandler)}
				out, start := &numbered{t: t}, time.Now()
				if err := p.Run(t.Context(), out); !errors.Is(err, tt.want) {
					t.Errorf("ended with %v, want %v", err, tt.want)
				}
				if took := time.Since(start); out.frames != tt.frames || took < tt.least || took > tt.least+2*reconnect.Max {
					t.Errorf("%d frames in %v, want %d in %v", out.frames, took, tt.frames, tt.least)
				}
			})
		})
	}
}
