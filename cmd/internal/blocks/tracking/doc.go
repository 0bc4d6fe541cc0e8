// Package tracking has the blocks of workflows that follow objects from frame
// to frame: it joins package track to the language.
//
// Their state is that of one run. A block that follows objects looks at frames
// in order and at each of them once; on crops, of which a frame has several,
// it is an error.
package tracking

import (
	"errors"
	"fmt"

	"perch/pipeline"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

// All returns the manifests of this package's blocks.
func All() []*workflow.Manifest {
	return []*workflow.Manifest{
		byteTracker(1), byteTracker(2), byteTracker(3),
		trackersByteTrack(),
		lineCounter(1), lineCounter(2),
		timeInZone(1), timeInZone(2), timeInZone(3),
		velocity(),
		pathDeviation(1), pathDeviation(2),
		stabilizeDetections(),
	}
}

const (
	prefix = "roboflow_core/"
	group  = "tracking"
)

// frameField is how a version of a block is told which video it looks at:
// version 1 by the frame's metadata, later ones by the frame.
func frameField(version int) workflow.Field {
	if version == 1 {
		return workflow.Field{Name: "metadata", Required: true, Kinds: []workflow.Kind{workflow.VideoMetadata}, Doc: "the frame's metadata: which video it belongs to, and when it was taken"}
	}
	return workflow.Field{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Pixels: workflow.NoPixels, Doc: "the frame: which video it belongs to, and when it was taken"}
}

// trackedField is the input of a block that needs a tracker before it.
func trackedField() workflow.Field {
	return workflow.Field{Name: "detections", Required: true, Tracked: true, Kinds: workflow.AnyDetections(), Doc: "detections with track ids, as a tracker puts them out"}
}

// anchorField is the place on a detection that a block looks at.
func anchorField(def workflow.Value, doc string) workflow.Field {
	return workflow.Field{
		Name: "triggering_anchor", Default: def, Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.EnumLiteral, Enum: track.AnchorNames(),
		Doc: doc + "; CENTER_OF_MASS is that of a mask, which the detections must then have",
	}
}

// anchorsOf reads the anchor, none for null.
func anchorsOf(v workflow.Value) ([]track.Anchor, error) {
	if v.IsNull() {
		return nil, nil
	}
	name, ok := v.Str()
	if !ok {
		return nil, fmt.Errorf("property %q is %s and must be the name of an anchor", "triggering_anchor", v.Describe())
	}
	a, err := track.ParseAnchor(name)
	if err != nil {
		return nil, err
	}
	return []track.Anchor{a}, nil
}

// fault makes what package track says of an option the fault of a field.
func fault(p *workflow.Params, field string, err error) error {
	var e *pipeline.Error
	if errors.As(err, &e) && e.Err != nil {
		return p.Fault(field, e.Err.Error(), e.Hint)
	}
	return p.Fault(field, err.Error(), "")
}

// onFrame is an error for a call about one of several crops of a frame.
func onFrame(c *workflow.Call) error {
	if c.Index() > 0 {
		return errors.New("it follows objects from frame to frame, and was given several crops of one frame: put it before the crop, or stitch what was found on the crops together first")
	}
	return nil
}

// plain copies detections into dst, for package track, which knows no more of
// them than package pipeline does.
func plain(dst []pipeline.Detection, d *workflow.Detections) []pipeline.Detection {
	dst = dst[:0]
	for i := range d.Items {
		dst = append(dst, d.Items[i].Detection)
	}
	return dst
}
