package workflow

import (
	"encoding/hex"

	"perch/pipeline"
)

// Extra marks which of a detection's additional properties are known.
type Extra uint16

// The additional properties. They are set by blocks.
const (
	HasTimeInZone Extra = 1 << iota
	HasPathDeviation
	HasVelocity // Velocity, Speed, SmoothedVelocity and SmoothedSpeed
	HasPolygon
	HasArea          // AreaPX
	HasConvertedArea // AreaConverted
	HasParentClass
)

// An ID names a detection: a random UUID (RFC 9562, version 4).
type ID [16]byte

// String is the form with hyphens.
func (id ID) String() string { return string(id.append(nil)) }

func (id ID) append(dst []byte) []byte {
	dst = hex.AppendEncode(dst, id[:4])
	for i := 4; i < 10; i += 2 {
		dst = hex.AppendEncode(append(dst, '-'), id[i:i+2])
	}
	return hex.AppendEncode(append(dst, '-'), id[10:])
}

// A Detection is one object on an image, in pixels of that image.
type Detection struct {
	pipeline.Detection
	ID ID

	Has              Extra
	TimeInZone       float64    // seconds
	PathDeviation    float64    // pixels
	Velocity         [2]float64 // units a second, right and down
	Speed            float64
	SmoothedVelocity [2]float64
	SmoothedSpeed    float64
	Polygon          []pipeline.Point
	AreaPX           float64
	AreaConverted    float64
	ParentClass      string       // of the detection whose crop this one was found on
	Rect             *RotatedRect // nil unless it was measured
}

// A RotatedRect is the smallest rectangle around an object, whichever way it is
// turned.
type RotatedRect struct {
	Corners       []pipeline.Point // four, in pixels of the image
	Width, Height float64          // pixels
	Angle         float64          // degrees, above 0 up to 90
}

// Detections are the objects on one image.
type Detections struct {
	Origin    Origin
	Keypoints []string // names of the key points by index; nil without
	Items     []Detection
}

// Reset makes d empty, on an image, and keeps its memory.
func (d *Detections) Reset(o Origin) { d.Origin, d.Keypoints, d.Items = o, nil, d.Items[:0] }

// Like makes d empty, on the image of from, and keeps its memory.
func (d *Detections) Like(from *Detections) {
	d.Origin, d.Keypoints, d.Items = from.Origin, from.Keypoints, d.Items[:0]
}

// A Class is one answer of a classification.
type Class struct {
	Class int
	Label string
	Score float32
}

// Classes are a classification of one image.
type Classes struct {
	Origin Origin
	// Multi is true if several classes may hold at once; then Items are all
	// classes in the order of the model and Picked those that hold.
	Multi  bool
	Items  []Class // single: from the most to the least likely
	Picked []Class
}

// Top is the most likely class; its label is "" if there is none.
func (c *Classes) Top() Class {
	if c.Multi || len(c.Items) == 0 {
		return Class{}
	}
	return c.Items[0]
}
