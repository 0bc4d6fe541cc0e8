package infer

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never happened: " + what)
		}
	}
}

// lengthy replaces the run by one that repeats it until it is terminated: real
// operators, stopped by the real flag.
func lengthy(s *Session) (running <-chan struct{}) {
	real, ch := s.now.run, make(chan struct{}, 100)
	s.now.run = func(ins, outs []ort.Value, ro *ort.RunOptions) error {
		ch <- struct{}{}
		for {
			if err := real(ins, outs, ro); err != nil {
				return err
			}
		}
	}
	return ch
}

func TestCancelStopsTheRun(t *testing.T) {
	s := open(t, slow(4), Options{})
	running := lengthy(s)
	ctx, cancel := context.WithCancel(t.Context())
	slot := lease(t, s)
	slot.Submit()
	<-running
	cancel()
	if _, err := slot.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	if slot.Outputs() != nil {
		t.Error("outputs of a cancelled frame")
	}
	slot.Release()
	eventually(t, "the run stops and the slot comes back", func() bool {
		st := s.Stats()
		return st.Cancelled == 1 && st.InUse == 0
	})

	// The session goes on with the next frame.
	s2 := lease(t, s)
	s2.Submit()
	<-running
	s2.Release() // released without waiting: cancelled as well
	eventually(t, "the second run stops", func() bool { return s.Stats().Cancelled == 2 })
}

// A frame that is cancelled before its turn is not run at all.
func TestCancelBeforeItsTurn(t *testing.T) {
	s := open(t, doubled(1, 2), Options{Slots: 3})
	goOn := gate(s)
	first, second := lease(t, s), lease(t, s)
	first.Submit()
	second.Submit()
	second.Release()
	close(goOn)
	if _, err := first.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.Release()
	eventually(t, "both slots come back", func() bool { return s.Stats().InUse == 0 })
	if st := s.Stats(); st.Frames != 1 || st.Cancelled != 1 {
		t.Errorf("stats: %+v", st)
	}
}

// Of two frames in one run, one being cancelled must not take the other along.
func TestCancelOneOfABatch(t *testing.T) {
	s := open(t, doubled(-1, 2), Options{MaxBatch: 2, Slots: 3})
	goOn := gate(s)
	head := submitted1(t, s, 1)
	goOn <- struct{}{}
	a, b := submitted1(t, s, 2), submitted1(t, s, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	close(goOn)
	for sl, want := range map[*Slot]float32{head: 2, b: 6} {
		if _, err := sl.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := sl.Outputs()[0].Data[0]; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		sl.Release()
	}
	a.Release()
}

func TestDeadline(t *testing.T) {
	s := open(t, slow(4), Options{Deadline: 50 * time.Millisecond})
	running := lengthy(s)
	slot := lease(t, s)
	defer slot.Release()
	slot.Submit()
	<-running
	_, err := slot.Wait(t.Context())
	wantKind(t, err, pipeline.Timeout)
	if st := s.Stats(); st.Failures != 1 {
		t.Errorf("stats: %+v", st)
	}
}

// A provider that hangs in C: everybody is told, and nothing is freed that C
// may still write to.
func TestStuck(t *testing.T) {
	s, err := testRuntime(t).Open(t.Context(), Model{Data: doubled(1, 2)}, Options{Deadline: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s.now.grace = 10 * time.Millisecond
	hang := make(chan struct{})
	s.now.run = func(_, _ []ort.Value, _ *ort.RunOptions) error { <-hang; return nil }
	a, b := lease(t, s), lease(t, s)
	a.Submit()
	b.Submit()
	for _, sl := range []*Slot{a, b} {
		_, err := sl.Wait(t.Context())
		wantKind(t, err, pipeline.Stuck)
		sl.Release()
	}
	_, err = s.Lease(t.Context())
	wantKind(t, err, pipeline.Stuck)
	wantKind(t, s.Close(), pipeline.Stuck)
	if s.now.lanes[0].inVals[0].GetShape() == nil {
		t.Error("a tensor was freed while C had it")
	}

	close(hang) // it comes back after all, so that this test leaves nothing behind
	<-s.now.ended
	s.now.wg.Wait()
	if err := s.now.freeAll(); err != nil {
		t.Error(err)
	}
}

func TestRunError(t *testing.T) {
	s := open(t, doubled(1, 2), Options{})
	s.now.run = func(_, _ []ort.Value, _ *ort.RunOptions) error { return errors.New("cuda\n is  away") }
	slot := lease(t, s)
	defer slot.Release()
	slot.Submit()
	_, err := slot.Wait(t.Context())
	if err == nil || err.Error() != "run model test: cuda is away" {
		t.Errorf("error: %v", err)
	}
	if st := s.Stats(); st.Failures != 1 || st.Frames != 0 || st.Batches != 0 {
		t.Errorf("stats: %+v", st)
	}
}

func TestCloseWhileBusy(t *testing.T) {
	s := open(t, slow(4), Options{Slots: 3})
	running := lengthy(s)
	var slots []*Slot
	for range 3 {
		slots = append(slots, lease(t, s))
	}
	slots[0].Submit()
	<-running
	slots[1].Submit() // waits; the third is only leased
	var wg sync.WaitGroup
	for _, sl := range slots[:2] {
		wg.Go(func() {
			if _, err := sl.Wait(context.Background()); !errors.Is(err, ErrClosed) {
				t.Errorf("Wait: %v", err)
			}
		})
	}
	wg.Go(func() { // nobody may wait for ever for a slot
		if _, err := s.Lease(context.Background()); !errors.Is(err, ErrClosed) {
			t.Errorf("Lease: %v", err)
		}
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	slots[2].Float32()[0] = 1 // still memory
	slots[2].Submit()
	if _, err := slots[2].Wait(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Wait after Close: %v", err)
	}
	for _, sl := range slots {
		sl.Release()
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// Opening is given up when nobody waits for it any more, and what was opened
// then is closed.
func TestOpenCancelled(t *testing.T) {
	rt := testRuntime(t)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rt.opening <- struct{}{} // another model loads
	_, err := rt.Open(ctx, Model{Data: doubled(1, 2)}, Options{})
	<-rt.opening
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v", err)
	}

	op := &opening{rt: rt, name: "test", o: Options{OpenTimeout: time.Millisecond, Log: rt.cfg.Log}}
	hang, undone := make(chan struct{}), make(chan struct{})
	err = op.exclusively(t.Context(), func() error { <-hang; return nil }, func() { close(undone) })
	wantKind(t, err, pipeline.Stuck)
	close(hang)
	<-undone
	eventually(t, "the goroutine ends", func() bool { return runtime.NumGoroutine() <= before })
	open(t, doubled(1, 2), Options{}) // the permission to load was given back
}

// Cameras that come, give up and go at random: every frame is accounted for
// and every slot comes back.
func TestBooksBalance(t *testing.T) {
	s := open(t, doubled(-1, 16), Options{MaxBatch: 3, Slots: 5})
	var submitted atomic.Uint64
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(c), 1))
			for range 150 {
				slot, err := s.Lease(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				ctx, cancel := context.WithCancel(t.Context())
				slot.Float32()[5] = float32(c)
				slot.Submit()
				submitted.Add(1)
				switch rng.IntN(4) {
				case 0:
					slot.Release()
					cancel()
					continue
				case 1:
					go cancel()
				}
				if _, err := slot.Wait(ctx); err == nil {
					if got := slot.Outputs()[0].Data[5]; got != float32(2*c) {
						t.Errorf("caller %d got %v", c, got)
					}
				} else if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				slot.Release()
				cancel()
			}
		})
	}
	wg.Wait()
	eventually(t, "all slots come back", func() bool { return s.Stats().InUse == 0 })
	if st := s.Stats(); st.Frames+st.Cancelled != submitted.Load() || st.Failures != 0 {
		t.Errorf("%d submitted, %+v", submitted.Load(), st)
	}
}
