package track

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"perch/pipeline"
)

func TestAnchors(t *testing.T) {
	b := pipeline.Box{X0: 10, Y0: 20, X1: 30, Y1: 60}
	for name, want := range map[string]pipeline.Point{
		"CENTER": {X: 20, Y: 40}, "CENTER_LEFT": {X: 10, Y: 40}, "CENTER_RIGHT": {X: 30, Y: 40},
		"TOP_CENTER": {X: 20, Y: 20}, "TOP_LEFT": {X: 10, Y: 20}, "TOP_RIGHT": {X: 30, Y: 20},
		"BOTTOM_LEFT": {X: 10, Y: 60}, "BOTTOM_CENTER": {X: 20, Y: 60}, "BOTTOM_RIGHT": {X: 30, Y: 60},
	} {
		a, err := ParseAnchor(name)
		if err != nil || a.String() != name {
			t.Errorf("%s: %v, %v", name, a, err)
		}
		if got := a.At(b); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if Anchor(99).String() != "unknown" {
		t.Error(Anchor(99))
	}
	if _, err := ParseAnchor("center"); pipeline.KindOf(err) != pipeline.BadConfig || !strings.Contains(err.Error(), "BOTTOM_CENTER") {
		t.Errorf("should list the names: %v", err)
	}
}

func TestCentreOfMass(t *testing.T) {
	anchor, err := ParseAnchor("CENTER_OF_MASS")
	if err != nil {
		t.Fatal(err)
	}
	m := pipeline.NewMask(10, 20, 12, 4) // more than a byte wide
	d := pipeline.Detection{Box: pipeline.Box{X0: 0, Y0: 0, X1: 100, Y1: 100}, Mask: m}
	if p := anchor.Of(&d); p.X == p.X || p.Y == p.Y {
		t.Errorf("an empty mask has its middle at %v", p)
	}
	m.Set(21, 23)
	if p := anchor.Of(&d); p != (pipeline.Point{X: 21.5, Y: 23.5}) {
		t.Errorf("one pixel: %v", p)
	}
	m.Set(10, 20)
	m.Set(11, 20)
	if p := anchor.Of(&d); p != (pipeline.Point{X: 14.5, Y: 21.5}) { // x (21+10+11)/3 + 0.5, y (23+20+20)/3 + 0.5
		t.Errorf("three pixels: %v", p)
	}
	if p := Centre.Of(&d); p != (pipeline.Point{X: 50, Y: 50}) {
		t.Errorf("the mask does not move the centre of the box: %v", p)
	}
	z, err := NewZone(polygon(0, 0, 20, 0, 20, 30, 0, 30), anchor)
	if err != nil {
		t.Fatal(err)
	}
	if !z.Has(&d) {
		t.Error("the mask is in the zone, although the box's centre is not")
	}
	line, err := NewLine(LineOptions{From: pipeline.Point{Y: 100}, To: pipeline.Point{X: 200, Y: 100}, Anchors: []Anchor{anchor}})
	if err != nil {
		t.Fatal(err)
	}
	d.Track = 1
	other := d
	other.Mask = nil
	if _, err := line.Update(dets{d, other}); !errors.Is(err, ErrNoMask) || !strings.Contains(err.Error(), "detection 1") {
		t.Errorf("a box without a mask: %v", err)
	}
	dwell, err := NewDwell(DwellOptions{Zones: []*Zone{z}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dwell.Update(dets{other}, 0); !errors.Is(err, ErrNoMask) {
		t.Errorf("a box without a mask: %v", err)
	}
}

func polygon(xy ...float32) (p []pipeline.Point) {
	for i := 0; i < len(xy); i += 2 {
		p = append(p, pipeline.Point{X: xy[i], Y: xy[i+1]})
	}
	return p
}

func TestZoneContains(t *testing.T) {
	square := polygon(0, 0, 10, 0, 10, 10, 0, 10)
	notched := polygon(0, 0, 10, 0, 10, 10, 5, 5, 0, 10) // a notch from below
	star := polygon(0, 0, 10, 10, 10, 0, 0, 10)          // crosses itself at 5, 5
	flat := polygon(0, 0, 5, 0, 10, 0)
	spike := polygon(0, 0, 10, 0, 10, 10, 10, 20, 10, 10, 0, 10)
	for name, c := range map[string]struct {
		zone []pipeline.Point
		x, y float32
		want bool
	}{
		"middle": {square, 5, 5, true}, "outside": {square, 11, 5, false}, "left": {square, -1, 5, false},
		"above": {square, 5, -1, false}, "corner": {square, 10, 10, true}, "edge": {square, 10, 5, true}, "top": {square, 5, 0, true},
		"level with the top, left": {square, -5, 0, false}, "level with the top, right": {square, 15, 0, false},
		"level with the bottom, left": {square, -5, 10, false},
		"just inside":                 {square, 9.999, 9.999, true}, "just outside": {square, 10.001, 5, false},
		"in the notch": {notched, 5, 8, false}, "beside the notch": {notched, 1, 8, true}, "tip of the notch": {notched, 5, 5, true},
		"level with the tip": {notched, 2, 5, true}, "level, outside": {notched, -2, 5, false},
		"star left": {star, 1, 5, true}, "star top": {star, 5, 1, false}, "star crossing": {star, 5, 5, true},
		"flat, on it": {flat, 7, 0, true}, "flat, beside it": {flat, 7, .001, false}, "flat, beyond": {flat, 11, 0, false},
		"on the spike": {spike, 10, 15, true}, "beside the spike": {spike, 9, 15, false},
		"not a number": {square, float32(math.NaN()), 5, false}, "infinite": {square, float32(math.Inf(1)), 5, false},
	} {
		for _, turned := range []bool{false, true} {
			points := append([]pipeline.Point(nil), c.zone...)
			if turned { // the other way round, and closed
				for i, j := 0, len(points)-1; i < j; i, j = i+1, j-1 {
					points[i], points[j] = points[j], points[i]
				}
				points = append(points, points[0])
			}
			z, err := NewZone(points)
			if err != nil {
				t.Fatal(name, err)
			}
			if got := z.Contains(pipeline.Point{X: c.x, Y: c.y}); got != c.want {
				t.Errorf("%s, turned %v: %v", name, turned, got)
			}
		}
	}
}

// Convex zones have another definition: on the same side of every edge.
func TestZoneAgreesWithHalfPlanes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		n := 3 + r.IntN(6)
		points := make([]pipeline.Point, n)
		turn := r.Float64()
		for i := range points {
			s, c := math.Sincos(2 * math.Pi * (float64(i) + turn) / float64(n))
			points[i] = pipeline.Point{X: float32(50 + 40*c), Y: float32(50 + 30*s)}
		}
		z, err := NewZone(points)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			p := pipeline.Point{X: float32(r.IntN(100)), Y: float32(r.IntN(100))}
			want := true
			for i, a := range points {
				b := points[(i+1)%n]
				cross := (float64(b.X)-float64(a.X))*(float64(p.Y)-float64(a.Y)) - (float64(b.Y)-float64(a.Y))*(float64(p.X)-float64(a.X))
				want = want && cross >= 0
			}
			if got := z.Contains(p); got != want {
				t.Fatalf("%v in %v: %v", p, points, got)
			}
		}
	}
}

func TestZoneArea(t *testing.T) {
	for _, c := range []struct {
		points []pipeline.Point
		want   float64
	}{
		{polygon(0, 0, 10, 0, 10, 10, 0, 10), 100}, {polygon(0, 0, 0, 10, 10, 0), 50}, {polygon(0, 0, 5, 0, 10, 0), 0}, {polygon(1, 1, 1, 1, 1, 1), 0},
	} {
		z, err := NewZone(c.points)
		if err != nil {
			t.Fatal(err)
		}
		if z.Area() != c.want {
			t.Errorf("%v: %v, want %v", c.points, z.Area(), c.want)
		}
	}
}

func TestZoneHasAllAnchors(t *testing.T) {
	square := polygon(0, 0, 100, 0, 100, 100, 0, 100)
	half := pipeline.Box{X0: 80, Y0: 10, X1: 110, Y1: 40} // its right part is out
	for _, c := range []struct {
		anchors []Anchor
		want    bool
	}{{nil, true}, {[]Anchor{Centre}, true}, {[]Anchor{BottomRight}, false}, {[]Anchor{TopLeft, BottomLeft}, true}, {Corners(), false}} {
		z, err := NewZone(square, c.anchors...)
		if err != nil {
			t.Fatal(err)
		}
		if z.Has(&pipeline.Detection{Box: half}) != c.want {
			t.Errorf("%v: %v", c.anchors, !c.want)
		}
	}
	mine := polygon(0, 0, 100, 0, 100, 100)
	z, err := NewZone(mine, BottomCentre)
	if err != nil {
		t.Fatal(err)
	}
	mine[1] = pipeline.Point{} // the caller's slice is not the zone's
	if !z.Contains(pipeline.Point{X: 90, Y: 50}) {
		t.Error("the zone changed with the slice it was made from")
	}
}

func TestMistakesAreNamed(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	line := func(o LineOptions) error { _, err := NewLine(o); return err }
	zone := func(p []pipeline.Point, a ...Anchor) error { _, err := NewZone(p, a...); return err }
	dwell := func(o DwellOptions) error { _, err := NewDwell(o); return err }
	velocity := func(a, p float64) error { _, err := NewVelocity(VelocityOptions{a, p}); return err }
	instances := func(n int) error { _, err := NewInstances(n); return err }
	from, to := pipeline.Point{}, pipeline.Point{X: 10}
	for name, c := range map[string]struct {
		err  error
		says string
	}{
		"a line that is a point": {line(LineOptions{From: to, To: to}), "no sides"},
		"a line to nowhere":      {line(LineOptions{From: from, To: pipeline.Point{X: nan}}), "not finite"},
		"an endless line":        {line(LineOptions{From: from, To: pipeline.Point{Y: inf}}), "not finite"},
		"an unknown anchor":      {line(LineOptions{From: from, To: to, Anchors: []Anchor{77}}), "no anchor 77"},
		"negative frames":        {line(LineOptions{From: from, To: to, MinFrames: -1}), "below 0"},
		"a zone of two points":   {zone(polygon(0, 0, 1, 1)), "it has 2"},
		"no zone":                {zone(nil), "it has 0"},
		"a zone with a hole":     {zone(polygon(0, 0, 1, nan, 2, 2)), "point 2"},
		"a zone's anchor":        {zone(polygon(0, 0, 1, 1, 2, 0), 77), "no anchor 77"},
		"no zones":               {dwell(DwellOptions{}), "there is none"},
		"alpha 0":                {velocity(0, 1), "alpha"},
		"alpha above 1":          {velocity(1.1, 1), "alpha"},
		"alpha not a number":     {velocity(math.NaN(), 1), "alpha"},
		"no pixels":              {velocity(.5, 0), "pixels per metre"},
		"endless pixels":         {velocity(.5, math.Inf(1)), "pixels per metre"},
		"no instances":           {instances(0), "cache size"},
		"too many instances":     {instances(1 << 30), "cache size"},
	} {
		var e *pipeline.Error
		if !errors.As(c.err, &e) || e.Kind != pipeline.BadConfig || e.Hint == "" || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}
