package storage

import (
	"fmt"
	"testing"
	"time"

	"perch/pipeline"
)

func TestRunsNewestFirst(t *testing.T) {
	s := open(t, Options{})
	for n := range 6 {
		start := startOf(fmt.Sprintf("R%d", n))
		start.Camera = []string{"door", "yard"}[n%2]
		begin(t, s, start)
	}
	finish(t, s, "R4", 3)
	ids := func(f RunFilter) (all []string) {
		runs, err := s.Runs(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			all = append(all, r.RunStart.Run)
			if (r.Complete != nil) != (r.RunStart.Run == "R4") {
				t.Errorf("run %s: complete %v", r.RunStart.Run, r.Complete)
			}
		}
		return all
	}
	for want, f := range map[string]RunFilter{
		"[R5 R4 R3 R2 R1 R0]": {},
		"[R4 R2 R0]":          {Camera: "door"},
		"[R4 R2]":             {Camera: "door", Limit: 2},
		"[R2 R0]":             {Camera: "door", Before: "R3"},
		"[]":                  {Before: "R0"},
	} {
		if got := fmt.Sprint(ids(f)); got != want {
			t.Errorf("%+v gives %s, want %s", f, got, want)
		}
	}
	_, err := s.Run(t.Context(), "R9")
	wantKind(t, err, pipeline.NotFound)
	_, err = s.CompleteJSON(t.Context(), "R0")
	wantKind(t, err, pipeline.NotFound)
	for _, err := range s.Results(t.Context(), "R9") {
		wantKind(t, err, pipeline.NotFound)
	}
}

func TestEvents(t *testing.T) {
	s := open(t, Options{})
	for n := range 6 {
		e := event(fmt.Sprintf("E%d", n))
		e.Time = epoch.Add(time.Duration(n) * time.Second)
		e.Camera = []string{"door", "yard"}[n%2]
		e.Frame, e.Track, e.Class, e.Run = uint64(n), pipeline.TrackID(n), "dog", "R1"
		if n == 5 {
			e.Kind, e.Run, e.Detail = "camera.lost", "", nil
			e.Clock.WallTrusted = false
		}
		if err := s.Append(t.Context(), []pipeline.Event{e}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for want, f := range map[string]EventFilter{
		"E5 E4 E3 E2 E1 E0 ": {},
		"E5 E3 E1 ":          {Camera: "yard"},
		"E4 E3 ":             {Run: "R1", Limit: 2},
		"E5 ":                {Kind: "camera.lost"},
		"E3 E2 ":             {Since: epoch.Add(2 * time.Second), Until: epoch.Add(4 * time.Second)},
	} {
		events, err := s.Events(t.Context(), f)
		got := ""
		for _, e := range events {
			got += e.ID + " "
		}
		if err != nil || got != want {
			t.Errorf("%+v gives %q, want %q, %v", f, got, want, err)
		}
	}
	events, err := s.Events(t.Context(), EventFilter{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	lost, fourth := events[0], events[1]
	if lost.Clock.WallTrusted || lost.Detail != nil || lost.Schema != pipeline.EventSchema {
		t.Errorf("%+v", lost)
	}
	if fourth.Frame != 4 || fourth.Track != 4 || fourth.Class != "dog" || !fourth.Time.Equal(epoch.Add(4*time.Second)) ||
		fourth.Clock != (pipeline.ClockReading{BootID: "boot-1", MonotonicS: 13.25, WallTrusted: true}) || string(fourth.Detail) != `{"line":"gate"}` {
		t.Errorf("%+v", fourth)
	}
}

// More results than a page, with a file's unknown size at the start.
func TestResultsAreWalkedPageByPage(t *testing.T) {
	s := open(t, Options{})
	start := startOf("R1")
	start.Stream = pipeline.StreamInfo{}
	begin(t, s, start)
	begin(t, s, startOf("R2"))
	record(t, s, frame("R2", 1))
	const n = 2*page + 1
	for i := range uint64(n) {
		r := frame("R1", i+1, person(float32(i)))
		if i == 3 {
			r.Frame.Width, r.Frame.Height = 640, 480
		}
		if i == 4 {
			r.Frame.Wall = time.Time{} // unknown: the presentation time counts
		}
		record(t, s, r)
	}
	finish(t, s, "R1", n)
	got := collect(t, s, "R1")
	if len(got) != n {
		t.Fatalf("%d results, want %d", len(got), n)
	}
	if f := got[n-1].Frame; f != frame("R1", n).Frame {
		t.Errorf("last frame %+v", f)
	}
	if got[2].Frame.Width != 1920 || got[3].Frame.Width != 640 || got[3].Frame.Height != 480 || !got[4].Frame.Wall.Equal(epoch.Add(160*time.Millisecond)) {
		t.Errorf("frames %+v, %+v, %+v", got[2].Frame, got[3].Frame, got[4].Frame)
	}
	for r, err := range s.Results(t.Context(), "R1") {
		if err != nil || r.Frame.Seq != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		break // stopping early must not hold a connection
	}
	for range 3 * readers {
		for range s.Results(t.Context(), "R1") {
			break
		}
	}
}
