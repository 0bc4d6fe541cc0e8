package track

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
)

// walker is a person of 40 x 80 whose left edge is at x.
func walker(x, score float32) pipeline.Detection {
	return pipeline.Detection{Box: pipeline.Box{X0: x, Y0: 0, X1: x + 40, Y1: 80}, Score: score, Label: "person"}
}

func newTracker(t testing.TB, change func(*Options)) *Tracker {
	t.Helper()
	o := Defaults()
	if change != nil {
		change(&o)
	}
	tr, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// play updates at 30 frames a second and returns the ids of each frame, as in
// "1,0|1": detections are separated by a comma, frames by a bar.
func play(tr *Tracker, frames ...[]pipeline.Detection) string {
	out := make([]string, len(frames))
	for i, dets := range frames {
		out[i] = ids(tr.Update(dets, tr.at+time.Second/30))
	}
	return strings.Join(out, "|")
}

func ids(dets []pipeline.Detection) string {
	s := make([]string, len(dets))
	for i := range dets {
		s[i] = fmt.Sprint(dets[i].Track)
	}
	return strings.Join(s, ",")
}

type dets = []pipeline.Detection

func TestTracker(t *testing.T) {
	none := dets{}
	repeat := func(n int, f dets) (all []dets) {
		for range n {
			all = append(all, append(dets(nil), f...))
		}
		return all
	}
	for name, c := range map[string]struct {
		change func(*Options)
		frames []dets
		want   string
	}{
		"nothing":                     {nil, []dets{none, nil}, "|"},
		"the first frame counts":      {nil, []dets{{walker(0, .9)}}, "1"},
		"later ones must come back":   {nil, []dets{none, {walker(0, .9)}, {walker(2, .9)}}, "|0|1"},
		"and do not if they do not":   {nil, []dets{none, {walker(0, .9)}, none, {walker(0, .9)}, {walker(0, .9)}}, "|0||0|1"},
		"three times":                 {func(o *Options) { o.MinConsecutiveFrames = 3 }, repeat(5, dets{walker(0, .9)}), "0|0|0|1|1"},
		"at once":                     {func(o *Options) { o.MinConsecutiveFrames = 0 }, []dets{none, {walker(0, .9)}, {walker(0, .9)}}, "|1|1"},
		"two objects":                 {nil, []dets{{walker(0, .9), walker(300, .8)}, {walker(303, .8), walker(2, .9)}}, "1,2|2,1"},
		"low scores keep a track":     {nil, []dets{{walker(0, .9)}, {walker(3, .2)}, {walker(6, .15)}}, "1|1|1"},
		"but begin none":              {nil, repeat(3, dets{walker(0, .2)}), "0|0|0"},
		"nor do middling ones":        {nil, repeat(3, dets{walker(0, .34)}), "0|0|0"},
		"at the threshold is low":     {nil, []dets{{walker(0, .9)}, {walker(0, .25)}, {walker(0, .1)}}, "1|1|0"},
		"too low is not looked at":    {nil, []dets{{walker(0, .9)}, {walker(0, .05)}}, "1|0"},
		"a lost one wants a high one": {nil, []dets{{walker(0, .9)}, none, {walker(0, .2)}, {walker(0, .9)}}, "1||0|1"},
		"found on the other side":     {nil, []dets{{walker(0, .9)}, {walker(10, .9)}, {walker(20, .9)}, none, none, {walker(50, .9)}}, "1|1|1|||1"},
		"too far to be the same":      {nil, []dets{{walker(0, .9)}, {walker(200, .9)}, {walker(200, .9)}}, "1|0|2"},
		"no frame rate, one miss":     {func(o *Options) { o.FrameRate = 0 }, []dets{{walker(0, .9)}, none, {walker(0, .9)}}, "1||1"},
		"no frame rate, two misses":   {func(o *Options) { o.FrameRate = 0 }, []dets{{walker(0, .9)}, none, none, {walker(0, .9)}}, "1|||0"},
		"untracked are left out": {func(o *Options) { o.DropUntracked = true },
			[]dets{{walker(0, .9), walker(300, .2)}, {walker(600, .9), walker(0, .9)}}, "1|1"},
		"an old id is overwritten":  {nil, []dets{{{Box: walker(0, 0).Box, Score: .05, Track: 9}}}, "0"},
		"one detection, two tracks": {nil, []dets{{walker(0, .9), walker(30, .9)}, {walker(1, .9)}, {walker(1, .9), walker(31, .9)}}, "1,2|1|1,2"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := play(newTracker(t, c.change), c.frames...); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestLostBufferLasts(t *testing.T) {
	for _, c := range []struct {
		rate   float64
		buffer int
		misses int // the most after which it is found again
	}{{30, 3, 3}, {30, 0, 1}, {15, 4, 2}, {10, 30, 10}, {7, 30, 7}, {60, 3, 6}, {29.97, 30, 29}, {11, 150, 55}} {
		for _, misses := range []int{c.misses, c.misses + 1} {
			tr := newTracker(t, func(o *Options) { o.FrameRate, o.LostBuffer = c.rate, c.buffer })
			at := time.Duration(0)
			tick := func(f dets) string { at += time.Duration(float64(time.Second) / c.rate); return ids(tr.Update(f, at)) }
			tick(dets{walker(0, .9)})
			for range misses {
				tick(nil)
			}
			want := "1"
			if misses > c.misses {
				want = "0"
			}
			if got := tick(dets{walker(0, .9)}); got != want {
				t.Errorf("%v a second, buffer %d, %d misses: %s, want %s", c.rate, c.buffer, misses, got, want)
			}
		}
	}
}

// A camera that does not say its rate: two seconds of buffer are two seconds,
// whatever the rate turns out to be.
func TestSetFrameRate(t *testing.T) {
	for _, c := range []struct {
		rate   float64
		misses int
		want   string
	}{{5, 10, "1"}, {5, 11, "0"}, {30, 60, "1"}, {30, 61, "0"}} {
		tr := newTracker(t, func(o *Options) { o.LostBuffer = 60 })
		at := time.Duration(0)
		tick := func(f dets) string { at += time.Duration(float64(time.Second) / c.rate); return ids(tr.Update(f, at)) }
		tick(dets{walker(0, .9)})
		if err := tr.SetFrameRate(c.rate); err != nil {
			t.Fatal(err)
		}
		for range c.misses {
			tick(nil)
		}
		if got := tick(dets{walker(0, .9)}); got != c.want {
			t.Errorf("%v a second, %d misses: %s, want %s", c.rate, c.misses, got, c.want)
		}
	}
	tr := newTracker(t, nil)
	for _, rate := range []float64{0, -1, 90000, math.NaN()} {
		if err := tr.SetFrameRate(rate); pipeline.KindOf(err) != pipeline.BadConfig {
			t.Errorf("%v: %v", rate, err)
		}
	}
}

func TestClasses(t *testing.T) {
	car, truck := walker(0, .9), walker(0, .9)
	truck.Class = 7
	if got := play(newTracker(t, nil), dets{car}, dets{truck}); got != "1|1" {
		t.Errorf("classes do not matter: %s", got)
	}
	split := newTracker(t, func(o *Options) { o.PerClass = true })
	if got := play(split, dets{car}, dets{truck}, dets{car, truck}); got != "1|0|1,2" {
		t.Errorf("per class: %s", got)
	}
	if s := split.Stats(); s.Tracked != 2 || s.Lost != 0 {
		t.Errorf("two objects in one place: %+v", s)
	}
}

// A track in sight that drifts onto a lost one is the same object: the older
// one stays. One person stops behind a sign at 200, another box begins there.
func TestDuplicatesBecomeOne(t *testing.T) {
	tr := newTracker(t, nil)
	play(tr, dets{walker(0, .9)}, dets{walker(0, .9)}, dets{walker(0, .9)}, dets{})
	// What is found of it now is too unsure (0.36 times an overlap of 0.5) to
	// be the lost track, but sure enough to begin one.
	part := pipeline.Detection{Box: pipeline.Box{X0: 0, Y0: 40, X1: 40, Y1: 80}, Score: .36}
	if got := play(tr, dets{part}); got != "0" {
		t.Fatal(got)
	}
	if s := tr.Stats(); s.Lost != 1 || s.Unconfirmed != 1 {
		t.Fatalf("%+v", s)
	}
	// Both grow onto each other.
	tr.objects[1].filter = tr.objects[0].filter
	tr.objects[1].box = tr.objects[0].box
	tr.deduplicate()
	tr.sweep()
	if len(tr.objects) != 1 || tr.objects[0].state != lost {
		t.Errorf("the longer track should have stayed: %+v", tr.Stats())
	}
}

func TestGaps(t *testing.T) {
	second := time.Second
	for name, c := range map[string]struct {
		rate    float64
		at      []time.Duration // of each frame; the walker makes 5 px every 1/30 s
		want    string
		skipped uint64
		cuts    uint64
	}{
		"steady":              {30, []time.Duration{0, second / 30, second / 15}, "1|1|1", 0, 0},
		"jitter":              {30, []time.Duration{0, second / 30 * 13 / 10, second / 15}, "1|1|1", 0, 0},
		"every other frame":   {30, []time.Duration{0, second / 15, 2 * second / 15, 3 * second / 15}, "1|1|1|1", 3, 0},
		"five frames dropped": {30, []time.Duration{0, second / 30, second / 15, second / 10, second/10 + second/5}, "1|1|1|1|1", 5, 0},
		"a long gap":          {30, []time.Duration{0, second / 30, second / 15, 4 * second}, "1|1|1|2", 0, 1},
		"a jump far back":     {30, []time.Duration{10 * second, 10*second + second/30, 0}, "1|1|2", 0, 1},
		"the same time again": {30, []time.Duration{second, second, second}, "1|1|1", 0, 0},
		"rate unknown":        {0, []time.Duration{0, second / 15, 2 * second / 15}, "1|1|1", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTracker(t, func(o *Options) { o.FrameRate = c.rate })
			var got []string
			for _, at := range c.at {
				x := float32(at.Seconds() * 30 * 5)
				got = append(got, ids(tr.Update(dets{walker(x, .9)}, at)))
			}
			if s := strings.Join(got, "|"); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
			if s := tr.Stats(); s.Skipped != c.skipped || s.Cuts != c.cuts {
				t.Errorf("%+v", s)
			}
		})
	}
}

// The buffer runs while nobody looks, and a lost track is not found after it.
func TestBufferRunsOverSkippedFrames(t *testing.T) {
	for skipped, want := range map[int]string{3: "1", 4: "0"} {
		tr := newTracker(t, func(o *Options) { o.LostBuffer = 5 })
		play(tr, dets{walker(0, .9)}, nil, nil) // two misses, so three are left
		if got := ids(tr.Update(dets{walker(0, .9)}, tr.at+time.Duration(skipped+1)*time.Second/30)); got != want {
			t.Errorf("%d skipped: %s, want %s", skipped, got, want)
		}
	}
}

// Without a rate the lost buffer has no length, so MaxGap alone decides.
func TestGapWithoutARate(t *testing.T) {
	for gap, want := range map[time.Duration]string{2 * time.Second: "1", 4 * time.Second: "2"} {
		tr := newTracker(t, func(o *Options) { o.FrameRate, o.LostBuffer = 0, 300 })
		play(tr, dets{walker(0, .9)})
		if got := ids(tr.Update(dets{walker(0, .9)}, tr.at+gap)); got != want {
			t.Errorf("%v: %s, want %s", gap, got, want)
		}
	}
}

// At a rate that is low by itself the time from frame to frame is no gap.
func TestGapAtALowRate(t *testing.T) {
	for gap, want := range map[time.Duration]string{5 * time.Second: "1", 7 * time.Second: "1", 8 * time.Second: "2"} {
		tr := newTracker(t, func(o *Options) { o.FrameRate = .2 })
		play(tr, dets{walker(0, .9)})
		if got := ids(tr.Update(dets{walker(0, .9)}, tr.at+gap)); got != want {
			t.Errorf("%v: %s, want %s", gap, got, want)
		}
	}
}

// A skipped frame is predicted over like any other: the same state as after an
// update that saw nothing new, as long as the track was followed.
func TestSkippedFramesArePredictions(t *testing.T) {
	tr := newTracker(t, nil)
	play(tr, dets{walker(0, .9)}, dets{walker(5, .9)}, dets{walker(10, .9)})
	want := tr.objects[0].filter
	for range 4 {
		want.predict()
	}
	tr.advance(tr.at + 4*time.Second/30)
	if got := tr.objects[0].filter; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestMaxTracks(t *testing.T) {
	tr := newTracker(t, func(o *Options) { o.MaxTracks = 2 })
	if got := play(tr, dets{walker(0, .9), walker(100, .9), walker(200, .9)}); got != "1,2,0" {
		t.Errorf("%s", got)
	}
	if s := tr.Stats(); s.Refused != 1 || s.Tracked != 2 {
		t.Errorf("%+v", s)
	}
	// The one at 0 is lost and makes room.
	if got := play(tr, dets{walker(100, .9), walker(300, .9)}, dets{walker(100, .9), walker(300, .9)}); got != "2,0|2,3" {
		t.Errorf("%s", got)
	}
	if s := tr.Stats(); s.Ended != 1 || s.Refused != 1 || s.Confirmed != 3 {
		t.Errorf("%+v", s)
	}
}

func TestRoomIsMadeByTheLongestLost(t *testing.T) {
	tr := newTracker(t, func(o *Options) { o.MaxTracks = 2 })
	both := func() dets { return dets{walker(0, .9), walker(100, .9)} }
	play(tr, both(), both()[:1], nil) // 2 was lost first
	if got := play(tr, dets{walker(300, .9)}, append(both(), walker(300, .9))); got != "0|1,0,3" {
		t.Error(got)
	}
}

func TestUnusableBoxes(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	f := dets{
		{Score: .9}, {Score: .9, Box: pipeline.Box{X0: 5, X1: 5, Y1: 5}}, {Score: .9, Box: pipeline.Box{X1: nan, Y1: 1}},
		{Score: .9, Box: pipeline.Box{X1: inf, Y1: inf}}, {Score: nan, Box: walker(0, 0).Box}, walker(500, .9),
	}
	tr := newTracker(t, nil)
	if got := play(tr, f, f); got != "0,0,0,0,0,1|0,0,0,0,0,1" {
		t.Errorf("%s", got)
	}
	if s := tr.Stats(); s.Unusable != 8 {
		t.Errorf("%+v", s)
	}
}

// Whatever comes: ids are unique on a frame, never go back to another object's
// class when that matters, and memory stays bounded.
func TestTrackerKeepsItsPromises(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	tr := newTracker(t, func(o *Options) { o.MaxTracks, o.PerClass = 50, true })
	class := map[pipeline.TrackID]int{}
	at := time.Duration(0)
	for n := range 3000 {
		at += time.Duration(r.IntN(200)-20) * time.Millisecond
		f := make(dets, r.IntN(80))
		for i := range f {
			f[i] = walker(float32(r.IntN(600)), r.Float32())
			f[i].Box.Y1 = float32(r.IntN(100)) // may have no area
			f[i].Class = r.IntN(3)
		}
		seen := map[pipeline.TrackID]bool{}
		for _, d := range tr.Update(f, at) {
			if d.Track == 0 {
				continue
			}
			if c, ok := class[d.Track]; seen[d.Track] || ok && c != d.Class {
				t.Fatalf("frame %d: track %d twice, or of another class", n, d.Track)
			}
			seen[d.Track], class[d.Track] = true, d.Class
		}
		if len(tr.objects) > 50 {
			t.Fatalf("frame %d: %d tracks", n, len(tr.objects))
		}
	}
	s := tr.Stats()
	if s.Confirmed == 0 || s.Refused == 0 || s.Confirmed-s.Ended != uint64(s.Tracked+s.Lost) {
		t.Errorf("%+v", s)
	}
}

// crowd fills f with n walkers, apart or crowded.
func crowd(f dets, n, frame int, apart float32) dets {
	f = f[:0]
	for i := range n {
		d := walker(float32(i)*apart+float32(frame%50), .9-float32((i+frame)%3)*.35)
		f = append(f, d)
	}
	return f
}

func TestNoAllocations(t *testing.T) {
	tr := newTracker(t, func(o *Options) { o.DropUntracked = true })
	f, frame, at := dets{}, 0, time.Duration(0)
	tick := func() {
		f = crowd(f, 40, frame, 15)
		frame, at = frame+1, at+time.Second/30
		if frame%7 == 0 {
			f = f[:30] // some are lost and found
		}
		tr.Update(f, at)
	}
	for range 200 {
		tick()
	}
	if n := testing.AllocsPerRun(200, tick); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

func BenchmarkUpdate(b *testing.B) {
	for name, apart := range map[string]float32{"apart": 60, "touching": 25, "crowded": 5, "in a heap": .5} {
		b.Run(fmt.Sprint(name, "-100"), func(b *testing.B) {
			tr := newTracker(b, nil)
			f, frame := dets{}, 0
			b.ReportAllocs()
			for b.Loop() {
				f = crowd(f, 100, frame, apart)
				tr.Update(f, time.Duration(frame)*time.Second/30)
				frame++
			}
			b.ReportMetric(float64(tr.Stats().Tracked), "tracked")
		})
	}
}

// Sixty frames of a crowd with the ids of the reference, which is the paper's
// method written independently (packaging/bench/track/bytetrack.mjs). Its ids
// have other names; what belongs together must be the same.
func TestCrowdsOfTheReference(t *testing.T) {
	var cases []struct {
		Name    string
		Setting struct {
			High, Low, Begin, Match, Second, Unconfirmed float32
			Buffer                                       int
		}
		Frames []struct {
			Dets [][5]float32
			IDs  []int
		}
	}
	golden(t, "crowds.json", &cases)
	if len(cases) != 3 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		s := c.Setting
		tr := newTracker(t, func(o *Options) {
			o.ActivationThreshold, o.LowScore, o.BeginThreshold = s.High, s.Low, s.Begin
			o.MatchingThreshold, o.LowThreshold, o.UnconfirmedThreshold, o.LostBuffer = s.Match, s.Second, s.Unconfirmed, s.Buffer
		})
		theirs, ours, matched := map[pipeline.TrackID]int{0: 0}, map[int]pipeline.TrackID{0: 0}, 0
		for n, f := range c.Frames {
			in := make(dets, len(f.Dets))
			for i, d := range f.Dets {
				in[i] = pipeline.Detection{Box: pipeline.Box{X0: d[0], Y0: d[1], X1: d[2], Y1: d[3]}, Score: d[4]}
			}
			for i, d := range tr.Update(in, time.Duration(n)*time.Second/30) {
				id, seen := theirs[d.Track]
				back, seenBack := ours[f.IDs[i]]
				if (seen && id != f.IDs[i]) || (seenBack && back != d.Track) {
					t.Fatalf("%s, frame %d, detection %d: track %d, the reference says %d", c.Name, n, i, d.Track, f.IDs[i])
				}
				theirs[d.Track], ours[f.IDs[i]] = f.IDs[i], d.Track
				matched++
			}
		}
		if matched < 400 || len(ours) < 12 {
			t.Errorf("%s: %d detections and %d tracks prove little", c.Name, matched, len(ours))
		}
	}
}
