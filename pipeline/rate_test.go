package pipeline

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// at returns n presentation times at a rate, rounded down to unit as containers do.
func at(fps float64, n int, unit time.Duration) (all []time.Duration) {
	for i := range n {
		all = append(all, time.Duration(float64(i)/fps*float64(time.Second)).Truncate(unit))
	}
	return all
}

// taken are the frames that a pacer takes, from 1.
func taken(fps float64, all []time.Duration) (list []int) {
	p := pacer{fps: fps}
	for i, pts := range all {
		if p.takes(pts) {
			list = append(list, i+1)
		}
	}
	return list
}

// later returns all, those after the first n by d later.
func later(all []time.Duration, n int, d time.Duration) []time.Duration {
	all = slices.Clone(all)
	for i := n; i < len(all); i++ {
		all[i] += d
	}
	return all
}

func TestPacerTakesWhatIsDue(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for name, c := range map[string]struct {
		fps  float64
		pts  []time.Duration
		want string
	}{
		"no limit":                     {0, at(10, 5, 1), "[1 2 3 4 5]"},
		"the stream's own rate":        {10, at(10, 5, 1), "[1 2 3 4 5]"},
		"more than the stream has":     {30, at(10, 5, 1), "[1 2 3 4 5]"},
		"half":                         {5, at(10, 6, 1), "[1 3 5]"},
		"a divisor":                    {10, at(30, 10, 1), "[1 4 7 10]"},
		"10 of 25":                     {10, at(25, 16, 1), "[1 4 6 9 11 14 16]"},
		"3 of 10":                      {3, at(10, 15, 1), "[1 5 8 11 15]"},
		"one every two seconds":        {.5, at(2, 10, 1), "[1 5 9]"},
		"one every ten":                {.1, at(1, 25, 1), "[1 11 21]"},
		"begins anywhere":              {5, later(at(10, 6, 1), 0, 7777*ms+123), "[1 3 5]"},
		"milliseconds":                 {30, at(30, 8, ms), "[1 2 3 4 5 6 7 8]"},
		"every other, in milliseconds": {15, at(30, 8, ms), "[1 3 5 7]"},
		"early and late":               {30, []time.Duration{0, 30 * ms, 69 * ms, 97 * ms, 135 * ms}, "[1 2 3 4 5]"},
		"a gap moves the grid":         {5, later(at(10, 9, 1), 4, 3*s+50*ms), "[1 3 5 7 9]"},
		"a gap lets no burst through":  {1, later(at(10, 25, 1), 5, 30*s), "[1 6 16]"},
		"a lost frame":                 {5, later(at(10, 9, 1), 2, 100*ms), "[1 3 4 6 8]"},
		"a jump back":                  {1, append(at(10, 15, 1), at(10, 15, 1)...), "[1 11 16 26]"},
		"slow parts":                   {2, []time.Duration{0, s / 4, s, 3 * s, 3*s + 250*ms, 3*s + 500*ms, 4 * s}, "[1 3 4 6 7]"},
		"all at once":                  {10, []time.Duration{0, 0, 0, 0}, "[1]"},
	} {
		if got := fmt.Sprint(taken(c.fps, c.pts)); got != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

// The rate holds over hours, whatever it is divided by, and nothing is lost to
// rounding.
func TestPacerKeepsTheRate(t *testing.T) {
	for _, c := range []struct{ stream, limit, want float64 }{
		{25, 10, 10}, {30, 7, 7}, {29.97, 10, 10}, {10, 10, 10}, {30, 30, 30}, {30000. / 1001, 29.97, 30000. / 1001},
		{29.97, 30, 29.97}, {30.3, 30, 30}, {60, .3, .3}, {12, 10, 10}, {10, 9.9, 9.9}, {240, 239, 239}, {1, 10, 1}, {10, LeastMaxFPS, LeastMaxFPS},
	} {
		for _, unit := range []time.Duration{1, time.Second / 90000, time.Millisecond} {
			const hours = 2
			all := at(c.stream, int(c.stream*3600*hours), unit)
			got := taken(c.limit, all)
			if want := c.want * 3600 * hours; math.Abs(float64(len(got))-want) > 1.5 {
				t.Errorf("%v of %v in units of %v: %d frames, want %.0f", c.limit, c.stream, unit, len(got), want)
			}
		}
	}
}

// A camera's time stamps jitter by some milliseconds. At its own rate no frame
// may be missed for it, and at none do more pass than were asked for.
func TestPacerBearsJitter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, limit := range []float64{30, 15, 10, 7, 1} {
		all := at(30, 30*600, 1)
		for i := range all {
			all[i] += time.Duration(rng.Float64() * 4 * float64(time.Millisecond))
		}
		if n, want := len(taken(limit, all)), int(600*limit); n < want-1 || n > want+1 {
			t.Errorf("%v: %d frames, want %d", limit, n, want)
		}
	}
}

// Cameras whose time stamps are those of their arrival jitter by half a frame. A
// limit that is above their rate takes nothing from them, one below it holds.
func TestPacerLeavesUnevenStreamsAlone(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, jitter := range []float64{5, 10, 15, 19} { // ms, each way
		all := at(25, 25*600, 1)
		for i := range all {
			all[i] += time.Duration((2*rng.Float64() - 1) * jitter * float64(time.Millisecond))
		}
		all[0] = 0
		for _, limit := range []float64{25, 30, 60} {
			if n := len(taken(limit, all)); n < len(all)*998/1000 {
				t.Errorf("±%v ms, at most %v of 25: %d of %d frames", jitter, limit, n, len(all))
			}
		}
		for _, limit := range []float64{24, 20, 5, 1} {
			if n, want := len(taken(limit, all)), int(600*limit); n > want+1 || n < want*90/100 { // uneven frames may miss what is due
				t.Errorf("±%v ms, at most %v of 25: %d frames, want %d", jitter, limit, n, want)
			}
		}
	}
}

func TestRates(t *testing.T) {
	for _, c := range []struct {
		info     StreamInfo
		rate     float64
		expected uint64
	}{
		{StreamInfo{FPS: 10, Frames: 795}, 10, 795},
		{StreamInfo{FPS: 10, Frames: 795, MaxFPS: 1}, 1, 80},
		{StreamInfo{FPS: 10, Frames: 795, MaxFPS: 25}, 10, 795},
		{StreamInfo{MaxFPS: 5}, 0, 0},
		{StreamInfo{Frames: 7, MaxFPS: 5}, 0, 7},
	} {
		if r, n := c.info.Rate(), c.info.Expected(); r != c.rate || n != c.expected {
			t.Errorf("%+v: %v, %d frames", c.info, r, n)
		}
	}
	for fps, ok := range map[float64]bool{
		0: true, LeastMaxFPS: true, .5: true, 29.97: true, MostMaxFPS: true,
		-1: false, .009: false, 240.1: false, 1e300: false, math.NaN(): false, math.Inf(1): false, math.Inf(-1): false,
	} {
		if err := CheckMaxFPS(fps); (err == nil) != ok {
			t.Errorf("%v: %v", fps, err)
		}
	}
}
