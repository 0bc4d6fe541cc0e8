package workflow

import (
	"time"

	"perch/pipeline"
)

// An Origin places an image, or what was found on it, in the frame.
type Origin struct {
	Name          string // "image" (the input's name) for the frame itself, else the detection or crop that made it
	X, Y          int    // upper left corner in pixels of the frame
	Width, Height int    // of this image
	Root          string // name of the frame
	RootWidth     int
	RootHeight    int
	Warped        bool // its pixels are not those of the frame (perspective): no way back
}

// IsRoot reports whether it is the frame itself.
func (o Origin) IsRoot() bool { return o.Name == o.Root }

// An Image is a picture with where it came from. Whoever receives one must not
// draw on it; see [Call.Canvas].
type Image struct {
	// Picture has the size that Origin says, but for a frame that the source
	// has shrunk, which reaches only fields whose Pixels allow it.
	Picture pipeline.Picture
	Origin  Origin
	// View is true if Picture shares its memory with another image.
	View bool

	maker *unit // the step that made it or drew on it last; nil for a frame and for what is kept
}

// A Frame is what is known of the frame that is being processed.
type Frame struct {
	Video       string // video identifier, "default_source"
	Number      int64  // from 1: in a file its place there, of a camera the count of those that were processed
	Count       int64  // frames processed, this one included; less than Number where a run leaves out frames of a file
	Time        time.Time
	PTS         time.Duration
	FPS         float64 // of the stream: declared, or else what it says; 0 when unknown
	Rate        float64 // frames a second that are processed: FPS, or what the run is limited to; 0 when FPS is
	MeasuredFPS float64 // of the frames that are processed; 0 until known
	FromFile    bool
}

// Seconds is the time by which blocks measure: frame number / FPS for a file,
// its time stamps when nobody knows its rate, the clock otherwise.
func (f *Frame) Seconds() float64 {
	switch {
	case f.FromFile && f.FPS > 0:
		return float64(f.Number) / f.FPS
	case f.FromFile:
		return f.PTS.Seconds()
	}
	return float64(f.Time.UnixNano()) / 1e9
}
