package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"perch/cmd/internal/models"
	"perch/gst"
	"perch/pipeline"
	"perch/storage"
)

// cpuOf returns the processor time of a run of spec with all that Perch does
// but inference, or of the bare source.
func (b *bench) cpuOf(ctx context.Context, spec gst.SourceSpec, full bool) (time.Duration, error) {
	src, err := b.media.NewSource(spec)
	if err != nil {
		return 0, err
	}
	if !full {
		start := cpuTime()
		err := src.Run(ctx, discard{})
		return cpuTime() - start, err
	}
	dir, err := os.MkdirTemp("", "perch-bench-*")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	store, err := storage.Open(ctx, storage.Options{Dir: dir, NoOutbox: true, Log: b.log})
	if err != nil {
		return 0, err
	}
	engine, err := b.loaded.Engine(models.Detect{})
	if err != nil {
		return 0, errors.Join(err, store.Close())
	}
	run := &pipeline.Run{
		ID: b.ids.next(), Device: "bench", Source: src, Pace: pipeline.Lossless, Engine: models.WithoutModel(engine),
		Recorder: store, Log: b.log, Now: time.Now, Clock: b.clock.Read,
	}
	start := cpuTime()
	_, err = run.Run(ctx)
	err = errors.Join(err, store.Close())
	return cpuTime() - start, err
}

// discard is an outlet that wants nothing.
type discard struct{}

func (discard) Opened(pipeline.StreamInfo) {}

func (discard) PutFrame(_ context.Context, f pipeline.Frame) { f.Release() }

// cpuTime is what this process has used of all processors, user and system.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
