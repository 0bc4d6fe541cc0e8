package models

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"perch/gst"
	"perch/pipeline"
)

// registry is one for all tests: ONNX Runtime exists once in a process.
var registry = sync.OnceValue(func() *Registry {
	dir, err := os.MkdirTemp("", "perch-models-*")
	if err != nil {
		panic(err)
	}
	r, err := Open(Options{Dir: dir, Library: os.Getenv("PERCH_ORT_LIB"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	return r
})

func TestMain(m *testing.M) {
	status := m.Run()
	if os.Getenv("PERCH_ORT_LIB") != "" {
		os.RemoveAll(registry().opt.Dir)
	}
	os.Exit(status)
}

func load(t *testing.T) *Loaded {
	t.Helper()
	if os.Getenv("PERCH_ORT_LIB") == "" {
		t.Skip("PERCH_ORT_LIB is not set; make test sets it")
	}
	l, err := registry().Load(t.Context(), "nanodet-416")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// street is the sample clip's frame 100, in which people walk.
func street(t *testing.T) pipeline.Picture {
	t.Helper()
	clip := os.Getenv("PERCH_TEST_CLIP")
	if clip == "" {
		t.Skip("PERCH_TEST_CLIP is not set; make test sets it")
	}
	media, err := gst.Open(gst.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	src, err := media.NewSource(gst.SourceSpec{Kind: pipeline.SourceFile, Path: clip, Pace: pipeline.Lossless})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pick := &picker{at: 100, done: cancel}
	if err := src.Run(ctx, pick); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	return pick.pic
}

type picker struct {
	at   uint64
	done func()
	pic  pipeline.Picture
}

func (p *picker) Opened(pipeline.StreamInfo) {}

func (p *picker) PutFrame(_ context.Context, f pipeline.Frame) {
	if f.Info().Seq == p.at {
		p.pic = pipeline.CopyPicture(pipeline.Picture{}, f.Picture(), 1)
		p.done()
	}
	f.Release()
}

// find runs a picture through the model.
func find(t *testing.T, r *Runner, pic pipeline.Picture, classes ...int) ([]pipeline.Detection, Took) {
	t.Helper()
	params := r.loaded.Model.Params()
	params.Classes = classes
	p, err := r.Begin(t.Context(), pic)
	if err != nil {
		t.Fatal(err)
	}
	found, err := p.Finish(t.Context(), params, nil)
	if err != nil {
		t.Fatal(err)
	}
	return found, p.Took()
}

func TestPeopleAreFound(t *testing.T) {
	l, pic := load(t), street(t)
	found, took := find(t, l.NewRunner(), pic, 0)
	if len(found) < 3 {
		t.Fatalf("%d people in the street", len(found))
	}
	for _, d := range found {
		if d.Label != "person" || d.Box.X1 <= d.Box.X0 || d.Box.Y1 > float32(pic.Height) {
			t.Errorf("%+v", d)
		}
	}
	if took.Prepare <= 0 || took.Infer <= 0 || took.Decode <= 0 {
		t.Errorf("a stage was not timed: %+v", took)
	}
	if now := l.Now(); now.ID != l.ID.ID || now.Provider != l.Session.Provider().Name {
		t.Errorf("the model is now %+v", now)
	}
}

func TestReplayingGivesTheFirstPicturesOutputs(t *testing.T) {
	l, pic := load(t), street(t)
	r := l.Replaying().NewRunner()
	before := l.Session.Stats().Frames
	want, _ := find(t, r, pic)
	for n := 2; n < 6; n++ {
		if got, _ := find(t, r, pic); len(got) != len(want) || got[0].Box != want[0].Box {
			t.Errorf("picture %d: %d detections, want %d", n, len(got), len(want))
		}
	}
	if n := l.Session.Stats().Frames - before; n != 1 {
		t.Errorf("the model ran %d times", n)
	}
}

func TestLoadSharesAModel(t *testing.T) {
	a, b := load(t), load(t)
	if a != b {
		t.Error("a model was loaded twice")
	}
	if a.ID.Provider != "cpu" && a.Session.Provider().Why == "" {
		t.Errorf("%+v", a.Session.Provider())
	}
	_, err := registry().Load(t.Context(), "yolo99")
	if pipeline.KindOf(err) != pipeline.NotFound {
		t.Errorf("Load of a model that is not there: %v", err)
	}
}

// A file that does not say how large its outputs are is run once to see.
func TestGraphOfAnAddedModel(t *testing.T) {
	load(t)
	e, err := registry().Store().Add("../../../packaging/models/nanodet-416", "copy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := registry().Store().Remove("copy"); err != nil {
			t.Error(err)
		}
	})
	if e.Manifest.Head.Family != "yolov8" || filepath.Base(e.Dir) != "copy" {
		t.Errorf("%+v in %s", e.Manifest.Head, e.Dir)
	}
	l, err := registry().Load(t.Context(), "copy")
	if err != nil {
		t.Fatal(err)
	}
	if l.ID.Digest != load(t).ID.Digest {
		t.Error("a copy has another digest")
	}
}
