package draw

import (
	"encoding/binary"
	"math"

	"perch/pipeline"
)

// stencil is how much of each sample of a rectangle a shape covers, 0..255,
// so that a shape of many parts is blended once.
type stencil struct {
	rect  // even sides; it may reach one sample beyond the picture
	w     int
	cover []uint8
}

// within empties the drawer's stencil over the part of r that is in the
// picture. It reports false when there is none.
func (d *Drawer) within(p pipeline.Picture, r rect) (*stencil, bool) {
	r = r.clip(p)
	if r.x0 >= r.x1 || r.y0 >= r.y1 {
		return nil, false
	}
	s := &d.soft
	s.rect = rect{r.x0 &^ 1, r.y0 &^ 1, (r.x1 + 1) &^ 1, (r.y1 + 1) &^ 1}
	s.w = s.x1 - s.x0
	if n := s.w * (s.y1 - s.y0); cap(s.cover) < n {
		s.cover = make([]uint8, n)
	} else {
		s.cover = s.cover[:n]
		clear(s.cover)
	}
	return s, true
}

func (s *stencil) row(y int) []uint8 { return s.cover[(y-s.y0)*s.w:][:s.w] }

// line adds all within radius of the segment from a to b.
func (s *stencil) line(a, b pipeline.Point, radius float32) {
	c := capsule{a: a, dx: b.X - a.X, dy: b.Y - a.Y, r: radius}
	y0 := max(int(math.Floor(float64(min(a.Y, b.Y)-radius))), s.y0)
	y1 := min(int(math.Ceil(float64(max(a.Y, b.Y)+radius)))+1, s.y1)
	for y := y0; y < y1; y++ {
		x0, x1, ok := c.row(float32(y) + 0.5)
		if !ok {
			continue
		}
		row := s.row(y)
		for x := max(x0, s.x0); x < min(x1, s.x1); x++ {
			row[x-s.x0] = max(row[x-s.x0], uint8(c.cover(float32(x)+0.5, float32(y)+0.5)))
		}
	}
}

// ring adds all whose distance from a circle is at most half.
func (s *stencil) ring(centre pipeline.Point, radius, half float32) {
	outer, inner := radius+half+1, radius-half-1
	for y := max(int(centre.Y-outer), s.y0); y < min(int(centre.Y+outer)+1, s.y1); y++ {
		dy := float32(y) + 0.5 - centre.Y
		if dy*dy > outer*outer {
			continue
		}
		o := root(outer*outer - dy*dy)
		left, right := centre.X, centre.X // the two parts of the row meet
		if inner > 0 && dy*dy < inner*inner {
			i := root(inner*inner - dy*dy)
			left, right = centre.X-i, centre.X+i
		}
		s.arcRow(y, int(centre.X-o), int(left)+1, centre, radius, half)
		s.arcRow(y, int(right), int(centre.X+o)+1, centre, radius, half)
	}
}

func (s *stencil) arcRow(y, x0, x1 int, centre pipeline.Point, radius, half float32) {
	row, dy := s.row(y), float32(y)+0.5-centre.Y
	for x := max(x0, s.x0); x < min(x1, s.x1); x++ {
		dx := float32(x) + 0.5 - centre.X
		off := root(dx*dx+dy*dy) - radius
		row[x-s.x0] = max(row[x-s.x0], uint8(min(max(half+0.5-max(off, -off), 0), 1)*255))
	}
}

func root(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// blend paints a colour through the stencil.
func (s *stencil) blend(p pipeline.Picture, c yuv, part uint32) {
	for y := s.y0; y < min(s.y1, p.Height); y++ {
		cover := s.row(y)
		dst := p.Planes[0][y*p.Strides[0]:][:p.Width]
		for i := 0; i < len(cover); i++ {
			if i+8 <= len(cover) && binary.LittleEndian.Uint64(cover[i:]) == 0 {
				i += 7 // mostly empty
				continue
			}
			if m := uint32(cover[i]); m != 0 && s.x0+i < len(dst) {
				dst[s.x0+i] = toward(dst[s.x0+i], c.y, weight(m, part))
			}
		}
	}
	for y := s.y0; y < s.y1; y += 2 {
		a, b := s.row(y), s.row(y+1)
		for i := 0; i < len(a); i += 2 {
			if i+8 <= len(a) && binary.LittleEndian.Uint64(a[i:])|binary.LittleEndian.Uint64(b[i:]) == 0 {
				i += 6
				continue
			}
			m := (uint32(a[i]) + uint32(a[i+1]) + uint32(b[i]) + uint32(b[i+1]) + 2) / 4
			if m != 0 {
				u, v := chroma(p, (s.x0+i)/2, y/2)
				k := weight(m, part)
				*u, *v = toward(*u, c.u, k), toward(*v, c.v, k)
			}
		}
	}
}

// weight is cover 0..255 times 256ths, in 256ths; full cover keeps them all.
func weight(cover, part uint32) uint32 { return (cover + cover>>7) * part >> 8 }
