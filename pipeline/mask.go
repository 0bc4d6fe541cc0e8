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

// SetRun makes the pixels from (x0, y) to just before (x1, y) of the frame belong
// to the object. What is outside the rectangle is ignored.
func (m *Mask) SetRun(y, x0, x1 int) {
	if y -= m.Y; y < 0 || y >= m.Height {
		return
	}
	stride := m.Stride()
	SetBits(m.Bits[y*stride:][:stride], max(x0-m.X, 0), min(x1-m.X, m.Width))
}

// SetBits sets bits from to just before to of a mask's row.
func SetBits(row []byte, from, to int) {
	if from >= to {
		return
	}
	i, j := from>>3, (to-1)>>3
	head, tail := byte(0xff)>>(from&7), byte(0xff)<<(7-(to-1)&7)
	if i == j {
		row[i] |= head & tail
		return
	}
	row[i] |= head
	for n := i + 1; n < j; n++ {
		row[n] = 0xff
	}
	row[j] |= tail
}

// Area counts the object's pixels.
func (m *Mask) Area() int {
	n := 0
	for _, b := range m.Bits {
		n += bits.OnesCount8(b)
	}
	return n
}

// Centroid is the mean of the centres of the object's pixels, where the first
// pixel of the frame covers 0 to 1; false if the mask is empty.
func (m *Mask) Centroid() (Point, bool) {
	var n, sumX, sumY int
	stride := m.Stride()
	for y := range m.Height {
		row := 0
		for i, b := range m.Bits[y*stride:][:stride] {
			row += bits.OnesCount8(b)
			for ; b != 0; b &= b - 1 {
				sumX += 8*i + 7 - bits.TrailingZeros8(b)
			}
		}
		n += row
		sumY += y * row
	}
	if n == 0 {
		return Point{}, false
	}
	mean := func(sum, first int) float32 { return float32(float64(sum)/float64(n) + float64(first) + 0.5) }
	return Point{mean(sumX, m.X), mean(sumY, m.Y)}, true
}
