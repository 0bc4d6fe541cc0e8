package pipeline

import (
	"fmt"
	"math"
	"time"
)

// The limits of a [Run]'s MaxFPS: a frame every hundred seconds, and more than
// any camera sends.
const (
	LeastMaxFPS = 0.01
	MostMaxFPS  = 240
)

// CheckMaxFPS says what is wrong with a limit on the frame rate. 0 is none.
func CheckMaxFPS(fps float64) error {
	if fps == 0 || fps >= LeastMaxFPS && fps <= MostMaxFPS {
		return nil
	}
	return fmt.Errorf("%v is out of range; it may be from %v to %v frames a second, or 0 for every frame", fps, LeastMaxFPS, MostMaxFPS)
}

// Rate returns how many frames a second of the stream a run works on when it
// keeps up: FPS, or MaxFPS if that is less; 0 when FPS is unknown.
func (i StreamInfo) Rate() float64 {
	if i.MaxFPS > 0 && i.FPS > 0 {
		return min(i.FPS, i.MaxFPS)
	}
	return i.FPS
}

// Expected returns about how many frames a run will work on; 0 when unknown.
func (i StreamInfo) Expected() uint64 {
	if rate := i.Rate(); rate < i.FPS {
		return uint64(math.Ceil(float64(i.Frames) * rate / i.FPS))
	}
	return i.Frames
}

// A pacer chooses the frames of a stream that a run works on, at most so many
// a second. Their presentation times decide, not the clock: the same file
// gives the same frames, however fast it is read.
//
// Frames are due at times on a grid that begins with the first frame, and each
// due time takes the first frame that reaches it. So a rate that does not
// divide that of the stream holds on average: 10 of 25 frames are two, three,
// two, three apart. Where the stream left out a whole step of the grid, the
// grid begins anew with the frame after the gap; what was missed is not made
// up for. A stream that is no faster than the limit, whatever it says of its
// rate, keeps all its frames, however unevenly they come. The zero value takes
// every frame.
type pacer struct {
	fps    float64
	begun  bool
	anchor time.Duration // where the grid begins
	n      uint64        // the frame that is due next is this many steps after anchor
	last   time.Duration // of the newest frame, taken or not
	mean   time.Duration // from frame to frame, of the last few; a gap counts as two periods
}

// fastEnough is how near a stream's rate may be to the limit, above it, to count
// as no faster.
const fastEnough = 0.98

// takes reports whether the frame at pts is one to work on. Frames are asked
// for in the order of the stream.
func (p *pacer) takes(pts time.Duration) bool {
	if p.fps <= 0 {
		return true
	}
	step, period := pts-p.last, p.period()
	p.last = pts
	if !p.begun || step < 0 { // a clock that was set back has a grid of its own
		p.begin(pts)
		return true
	}
	if step = min(step, 2*period); p.mean == 0 {
		p.mean = step
	} else {
		p.mean += (step - p.mean) / 16
	}
	// Cameras' time stamps jitter, and those of Matroska are in milliseconds: a
	// frame that is early by a part of its own length is the one that is meant.
	early := min(step, period) / 4
	if float64(p.mean) >= fastEnough*float64(period) {
		early = period // an uneven stream, not a fast one; the grid still holds on average
	}
	if pts < p.due(p.n)-early {
		return false
	}
	p.n++
	if pts >= p.due(p.n) {
		p.begin(pts)
	}
	return true
}

// begin makes pts the grid's first time, which has been served.
func (p *pacer) begin(pts time.Duration) { p.begun, p.anchor, p.n = true, pts, 1 }

// due returns the time of the grid's step n. It is computed from the anchor, so
// that what is lost in rounding does not add up.
func (p *pacer) due(n uint64) time.Duration {
	return p.anchor + time.Duration(math.Round(float64(n)/p.fps*float64(time.Second)))
}

func (p *pacer) period() time.Duration { return time.Duration(float64(time.Second) / p.fps) }
