package track

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"perch/pipeline"
)

// ErrUntracked is in the chain of the error that [Line], [Dwell] and [Velocity]
// give for a detection whose Track is zero: there is nothing to compare with.
var ErrUntracked = errors.New("the detection has no track")

// ErrNoMask is in the chain of the error that [Line] and [Dwell] give for a
// detection without a mask when the anchor is [CentreOfMass].
var ErrNoMask = errors.New("the centre of mass is that of a mask, and the detection has only a box")

// refuse is the error of an option that cannot be meant.
func refuse(op, option, hint, format string, args ...any) error {
	return &pipeline.Error{Op: op, On: option, Kind: pipeline.BadConfig, Err: fmt.Errorf(format, args...), Hint: hint}
}

// tracked is an error unless every detection belongs to a track. It comes
// before anything is counted, so a refused frame changes nothing.
func tracked(op string, dets []pipeline.Detection) error {
	for i := range dets {
		if dets[i].Track == 0 {
			return &pipeline.Error{
				Op: op, On: naming(dets, i), Kind: pipeline.BadConfig, Err: ErrUntracked,
				Hint: "put a tracker before this step and let it drop untracked detections",
			}
		}
	}
	return nil
}

// masked is an error if the centre of mass is asked for and a detection has
// none.
func masked(op string, dets []pipeline.Detection, anchors []Anchor) error {
	if !slices.Contains(anchors, CentreOfMass) {
		return nil
	}
	for i := range dets {
		if dets[i].Mask == nil {
			return &pipeline.Error{
				Op: op, On: naming(dets, i), Kind: pipeline.BadConfig, Err: ErrNoMask,
				Hint: "use a model that finds masks, or the anchor CENTER",
			}
		}
	}
	return nil
}

func naming(dets []pipeline.Detection, i int) string {
	on := "detection " + strconv.Itoa(i)
	if dets[i].Label != "" {
		on += " (" + dets[i].Label + ")"
	}
	return on
}
