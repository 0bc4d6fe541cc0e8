package track

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"perch/pipeline"
)

// golden reads a file that packaging/bench/track/golden.mjs wrote: the same
// arithmetic, written independently in another language.
func golden(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(name, err)
	}
}

func TestKalmanIsTheFullFilter(t *testing.T) {
	var steps []struct {
		Do   string
		Z    [4]float64
		Mean [8]float64
		Cov  [8][8]float64
	}
	golden(t, "kalman.json", &steps)
	if len(steps) < 20 {
		t.Fatalf("%d steps", len(steps))
	}
	var f filter
	for n, s := range steps {
		switch s.Do {
		case "begin":
			f = begin(s.Z)
		case "predict":
			f.predict()
		case "update":
			f.update(s.Z)
		default:
			t.Fatalf("step %d: %q", n, s.Do)
		}
		for i := range 4 {
			near(t, f[i].p, s.Mean[i], "step %d: mean %d", n, i)
			near(t, f[i].v, s.Mean[i+4], "step %d: mean %d", n, i+4)
		}
		for i := range 8 {
			for j := range 8 {
				near(t, covariance(&f, i, j), s.Cov[i][j], "step %d: covariance %d, %d", n, i, j)
			}
		}
	}
}

// covariance is the element of the 8 x 8 matrix that the four filters stand for.
func covariance(f *filter, i, j int) float64 {
	a := &f[i%4]
	switch {
	case i%4 != j%4:
		return 0
	case i != j:
		return a.pv
	case i < 4:
		return a.pp
	}
	return a.vv
}

func near(t *testing.T, got, want float64, format string, args ...any) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*(1+math.Abs(want))) {
		t.Errorf(format+": %v, want %v", append(args, got, want)...)
	}
}

func TestMeasureAndBoxAreInverse(t *testing.T) {
	b := pipeline.Box{X0: 10, Y0: 20, X1: 50, Y1: 120}
	z := measure(b)
	if z != [4]float64{30, 70, 0.4, 100} {
		t.Errorf("measured %v", z)
	}
	f := begin(z)
	if got := f.box(); got != wide(b) {
		t.Errorf("%v", got)
	}
}

func TestIoU(t *testing.T) {
	a := box{0, 0, 10, 10}
	for name, c := range map[string]struct {
		b    box
		want float64
	}{
		"same":          {a, 1},
		"half":          {box{0, 0, 10, 5}, 0.5},
		"a third":       {box{5, 0, 15, 10}, 1.0 / 3},
		"touching":      {box{10, 0, 20, 10}, 0},
		"apart":         {box{20, 20, 30, 30}, 0},
		"no area":       {box{5, 5, 5, 5}, 0},
		"inside out":    {box{10, 10, 0, 0}, 0},
		"not a number":  {box{math.NaN(), 0, 10, 10}, 0},
		"one dimension": {box{0, 3, 10, 3}, 0},
	} {
		if got := iou(a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if got, back := iou(a, c.b), iou(c.b, a); got != back {
			t.Errorf("%s: %v one way, %v the other", name, got, back)
		}
	}
}

func TestUsable(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		b    pipeline.Box
		want bool
	}{
		{pipeline.Box{X1: 1, Y1: 1}, true}, {pipeline.Box{X1: 1}, false}, {pipeline.Box{}, false},
		{pipeline.Box{X0: 2, X1: 1, Y1: 1}, false}, {pipeline.Box{X0: nan, X1: 1, Y1: 1}, false}, {pipeline.Box{X1: inf, Y1: 1}, false},
	} {
		if usable(c.b) != c.want {
			t.Errorf("%v: %v", c.b, !c.want)
		}
	}
}
