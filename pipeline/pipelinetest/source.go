// Package pipelinetest holds fakes of what Perch has no hardware for in tests,
// and the suites that fakes and real implementations both pass.
package pipelinetest

import (
	"context"
	"sync/atomic"
	"time"

	"perch/pipeline"
)

// Source produces N small frames, Every apart (0: as fast as they are taken),
// then ends with Err. It counts the frames that are still on loan.
type Source struct {
	Name   string
	N      int // negative: endless
	Every  time.Duration
	Err    error
	Info   pipeline.StreamInfo
	Width  int // pixels; 64 when zero
	Height int // pixels; 48 when zero

	lent atomic.Int64
	sent atomic.Int64
	want atomic.Pointer[pipeline.Size]
}

// Want implements [pipeline.Scaler]: the next picture is shrunk already.
func (s *Source) Want(size pipeline.Size) { s.want.Store(&size) }

// Wanted returns what was wanted last; the zero Size if nothing was.
func (s *Source) Wanted() pipeline.Size {
	if w := s.want.Load(); w != nil {
		return *w
	}
	return pipeline.Size{}
}

// ID implements [pipeline.Source].
func (s *Source) ID() pipeline.SourceID {
	return pipeline.SourceID{Kind: pipeline.SourceTest, Name: s.Name}
}

// Lent returns how many frames have not been released.
func (s *Source) Lent() int { return int(s.lent.Load()) }

// Sent returns how many frames were handed out.
func (s *Source) Sent() int { return int(s.sent.Load()) }

// Run implements [pipeline.Source].
func (s *Source) Run(ctx context.Context, out pipeline.Outlet) error {
	w, h := s.Width, s.Height
	if w == 0 {
		w, h = 64, 48
	}
	opened := false
	for i := 0; i != s.N; i++ {
		if s.Every > 0 {
			select {
			case <-time.After(s.Every):
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !opened {
			out.Opened(s.Info)
			opened = true
		}
		size := s.Wanted()
		if size == (pipeline.Size{}) {
			size = pipeline.Size{Width: w, Height: h}
		}
		pic := pipeline.NewPicture(size.Width, size.Height)
		for j := range pic.Planes[0] {
			pic.Planes[0][j] = byte(i)
		}
		s.sent.Add(1)
		f := NewFrame(pic, uint64(i+1), time.Duration(i)*100*time.Millisecond, &s.lent)
		f.info.Width, f.info.Height = w, h
		out.PutFrame(ctx, f)
	}
	return s.Err
}

// A Frame is a picture in Go memory that insists on being released.
type Frame struct {
	info    pipeline.FrameInfo
	pic     pipeline.Picture
	holders atomic.Int32
	lent    *atomic.Int64
}

// NewFrame lends pic; lent counts loans and may be nil.
func NewFrame(pic pipeline.Picture, seq uint64, pts time.Duration, lent *atomic.Int64) *Frame {
	f := &Frame{pic: pic, lent: lent, info: pipeline.FrameInfo{Seq: seq, PTS: pts, Wall: time.Now(), Width: pic.Width, Height: pic.Height}}
	f.holders.Store(1)
	if lent != nil {
		lent.Add(1)
	}
	return f
}

// Info implements [pipeline.Frame].
func (f *Frame) Info() pipeline.FrameInfo { return f.info }

// Picture implements [pipeline.Frame]; it panics after the last Release.
func (f *Frame) Picture() pipeline.Picture {
	if f.holders.Load() <= 0 {
		panic("pipelinetest: Picture of a released frame")
	}
	return f.pic
}

// Retain implements [pipeline.Frame].
func (f *Frame) Retain() pipeline.Frame {
	if f.holders.Add(1) < 2 {
		panic("pipelinetest: Retain of a released frame")
	}
	return f
}

// Release implements [pipeline.Frame].
func (f *Frame) Release() {
	switch n := f.holders.Add(-1); {
	case n < 0:
		panic("pipelinetest: frame released twice")
	case n == 0 && f.lent != nil:
		f.lent.Add(-1)
	}
}
