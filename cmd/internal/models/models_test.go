package models

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"perch/gst"
	"perch/pipeline"
	"perch/pipeline/pipelinetest"
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

func find(t *testing.T, e pipeline.Engine, pic pipeline.Picture, seq int) *pipeline.Result {
	t.Helper()
	f := pipelinetest.NewFrame(pic, uint64(seq), time.Duration(seq)*100*time.Millisecond, nil)
	defer f.Release()
	w, err := e.Begin(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	r := &pipeline.Result{Frame: f.Info()}
	if err := w.Finish(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEngineFindsAndFollowsPeople(t *testing.T) {
	l, pic := load(t), street(t)
	e, err := l.Engine(Detect{Classes: []string{"person"}, Track: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.Opened(pipeline.StreamInfo{FPS: 10})
	first, second := find(t, e, pic, 1), find(t, e, pic, 2)
	if len(first.Detections) < 3 || len(second.Detections) != len(first.Detections) {
		t.Fatalf("%d and %d people in the same street", len(first.Detections), len(second.Detections))
	}
	for i, d := range second.Detections {
		if d.Label != "person" || d.Track == 0 || d.Box.X1 <= d.Box.X0 || d.Box.Y1 > float32(pic.Height) {
			t.Errorf("%+v", d)
		}
		if d.Track != first.Detections[i].Track {
			t.Errorf("the same person is %d and then %d", first.Detections[i].Track, d.Track)
		}
	}
	for _, s := range []pipeline.Stage{pipeline.StagePreprocess, pipeline.StageInference, pipeline.StagePostprocess} {
		if first.Took[s] <= 0 {
			t.Errorf("stage %v was not timed", s)
		}
	}
}

func TestWithoutModelReplaysTheFirstFrame(t *testing.T) {
	l, pic := load(t), street(t)
	e, err := l.Engine(Detect{})
	if err != nil {
		t.Fatal(err)
	}
	e = WithoutModel(e)
	before := l.Session.Stats().Frames
	want := find(t, e, pic, 1)
	for seq := 2; seq < 6; seq++ {
		if got := find(t, e, pic, seq); len(got.Detections) != len(want.Detections) || got.Detections[0].Box != want.Detections[0].Box {
			t.Errorf("frame %d: %d detections, want %d", seq, len(got.Detections), len(want.Detections))
		}
	}
	if n := l.Session.Stats().Frames - before; n != 1 {
		t.Errorf("the model ran %d times", n)
	}
}

func TestEngineRefusesWhatTheModelDoesNotKnow(t *testing.T) {
	_, err := load(t).Engine(Detect{Classes: []string{"person", "unicorn"}})
	if pipeline.KindOf(err) != pipeline.BadConfig || !strings.Contains(err.Error(), "unicorn") || !strings.Contains(err.Error(), "bicycle") {
		t.Errorf("%v: does not name the class and what there is", err)
	}
}

// What is looked for is part of a workflow's digest, and nothing else is.
func TestWorkflowDigest(t *testing.T) {
	l := load(t)
	digest := func(d Detect) string {
		e, err := l.Engine(d)
		if err != nil {
			t.Fatal(err)
		}
		return e.About().Workflow.Digest
	}
	base := digest(Detect{})
	if digest(Detect{}) != base {
		t.Error("the same workflow has two digests")
	}
	for _, d := range []Detect{{Confidence: 0.9}, {IoU: 0.9}, {Classes: []string{"car"}}, {Track: true}} {
		if digest(d) == base {
			t.Errorf("%+v has the digest of the default", d)
		}
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
