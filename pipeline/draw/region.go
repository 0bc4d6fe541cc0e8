package draw

import (
	"encoding/binary"
	"math/bits"

	"perch/pipeline"
)

// farAway keeps sums of a mask's corner and size from overflowing.
const farAway = 1 << 30

// region is a set of samples of a picture, a bit each; the lowest bit of a
// word is its leftmost sample. Only rows y0 to y1 hold any.
type region struct {
	w, h, words int
	bits        []uint64
	y0, y1      int
}

// reset empties the region and makes it fit a picture. Its memory is reused.
func (g *region) reset(w, h int) {
	words := (w + 63) / 64
	if g.w == w && g.h == h {
		if g.y0 < g.y1 {
			clear(g.bits[g.y0*words : g.y1*words])
		}
	} else if n := words * h; cap(g.bits) < n {
		g.bits = make([]uint64, n)
	} else {
		g.bits = g.bits[:n]
		clear(g.bits)
	}
	g.w, g.h, g.words, g.y0, g.y1 = w, h, words, h, 0
}

func (g *region) row(y int) []uint64 { return g.bits[y*g.words : (y+1)*g.words] }

func (g *region) touch(y0, y1 int) { g.y0, g.y1 = min(g.y0, y0), max(g.y1, y1) }

// span adds samples x0 to x1 of row y, which lie in the picture.
func (g *region) span(y, x0, x1 int) {
	if x0 >= x1 {
		return
	}
	row := g.row(y)
	a, b := x0>>6, (x1-1)>>6
	first, last := ^uint64(0)<<(x0&63), ^uint64(0)>>(63-(x1-1)&63)
	if a == b {
		row[a] |= first & last
		return
	}
	row[a] |= first
	for i := a + 1; i < b; i++ {
		row[i] = ^uint64(0)
	}
	row[b] |= last
}

func (g *region) addRect(r rect) {
	r = rect{max(r.x0, 0), max(r.y0, 0), min(r.x1, g.w), min(r.y1, g.h)}
	if r.x0 >= r.x1 || r.y0 >= r.y1 {
		return
	}
	for y := r.y0; y < r.y1; y++ {
		g.span(y, r.x0, r.x1)
	}
	g.touch(r.y0, r.y1)
}

// addMask adds an object's samples. A mask whose bits are fewer than its size
// says is left out.
func (g *region) addMask(m *pipeline.Mask) {
	if m.Width <= 0 || m.Height <= 0 || len(m.Bits) < m.Stride()*m.Height || max(m.X, -m.X, m.Y, -m.Y, m.Width, m.Height) > farAway {
		return
	}
	y0, y1 := max(m.Y, 0), min(m.Y+m.Height, g.h)
	if y0 >= y1 {
		return
	}
	for y := y0; y < y1; y++ {
		src := m.Bits[(y-m.Y)*m.Stride():][:m.Stride()]
		dst := g.row(y)
		for i := 0; i < len(src); i += 8 {
			word := leftmost(src[i:])
			if left := m.Width - 8*i; left < 64 {
				word &= 1<<left - 1 // padding bits belong to nobody
			}
			g.or(dst, m.X+8*i, word)
		}
	}
	g.touch(y0, y1)
}

// leftmost returns up to 64 samples of a mask, its leftmost in the lowest bit.
func leftmost(src []byte) uint64 {
	if len(src) >= 8 {
		return bits.Reverse64(binary.BigEndian.Uint64(src))
	}
	var word uint64
	for i, b := range src {
		word |= uint64(bits.Reverse8(b)) << (8 * i)
	}
	return word
}

// or adds 64 samples from x on; those outside the picture are dropped.
func (g *region) or(row []uint64, x int, word uint64) {
	if x < 0 {
		if x <= -64 {
			return
		}
		word, x = word>>-x, 0
	}
	if x >= g.w {
		return
	}
	if left := g.w - x; left < 64 {
		word &= 1<<left - 1
	}
	i, shift := x>>6, x&63
	row[i] |= word << shift
	if over := word >> (63 - shift) >> 1; over != 0 {
		row[i+1] |= over
	}
}

// without removes the samples of o.
func (g *region) without(o *region) {
	for y := max(g.y0, o.y0); y < min(g.y1, o.y1); y++ {
		a, b := g.row(y), o.row(y)
		for i := range a {
			a[i] &^= b[i]
		}
	}
}

// with adds the samples of o.
func (g *region) with(o *region) {
	for y := o.y0; y < o.y1; y++ {
		a, b := g.row(y), o.row(y)
		for i := range a {
			a[i] |= b[i]
		}
	}
	if o.y0 < o.y1 {
		g.touch(o.y0, o.y1)
	}
}

// invert turns the region into everything else of the picture.
func (g *region) invert() {
	for y := range g.h {
		row := g.row(y)
		for i := range row {
			row[i] = ^row[i]
		}
		if over := g.w & 63; over != 0 {
			row[g.words-1] &= 1<<over - 1
		}
	}
	g.y0, g.y1 = 0, g.h
}

func (g *region) has(x, y int) bool { return g.bits[y*g.words+x>>6]>>(x&63)&1 != 0 }

// paint blends a colour over the region, which has the picture's size. A
// chroma sample takes as much as the region has of its luma samples.
func (g *region) paint(p pipeline.Picture, c yuv, part uint32) {
	if part == 0 {
		return
	}
	for y := g.y0 &^ 1; y < g.y1; y += 2 {
		upper, lower := g.row(y), g.row(y)
		if y+1 < g.h {
			lower = g.row(y + 1)
		}
		for i := 0; i < len(upper); i++ {
			a, b := upper[i], lower[i]
			if a|b == 0 {
				continue
			}
			if full := run(upper, lower, i); full > i {
				paintRows(p, y, min(y+2, g.h), 64*i, 64*full, c, part)
				i = full - 1
				continue
			}
			g.paintLuma(p, y, i, a, c.y, part)
			if y+1 < g.h {
				g.paintLuma(p, y+1, i, b, c.y, part)
			}
			if g.w&1 == 1 && i == g.words-1 {
				// The missing neighbour at an odd edge is as the last sample.
				a |= a << 1 & (1 << (g.w & 63))
				b |= b << 1 & (1 << (g.w & 63))
			}
			paintChroma(p, y/2, 32*i, a, b, c, part)
		}
	}
}

// run returns the end of the words from i on that are full in both rows.
func run(upper, lower []uint64, i int) int {
	for i < len(upper) && upper[i]&lower[i] == ^uint64(0) {
		i++
	}
	return i
}

// paintRows blends samples x0 to x1 of rows y0 to y1, which share their chroma.
func paintRows(p pipeline.Picture, y0, y1, x0, x1 int, c yuv, part uint32) {
	for y := y0; y < y1; y++ {
		wash(p.Planes[0][y*p.Strides[0]+x0:y*p.Strides[0]+x1], c.y, c.y, part)
	}
	washChroma(p, y0/2, x0/2, x1/2, c, part)
}

func (g *region) paintLuma(p pipeline.Picture, y, i int, word uint64, v uint8, part uint32) {
	row := p.Planes[0][y*p.Strides[0]+64*i:]
	for word != 0 {
		x0 := bits.TrailingZeros64(word)
		x1 := x0 + bits.TrailingZeros64(^(word >> x0))
		wash(row[x0:x1], v, v, part)
		if x1 == 64 {
			return
		}
		word &= ^uint64(0) << x1
	}
}

// paintChroma blends the 32 chroma samples from cx on whose luma samples are
// the words a and b: runs that are covered whole at once, the others one by one.
func paintChroma(p pipeline.Picture, cy, cx int, a, b uint64, c yuv, part uint32) {
	const pairs = 0x5555555555555555 // the first of each two
	all, some := a&b, a|b
	all &= all >> 1 & pairs
	some = (some | some>>1) & pairs &^ all
	for run := all | all<<1; run != 0; {
		x0 := bits.TrailingZeros64(run)
		x1 := x0 + bits.TrailingZeros64(^(run >> x0))
		washChroma(p, cy, cx+x0/2, cx+x1/2, c, part)
		if x1 == 64 {
			break
		}
		run &= ^uint64(0) << x1
	}
	for ; some != 0; some &= some - 1 {
		x := bits.TrailingZeros64(some)
		n := uint32(bits.OnesCount64((a>>x)&3) + bits.OnesCount64((b>>x)&3))
		washChroma(p, cy, cx+x/2, cx+x/2+1, c, part*n/4)
	}
}
