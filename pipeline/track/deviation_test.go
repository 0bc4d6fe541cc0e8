package track

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"perch/pipeline"
)

func TestDeviation(t *testing.T) {
	straight := polygon(0, 0, 10, 0, 20, 0)
	for name, c := range map[string]struct {
		path, walk []pipeline.Point
		want       float64
	}{
		"on the path":            {straight, polygon(0, 0, 10, 0, 20, 0), 0},
		"beside it":              {straight, polygon(0, 3, 10, 3, 20, 3), 3},
		"only the beginning":     {straight, polygon(0, 0), 20}, // the end is 20 away
		"half of it":             {straight, polygon(0, 0, 10, 0), 10},
		"the other way":          {straight, polygon(20, 0, 10, 0, 0, 0), 20},
		"a detour":               {straight, polygon(0, 0, 10, 7, 20, 0), 7},
		"and it is not forgiven": {straight, polygon(0, 0, 10, 7, 10, 0, 20, 0), 7},
		"standing still":         {straight, polygon(10, 0, 10, 0, 10, 0), 10},
		"to and fro":             {straight, polygon(0, 0, 20, 0, 0, 0, 20, 0), 10},      // the leash waits in the middle while it turns
		"a path of two":          {polygon(0, 0, 0, 9), polygon(3, 4), math.Hypot(3, 5)}, // 5 to the first, √34 to the second
	} {
		d, err := NewDeviation(c.path, Centre)
		if err != nil {
			t.Fatal(err)
		}
		var got float64
		for _, p := range c.walk {
			far, err := d.Update(dets{at(9, 500, 500), at(1, p.X, p.Y)}) // another object has its own
			if err != nil {
				t.Fatal(err)
			}
			got = far[1]
		}
		if math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// frechet is the definition: the best of all ways to step forward, tried out.
func frechet(p, q []pipeline.Point) float64 {
	here := math.Hypot(float64(p[0].X)-float64(q[0].X), float64(p[0].Y)-float64(q[0].Y))
	var rest float64
	switch {
	case len(p) == 1 && len(q) == 1:
		return here
	case len(p) == 1:
		rest = frechet(p, q[1:])
	case len(q) == 1:
		rest = frechet(p[1:], q)
	default:
		rest = min(frechet(p[1:], q), frechet(p, q[1:]), frechet(p[1:], q[1:]))
	}
	return max(here, rest)
}

func TestDeviationIsTheDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	random := func(n int) (pts []pipeline.Point) {
		for range n {
			pts = append(pts, pipeline.Point{X: float32(r.IntN(50)), Y: float32(r.IntN(50))})
		}
		return pts
	}
	for range 200 {
		path, walk := random(2+r.IntN(5)), random(6)
		d, err := NewDeviation(path, Centre)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range walk {
			far, err := d.Update(dets{at(1, p.X, p.Y)})
			if err != nil {
				t.Fatal(err)
			}
			if want := frechet(walk[:i+1], path); math.Abs(far[0]-want) > 1e-9 {
				t.Fatalf("%v along %v: %v, want %v", walk[:i+1], path, far[0], want)
			}
		}
	}
}

func TestDeviationMistakes(t *testing.T) {
	for _, path := range [][]pipeline.Point{nil, polygon(1, 1), make([]pipeline.Point, MostPathPoints+1), {{X: 1}, {Y: float32(math.NaN())}}} {
		if _, err := NewDeviation(path, Centre); pipeline.KindOf(err) != pipeline.BadConfig {
			t.Errorf("%d points: %v", len(path), err)
		}
	}
	d, err := NewDeviation(polygon(0, 0, 1, 1), CentreOfMass)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Update(dets{at(0, 1, 1)}); !errors.Is(err, ErrUntracked) {
		t.Error(err)
	}
	if _, err := d.Update(dets{at(1, 1, 1)}); !errors.Is(err, ErrNoMask) {
		t.Error(err)
	}
	det := at(1, 1, 1)
	det.Mask = pipeline.NewMask(0, 0, 8, 8)
	far, err := d.Update(dets{det})
	if err != nil || !math.IsNaN(far[0]) {
		t.Errorf("an empty mask is %v away, %v", far, err)
	}
	det.Mask.Set(2, 0) // its middle is at 2.5, 0.5
	if far, err = d.Update(dets{det}); err != nil || math.Abs(far[0]-math.Hypot(2.5, .5)) > 1e-6 {
		t.Errorf("%v, %v", far, err)
	}
	det.Mask = pipeline.NewMask(0, 0, 8, 8)
	if far, err = d.Update(dets{det}); err != nil || math.Abs(far[0]-math.Hypot(2.5, .5)) > 1e-6 {
		t.Errorf("an empty mask does not move it: %v, %v", far, err)
	}
}
