package track

import (
	"errors"
	"fmt"
	"strconv"

	"perch/pipeline"
)

// ErrUntracked is in the chain of the error that [Line], [Dwell] and [Velocity]
// give for a detection whose Track is zero: there is nothing to compare with.
var ErrUntracked = errors.New("the detection has no track")

// errNoMask is why CENTER_OF_MASS is refused.
var errNoMask = errors.New("the centre of mass is that of a mask, and a detection has only a box")

// refuse is the error of an option that cannot be meant.
func refuse(op, option, hint, format string, args ...any) error {
	return &pipeline.Error{Op: op, On: option, Kind: pipeline.BadConfig, Err: fmt.Errorf(format, args...), Hint: hint}
}

// tracked is an error unless every detection belongs to a track. It comes
// before anything is counted, so a refused frame changes nothing.
func tracked(op string, dets []pipeline.Detection) error {
	for i := range dets {
		if dets[i].Track == 0 {
			on := "detection " + strconv.Itoa(i)
			if dets[i].Label != "" {
				on += " (" + dets[i].Label + ")"
			}
			return &pipeline.Error{
				Op: op, On: on, Kind: pipeline.BadConfig, Err: ErrUntracked,
				Hint: "put a tracker before this step and let it drop untracked detections",
			}
		}
	}
	return nil
}
