package draw

import (
	"unicode/utf8"

	"golang.org/x/image/math/fixed"

	"perch/pipeline"
)

// plate draws d.label on a plate above box, or inside at its top when there is
// no room above.
func (d *Drawer) plate(pic pipeline.Picture, box rect, t int, tint *tint) {
	f := d.small
	pad := max(2, f.size/4)
	w := (f.width(d.label, pic.Width) + 2*pad + 1) &^ 1
	h := (f.ascent + f.descent + 1) &^ 1
	at := rect{x0: box.x0, y0: box.y0 - h}
	if at.y0 < 0 {
		at.y0 = max(box.y0+t, 0)
	}
	// A plate that would leave at the right moves left; the text's beginning
	// says most, so it is never cut there.
	at.x0 = max(min(at.x0, (pic.Width-w)&^1), 0)
	at.x1, at.y1 = at.x0+w, at.y0+h
	if n := w * h; cap(d.mask) < n {
		d.mask = make([]uint8, n)
	} else {
		d.mask = d.mask[:n]
		clear(d.mask)
	}
	d.write(w, h, pad)
	blendPlate(pic, at, d.mask, w, tint.text)
}

// write puts the glyphs of d.label into d.mask, w by h samples.
func (d *Drawer) write(w, h, pad int) {
	f := d.small
	pen := fixed.I(pad)
	for text := d.label; len(text) > 0 && pen.Floor() < w; {
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		g := f.glyph(r)
		x0, y0 := pen.Round()+g.dx, f.ascent+g.dy
		for y := max(0, -y0); y < g.h && y0+y < h; y++ {
			for x := max(0, -x0); x < g.w && x0+x < w; x++ {
				m := &d.mask[(y0+y)*w+x0+x]
				*m = max(*m, g.mask[y*g.w+x])
			}
		}
		pen += g.advance
	}
}

// blendPlate writes a plate and its text in one go. r has even sides and is as
// wide as mask's rows.
func blendPlate(pic pipeline.Picture, r rect, mask []uint8, w int, to *ramp) {
	c := r.clip(pic)
	if c.x0 >= c.x1 || c.y0 >= c.y1 {
		return
	}
	for y := c.y0; y < c.y1; y++ {
		src := mask[(y-r.y0)*w+c.x0-r.x0:][:c.x1-c.x0]
		dst := pic.Planes[0][y*pic.Strides[0]+c.x0:][:len(src)]
		for i, m := range src {
			dst[i] = to.y[m]
		}
	}
	for cy := c.y0 / 2; cy < (c.y1+1)/2; cy++ {
		// The mask has even sides, so that a chroma sample at an odd edge of
		// the picture still has all four of its coverages.
		a := mask[(2*cy-r.y0)*w:][:w]
		b := mask[(2*cy-r.y0+1)*w:][:w]
		for cx := c.x0 / 2; cx < (c.x1+1)/2; cx++ {
			i := 2*cx - r.x0
			m := (uint32(a[i]) + uint32(a[i+1]) + uint32(b[i]) + uint32(b[i+1]) + 2) / 4
			u, v := chroma(pic, cx, cy)
			*u, *v = to.u[m], to.v[m]
		}
	}
}
