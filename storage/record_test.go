package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"perch/pipeline"
)

func TestARunFromStartToEnd(t *testing.T) {
	s := open(t, Options{})
	begin(t, s, startOf("R1"))
	d := person(10)
	d.Track = 7
	record(t, s, frame("R1", 1, d))
	record(t, s, frame("R1", 2))
	with := frame("R1", 4, d, pipeline.Detection{Class: 2, Label: "dog", Score: 0.5, Box: pipeline.Box{X1: 10, Y1: 20}})
	with.Events = []pipeline.Event{event("E1")}
	record(t, s, with, pipeline.Message{Topic: "events", Payload: []byte(`{"event_id":"E1"}`)})
	finish(t, s, "R1", 3)

	got := collect(t, s, "R1")
	if len(got) != 3 {
		t.Fatalf("%d results, want 3", len(got))
	}
	last := got[2]
	want := with.Frame
	if last.Frame != want || len(last.Detections) != 2 || last.Detections[0].Label != "person" || last.Detections[1].Label != "dog" || last.Detections[0].Track != 7 {
		t.Errorf("frame %+v with %+v", last.Frame, last.Detections)
	}
	run, err := s.Run(t.Context(), "R1")
	if err != nil {
		t.Fatal(err)
	}
	if run.Complete == nil || run.Frames != 3 || run.Camera != "door" || run.Stream.Width != 1920 || run.Clock.BootID != "boot-1" || run.Keep != pipeline.KeepEvery {
		t.Errorf("run %+v", run)
	}
	raw, err := s.CompleteJSON(t.Context(), "R1")
	_, msg := completion("R1", 3)
	if err != nil || string(raw) != string(msg.Payload) {
		t.Errorf("record %s, %v", raw, err)
	}
	msgs := pending(t, s)
	if len(msgs) != 2 || msgs[0].Topic != "events" || msgs[1].Topic != "runs/R1/complete" || string(msgs[1].Payload) != string(msg.Payload) {
		t.Errorf("outbox %+v", msgs)
	}
	tracks, err := s.Tracks(t.Context(), "R1", 0, 0)
	if err != nil || len(tracks) != 1 || tracks[0] != (Track{ID: 7, Label: "person", FirstSeq: 1, LastSeq: 4, LastPTS: 120 * time.Millisecond, Frames: 2, BestScore: 0.75}) {
		t.Errorf("tracks %+v, %v", tracks, err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestExactlyOneCompletion(t *testing.T) {
	s := open(t, Options{})
	begin(t, s, startOf("R1"))
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			c, msg := completion("R1", 0)
			errs[i] = s.Complete(context.Background(), c, msg)
		})
	}
	wg.Wait()
	good := 0
	for _, err := range errs {
		if err == nil {
			good++
		} else {
			wantKind(t, err, pipeline.BadInput)
		}
	}
	if msgs := pending(t, s); good != 1 || len(msgs) != 1 {
		t.Errorf("%d completions succeeded, %d messages", good, len(msgs))
	}
	// The database itself refuses as well, whoever asks.
	err := s.do(t.Context(), "complete run", &op{apply: func(tx *txn) error {
		c, _ := completion("R1", 0)
		return tx.addCompletion(1, c, []byte(`{}`), nil)
	}})
	wantKind(t, err, pipeline.BadInput)
	wantKind(t, s.Record(t.Context(), frame("R1", 1), nil), pipeline.BadInput)
	wantKind(t, s.Record(t.Context(), frame("R9", 1), nil), pipeline.NotFound)
	wantKind(t, s.Begin(t.Context(), startOf("R1")), pipeline.BadInput)
	if n := len(pending(t, s)); n != 1 {
		t.Errorf("%d messages after the refusals", n)
	}
}

func TestWhatIsWrongIsRefusedAloud(t *testing.T) {
	s := open(t, Options{})
	begin(t, s, startOf("R1"))
	record(t, s, frame("R1", 5, person(1)))
	for name, r := range map[string]*pipeline.Result{
		"the same frame again": frame("R1", 5),
		"an earlier frame":     frame("R1", 4),
		"a class of no name":   frame("R1", 6, pipeline.Detection{Class: -1}),
	} {
		if err := s.Record(t.Context(), r, nil); pipeline.KindOf(err) != pipeline.BadInput {
			t.Errorf("%s: %v", name, err)
		}
	}
	record(t, s, frame("R1", 6, pipeline.Detection{Class: 9, Label: "unheard of"}))
	finish(t, s, "R1", 2)
	if got := collect(t, s, "R1"); len(got) != 2 || got[1].Detections[0].Label != "unheard of" {
		t.Errorf("kept %+v", got)
	}
}

// A request that the database refuses must not take its neighbours along, and
// must not be forgotten.
func TestARefusedResultIsReported(t *testing.T) {
	s := open(t, Options{Commit: time.Hour}) // nothing is due until something urgent comes
	begin(t, s, startOf("R1"))
	begin(t, s, startOf("R2"))
	if err := s.Append(t.Context(), []pipeline.Event{event("E1")}, nil); err != nil {
		t.Fatal(err)
	}
	record(t, s, frame("R1", 1, person(1)))
	record(t, s, frame("R2", 1))
	bad := frame("R1", 2, person(2))
	bad.Events = []pipeline.Event{event("E1")} // an id that is taken
	record(t, s, bad, pipeline.Message{Topic: "events", Payload: []byte(`{}`)})
	eventually(t, "the result is refused", func() bool { return s.Stats().Refused == 1 })
	if err := s.Record(t.Context(), frame("R1", 3), nil); err == nil {
		t.Error("the run goes on as if nothing had happened")
	}
	finish(t, s, "R1", 1)
	finish(t, s, "R2", 1)
	if a, b := len(collect(t, s, "R1")), len(collect(t, s, "R2")); a != 1 || b != 1 {
		t.Errorf("%d and %d results, want one each", a, b)
	}
	if msgs := pending(t, s); len(msgs) != 2 {
		t.Errorf("%d messages, want the two completions", len(msgs))
	}
	err := s.Append(t.Context(), []pipeline.Event{event("E2"), event("E1")}, []pipeline.Message{{Topic: "events", Payload: []byte(`{}`)}})
	events, qerr := s.Events(t.Context(), EventFilter{})
	if err == nil || qerr != nil || len(events) != 1 || len(pending(t, s)) != 2 {
		t.Errorf("half an append was kept: %v, %d events, %v", err, len(events), qerr)
	}
}

func TestGroupCommit(t *testing.T) {
	s := open(t, Options{Commit: time.Hour})
	begin(t, s, startOf("R1"))
	before := s.Stats().Batches
	for i := range uint64(100) {
		record(t, s, frame("R1", i+1, person(float32(i))))
	}
	if n := s.Stats().Batches; n != before {
		t.Errorf("%d transactions for results that may wait", n-before)
	}
	r := frame("R1", 101)
	r.Events = []pipeline.Event{event("E1")}
	record(t, s, r)
	eventually(t, "an event commits what waits", func() bool { return s.Stats().Results == 101 })
	if n := s.Stats().Batches; n != before+1 {
		t.Errorf("%d transactions, want one for all", n-before)
	}
	// The delay itself.
	s2 := open(t, Options{Commit: 10 * time.Millisecond})
	begin(t, s2, startOf("R1"))
	record(t, s2, frame("R1", 1))
	eventually(t, "a result is written when its time has come", func() bool { return s2.Stats().Results == 1 })
}

func TestKeepModes(t *testing.T) {
	walk := func(id string) []*pipeline.Result { // a person comes, stands, walks, goes; 120 frames
		var all []*pipeline.Result
		for n := uint64(1); n <= 120; n++ {
			switch {
			case n <= 20:
				all = append(all, frame(id, n))
			case n <= 60:
				all = append(all, frame(id, n, person(500+float32(n%2)))) // trembles by a pixel
			case n <= 100:
				all = append(all, frame(id, n, person(500+10*float32(n-60)))) // 10 pixels a frame
			default:
				all = append(all, frame(id, n))
			}
		}
		all[29].Events = []pipeline.Event{event("E-" + id)}
		return all
	}
	for _, c := range []struct {
		keep pipeline.Keep
		want int
	}{
		{"", 120}, {pipeline.KeepEvery, 120},
		// 1920 * 0.02 = 38.4 pixels: while walking one frame in four. The first
		// frame, the person's first, the event, 10 of 40 walking, the empty one.
		{pipeline.KeepChanges, 1 + 1 + 1 + 10 + 1},
		{pipeline.KeepEvents, 1},
	} {
		t.Run(string(c.keep), func(t *testing.T) {
			s := open(t, Options{})
			start := startOf("R1")
			start.Keep = c.keep
			begin(t, s, start)
			for _, r := range walk("R1") {
				r.Detections = withTrack(r.Detections, 3)
				record(t, s, r)
			}
			finish(t, s, "R1", 120)
			if got := collect(t, s, "R1"); len(got) != c.want {
				t.Errorf("%d frames kept, want %d", len(got), c.want)
			}
			tracks, err := s.Tracks(t.Context(), "R1", 0, 10)
			if err != nil || len(tracks) != 1 || tracks[0].Frames != 80 || tracks[0].FirstSeq != 21 || tracks[0].LastSeq != 100 {
				t.Errorf("track %+v, %v", tracks, err)
			}
			if st := s.Stats(); st.Results+st.Skipped != 120 {
				t.Errorf("%d kept and %d skipped of 120", st.Results, st.Skipped)
			}
		})
	}
}

func withTrack(dets []pipeline.Detection, id pipeline.TrackID) []pipeline.Detection {
	for i := range dets {
		dets[i].Track = id
	}
	return dets
}

func TestDiffers(t *testing.T) {
	car := pipeline.Detection{Class: 1, Box: pipeline.Box{X0: 10, Y0: 100, X1: 60, Y1: 300}}
	tracked := func(x float32, id pipeline.TrackID) pipeline.Detection { d := person(x); d.Track = id; return d }
	list := func(d ...pipeline.Detection) []pipeline.Detection { return d }
	for _, c := range []struct {
		name     string
		was, now []pipeline.Detection
		want     bool
	}{
		{"nothing twice", nil, nil, false},
		{"one came", nil, list(person(1)), true},
		{"one left", list(person(1)), nil, true},
		{"another class", list(person(10)), list(car), true},
		{"moved a little", list(person(10)), list(person(15)), false},
		{"moved", list(person(10)), list(person(16)), true},
		{"order does not matter", list(person(10), person(200)), list(person(200), person(10)), false},
		{"one counterpart each", list(person(10), person(200)), list(person(10), person(11)), true},
		{"the same track", list(tracked(10, 1)), list(tracked(12, 1)), false},
		{"another track in the same place", list(tracked(10, 1)), list(tracked(10, 2)), true},
	} {
		if got := differs(c.was, c.now, 5); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// Four cameras at once, and a reader beside them.
func TestConcurrentRuns(t *testing.T) {
	s := open(t, Options{Commit: 5 * time.Millisecond, QueueCount: 16})
	var wg sync.WaitGroup
	const frames = 200
	for cam := range 4 {
		id := fmt.Sprintf("R%d", cam)
		begin(t, s, startOf(id))
		wg.Go(func() {
			for n := range uint64(frames) {
				if err := s.Record(t.Context(), frame(id, n+1, person(float32(n))), nil); err != nil {
					t.Error(err)
					return
				}
			}
			c, msg := completion(id, frames)
			if err := s.Complete(t.Context(), c, msg); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			if _, err := s.Runs(t.Context(), RunFilter{}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for cam := range 4 {
		got := collect(t, s, fmt.Sprintf("R%d", cam))
		if len(got) != frames || got[frames-1].Frame.Seq != frames {
			t.Errorf("camera %d: %d results", cam, len(got))
		}
	}
	if n, b := s.queue.size(); n != 0 || b != 0 {
		t.Errorf("an empty queue counts %d requests, %d bytes", n, b)
	}
}

// What the run counts so far is readable while it is open.
func TestProgress(t *testing.T) {
	s := open(t, Options{})
	begin(t, s, startOf("R1"))
	for n := range uint64(10) {
		record(t, s, frame("R1", n+1, person(1), person(300)))
	}
	eventually(t, "progress is written", func() bool {
		run, err := s.Run(t.Context(), "R1")
		if err != nil {
			t.Fatal(err)
		}
		return run.Complete == nil && run.Frames == 10 && run.Detections["person"] == 20
	})
}

func TestTheRecordIsJSONWithoutAMessage(t *testing.T) {
	s := open(t, Options{NoOutbox: true})
	begin(t, s, startOf("R1"))
	c, _ := completion("R1", 0)
	if err := s.Complete(t.Context(), c, pipeline.Message{}); err != nil {
		t.Fatal(err)
	}
	raw, err := s.CompleteJSON(t.Context(), "R1")
	want, _ := json.Marshal(c)
	if err != nil || string(raw) != string(want) {
		t.Errorf("record %s, %v", raw, err)
	}
}
