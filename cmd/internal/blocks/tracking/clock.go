package tracking

import (
	"log/slog"
	"math"
	"time"

	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

// A clock tells the time of frames by which stays and speeds are measured.
type clock struct {
	start time.Time
	begun bool
}

// at is the frame's place in the run. In a file it is frame number / frame
// rate, or its presentation time if the rate is not known: how fast a file is
// worked off says nothing about what it shows. Of a camera it is when the frame
// came, by the monotonic clock, so that a wall clock that is set does not make
// an object stay for years.
func (k *clock) at(f *workflow.Frame) time.Duration {
	if f.FromFile {
		if f.FPS > 0 {
			return time.Duration(math.Round(float64(f.Number) / f.FPS * float64(time.Second)))
		}
		return f.PTS
	}
	if !k.begun {
		k.begun, k.start = true, f.Time
	}
	return f.Time.Sub(k.start)
}

// assumedRate is used until a stream that does not say its frame rate has sent
// two frames.
const assumedRate = 30

// frameRate is the rate at which frames of a video are processed, in frames per
// second: as declared and limited, or else as measured so far, or else as
// assumed. Declared is false unless it is the first of these.
func frameRate(f *workflow.Frame) (fps float64, declared bool) {
	switch {
	case f.Rate > 0 && f.Rate <= track.FastestRate:
		return f.Rate, true
	case f.MeasuredFPS > 0:
		return min(f.MeasuredFPS, track.FastestRate), false
	}
	return assumedRate, false
}

// sayUnknown tells the operator that the frame rate is not what the stream
// said.
func sayUnknown(log *slog.Logger, step string, f *workflow.Frame) {
	log.Warn("the stream does not say a usable frame rate: tracking takes the measured one", "step", step, "says", f.FPS, "assumed_at_first", assumedRate)
}
