package pipeline_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
)

// fakeEncoder "encodes" a picture as its first luma sample.
type fakeEncoder struct {
	spec    pipeline.EncoderSpec
	put     func(pipeline.AccessUnit)
	mu      sync.Mutex
	nextKey bool
	closed  atomic.Bool
}

func (e *fakeEncoder) Encode(pic pipeline.Picture, pts time.Duration) (bool, error) {
	e.mu.Lock()
	key := e.nextKey
	e.nextKey = false
	e.mu.Unlock()
	e.put(pipeline.AccessUnit{PTS: pts, Key: key, Data: []byte{pic.Planes[0][0]}})
	return true, nil
}
func (e *fakeEncoder) ForceKey()    { e.mu.Lock(); e.nextKey = true; e.mu.Unlock() }
func (e *fakeEncoder) Close() error { e.closed.Store(true); return nil }

type encoders struct {
	opened []*fakeEncoder
	fail   error
}

func (s *encoders) open(spec pipeline.EncoderSpec, put func(pipeline.AccessUnit)) (pipeline.Encoder, error) {
	if s.fail != nil {
		return nil, s.fail
	}
	e := &fakeEncoder{spec: spec, put: put, nextKey: true}
	s.opened = append(s.opened, e)
	return e, nil
}

type marker struct{}

// Draw marks the picture so that a test can see it was drawn on.
func (marker) Draw(pic pipeline.Picture, r *pipeline.Result) {
	pic.Planes[0][0] = byte(len(r.Detections))
}

func inPreview(t *testing.T, opt pipeline.PreviewOptions, f func(p *pipeline.Preview, enc *encoders, show func(n int))) {
	synctest.Test(t, func(t *testing.T) {
		enc := &encoders{}
		opt.Codecs, opt.Linger = []pipeline.Codec{pipeline.CodecH264}, 3*time.Second
		p := pipeline.NewPreview(opt, enc.open, marker{}, quiet)
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { p.Run(ctx) })
		pts := time.Duration(0)
		show := func(n int) {
			for range n {
				pts += 100 * time.Millisecond
				fr := pipelinetest.NewFrame(pipeline.NewPicture(64, 48), 1, pts, nil)
				if err := p.Show(fr, &pipeline.Result{Detections: make([]pipeline.Detection, 3)}); err != nil {
					t.Error(err)
				}
				fr.Release()
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
			}
		}
		f(p, enc, show)
		cancel()
		wg.Wait()
	})
}

func TestNoEncoderWithoutAViewer(t *testing.T) {
	inPreview(t, pipeline.PreviewOptions{}, func(p *pipeline.Preview, enc *encoders, show func(int)) {
		show(5)
		if len(enc.opened) != 0 {
			t.Fatal("an encoder runs and nobody watches")
		}
		var watches []pipeline.Watch
		for range 20 {
			w, err := p.Watch(pipeline.CodecH264)
			if err != nil {
				t.Fatal(err)
			}
			watches = append(watches, w)
		}
		show(5)
		if len(enc.opened) != 1 {
			t.Fatalf("%d encoders for 20 viewers", len(enc.opened))
		}
		u := <-watches[7].Units()
		if !u.Key || u.Data[0] != 3 {
			t.Errorf("first unit %+v: want a key frame that was drawn on", u)
		}
		for _, w := range watches {
			w.Close()
			w.Close()
		}
		show(2)
		if enc.opened[0].closed.Load() {
			t.Error("the encoder did not linger: a page that reloads starts it anew")
		}
		show(60)
		if !enc.opened[0].closed.Load() || p.Stats().Encoders != 0 || p.Stats().Viewers != 0 {
			t.Errorf("nobody watches, but %+v", p.Stats())
		}
	})
}

func TestSlowViewerSkipsToAKeyFrame(t *testing.T) {
	inPreview(t, pipeline.PreviewOptions{}, func(p *pipeline.Preview, enc *encoders, show func(int)) {
		slow, _ := p.Watch(pipeline.CodecH264)
		fast, _ := p.Watch(pipeline.CodecH264)
		got := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range fast.Units() {
				got++
			}
		}()
		show(100)
		for range 30 { // what fitted
			<-slow.Units()
		}
		show(10)
		if u := <-slow.Units(); !u.Key {
			t.Error("after a gap the slow viewer was given a picture that it cannot decode")
		}
		if p.Stats().Lost == 0 {
			t.Error("the loss was not counted")
		}
		fast.Close()
		<-done
		if got != 110 {
			t.Errorf("the fast viewer got %d of 110 units", got)
		}
		slow.Close()
	})
}

func TestPreviewShrinksAndLimitsItsRate(t *testing.T) {
	inPreview(t, pipeline.PreviewOptions{MaxWidth: 32, FPS: 5}, func(p *pipeline.Preview, enc *encoders, show func(int)) {
		w, _ := p.Watch(pipeline.CodecH264)
		defer w.Close()
		show(20) // two seconds at ten a second
		if s := enc.opened[0].spec; s.Width != 32 || s.Height != 24 {
			t.Errorf("encoded at %dx%d", s.Width, s.Height)
		}
		if n := p.Stats().Shown; n != 10 {
			t.Errorf("%d pictures in 2 s, want 10", n)
		}
	})
}

func TestEncoderFailureSendsViewersAway(t *testing.T) {
	inPreview(t, pipeline.PreviewOptions{}, func(p *pipeline.Preview, enc *encoders, show func(int)) {
		enc.fail = errors.New("no such element")
		w, _ := p.Watch(pipeline.CodecH264)
		show(1)
		if _, ok := <-w.Units(); ok {
			t.Error("got a unit from an encoder that did not open")
		}
		if _, err := p.Watch(pipeline.CodecVP8); pipeline.KindOf(err) != pipeline.Unsupported {
			t.Errorf("Watch(VP8): %v", err)
		}
	})
}

func TestSnapshotNeedsNoEncoder(t *testing.T) {
	inPreview(t, pipeline.PreviewOptions{MaxWidth: 32}, func(p *pipeline.Preview, enc *encoders, show func(int)) {
		go show(3)
		pic, err := p.Snapshot(context.Background())
		if err != nil || pic.Width != 64 || pic.Planes[0][0] != 3 {
			t.Errorf("%dx%d, %v: want the whole picture, drawn on", pic.Width, pic.Height, err)
		}
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := p.Snapshot(ctx); pipeline.KindOf(err) != pipeline.Gone {
			t.Errorf("no pictures come, but Snapshot says %v", err)
		}
		if len(enc.opened) != 0 || p.Stats().Viewers != 0 {
			t.Error("a still picture left an encoder or a viewer")
		}
	})
}

func TestViewersLeaveNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	inPreview(t, pipeline.PreviewOptions{}, func(p *pipeline.Preview, enc *encoders, show func(int)) {
		for range 200 {
			w, err := p.Watch(pipeline.CodecH264)
			if err != nil {
				t.Fatal(err)
			}
			show(1)
			w.Close()
		}
		if p.Stats().Viewers != 0 {
			t.Error(p.Stats())
		}
	})
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

// A viewer that comes while pictures are shrunk waits for whole ones.
func TestPreviewPassesShrunkenPicturesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enc := &encoders{}
		p := pipeline.NewPreview(pipeline.PreviewOptions{Codecs: []pipeline.Codec{pipeline.CodecH264}}, enc.open, marker{}, quiet)
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() { p.Run(ctx) })
		if !p.Dozing() {
			t.Error("it looks, and nobody watches")
		}
		src := &pipelinetest.Source{N: 30, Every: 100 * time.Millisecond, Width: 640, Height: 480}
		run := newRun(src, sampling{&pipelinetest.Engine{}, pipeline.Size{Width: 160, Height: 120}}, &pipelinetest.Recorder{}, pipeline.Realtime)
		var watch pipeline.Watch
		run.Viewers = []pipeline.Viewer{p}
		run.OnFrame = func(r *pipeline.Result) {
			if r.Frame.Seq != 10 {
				return
			}
			if src.Wanted() == (pipeline.Size{}) {
				t.Error("pictures are whole, and nobody watches")
			}
			var err error
			if watch, err = p.Watch(pipeline.CodecH264); err != nil || p.Dozing() {
				t.Errorf("a viewer came: %v, dozing %v", err, p.Dozing())
			}
		}
		if _, err := run.Run(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(enc.opened) != 1 || enc.opened[0].spec.Width != 640 || enc.opened[0].spec.Height != 480 {
			t.Errorf("%d encoders: %+v", len(enc.opened), enc.opened)
		}
		watch.Close()
		cancel()
		wg.Wait()
	})
}
