package models

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/model"
)

// greys are n pictures of rising brightness, each of another size, as crops are.
func greys(n int) (pics []pipeline.Picture) {
	for i := range n {
		pics = append(pics, plain(20+i%7, 16+i%5, byte(20+2*i), 128, 128))
	}
	return pics
}

// brightness is the score that graph "yolov8-pose" gives a picture, which is
// its mean.
func brightness(t testing.TB, p *Pending, params model.Params) float32 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // rather than for ever
	defer cancel()
	dets, err := p.Finish(ctx, params, nil)
	if err != nil || len(dets) != 1 {
		t.Fatalf("%+v %v", dets, err)
	}
	return dets[0].Score
}

// free checks that every place was given back.
func free(t testing.TB, l *Loaded) {
	t.Helper()
	if a, b := len(l.places.shared), len(l.places.apart); a != cap(l.places.shared) || b != 1 {
		t.Errorf("%s: %d of %d places are free, and %d apart", l.ID.ID, a, cap(l.places.shared), b)
	}
}

// TestManyCrops: a hundred pictures are open at once over a few slots; each
// gets its own result, whichever is finished first.
func TestManyCrops(t *testing.T) {
	l := own(t, "yolov8-pose")
	params := l.Model.Params()
	params.Confidence = 0.01
	pics := greys(100)
	var want []float32
	run := l.NewRunner()
	for _, pic := range pics {
		p, err := run.Begin(t.Context(), pic)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, brightness(t, p, params))
	}
	if want[0] >= want[99] {
		t.Fatalf("brightness goes from %v to %v", want[0], want[99])
	}
	if n, why := l.Session.MaxBatch(); n < 2 {
		t.Fatalf("the graph runs one picture at a time: %s", why)
	}
	r := rand.New(rand.NewPCG(1, 1))
	together := false // pictures that wait at the same moment, which chance decides
	for round := 0; round < 2 || !together; round++ {
		if round == 50 {
			t.Fatal("no two of 5000 pictures ran together")
		}
		order := r.Perm(100)
		if round == 0 {
			order = sequence(100)
		}
		before := l.Session.Stats()
		var open []*Pending
		for _, pic := range pics {
			p, err := run.Begin(t.Context(), pic)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, p)
		}
		for _, i := range order {
			if got := brightness(t, open[i], params); got != want[i] {
				t.Fatalf("picture %d: %v, want %v", i, got, want[i])
			}
		}
		after := l.Session.Stats()
		if n := after.Frames - before.Frames; n != 100 {
			t.Fatalf("%d pictures were run", n)
		}
		together = together || after.Batches-before.Batches < 100
	}
	free(t, l)
}

func sequence(n int) (s []int) {
	for i := range n {
		s = append(s, i)
	}
	return s
}

// TestRunsDoNotBlockEachOther: many runs with two models and two frames in
// flight want far more slots than there are, each in its own order.
func TestRunsDoNotBlockEachOther(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a, b := own(t, "yolov8-pose"), own(t, "colours")
	pics := greys(12)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			first, second := a, b
			if i%2 == 1 {
				first, second = b, a
			}
			runs := []*Runner{first.NewRunner(), second.NewRunner()}
			var open []*Pending
			for range 4 {
				for _, run := range runs {
					for _, pic := range pics {
						p, err := run.Begin(ctx, pic)
						if err != nil {
							t.Error(err)
							return
						}
						open = append(open, p)
					}
				}
				if len(open) > 2*len(pics) { // the frame before
					finishAll(t, ctx, open[:2*len(pics)])
					open = open[2*len(pics):]
				}
			}
			finishAll(t, ctx, open)
		})
	}
	wg.Wait()
	free(t, a)
	free(t, b)
}

func finishAll(t *testing.T, ctx context.Context, open []*Pending) {
	for _, p := range open {
		if _, err := p.Finish(ctx, p.r.loaded.Model.Params(), nil); err != nil {
			t.Error(err)
		}
	}
}

// TestSomebodyHoldsAllPlaces: a run that keeps all it can get holds nobody up.
func TestSomebodyHoldsAllPlaces(t *testing.T) {
	l := own(t, "yolov8-pose")
	params := l.Model.Params()
	params.Confidence = 0.01
	greedy, run := l.NewRunner(), l.NewRunner()
	var held []*Pending
	for _, pic := range greys(30) {
		p, err := greedy.Begin(t.Context(), pic)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, p)
	}
	if n := len(l.places.shared); n != 0 {
		t.Fatalf("%d places are free", n)
	}
	pics := greys(5)
	var open []*Pending
	for _, pic := range pics {
		p, err := run.Begin(t.Context(), pic)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, p)
	}
	last := float32(0)
	for _, p := range open {
		got := brightness(t, p, params)
		if got <= last {
			t.Errorf("%v after %v", got, last)
		}
		last = got
	}
	for _, p := range held {
		p.Abandon()
	}
	free(t, l)
}

// TestEndings: however a picture ends, its place comes back, and a Pending is
// good for one end.
func TestEndings(t *testing.T) {
	l := own(t, "yolov8-pose")
	run, params := l.NewRunner(), l.Model.Params()
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("nobody waits"))

	if _, err := run.Begin(t.Context(), pipeline.Picture{Format: pipeline.I420, Width: 4, Height: 4}); pipeline.KindOf(err) != pipeline.BadInput {
		t.Errorf("a picture without planes: %v", err)
	}
	free(t, l)

	var open []*Pending
	for _, pic := range greys(20) {
		p, err := run.Begin(t.Context(), pic)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, p)
	}
	broken := greys(1)[0]
	broken.Planes[1] = nil
	p, err := run.Begin(t.Context(), broken)
	if err != nil {
		t.Fatalf("it is sampled only later: %v", err)
	}
	open = append(open, p)
	open[3].Abandon()
	open[19].Abandon() // late
	open[3].Abandon()  // nothing happens
	for i, p := range open {
		_, err := p.Finish(gone, params, nil)
		switch {
		case i == 3 || i == 19:
			if !errors.Is(err, errFinished) {
				t.Errorf("picture %d was abandoned and then finished: %v", i, err)
			}
		case err == nil: // the model was faster
		case !strings.Contains(err.Error(), "nobody waits") && i < 20:
			t.Errorf("picture %d: %v", i, err)
		}
	}
	p, err = run.Begin(t.Context(), greys(1)[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(t.Context(), model.Params{}, nil); pipeline.KindOf(err) != pipeline.BadInput {
		t.Errorf("parameters that cannot be: %v", err)
	}
	if _, err := p.Finish(t.Context(), params, nil); !errors.Is(err, errFinished) {
		t.Errorf("finished twice: %v", err)
	}
	waitFree(t, l)
}

// waitFree waits until abandoned runs have ended: a place is given back at
// once, the slot only then.
func waitFree(t *testing.T, l *Loaded) {
	t.Helper()
	free(t, l)
	for range cap(l.places.shared) + 1 {
		slot, err := l.Session.Lease(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer slot.Release()
	}
}

// TestRunnerAllocates: nothing but the detections, for which there is room.
// With the model behind it, what is left are a dozen small pieces of infer and of
// ONNX Runtime's binding.
func TestRunnerAllocates(t *testing.T) {
	l := load(t)
	pic := shaded(640, 480)
	dst := make([]pipeline.Detection, 0, 300)
	once := func(run *Runner) float64 {
		params := l.Model.Params()
		params.Confidence = 0.02
		return testing.AllocsPerRun(5, func() {
			p, err := run.Begin(t.Context(), pic)
			if err != nil {
				t.Fatal(err)
			}
			if dst, err = p.Finish(t.Context(), params, dst[:0]); err != nil {
				t.Fatal(err)
			}
		})
	}
	replay := l.NewRunner()
	replay.Replay()
	once(replay)
	if n := once(replay); n != 0 {
		t.Errorf("%v allocations a picture without the model", n)
	}
	if len(dst) == 0 {
		t.Error("nothing was found: the test does not cover decoding")
	}
	run := l.NewRunner()
	once(run)
	once(run) // every slot has been used
	if n := once(run); n > 16 {
		t.Errorf("%v allocations a picture with the model", n)
	}
}

// shaded has gradients, so that a detector finds something or other.
func shaded(w, h int) pipeline.Picture {
	pic := plain(w, h, 0, 110, 150)
	for i := range pic.Planes[0] {
		pic.Planes[0][i] = byte(16 + (i%w*(i/w))>>8%200)
	}
	return pic
}
