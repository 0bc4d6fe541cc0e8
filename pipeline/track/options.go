package track

import (
	"math"
	"time"
)

// Options say how a [Tracker] decides. Begin with [Defaults] or [Trackers] and
// change what is needed; the zero value is refused.
type Options struct {
	// ActivationThreshold divides detections (the paper's tau): a score above
	// it is associated first, by motion and score; one at or below it only
	// with what is left.
	ActivationThreshold float32
	// LowScore is the least a detection must exceed to be looked at at all.
	LowScore float32
	// BeginThreshold is the least score that begins a track (epsilon).
	BeginThreshold float32
	// MatchingThreshold is the largest cost, 1 - IoU * score, of a first
	// association. Larger is more lenient.
	MatchingThreshold float32
	// LowThreshold is the largest cost, 1 - IoU, of a second one.
	LowThreshold float32
	// UnconfirmedThreshold is the largest cost, as in the first association,
	// between a track that is not confirmed and what is then left.
	UnconfirmedThreshold float32
	// IgnoreScore makes the cost 1 - IoU everywhere (the paper's MOT20).
	IgnoreScore bool
	// LostBuffer is how long a track that is not seen may be found again, in
	// frames at 30 a second: it lasts LostBuffer/30 seconds at any rate, in
	// whole frames, rounded down.
	LostBuffer int
	// MinConsecutiveFrames is how many frames in a row, after the one that
	// began it, must find a track again before it is confirmed and gets an
	// id. With 0 it is confirmed as it begins; with 1 that is so for a track
	// that begins on the first frame of all, as the paper's program does,
	// unless AlikeAtFirst.
	MinConsecutiveFrames int
	// AlikeAtFirst lets the tracks of the first frame wait as all others do.
	AlikeAtFirst bool
	// FrameRate is the stream's, in frames per second; 0 is unknown. Then the
	// lost buffer is nothing (a track may be missed on one frame, not two) and
	// every Update counts as one frame whatever the clock says.
	FrameRate float64
	// MaxGap is the longest time without an Update that tracks survive, if
	// neither the lost buffer nor one and a half frames at FrameRate are
	// longer. After more, every track has ended.
	MaxGap time.Duration
	// PerClass keeps a track to the class it began with. Otherwise classes
	// do not matter, and an object that the model calls a car and then a
	// truck stays one.
	PerClass bool
	// DropUntracked makes Update leave out detections without a track.
	DropUntracked bool
	// MaxTracks bounds how many tracks are kept, lost and unconfirmed ones
	// included. When it is reached a new one takes the place of the lost
	// track not seen for longest; if none is lost it does not begin, which
	// Stats count as Refused.
	MaxTracks int
}

// Defaults are those of the workflow block byte_tracker, with the constants of
// the paper's program where the block has no field, at 30 frames per second.
func Defaults() Options {
	return Options{
		ActivationThreshold: 0.25, LowScore: 0.1, BeginThreshold: 0.35,
		MatchingThreshold: 0.8, LowThreshold: 0.5, UnconfirmedThreshold: 0.7,
		LostBuffer: 30, MinConsecutiveFrames: 1, FrameRate: 30,
		MaxGap: 3 * time.Second, MaxTracks: 1024,
	}
}

// Trackers are the defaults of the workflow block trackers_bytetrack, said in
// terms of this tracker: its minimum_iou_threshold u is a cost of 1 - u at
// each association, without the score; its minimum_consecutive_frames counts
// the frame that began the track, so it is one more than ours, and holds from
// the first frame on. That block also
// offers low scores to lost tracks; the paper, and this tracker, do not.
func Trackers() Options {
	o := Defaults()
	o.ActivationThreshold, o.LowScore, o.BeginThreshold = 0.6, 0, 0.7
	o.MatchingThreshold, o.LowThreshold, o.UnconfirmedThreshold = 0.9, 0.9, 0.9
	o.IgnoreScore, o.AlikeAtFirst = true, true
	return o
}

// Limits of options, so that one frame takes bounded time.
const (
	mostTracks    = 1 << 16
	mostBuffer    = 30 * 600 // ten minutes
	longestMaxGap = 10 * time.Second
	longestFrame  = 150 * time.Second // one and a half at the lowest rate that anybody asks for

	// FastestRate is the highest frame rate that a [Tracker] takes.
	FastestRate = 240
)

func (o *Options) check() error {
	const op = "set up tracking"
	for _, f := range []struct {
		name  string
		value float32
		least bool // whether 0 may be meant
	}{
		{"activation threshold", o.ActivationThreshold, true}, {"low score", o.LowScore, true},
		{"begin threshold", o.BeginThreshold, true}, {"matching threshold", o.MatchingThreshold, false},
		{"low threshold", o.LowThreshold, false}, {"unconfirmed threshold", o.UnconfirmedThreshold, false},
	} {
		if !(f.value >= 0) || (!f.least && f.value == 0) || (!f.least && f.value > 1) || f.value > 2 {
			return refuse(op, f.name, "thresholds are parts of 1, for example 0.25", "%v is out of range", f.value)
		}
	}
	switch {
	case o.LostBuffer < 0 || o.LostBuffer > mostBuffer:
		return refuse(op, "lost track buffer", "it counts frames at 30 a second", "%d is not from 0 to %d", o.LostBuffer, mostBuffer)
	case o.MinConsecutiveFrames < 0:
		return refuse(op, "minimum consecutive frames", "1 confirms a track when it is found again", "%d is below 0", o.MinConsecutiveFrames)
	case !(o.FrameRate >= 0) || o.FrameRate > FastestRate:
		return refuse(op, "frame rate", "use 0 when it is not known", "%v is not from 0 to %d", o.FrameRate, FastestRate)
	case o.MaxGap < 0 || o.MaxGap > longestMaxGap:
		return refuse(op, "longest gap", "an object is seldom where it would be after so long", "%v is not from 0 to %v", o.MaxGap, longestMaxGap)
	case o.MaxTracks < 1 || o.MaxTracks > mostTracks:
		return refuse(op, "most tracks", "1024 is ample for one camera", "%d is not from 1 to %d", o.MaxTracks, mostTracks)
	}
	return nil
}

// bufferFrames is the lost buffer in frames of this stream.
func (o *Options) bufferFrames() int64 {
	return int64(math.Floor(o.FrameRate/30*float64(o.LostBuffer) + 1e-9)) // 1e-9: 7/30 of 30 is 7, whatever rounding makes of it
}

// maxGap is how long nothing may happen before all tracks end.
func (o *Options) maxGap() time.Duration {
	if o.FrameRate == 0 {
		return o.MaxGap
	}
	buffer := time.Duration(o.LostBuffer) * time.Second / 30
	frame := min(1.5*float64(time.Second)/o.FrameRate, float64(longestFrame))
	return max(o.MaxGap, buffer, time.Duration(frame))
}
