package track

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
)

// at is a tracked box of 10 x 10 around x, y.
func at(id pipeline.TrackID, x, y float32) pipeline.Detection {
	return pipeline.Detection{Track: id, Label: "person", Box: pipeline.Box{X0: x - 5, Y0: y - 5, X1: x + 5, Y1: y + 5}}
}

func TestLine(t *testing.T) {
	level := LineOptions{From: pipeline.Point{X: 0, Y: 100}, To: pipeline.Point{X: 200, Y: 100}}
	centre, patient, back, steep := level, level, level, level
	centre.Anchors = []Anchor{Centre}
	patient.Anchors, patient.MinFrames = []Anchor{Centre}, 3
	back.From, back.To = level.To, level.From
	steep.From, steep.To = pipeline.Point{X: 0, Y: 0}, pipeline.Point{X: 100, Y: 100}
	xy := func(v ...float32) (p []pipeline.Point) { return polygon(v...) }
	for name, c := range map[string]struct {
		o    LineOptions
		path []pipeline.Point // of the centre of one object
		want string           // by frame: i in, o out, . nothing
	}{
		"nobody":                     {level, nil, ""},
		"one frame":                  {level, xy(50, 150), "."},
		"begins beyond":              {level, xy(50, 50, 50, 40), ".."},
		"up is in":                   {level, xy(50, 150, 50, 50), ".i"},
		"down is out":                {level, xy(50, 50, 50, 150), ".o"},
		"drawn the other way":        {back, xy(50, 150, 50, 50), ".o"},
		"there and back":             {level, xy(50, 150, 50, 50, 50, 150, 50, 50), ".ioi"},
		"corners wait for all":       {level, xy(50, 110, 50, 103, 50, 98, 50, 94), "...i"},
		"a corner on the line":       {level, xy(50, 110, 50, 95), ".."}, // on it is to its right
		"the line is its right side": {level, xy(50, 94, 50, 105), ".o"},
		"turns around on the line":   {level, xy(50, 110, 50, 100, 50, 110), "..."},
		"centre does not wait":       {centre, xy(50, 110, 50, 101, 50, 99), "..i"},
		"centre on the line":         {centre, xy(50, 99, 50, 100), ".o"},
		"passes beside the end":      {level, xy(250, 150, 250, 50), ".."},
		"half beside the end":        {level, xy(198, 150, 198, 50), ".."},
		"centre at the very end":     {centre, xy(200, 150, 200, 50), ".i"},
		"walks around the end":       {level, xy(150, 150, 250, 150, 250, 50, 150, 50), "...i"},
		"jumps far over":             {level, xy(50, 1000, 50, -1000), ".i"},
		"slanted":                    {steep, xy(30, 60, 60, 30), ".i"},
		"slanted, beyond its ends":   {steep, xy(100, 120, 120, 100), ".."},
		"three frames":               {patient, xy(50, 150, 50, 50, 50, 50, 50, 50, 50, 50), "...i."},
		"not three frames":           {patient, xy(50, 150, 50, 50, 50, 50, 50, 150, 50, 150), "....."},
		"three frames to begin with": {patient, xy(50, 150, 50, 150, 50, 150, 50, 150), "...."},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := NewLine(c.o)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			var in, out uint64
			for _, p := range c.path {
				crossed, err := l.Update(dets{at(1, p.X, p.Y)})
				switch {
				case err != nil:
					t.Fatal(err)
				case len(crossed) == 0:
					got.WriteByte('.')
				case crossed[0].In:
					in++
					got.WriteByte('i')
				default:
					out++
					got.WriteByte('o')
				}
			}
			if got.String() != c.want {
				t.Errorf("%s, want %s", got.String(), c.want)
			}
			if i, o := l.Counts(); i != in || o != out {
				t.Errorf("counts %d in, %d out; told %d, %d", i, o, in, out)
			}
		})
	}
}

func TestLineTellsWhoCrossed(t *testing.T) {
	l, err := NewLine(LineOptions{From: pipeline.Point{Y: 100}, To: pipeline.Point{X: 200, Y: 100}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Update(dets{at(1, 20, 150), at(2, 60, 50), at(3, 100, 150)}); err != nil {
		t.Fatal(err)
	}
	got, err := l.Update(dets{at(3, 100, 140), at(2, 60, 150), at(1, 20, 50), at(4, 150, 50)})
	if want := "[{1 false} {2 true}]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v, want %s", got, err, want)
	}
	// One that was out of sight for a while has still crossed.
	for range 100 {
		if got, err := l.Update(nil); err != nil || len(got) != 0 {
			t.Fatal(got, err)
		}
	}
	if got, err = l.Update(dets{at(3, 100, 50)}); err != nil || fmt.Sprint(got) != "[{0 true}]" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestUntrackedIsAnError(t *testing.T) {
	line, err := NewLine(LineOptions{From: pipeline.Point{Y: 100}, To: pipeline.Point{X: 200, Y: 100}})
	if err != nil {
		t.Fatal(err)
	}
	zone, err := NewZone(polygon(0, 0, 200, 0, 200, 100, 0, 100))
	if err != nil {
		t.Fatal(err)
	}
	dwell, err := NewDwell(DwellOptions{Zones: []*Zone{zone}})
	if err != nil {
		t.Fatal(err)
	}
	velocity, err := NewVelocity(VelocityOptions{Alpha: .5, PixelsPerMetre: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, update := range map[string]func(dets) error{
		"line":     func(f dets) error { _, err := line.Update(f); return err },
		"dwell":    func(f dets) error { _, err := dwell.Update(f, 0); return err },
		"velocity": func(f dets) error { _, err := velocity.Update(f, 0); return err },
	} {
		if err := update(nil); err != nil {
			t.Errorf("%s: no detections are no mistake: %v", name, err)
		}
		err := update(dets{at(1, 50, 150), at(0, 50, 50)})
		if !errors.Is(err, ErrUntracked) || pipeline.KindOf(err) != pipeline.BadConfig {
			t.Errorf("%s: %v", name, err)
		} else if s := err.Error(); !strings.Contains(s, "detection 1 (person)") || !strings.Contains(s, "put a tracker") {
			t.Errorf("%s: %s", name, s)
		}
	}
	// The refused frame left nothing behind: object 1 was not seen below.
	if got, err := line.Update(dets{at(1, 50, 50)}); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
}

// A track that is in sight is not forgotten for being beside no side of the
// line, or in no zone, while thousands of others pass.
func TestTracksInSightAreRemembered(t *testing.T) {
	line, err := NewLine(LineOptions{From: pipeline.Point{Y: 100}, To: pipeline.Point{X: 200, Y: 100}})
	if err != nil {
		t.Fatal(err)
	}
	zone, err := NewZone(polygon(0, 0, 200, 0, 200, 200, 0, 200))
	if err != nil {
		t.Fatal(err)
	}
	dwell, err := NewDwell(DwellOptions{Zones: []*Zone{zone}, KeepTime: true})
	if err != nil {
		t.Fatal(err)
	}
	update := func(second int, f dets) ([]Crossing, []Present) {
		c, err := line.Update(f)
		if err != nil {
			t.Fatal(err)
		}
		p, err := dwell.Update(f, time.Duration(second)*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return c, p
	}
	update(0, dets{at(1, 50, 150)})
	for i := range 2 * Remembered {
		update(1, dets{at(1, 500, 150), at(pipeline.TrackID(i+2), 50, 150)})
	}
	c, p := update(2, dets{at(1, 50, 50), at(2, 50, 50)})
	if want := "[{0 true}]"; fmt.Sprint(c) != want { // 2 was forgotten, and seen for the first time
		t.Errorf("%v, want %s", c, want)
	}
	if want := "[{0 true 2s} {1 true 0s}]"; fmt.Sprint(p) != want {
		t.Errorf("%v, want %s", p, want)
	}
	if n := len(line.sides.index); n != Remembered {
		t.Errorf("%d remembered", n)
	}
}
