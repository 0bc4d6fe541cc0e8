package workflowtest

import (
	"context"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// Loop is a block that finds frames[0], frames[1] and so on in its image, over
// and over. It allocates nothing once it has been round.
func Loop(image workflow.In, frames [][]workflow.Detection) workflow.Block {
	return &given{image: image, frames: frames, loop: true}
}

// Steady returns a function that runs e on the next frame of 1080p, 30 a second,
// and allocates nothing itself. The engine is closed with the test.
func Steady(tb testing.TB, e *workflow.Engine) func() *pipeline.Result {
	const width, height = 1920, 1080
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	e.Opened(pipeline.StreamInfo{FPS: 30, Width: width, Height: height})
	f, r := &frame{pic: Picture(width, height, 100), info: pipeline.FrameInfo{Width: width, Height: height}}, &pipeline.Result{}
	return func() *pipeline.Result {
		f.info.Seq++
		f.info.PTS += time.Second / 30
		f.info.Wall = Start().Add(f.info.PTS)
		w, err := e.Begin(context.Background(), f)
		if err != nil {
			tb.Fatal(err)
		}
		*r = pipeline.Result{Frame: f.info, Detections: r.Detections[:0]}
		if err := w.Finish(context.Background(), r); err != nil {
			tb.Fatal(err)
		}
		return r
	}
}
