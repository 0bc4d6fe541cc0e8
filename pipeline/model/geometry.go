package model

import (
	"math"

	"perch/pipeline"
)

// A Transform maps the model's input back to the frame that was sampled into
// it. The frame fills the rectangle [Left, Left+Width) x [Top, Top+Height) of
// the input; everything around it is padding.
type Transform struct {
	FrameWidth, FrameHeight int // pixels of the frame
	InputWidth, InputHeight int // pixels of the model's input
	Left, Top               int // where the frame begins in the input
	Width, Height           int // the size of the frame in the input
}

// newTransform places a frame into an input. Letterboxing keeps the aspect
// ratio: r = min(inputWidth/frameWidth, inputHeight/frameHeight), and each side
// is frame*r rounded half up, at least 1. The margin left of and above a
// centred frame is half of what remains, rounded down.
func newTransform(in *Input, frameW, frameH int) Transform {
	t := Transform{
		FrameWidth: frameW, FrameHeight: frameH,
		InputWidth: in.Width, InputHeight: in.Height,
		Width: in.Width, Height: in.Height,
	}
	if in.Resize == Stretch {
		return t
	}
	r := math.Min(float64(in.Width)/float64(frameW), float64(in.Height)/float64(frameH))
	t.Width = min(max(int(math.Floor(float64(frameW)*r+0.5)), 1), in.Width)
	t.Height = min(max(int(math.Floor(float64(frameH)*r+0.5)), 1), in.Height)
	if in.Position == Centre {
		t.Left, t.Top = (in.Width-t.Width)/2, (in.Height-t.Height)/2
	}
	return t
}

// Enough returns the size of the smallest picture of a frame from which sampling
// loses nothing that it would keep of the whole frame, give or take what whoever
// shrinks it does differently: twice as many pixels as the frame has in the
// model's input, in each direction, so that each sample still is the mean of
// several. It may be larger than the frame.
func (m *Model) Enough(frame pipeline.Size) pipeline.Size {
	t := newTransform(&m.manifest.Input, frame.Width, frame.Height)
	return pipeline.Size{Width: 2 * t.Width, Height: 2 * t.Height}
}

// Of says that the picture that was sampled is a smaller one of a whole frame:
// boxes are then in pixels of the frame.
func (t Transform) Of(frame pipeline.Size) Transform {
	t.FrameWidth, t.FrameHeight = frame.Width, frame.Height
	return t
}

// Point maps a point in pixels of the input to pixels of the frame. It is not
// clamped: a key point may lie outside the frame.
func (t Transform) Point(p pipeline.Point) pipeline.Point {
	return pipeline.Point{
		X: (p.X - float32(t.Left)) * float32(t.FrameWidth) / float32(t.Width),
		Y: (p.Y - float32(t.Top)) * float32(t.FrameHeight) / float32(t.Height),
	}
}

// Box maps a box in pixels of the input to pixels of the frame and clamps it to
// the frame. A box that lies wholly in the padding becomes empty.
func (t Transform) Box(b pipeline.Box) pipeline.Box {
	a := t.Point(pipeline.Point{X: b.X0, Y: b.Y0})
	c := t.Point(pipeline.Point{X: b.X1, Y: b.Y1})
	w, h := float32(t.FrameWidth), float32(t.FrameHeight)
	return pipeline.Box{
		X0: min(max(a.X, 0), w), Y0: min(max(a.Y, 0), h),
		X1: min(max(c.X, 0), w), Y1: min(max(c.Y, 0), h),
	}
}

// Whole is the box of the whole frame.
func (t Transform) Whole() pipeline.Box {
	return pipeline.Box{X1: float32(t.FrameWidth), Y1: float32(t.FrameHeight)}
}
