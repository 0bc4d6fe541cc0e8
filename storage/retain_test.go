package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"perch/pipeline"
)

// fill keeps n frames of a run that started at the given time.
func fill(t *testing.T, s *Store, id string, at time.Time, n uint64, end bool) {
	t.Helper()
	fillSlowly(t, s, id, at, 40*time.Millisecond, n, end)
}

func fillSlowly(t *testing.T, s *Store, id string, at time.Time, apart time.Duration, n uint64, end bool) {
	t.Helper()
	start := startOf(id)
	start.Started = at
	begin(t, s, start)
	for i := range n {
		r := frame(id, i+1, person(1), person(50), person(100), person(150))
		r.Frame.PTS = time.Duration(i) * apart
		r.Frame.Wall = at.Add(r.Frame.PTS)
		record(t, s, r)
	}
	if end {
		finish(t, s, id, n)
		return
	}
	eventually(t, "all is written", func() bool { n, _ := s.queue.size(); return n == 0 })
}

func kept(t *testing.T, s *Store, id string) int {
	t.Helper()
	return len(collect(t, s, id))
}

func TestOldResultsGo(t *testing.T) {
	now := time.Now().Truncate(time.Microsecond)
	s := open(t, Options{MaxAge: time.Hour, Commit: 5 * time.Millisecond})
	old := event("E-old")
	old.Time = now.Add(-2 * time.Hour)
	young := event("E-young")
	young.Time = now
	if err := s.Append(t.Context(), []pipeline.Event{old, young}, nil); err != nil {
		t.Fatal(err)
	}
	fill(t, s, "old", now.Add(-3*time.Hour), 5000, true)
	fill(t, s, "young", now, 10, true)
	// A frame a minute: the last nine are less than an hour old, by half a minute.
	fillSlowly(t, s, "open", now.Add(-150*time.Minute-30*time.Second), time.Minute, 100, false)
	if _, err := s.Retain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, b, c := kept(t, s, "old"), kept(t, s, "young"), kept(t, s, "open"); a != 0 || b != 10 || c != 9 {
		t.Errorf("kept %d old, %d young, %d of the open run", a, b, c)
	}
	events, err := s.Events(t.Context(), EventFilter{})
	if err != nil || len(events) != 1 || events[0].ID != "E-young" {
		t.Errorf("events %+v, %v", events, err)
	}
	run, err := s.Run(t.Context(), "old")
	if err != nil || run.Complete == nil || run.Deleted != 5000 || run.Frames != 5000 {
		t.Errorf("run %+v, %v", run, err)
	}
	finish(t, s, "open", 100)
}

func TestTheDatabaseStaysWithinItsBound(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Commit: 5 * time.Millisecond, MaxBytes: 600 << 10})
	for n := range 8 {
		fill(t, s, fmt.Sprintf("R%d", n), epoch, 3000, true)
		if _, err := s.Retain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	size, err := s.Size(t.Context())
	if err != nil || size.Used > 600<<10 {
		t.Errorf("size %+v, %v", size, err)
	}
	if first, last := kept(t, s, "R0"), kept(t, s, "R7"); first != 0 || last != 3000 {
		t.Errorf("kept %d of the first run, %d of the last", first, last)
	}
	if size.File > 1200<<10 {
		t.Errorf("freed space is not used again: %+v", size)
	}
	wal, err := os.Stat(filepath.Join(dir, FileName+"-wal"))
	if err != nil || wal.Size() > 64<<10 {
		t.Errorf("the write-ahead log was not folded back: %v, %v", wal, err)
	}
	if st := s.Stats(); st.Deleted == 0 {
		t.Error("what was removed is not counted")
	}
	// One endless run, as a camera's: its own first frames go.
	fill(t, s, "endless", epoch, 30_000, false)
	if _, err := s.Retain(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := collect(t, s, "endless")
	if size, err := s.Size(t.Context()); err != nil || size.Used > 600<<10 || len(all) < 1000 || all[len(all)-1].Frame.Seq != 30_000 {
		t.Errorf("size %+v, %d kept, %v", size, len(all), err)
	}
	finish(t, s, "endless", 30_000)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
