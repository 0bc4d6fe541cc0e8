package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"time"

	"perch/cmd/internal/blocks"
	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/storage"
)

// ownCost measures the processor time that Perch itself needs for a 1080p
// frame: pictures that lie in memory, more of them than a cache holds, go
// through everything but the model, whose outputs are those of one real
// inference. Taking frames over from GStreamer is not in it.
func (b *bench) ownCost(ctx context.Context) error {
	const frames = 1000
	src := newMemorySource(1920, 1080, frames)
	var own []float64
	for range b.rounds {
		d, err := b.cpuOf(ctx, src)
		if err != nil {
			return err
		}
		own = append(own, d.Seconds()*1000/frames)
	}
	_, err := fmt.Fprintf(b.out, "own processor time: %.2f ms a 1080p frame (median of %d rounds, %.2f to %.2f): sampling, decoding heads, tracking, books, database; without capture and model\n",
		median(own), b.rounds, slices.Min(own), slices.Max(own))
	return err
}

// cpuOf returns the processor time of a run of src without inference.
func (b *bench) cpuOf(ctx context.Context, src *memorySource) (time.Duration, error) {
	dir, err := os.MkdirTemp("", "perch-bench-*")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	store, err := storage.Open(ctx, storage.Options{Dir: dir, NoOutbox: true, Log: b.log})
	if err != nil {
		return 0, err
	}
	engine, err := b.engineWithoutModel(ctx)
	if err != nil {
		return 0, errors.Join(err, store.Close())
	}
	if err := prime(ctx, engine, src.pictures[0]); err != nil {
		return 0, errors.Join(err, store.Close())
	}
	run := &pipeline.Run{
		ID: b.ids.next(), Device: "bench", Source: src, Pace: pipeline.Lossless, Engine: engine,
		Recorder: store, Log: b.log, Now: time.Now, Clock: b.clock.Read,
	}
	start := cpuTime()
	_, err = run.Run(ctx)
	err = errors.Join(err, store.Close())
	return cpuTime() - start, err
}

// engineWithoutModel is the short form with the bench's model, which runs on
// the first picture only: its outputs stand for those of all others.
func (b *bench) engineWithoutModel(ctx context.Context) (*workflow.Engine, error) {
	m, err := b.models.Manifest(b.id)
	if err != nil {
		return nil, err
	}
	text, err := blocks.Short{Model: b.id, Track: true}.Expand(m)
	if err != nil {
		return nil, err
	}
	lib := blocks.Library(b.blockOptions(modelSource{ctx: ctx, reg: b.models, replay: true}))
	g, err := workflow.Compile(text, lib, b.env("", ""))
	if err != nil {
		return nil, err
	}
	return g.Bind(b.env("", ""), workflow.Options{Name: "bench"})
}

// prime gives the engine the one inference whose outputs it replays.
func prime(ctx context.Context, engine pipeline.Engine, pic pipeline.Picture) error {
	work, err := engine.Begin(ctx, still{pic: pic, seq: 1})
	if err != nil {
		return err
	}
	return work.Finish(ctx, &pipeline.Result{})
}

// memorySource plays pictures that were made beforehand.
type memorySource struct {
	pictures []pipeline.Picture
	frames   int
}

func newMemorySource(width, height, frames int) *memorySource {
	s := &memorySource{frames: frames}
	r := rand.New(rand.NewPCG(1, 1))
	for range 12 {
		pic := pipeline.NewPicture(width, height)
		for _, plane := range pic.Planes {
			for i := range plane {
				plane[i] = byte(r.Uint32())
			}
		}
		s.pictures = append(s.pictures, pic)
	}
	return s
}

func (s *memorySource) ID() pipeline.SourceID {
	return pipeline.SourceID{Kind: pipeline.SourceTest, Name: "memory"}
}

func (s *memorySource) Run(ctx context.Context, out pipeline.Outlet) error {
	out.Opened(pipeline.StreamInfo{Codec: "raw", Width: s.pictures[0].Width, Height: s.pictures[0].Height, FPS: 30})
	for i := range s.frames {
		f := still{pic: s.pictures[i%len(s.pictures)], seq: uint64(i + 1), pts: time.Duration(i) * time.Second / 30}
		out.PutFrame(ctx, f)
	}
	return context.Cause(ctx)
}

// cpuTime is what this process has used of all processors, user and system.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
