package draw

import (
	"math/bits"

	"perch/pipeline"
)

// An Area is what one detection covers: its mask, or its box when it has none.
type Area struct {
	Box    pipeline.Box
	Mask   *pipeline.Mask
	Colour Colour
}

func (g *region) add(p pipeline.Picture, a Area) {
	if a.Mask != nil {
		g.addMask(a.Mask)
		return
	}
	g.addRect(whole(p, a.Box))
}

// Overlay tints areas with the given opacity, 0 to 1. Where areas overlap only
// the last one's colour shows.
func (d *Drawer) Overlay(pic pipeline.Picture, areas []Area, opacity float32) {
	if !d.begin(pic) {
		return
	}
	d.taken.reset(pic.Width, pic.Height)
	for i := len(areas) - 1; i >= 0; i-- {
		d.shape.reset(pic.Width, pic.Height)
		d.shape.add(pic, areas[i])
		d.shape.without(&d.taken)
		d.shape.paint(pic, d.tint(codingOf(pic), areas[i].Colour).plate, parts(opacity))
		d.taken.with(&d.shape)
	}
}

// Outside tints all that is in none of the areas.
func (d *Drawer) Outside(pic pipeline.Picture, areas []Area, c Colour, opacity float32) {
	if !d.begin(pic) {
		return
	}
	d.shape.reset(pic.Width, pic.Height)
	for _, a := range areas {
		d.shape.add(pic, a)
	}
	d.shape.invert()
	d.shape.paint(pic, d.tint(codingOf(pic), c).plate, parts(opacity))
}

// Outline draws the border of a mask, thickness samples wide.
func (d *Drawer) Outline(pic pipeline.Picture, m *pipeline.Mask, c Colour, thickness int) {
	if !d.begin(pic) || m == nil {
		return
	}
	d.taken.reset(pic.Width, pic.Height)
	d.taken.addMask(m)
	d.shape.reset(pic.Width, pic.Height)
	d.shape.edge(&d.taken, lineWidth(thickness))
	d.shape.paint(pic, d.tint(codingOf(pic), c).plate, opaque)
}

// edge adds the border samples of o (those with a neighbour outside o, in the
// picture) as squares of t by t samples.
func (g *region) edge(o *region, t int) {
	up, down := (t-1)/2, t/2
	for y := o.y0; y < o.y1; y++ {
		row := o.row(y)
		above, below := row, row // the picture's edge is no border
		if y > 0 {
			above = o.row(y - 1)
		}
		if y+1 < o.h {
			below = o.row(y + 1)
		}
		for i, word := range row {
			if word == 0 {
				continue
			}
			border := word &^ (o.shifted(row, i, 1) & o.shifted(row, i, -1) & above[i] & below[i])
			for ; border != 0; border &= border - 1 {
				x := 64*i + bits.TrailingZeros64(border)
				g.addRect(rect{x - up, y - up, x + down + 1, y + down + 1})
			}
		}
	}
}

// shifted is word i of a row moved right (by 1) or left (by -1); what comes in
// at the picture's edges belongs to the region.
func (g *region) shifted(row []uint64, i, by int) uint64 {
	if by > 0 {
		in := uint64(1)
		if i > 0 {
			in = row[i-1] >> 63
		}
		return row[i]<<1 | in
	}
	word := row[i] >> 1
	switch {
	case i+1 < len(row):
		word |= row[i+1] << 63
	default:
		word |= 1 << ((g.w - 1) & 63)
	}
	return word
}

// Halo lets areas glow: around each, and in none of them, its colour fades
// over half of kernel samples. The strength is twice the mean of the area over
// a kernel by kernel square, which is 1 at a straight border, times opacity.
func (d *Drawer) Halo(pic pipeline.Picture, areas []Area, opacity float32, kernel int) {
	if !d.begin(pic) {
		return
	}
	kernel = min(max(kernel, 1), maxKernel)
	d.taken.reset(pic.Width, pic.Height)
	for _, a := range areas {
		d.taken.add(pic, a)
	}
	for _, a := range areas {
		r := whole(pic, a.Box)
		if m := a.Mask; m != nil {
			r = rect{m.X, m.Y, m.X + m.Width, m.Y + m.Height}
		}
		s, ok := d.within(pic, rect{r.x0 - kernel, r.y0 - kernel, r.x1 + kernel, r.y1 + kernel})
		if !ok {
			continue
		}
		d.shape.reset(pic.Width, pic.Height)
		d.shape.add(pic, a)
		s.fill(&d.shape)
		d.blurPlane(plane{s.cover, s.w, 1}, rect{0, 0, s.w, s.y1 - s.y0}, kernel, 0, nil)
		s.glow(&d.taken)
		s.blend(pic, d.tint(codingOf(pic), a.Colour).plate, parts(opacity))
	}
}

// fill covers the region's samples whole.
func (s *stencil) fill(g *region) {
	for y := max(s.y0, g.y0); y < min(s.y1, g.y1); y++ {
		row := s.row(y)
		for x := s.x0; x < min(s.x1, g.w); x++ {
			if g.has(x, y) {
				row[x-s.x0] = 255
			}
		}
	}
}

// glow doubles the cover and takes the region's samples out.
func (s *stencil) glow(g *region) {
	for y := s.y0; y < s.y1; y++ {
		row := s.row(y)
		for i, v := range row {
			row[i] = uint8(min(2*int(v), 255))
			if x := s.x0 + i; y < g.h && x < g.w && g.has(x, y) {
				row[i] = 0
			}
		}
	}
}
