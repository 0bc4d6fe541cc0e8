package track

import (
	"math"

	"perch/pipeline"
)

// LineOptions say where a line is and when it counts as crossed.
type LineOptions struct {
	From, To pipeline.Point // pixels of the frame; two different points
	// Anchors are the places that must all cross; empty is all four [Corners].
	Anchors []Anchor
	// MinFrames is for how many frames in a row an object must be seen on the
	// other side; 0 is 1.
	MinFrames int
}

// A Line counts the tracked objects that cross a segment, in each direction.
//
// Seen by somebody who walks from From to To on the picture, an object that
// comes to be on the left has come in, one that comes to be on the right has
// gone out: over a line drawn from left to right, upwards is in. A place on the
// line itself is to its right.
//
// Only objects beside the segment are looked at: all anchors must lie between
// the two perpendiculars at its ends (those included), and all on one side. As
// long as either is not so, the side on which the object was last seen is kept,
// so one that walks around an end and comes back on the other side has crossed.
type Line struct {
	o         LineOptions
	direction vector
	length2   float64 // squared length
	in, out   uint64
	sides     memory[sides]
	crossed   []Crossing
}

// sides is how one track stands to a line.
type sides struct {
	left    bool
	run     int  // frames in a row on this side
	changed bool // whether it was on the other side before
}

// A Crossing is a detection that crossed on this frame.
type Crossing struct {
	Index int  // into the detections of the frame
	In    bool // came in; otherwise went out
}

type vector struct{ x, y float64 }

// NewLine returns a line that nobody has crossed. The error, of kind
// BadConfig, says what is wrong with the options.
func NewLine(o LineOptions) (*Line, error) {
	const op = "set up line"
	if len(o.Anchors) == 0 {
		o.Anchors = Corners()
	}
	if err := checkAnchors(op, o.Anchors); err != nil {
		return nil, err
	}
	if o.MinFrames < 0 {
		return nil, refuse(op, "minimum frames", "1 counts a crossing at once", "%d is below 0", o.MinFrames)
	}
	o.MinFrames = max(o.MinFrames, 1)
	for _, p := range [...]pipeline.Point{o.From, o.To} {
		if !finite(p) {
			return nil, refuse(op, "segment", "points are in pixels of the frame", "a point is not finite")
		}
	}
	d := vector{float64(o.To.X) - float64(o.From.X), float64(o.To.Y) - float64(o.From.Y)}
	l := &Line{o: o, direction: d, length2: d.x*d.x + d.y*d.y, sides: newMemory[sides](Remembered)}
	if l.length2 == 0 {
		return nil, refuse(op, "segment", "give two different points", "it begins and ends at (%v, %v), so it has no sides", o.From.X, o.From.Y)
	}
	return l, nil
}

// Update takes the detections of the next frame and returns those that crossed
// on it, in order; the slice is used again by the next call. A detection
// without a track ([ErrUntracked]), or without the mask that an anchor needs
// ([ErrNoMask]), is an error, and then nothing is counted.
func (l *Line) Update(dets []pipeline.Detection) ([]Crossing, error) {
	l.crossed = l.crossed[:0]
	const op = "count crossings"
	if err := tracked(op, dets); err != nil {
		return nil, err
	}
	if err := masked(op, dets, l.o.Anchors); err != nil {
		return nil, err
	}
	for i := range dets {
		left, ok := l.side(&dets[i])
		if !ok {
			l.sides.seen(dets[i].Track)
			continue
		}
		s, known := l.sides.get(dets[i].Track)
		if known && s.left == left {
			s.run++
		} else {
			*s = sides{left: left, run: 1, changed: known}
		}
		if !s.changed || s.run != l.o.MinFrames {
			continue
		}
		if left {
			l.in++
		} else {
			l.out++
		}
		l.crossed = append(l.crossed, Crossing{Index: i, In: left})
	}
	return l.crossed, nil
}

// Counts returns how many objects have come in and gone out since the line was
// made. An object counts each time it crosses.
func (l *Line) Counts() (in, out uint64) { return l.in, l.out }

// side returns on which side of the line a detection is, and false when it is
// on neither or not beside the segment.
func (l *Line) side(d *pipeline.Detection) (left, ok bool) {
	for i, a := range l.o.Anchors {
		p := a.Of(d)
		v := vector{float64(p.X) - float64(l.o.From.X), float64(p.Y) - float64(l.o.From.Y)}
		along := l.direction.x*v.x + l.direction.y*v.y
		if !(along >= 0 && along <= l.length2) {
			return false, false
		}
		this := l.direction.x*v.y-l.direction.y*v.x < 0
		if i > 0 && this != left {
			return false, false
		}
		left = this
	}
	return left, true
}

func finite(p pipeline.Point) bool {
	for _, v := range [...]float64{float64(p.X), float64(p.Y)} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}
