package track

import (
	"math"
	"time"

	"perch/pipeline"
)

// VelocityOptions say how speed is smoothed and in what it is told.
type VelocityOptions struct {
	Alpha          float64 // weight of the newest velocity, above 0 up to 1
	PixelsPerMetre float64 // above 0; 1 tells pixels per second
}

// A Velocity measures how fast the centres of tracked objects move over the
// picture. Perspective is not made up for: far away is slow.
type Velocity struct {
	o      VelocityOptions
	last   memory[motion]
	motion []Motion
}

// motion is what is kept of a track, in pixels.
type motion struct {
	at     time.Duration
	place  vector
	smooth vector
}

// Motion is how one detection moves, per second, in metres when
// PixelsPerMetre says so and else in pixels. Y points down.
type Motion struct {
	X, Y, Speed                float64
	SmoothX, SmoothY, Smoothed float64 // exponential moving average, and its length
}

// NewVelocity returns a measurement that has seen nothing. The error is of kind
// BadConfig.
func NewVelocity(o VelocityOptions) (*Velocity, error) {
	const op = "set up velocity"
	if !(o.Alpha > 0 && o.Alpha <= 1) {
		return nil, refuse(op, "smoothing alpha", "1 does not smooth, 0.5 is usual", "%v is not above 0 and up to 1", o.Alpha)
	}
	if !(o.PixelsPerMetre > 0) || math.IsInf(o.PixelsPerMetre, 0) {
		return nil, refuse(op, "pixels per metre", "1 tells pixels per second", "%v is not above 0", o.PixelsPerMetre)
	}
	return &Velocity{o: o, last: newMemory[motion](Remembered)}, nil
}

// Update takes the detections of the next frame at its place in time and
// returns how each of them moves; the slice is used again by the next call. On
// first sight, and when time has not gone on, an object has no velocity: zero,
// which is also what smoothing starts from. A detection without a track is an
// error ([ErrUntracked]), and then nothing changes.
func (v *Velocity) Update(dets []pipeline.Detection, at time.Duration) ([]Motion, error) {
	v.motion = v.motion[:0]
	if err := tracked("measure velocity", dets); err != nil {
		return nil, err
	}
	for i := range dets {
		b := wide(dets[i].Box)
		place := vector{(b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2}
		m, known := v.last.get(dets[i].Track)
		var now vector
		if seconds := (at - m.at).Seconds(); known && seconds > 0 {
			now = vector{(place.x - m.place.x) / seconds, (place.y - m.place.y) / seconds}
		}
		if known {
			a := v.o.Alpha
			m.smooth = vector{a*now.x + (1-a)*m.smooth.x, a*now.y + (1-a)*m.smooth.y}
		}
		m.at, m.place = at, place
		v.motion = append(v.motion, v.tell(now, m.smooth))
	}
	return v.motion, nil
}

func (v *Velocity) tell(now, smooth vector) Motion {
	k := v.o.PixelsPerMetre
	m := Motion{X: now.x / k, Y: now.y / k, SmoothX: smooth.x / k, SmoothY: smooth.y / k}
	m.Speed, m.Smoothed = math.Hypot(m.X, m.Y), math.Hypot(m.SmoothX, m.SmoothY)
	return m
}
