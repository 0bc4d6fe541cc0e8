package pipeline_test

import (
	"testing"
	"testing/synctest"
	"time"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
)

// sampling is an engine that says how large a picture it needs.
type sampling struct {
	*pipelinetest.Engine
	needs pipeline.Size
}

func (s sampling) Needs(pipeline.Size) pipeline.Size { return s.needs }

// sleeper is a viewer that looks at some frames only.
type sleeper struct {
	awake func(frame uint64) bool
	seen  uint64
}

func (s *sleeper) Show(f pipeline.Frame, _ *pipeline.Result) error {
	s.seen = f.Info().Seq
	return nil
}

func (s *sleeper) Dozing() bool { return !s.awake(s.seen + 1) }

type watchful struct{}

func (watchful) Show(pipeline.Frame, *pipeline.Result) error { return nil }

func TestPicturesAreAsLargeAsSomebodyNeeds(t *testing.T) {
	whole, small := pipeline.Size{Width: 640, Height: 480}, pipeline.Size{Width: 200, Height: 150}
	never := func(uint64) bool { return false }
	for _, tt := range []struct {
		name    string
		engine  func(*pipelinetest.Engine) pipeline.Engine
		viewers []pipeline.Viewer
		want    map[uint64]pipeline.Size // from which frame on
	}{
		{"an engine that does not say", func(e *pipelinetest.Engine) pipeline.Engine { return e }, nil, map[uint64]pipeline.Size{1: whole}},
		{"one that looks at every pixel", func(e *pipelinetest.Engine) pipeline.Engine { return sampling{e, pipeline.Size{}} }, nil, map[uint64]pipeline.Size{1: whole}},
		{"one that looks at few", func(e *pipelinetest.Engine) pipeline.Engine { return sampling{e, small} }, nil, map[uint64]pipeline.Size{1: whole, 2: small}},
		{"odd sizes", func(e *pipelinetest.Engine) pipeline.Engine {
			return sampling{e, pipeline.Size{Width: 199, Height: 149}}
		}, nil, map[uint64]pipeline.Size{1: whole, 2: small}},
		{"hardly smaller", func(e *pipelinetest.Engine) pipeline.Engine {
			return sampling{e, pipeline.Size{Width: 460, Height: 340}}
		}, nil, map[uint64]pipeline.Size{1: whole}},
		{"wider than the frame", func(e *pipelinetest.Engine) pipeline.Engine {
			return sampling{e, pipeline.Size{Width: 1280, Height: 100}}
		}, nil, map[uint64]pipeline.Size{1: whole}},
		// The proportions stay, and no side is too short for scalers in hardware.
		{"one that looks at a slice", func(e *pipelinetest.Engine) pipeline.Engine {
			return sampling{e, pipeline.Size{Width: 200, Height: 10}}
		}, nil, map[uint64]pipeline.Size{1: whole, 2: small}},
		{"one that hardly looks", func(e *pipelinetest.Engine) pipeline.Engine { return sampling{e, pipeline.Size{Width: 2, Height: 2}} }, nil, map[uint64]pipeline.Size{1: whole, 2: {Width: 86, Height: 64}}},
		{"somebody always looks", func(e *pipelinetest.Engine) pipeline.Engine { return sampling{e, small} }, []pipeline.Viewer{&sleeper{awake: never}, watchful{}}, map[uint64]pipeline.Size{1: whole}},
		{"nobody looks", func(e *pipelinetest.Engine) pipeline.Engine { return sampling{e, small} }, []pipeline.Viewer{&sleeper{awake: never}}, map[uint64]pipeline.Size{1: whole, 2: small}},
		{
			// One look keeps pictures whole for ten seconds: 100 frames.
			"somebody looks now and then", func(e *pipelinetest.Engine) pipeline.Engine { return sampling{e, small} },
			[]pipeline.Viewer{&sleeper{awake: func(n uint64) bool { return n == 30 || n == 80 }}},
			map[uint64]pipeline.Size{1: whole, 2: small, 31: whole, 181: small},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &pipelinetest.Source{N: 250, Every: 100 * time.Millisecond, Width: whole.Width, Height: whole.Height}
				var sizes []pipeline.Size
				eng := &pipelinetest.Engine{Find: func(f pipeline.Frame) ([]pipeline.Detection, error) {
					p := f.Picture()
					sizes = append(sizes, pipeline.Size{Width: p.Width, Height: p.Height})
					if i := f.Info(); i.Width != whole.Width || i.Height != whole.Height || pipeline.Whole(f) != (p.Width == whole.Width) {
						t.Errorf("frame %d: %dx%d, whole %v", i.Seq, i.Width, i.Height, pipeline.Whole(f))
					}
					return nil, nil
				}}
				run := newRun(src, tt.engine(eng), &pipelinetest.Recorder{}, pipeline.Realtime)
				run.Viewers = tt.viewers
				if _, err := run.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if len(sizes) != 250 {
					t.Fatalf("%d frames", len(sizes))
				}
				want := whole
				for i, got := range sizes {
					if w, ok := tt.want[uint64(i+1)]; ok {
						want = w
					}
					if got != want {
						t.Errorf("frame %d is %v, want %v", i+1, got, want)
					}
				}
			})
		})
	}
}
