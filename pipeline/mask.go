package pipeline

import "math/bits"

// A Mask says which pixels of a frame belong to an object. It covers a
// rectangle of the frame; outside it nothing belongs to the object.
type Mask struct {
	X, Y          int // upper left corner of the rectangle, pixels of the frame
	Width, Height int
	// Bits has one bit a pixel, rows padded to whole bytes ([Mask.Stride]),
	// the leftmost pixel of a byte in its highest bit.
	Bits []byte
}

// NewMask returns an empty mask of a rectangle.
func NewMask(x, y, width, height int) *Mask {
	m := &Mask{X: x, Y: y, Width: width, Height: height}
	m.Bits = make([]byte, m.Stride()*height)
	return m
}

// Stride is the number of bytes of one row.
func (m *Mask) Stride() int { return (m.Width + 7) / 8 }

// At reports whether the pixel at (x, y) of the frame belongs to the object.
func (m *Mask) At(x, y int) bool {
	x, y = x-m.X, y-m.Y
	if x < 0 || y < 0 || x >= m.Width || y >= m.Height {
		return false
	}
	return m.Bits[y*m.Stride()+x>>3]&(0x80>>(x&7)) != 0
}

// Set makes the pixel at (x, y) of the frame belong to the object. A pixel
// outside the rectangle is ignored.
func (m *Mask) Set(x, y int) {
	x, y = x-m.X, y-m.Y
	if x >= 0 && y >= 0 && x < m.Width && y < m.Height {
		m.Bits[y*m.Stride()+x>>3] |= 0x80 >> (x & 7)
	}
}

// Area counts the object's pixels.
func (m *Mask) Area() int {
	n := 0
	for _, b := range m.Bits {
		n += bits.OnesCount8(b)
	}
	return n
}
