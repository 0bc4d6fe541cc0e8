package draw

import (
	"bytes"
	"math"
	"unicode/utf8"

	"golang.org/x/image/math/fixed"

	"perch/pipeline"
)

// Align says where the lines of a text lie on their plate.
type Align uint8

// The three ways.
const (
	Left Align = iota
	Centre
	Right
)

// TextStyle says how [Drawer.Text] looks.
type TextStyle struct {
	Scale        float32 // 1 is a font of 18 pixels, whose capitals are 13 high, whatever the picture's size
	Bold         bool
	Colour       Colour
	Plate        Colour
	PlateOpacity float32 // 0: no plate
	Padding      int     // samples between the text and the plate's sides
	Radius       int     // of the plate's corners
	Align        Align
}

const (
	unitSize = 18 // pixels of the font at scale 1
	maxFont  = 512
	maxText  = 1 << 14 // samples that a text may be wide or high; the rest is cut
	maxPad   = 1 << 12
)

// fontSize is the font's size in pixels; too large, too small or no number at
// all becomes the nearest that can be drawn.
func (s TextStyle) fontSize() int {
	if !(s.Scale > 0) {
		return 6
	}
	return int(math.Round(min(max(float64(s.Scale)*unitSize, 6), maxFont)))
}

func (s TextStyle) pad() int { return min(max(s.Padding, 0), maxPad) }

// Measure returns the size of a text's plate in samples. A newline begins the
// next line.
func (d *Drawer) Measure(text []byte, s TextStyle) (width, height int) {
	f := d.face(s.fontSize(), s.Bold)
	height = f.cap + f.descent
	for first := true; len(text) > 0 && height < maxText; first = false {
		line, rest, more := bytes.Cut(text, newline())
		width = max(width, f.width(line, maxText))
		if !first {
			height += f.lineHeight()
		}
		if text = rest; more && len(rest) == 0 {
			height += f.lineHeight()
		}
	}
	return width + 2*s.pad(), height + 2*s.pad()
}

func (f *face) lineHeight() int { return f.ascent + f.descent }

// Text draws text on its plate, whose upper left corner is at (x, y). What
// does not fit is cut at the picture's edge.
func (d *Drawer) Text(pic pipeline.Picture, x, y int, text []byte, s TextStyle) {
	if !d.begin(pic) || max(x, -x, y, -y) > farAway {
		return
	}
	w, h := d.Measure(text, s)
	r := rect{x, y, x + w, y + h}
	k := codingOf(pic)
	if part := parts(s.PlateOpacity); part > 0 {
		d.roundRect(pic, r, s.Radius, d.tint(k, s.Plate).plate, part)
	}
	soft, ok := d.within(pic, r)
	if !ok {
		return
	}
	f, pad := d.face(s.fontSize(), s.Bold), s.pad()
	baseline := y + pad + f.cap
	for len(text) > 0 && baseline-f.ascent < pic.Height {
		line, rest, _ := bytes.Cut(text, newline())
		pen := x + pad
		if room := w - 2*pad - f.width(line, maxText); s.Align == Centre {
			pen += room / 2
		} else if s.Align == Right {
			pen += room
		}
		soft.write(f, line, pen, baseline)
		text, baseline = rest, baseline+f.lineHeight()
	}
	soft.blend(pic, d.tint(k, s.Colour).plate, opaque)
}

func newline() []byte { return []byte{'\n'} }

// write adds the glyphs of a line whose pen begins at x.
func (s *stencil) write(f *face, text []byte, x, baseline int) {
	pen := fixed.I(min(max(x, -maxFixed), maxFixed))
	for len(text) > 0 && pen.Floor() < s.x1+f.size {
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		g := f.glyph(r)
		x0, y0 := pen.Round()+g.dx, baseline+g.dy
		for gy := max(0, s.y0-y0); gy < g.h && y0+gy < s.y1; gy++ {
			row := s.row(y0 + gy)
			for gx := max(0, s.x0-x0); gx < g.w && x0+gx < s.x1; gx++ {
				m := &row[x0+gx-s.x0]
				*m = max(*m, g.mask[gy*g.w+gx])
			}
		}
		pen += g.advance
	}
}

// maxFixed keeps a pen inside fixed.Int26_6, with room for a line of text.
const maxFixed = 1 << 23

// roundRect fills a rectangle with round corners.
func (d *Drawer) roundRect(pic pipeline.Picture, r rect, radius int, ink yuv, part uint32) {
	radius = min(radius, (r.x1-r.x0)/2, (r.y1-r.y0)/2)
	if radius <= 0 {
		washRect(pic, r, ink, part)
		return
	}
	s, ok := d.within(pic, r)
	if !ok {
		return
	}
	for y := max(r.y0, s.y0); y < min(r.y1, s.y1); y++ {
		row := s.row(y)
		for x := max(r.x0, s.x0); x < min(r.x1, s.x1); x++ {
			// The distance from the nearest corner's centre, if beyond it.
			dx := float32(max(r.x0+radius-x, x+1-(r.x1-radius), 0))
			dy := float32(max(r.y0+radius-y, y+1-(r.y1-radius), 0))
			if dx == 0 || dy == 0 {
				row[x-s.x0] = 255
				continue
			}
			dx, dy = dx-0.5, dy-0.5
			row[x-s.x0] = uint8(min(max(float32(radius)+0.5-root(dx*dx+dy*dy), 0), 1) * 255)
		}
	}
	s.blend(pic, ink, part)
}

// Lines writes what went wrong on a frame: green lines 30 samples apart, the
// first one's baseline at 20. Lines below the picture are left out.
func (d *Drawer) Lines(pic pipeline.Picture, lines []string) {
	if !d.begin(pic) {
		return
	}
	f := d.face(unitSize, false)
	ink := d.tint(codingOf(pic), Colour{0, 0xff, 0}).plate
	for i, line := range lines {
		baseline := 20 + 30*i
		if baseline-f.ascent >= pic.Height {
			return
		}
		d.label = append(d.label[:0], line...)
		w := f.width(d.label, pic.Width)
		if s, ok := d.within(pic, rect{0, baseline - f.lineHeight(), 10 + w + f.size, baseline + f.lineHeight()}); ok {
			s.write(f, d.label, 10, baseline)
			s.blend(pic, ink, opaque)
		}
	}
}
