package track

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
)

func TestDwell(t *testing.T) {
	left, err := NewZone(polygon(0, 0, 100, 0, 100, 100, 0, 100))
	if err != nil {
		t.Fatal(err)
	}
	right, err := NewZone(polygon(200, 0, 300, 0, 300, 100, 200, 100))
	if err != nil {
		t.Fatal(err)
	}
	one, both := []*Zone{left}, []*Zone{left, right}
	path := []float32{-50, 50, 60, 150, 70, 80} // a frame each second; 150 is between the zones
	for name, c := range map[string]struct {
		o    DwellOptions
		path []float32
		want string // seconds; x is outside and listed, - is not listed
	}{
		"leaving sets back":            {DwellOptions{Zones: one}, path, "-,0,1,-,0,1"},
		"outside is listed":            {DwellOptions{Zones: one, KeepOutside: true}, path, "x,0,1,x,0,1"},
		"time goes on":                 {DwellOptions{Zones: one, KeepTime: true}, path, "-,0,1,-,3,4"},
		"time goes on, outside listed": {DwellOptions{Zones: one, KeepTime: true, KeepOutside: true}, path, "x,0,1,x,3,4"},
		"from one zone into the other": {DwellOptions{Zones: both}, []float32{50, 250, 250}, "0,1,2"},
		"out of one, into the other":   {DwellOptions{Zones: both}, []float32{50, 150, 250, 250}, "0,-,0,1"},
		"one frame":                    {DwellOptions{Zones: one}, []float32{50}, "0"},
		"never in":                     {DwellOptions{Zones: one}, []float32{150, 160}, "-,-"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := NewDwell(c.o)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, x := range c.path {
				p, err := d.Update(dets{at(1, x, 50)}, time.Duration(i)*time.Second)
				switch {
				case err != nil:
					t.Fatal(err)
				case len(p) == 0:
					got = append(got, "-")
				case !p[0].In:
					got = append(got, "x")
					if p[0].Time != 0 {
						t.Errorf("%v outside", p[0].Time)
					}
				default:
					got = append(got, fmt.Sprint(p[0].Time.Seconds()))
				}
			}
			if s := strings.Join(got, ","); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
		})
	}
}

func TestDwellOfMany(t *testing.T) {
	z, err := NewZone(polygon(0, 0, 100, 0, 100, 100, 0, 100))
	if err != nil {
		t.Fatal(err)
	}
	zones := []*Zone{z}
	d, err := NewDwell(DwellOptions{Zones: zones})
	if err != nil {
		t.Fatal(err)
	}
	zones[0] = nil // the caller's slice is not the measurement's
	update := func(f dets, at time.Duration) string {
		p, err := d.Update(f, at)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(p)
	}
	update(dets{at(1, 50, 50), at(2, 150, 50)}, time.Second)
	if got := update(dets{at(2, 50, 50), at(3, 500, 50), at(1, 50, 50)}, 3*time.Second); got != "[{0 true 0s} {2 true 2s}]" {
		t.Error(got)
	}
	update(nil, 4*time.Second) // nobody was detected, which is not leaving
	if got := update(dets{at(1, 50, 50)}, 5*time.Second); got != "[{0 true 4s}]" {
		t.Error(got)
	}
	if got := update(dets{at(1, 50, 50)}, 0); got != "[{0 true 0s}]" {
		t.Errorf("a clock that went back: %s", got)
	}
}

func TestDwellTellsWhoComesAndGoes(t *testing.T) {
	z, err := NewZone(polygon(0, 0, 100, 0, 100, 100, 0, 100))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		keep bool
		path []float32 // of object 1, a frame each second; -1: out of sight
		want string    // + came in, - left, ? gone, with its seconds inside
	}{
		"never in":               {false, []float32{150, 160}, ""},
		"begins inside":          {false, []float32{50, 50}, "0+"},
		"in and out":             {false, []float32{150, 50, 60, 150}, "1+ 3-2"},
		"in and out, time kept":  {true, []float32{50, 150, 50, 150}, "0+ 1-1 2+ 3-3"},
		"out of sight for a bit": {false, []float32{50, -1, -1, 50, 150}, "0+ 4-4"},
		"gone":                   {false, append([]float32{150, 50, 50}, gone(15)...), "1+ 12?1"},
		"gone and back":          {false, append(append([]float32{50}, gone(12)...), 50, 150), "0+ 10?0 13+ 14-14"},
		"gone, back outside":     {false, append(append([]float32{50}, gone(12)...), 150), "0+ 10?0"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := NewDwell(DwellOptions{Zones: []*Zone{z}, KeepTime: c.keep})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, x := range c.path {
				var f dets
				if x >= 0 {
					f = dets{at(1, x, 50)}
				}
				if _, err := d.Update(f, time.Duration(i)*time.Second); err != nil {
					t.Fatal(err)
				}
				for _, p := range d.Passages() {
					if p.Track != 1 || p.Label != "person" {
						t.Errorf("%+v", p)
					}
					switch {
					case p.In:
						got = append(got, fmt.Sprintf("%d+", i))
					case p.Gone:
						got = append(got, fmt.Sprintf("%d?%v", i, p.Time.Seconds()))
					default:
						got = append(got, fmt.Sprintf("%d-%v", i, p.Time.Seconds()))
					}
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
		})
	}
}

// gone is n frames out of sight.
func gone(n int) []float32 { return slices.Repeat([]float32{-1}, n) }

func TestVelocity(t *testing.T) {
	type sight struct {
		at   time.Duration
		x, y float32
	}
	s := time.Second
	for name, c := range map[string]struct {
		o    VelocityOptions
		path []sight
		want Motion // of the last
	}{
		"first sight":       {VelocityOptions{.5, 1}, []sight{{s, 10, 10}}, Motion{}},
		"first velocity":    {VelocityOptions{.5, 1}, []sight{{0, 0, 0}, {s, 3, 4}}, Motion{3, 4, 5, 1.5, 2, 2.5}},
		"smoothed":          {VelocityOptions{.5, 1}, []sight{{0, 0, 0}, {s, 3, 4}, {2 * s, 6, 8}}, Motion{3, 4, 5, 2.25, 3, 3.75}},
		"not smoothed":      {VelocityOptions{1, 1}, []sight{{0, 0, 0}, {s, 3, 4}, {2 * s, 3, 4}}, Motion{}},
		"half a second":     {VelocityOptions{1, 1}, []sight{{0, 0, 0}, {s / 2, 3, -4}}, Motion{6, -8, 10, 6, -8, 10}},
		"metres":            {VelocityOptions{.5, 10}, []sight{{0, 0, 0}, {s, 30, 40}}, Motion{3, 4, 5, 1.5, 2, 2.5}},
		"time stands still": {VelocityOptions{.5, 1}, []sight{{0, 0, 0}, {s, 3, 4}, {s, 9, 9}}, Motion{0, 0, 0, .75, 1, 1.25}},
		"time goes back":    {VelocityOptions{.5, 1}, []sight{{s, 0, 0}, {0, 3, 4}}, Motion{}},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := NewVelocity(c.o)
			if err != nil {
				t.Fatal(err)
			}
			var got []Motion
			for _, p := range c.path {
				// Another object in front keeps its place and disturbs nothing.
				if got, err = v.Update(dets{at(9, 500, 500), at(1, p.x, p.y)}, p.at); err != nil {
					t.Fatal(err)
				}
				if len(got) != 2 || got[0] != (Motion{}) {
					t.Fatalf("%v", got)
				}
			}
			g, w := got[1], c.want
			for _, d := range []float64{g.X - w.X, g.Y - w.Y, g.Speed - w.Speed, g.SmoothX - w.SmoothX, g.SmoothY - w.SmoothY, g.Smoothed - w.Smoothed} {
				if !(math.Abs(d) < 1e-9) {
					t.Fatalf("%+v, want %+v", g, w)
				}
			}
		})
	}
}

func TestMemoryForgetsTheLongestUnseen(t *testing.T) {
	m := newMemory[int](3)
	for id := range pipeline.TrackID(3) {
		v, known := m.get(id + 1)
		if known {
			t.Errorf("%d known before", id+1)
		}
		*v = int(id+1) * 10
	}
	m.get(1)  // used again
	m.seen(2) // and again
	if m.seen(7) {
		t.Error("7 was never there")
	}
	m.get(4) // takes the place of 3
	for id, want := range map[pipeline.TrackID]int{1: 10, 2: 20, 4: 0} {
		if v, known := m.get(id); !known || *v != want {
			t.Errorf("%d: %v, %v", id, *v, known)
		}
	}
	if m.seen(3) || len(m.index) != 3 || len(m.entries)-1 != 3 {
		t.Errorf("%v", m.index)
	}
	m.forget(3)
	m.forget(1)
	m.forget(4)
	if v, known := m.get(2); !known || *v != 20 || len(m.index) != 1 {
		t.Errorf("%v, %v, %v", *v, known, m.index)
	}
	m.forget(2)
	if v, known := m.get(2); known || *v != 0 {
		t.Errorf("%v, %v", *v, known)
	}
}

// Against a list that is searched: whatever is done, both know the same tracks.
func TestMemoryAgreesWithAList(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	m, list := newMemory[pipeline.TrackID](5), []pipeline.TrackID{} // oldest first
	for n := range 20000 {
		id := pipeline.TrackID(1 + r.IntN(9))
		i := slices.Index(list, id)
		if i >= 0 {
			list = slices.Delete(list, i, i+1)
		}
		switch r.IntN(4) {
		case 0:
			m.forget(id)
			i = -1
		case 1:
			if got := m.seen(id); got != (i >= 0) {
				t.Fatalf("step %d: %d seen: %v", n, id, got)
			}
		default:
			v, known := m.get(id)
			if known != (i >= 0) || known && *v != id {
				t.Fatalf("step %d: %d known: %v, %d", n, id, known, *v)
			}
			*v = id
			if i < 0 && len(list) == 5 {
				list = slices.Delete(list, 0, 1)
			}
			i = 0
		}
		if i >= 0 {
			list = append(list, id)
		}
		if len(m.index) != len(list) || len(m.entries)-1 != len(list) {
			t.Fatalf("step %d: %v, want %v", n, m.index, list)
		}
	}
}

func TestInstances(t *testing.T) {
	n, err := NewInstances(2)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, id := range []pipeline.TrackID{1, 1, 2, 0, 1, 3, 1, 3, 1} {
		if n.New(id) {
			got.WriteByte('n')
		} else {
			got.WriteByte('s')
		}
	}
	// 3 pushes 1 out although 1 was seen since, so 1 is new again and pushes 2 out.
	if want := "nsnssnnss"; got.String() != want {
		t.Errorf("%s, want %s", got.String(), want)
	}
	if len(n.seen) != 2 || len(n.ring) != 2 {
		t.Errorf("%v, %v", n.seen, n.ring)
	}
}

func TestMeasurementsDoNotAllocate(t *testing.T) {
	line, err := NewLine(LineOptions{From: pipeline.Point{Y: 100}, To: pipeline.Point{X: 2000, Y: 100}})
	if err != nil {
		t.Fatal(err)
	}
	z, err := NewZone(polygon(0, 0, 1000, 0, 1000, 1000, 0, 1000))
	if err != nil {
		t.Fatal(err)
	}
	dwell, err := NewDwell(DwellOptions{Zones: []*Zone{z}, KeepOutside: true})
	if err != nil {
		t.Fatal(err)
	}
	velocity, err := NewVelocity(VelocityOptions{Alpha: .5, PixelsPerMetre: 1})
	if err != nil {
		t.Fatal(err)
	}
	f, frame := make(dets, 100), 0
	tick := func() {
		frame++
		for i := range f {
			f[i] = at(pipeline.TrackID(i+1), float32(i*15), float32(frame%3*100))
		}
		now := time.Duration(frame) * time.Second
		if _, err := line.Update(f); err != nil {
			t.Fatal(err)
		}
		if _, err := dwell.Update(f, now); err != nil {
			t.Fatal(err)
		}
		if _, err := velocity.Update(f, now); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		tick()
	}
	if n := testing.AllocsPerRun(100, tick); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
	if in, out := line.Counts(); in == 0 || out == 0 {
		t.Error("nobody crossed, so nothing was tried")
	}
}
