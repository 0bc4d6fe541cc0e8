package storage

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
)

// A scene moves like a street: half of its objects stand and tremble by a
// pixel, the others walk 2 to 6 pixels a frame, in a 1080p picture.
type scene struct {
	r    *rand.Rand
	dets []pipeline.Detection
	step []float32
}

func newScene(seed uint64, objects int) *scene {
	s := &scene{r: rand.New(rand.NewPCG(seed, 1)), step: make([]float32, objects)}
	for i := range objects {
		x, y := s.r.Float32()*1700, s.r.Float32()*700
		s.dets = append(s.dets, pipeline.Detection{Class: 0, Label: "person", Box: pipeline.Box{X0: x, Y0: y, X1: x + 60 + 60*s.r.Float32(), Y1: y + 150 + 150*s.r.Float32()}})
		if i%2 == 1 {
			s.step[i] = 2 + 4*s.r.Float32()
		}
	}
	return s
}

func (s *scene) next() []pipeline.Detection {
	out := make([]pipeline.Detection, len(s.dets))
	for i := range s.dets {
		b := &s.dets[i].Box
		if b.X1+s.step[i] > 1919 || b.X0+s.step[i] < 0 {
			s.step[i] = -s.step[i]
		}
		b.X0, b.X1 = b.X0+s.step[i], b.X1+s.step[i]
		d := s.dets[i]
		shake := s.r.Float32()*2 - 1
		d.Box.X0, d.Box.Y1 = max(0, d.Box.X0+shake), d.Box.Y1+shake
		d.Score = 0.4 + 0.5*s.r.Float32()
		out[i] = d
	}
	return out
}

// cost is what some minutes of four cameras at 30 frames a second take.
type cost struct {
	frames, commits uint64
	used            int64 // bytes in the database
	written         int64 // bytes given to write calls: log and database
	measured        bool  // written is known
}

func measure(t *testing.T, keep pipeline.Keep, objects, minutes int, commit time.Duration) cost {
	t.Helper()
	const cameras, fps = 4, 30
	perCommit := uint64(commit.Seconds() * fps)
	s := open(t, Options{Commit: time.Hour, QueueCount: 1 << 20, QueueBytes: 1 << 30})
	var scenes []*scene
	for cam := range cameras {
		start := startOf(fmt.Sprintf("R%d", cam))
		start.Keep = keep
		begin(t, s, start)
		scenes = append(scenes, newScene(uint64(cam), objects))
	}
	size, err := s.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	from, measured := bytesWritten(t)
	c := cost{used: -size.Used, written: -from, measured: measured}
	for n := uint64(1); n <= uint64(minutes*60*fps); n++ {
		for cam, sc := range scenes {
			r := frame(fmt.Sprintf("R%d", cam), n, sc.next()...)
			r.Frame.PTS = time.Duration(n) * time.Second / fps
			r.Frame.Wall = epoch.Add(r.Frame.PTS + 20*time.Millisecond + time.Duration(sc.r.IntN(20))*time.Millisecond)
			if n%(60*fps) == 0 { // an event a minute, kept in every mode
				e := event(fmt.Sprintf("E-%d-%d", cam, n))
				r.Events = []pipeline.Event{e}
			}
			record(t, s, r)
			c.frames++
		}
		if n%perCommit == 0 {
			if err := s.do(t.Context(), "flush", &op{apply: func(*txn) error { return nil }}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.w.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	to, _ := bytesWritten(t)
	if size, err = s.Size(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.used, c.written, c.commits = c.used+size.Used, c.written+to, s.Stats().Batches
	return c
}

// bytesWritten is what this process has given to write calls so far.
func bytesWritten(t *testing.T) (int64, bool) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		var n int64
		if _, err := fmt.Sscanf(line, "wchar: %d", &n); err == nil {
			return n, true
		}
	}
	return 0, false
}

// What a day of four cameras at 30 frames a second costs. The README quotes
//
//	go test -run TestCostOfADay -v ./storage
//
// The bounds are a little above what was measured, so that growth is noticed.
func TestCostOfADay(t *testing.T) {
	minutes := 1
	if testing.Verbose() {
		minutes = 5
	}
	const day = 4 * 30 * 86400 // frames
	for _, c := range []struct {
		keep    pipeline.Keep
		objects int
		most    float64 // bytes in the database for each frame seen
	}{
		{pipeline.KeepEvery, 0, 27}, {pipeline.KeepEvery, 5, 92}, {pipeline.KeepEvery, 20, 280},
		{pipeline.KeepChanges, 0, 2}, {pipeline.KeepChanges, 5, 14}, {pipeline.KeepChanges, 20, 60},
		{pipeline.KeepEvents, 5, 2},
	} {
		got := measure(t, c.keep, c.objects, minutes, defaultCommit)
		each := float64(got.used) / float64(got.frames)
		line := fmt.Sprintf("%-7s %2d objects: %6.1f bytes a frame, %8.1f MB a day in the database", c.keep, c.objects, each, each*day/1e6)
		if got.measured {
			wrote := float64(got.written) / float64(got.frames)
			line += fmt.Sprintf(", %8.1f MB written, log included", wrote*day/1e6)
		}
		if testing.Verbose() && got.measured {
			often := measure(t, c.keep, c.objects, minutes, defaultCommit/4)
			line += fmt.Sprintf(" (%.1f MB with commit: %v)", float64(often.written)/float64(often.frames)*day/1e6, defaultCommit/4)
		}
		t.Log(line)
		if each > c.most {
			t.Errorf("%s with %d objects takes %.1f bytes a frame, more than %.0f", c.keep, c.objects, each, c.most)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	s, err := Open(b.Context(), Options{Dir: b.TempDir(), Log: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.Begin(b.Context(), startOf("R1")); err != nil {
		b.Fatal(err)
	}
	sc := newScene(1, 5)
	dets := sc.next()
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		n++
		if err := s.Record(b.Context(), frame("R1", n, dets...), nil); err != nil {
			b.Fatal(err)
		}
	}
}
