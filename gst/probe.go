package gst

import (
	"context"
	"errors"

	"perch/pipeline"
)

// errEnough ends a playback that has seen what it wanted.
var errEnough = errors.New("seen enough")

// Probe opens a file, decodes its first picture and says what it is. Errors are
// those of a source that plays the file.
func (m *Media) Probe(ctx context.Context, path string) (pipeline.StreamInfo, error) {
	src, err := m.NewSource(SourceSpec{Kind: pipeline.SourceFile, Path: path, Pace: pipeline.Lossless})
	if err != nil {
		return pipeline.StreamInfo{}, err
	}
	var first firstFrame
	err = first.of(ctx, src)
	return first.info, err
}

// firstFrame is an outlet that stops the source at its first frame.
type firstFrame struct {
	info pipeline.StreamInfo
	take func(pipeline.Picture) // may be nil
	stop context.CancelCauseFunc
	seen bool
}

func (f *firstFrame) of(ctx context.Context, src pipeline.Source) error {
	ctx, f.stop = context.WithCancelCause(ctx)
	defer f.stop(nil)
	err := src.Run(ctx, f)
	if f.seen && (err == nil || errors.Is(err, errEnough) || pipeline.KindOf(err) == pipeline.BadInput) {
		return nil // one picture is whole, whatever comes after it
	}
	return err
}

func (f *firstFrame) Opened(i pipeline.StreamInfo) { f.info = i }

func (f *firstFrame) PutFrame(_ context.Context, fr pipeline.Frame) {
	defer fr.Release()
	if !f.seen && f.take != nil {
		f.take(fr.Picture())
	}
	f.seen = true
	f.stop(errEnough)
}
