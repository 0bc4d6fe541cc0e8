// Package pipeline is the appliance without its hardware: what a frame, a
// detection, a result and a run are, and the loop that turns one into the
// next. It imports the standard library only; every other package adapts one
// foreign thing to what is declared here.
package pipeline

import (
	"fmt"
	"time"
)

// A PixelFormat says how a [Picture]'s bytes are laid out.
type PixelFormat uint8

// The formats that decoders produce and that stay untouched end to end.
const (
	I420 PixelFormat = iota + 1 // planar 4:2:0: Y, U, V (also called YU12)
	NV12                        // semi-planar 4:2:0: Y, then U and V interleaved
)

func (f PixelFormat) String() string {
	switch f {
	case I420:
		return "I420"
	case NV12:
		return "NV12"
	}
	return fmt.Sprintf("PixelFormat(%d)", uint8(f))
}

// A ColourMatrix is the luma/chroma matrix of a [Picture].
type ColourMatrix uint8

// BT601 is ITU-R BT.601 (standard definition and JPEG); BT709 is ITU-R BT.709
// (high definition).
const (
	BT601 ColourMatrix = iota
	BT709
)

// A Picture is a view of one 4:2:0 YUV image. It owns nothing: whoever hands
// it out says how long its planes are valid.
type Picture struct {
	Format        PixelFormat
	Width, Height int       // luma samples; either may be odd
	Planes        [3][]byte // I420: Y, U, V. NV12: Y, UV, nil
	Strides       [3]int    // bytes from one row of a plane to the next
	FullRange     bool      // luma 0..255 (JPEG) instead of 16..235
	Matrix        ColourMatrix
}

// NewPicture allocates an I420 picture with packed rows.
func NewPicture(width, height int) Picture {
	cw, ch := (width+1)/2, (height+1)/2
	buf := make([]byte, width*height+2*cw*ch)
	y, c := width*height, cw*ch
	return Picture{
		Format: I420, Width: width, Height: height,
		Planes:  [3][]byte{buf[:y:y], buf[y : y+c : y+c], buf[y+c:]},
		Strides: [3]int{width, cw, cw},
	}
}

// Check reports whether the planes are large enough for the size they claim.
func (p Picture) Check() error {
	if p.Width <= 0 || p.Height <= 0 {
		return fmt.Errorf("picture is %dx%d", p.Width, p.Height)
	}
	cw, ch := (p.Width+1)/2, (p.Height+1)/2
	var rows [3][2]int // bytes used in a row, rows
	switch p.Format {
	case I420:
		rows = [3][2]int{{p.Width, p.Height}, {cw, ch}, {cw, ch}}
	case NV12:
		rows = [3][2]int{{p.Width, p.Height}, {2 * cw, ch}}
	default:
		return fmt.Errorf("picture has unknown format %v", p.Format)
	}
	for i, r := range rows {
		if r[0] == 0 {
			continue
		}
		if p.Strides[i] < r[0] || len(p.Planes[i]) < p.Strides[i]*(r[1]-1)+r[0] {
			return fmt.Errorf("%v picture %dx%d: plane %d has %d bytes at stride %d", p.Format, p.Width, p.Height, i, len(p.Planes[i]), p.Strides[i])
		}
	}
	return nil
}

// A Frame is one decoded picture on loan from its [Source]. Every holder calls
// Release exactly once; the last call gives the memory back. Misuse panics.
type Frame interface {
	Info() FrameInfo
	Picture() Picture // read only; valid until the last Release; may be shrunk, see Scaler
	Retain() Frame    // adds a holder and returns the same frame
	Release()
}

// FrameInfo says which frame it is and when it was taken.
type FrameInfo struct {
	Seq           uint64        // 1 for the first frame of a source; strictly increasing
	PTS           time.Duration // presentation time from the start of the source
	Wall          time.Time     // when the frame reached Perch
	Width, Height int           // pixels of the frame, after rotation has been applied
}

// An AccessUnit is one encoded picture (H.264: Annex B with parameter sets
// before each key frame; VP8: one frame). It is plain data, copied out of
// the encoder and never changed.
type AccessUnit struct {
	PTS, Duration time.Duration
	Key           bool
	Data          []byte
}
