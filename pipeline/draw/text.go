package draw

import (
	"image"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// maxGlyphs and maxInk bound a face's cache, in characters and in bytes of
// coverage; labels of one model need a hundred characters.
const (
	maxGlyphs = 1024
	maxInk    = 4 << 20
)

// maxFaces bounds how many sizes are kept; a picture seldom needs four.
const maxFaces = 16

// glyph is one character's coverage, ready to be copied.
type glyph struct {
	mask    []uint8 // w*h, row by row
	w, h    int
	dx, dy  int           // from the pen to the upper left corner
	advance fixed.Int26_6 // to the next pen position
}

type faceKey struct {
	size int // pixels
	bold bool
}

// face is a font at one size.
type face struct {
	faceKey
	ascent, descent, cap int
	src                  font.Face
	glyphs               map[rune]*glyph
	ink                  int // bytes of all masks
}

// face returns a font at a size of pixels.
func (d *Drawer) face(size int, bold bool) *face {
	key := faceKey{size, bold}
	if f, ok := d.faces[key]; ok {
		return f
	}
	if len(d.faces) >= maxFaces {
		clear(d.faces)
	}
	f := d.regular
	if bold {
		f = d.bold
	}
	d.faces[key] = newFace(f, key)
	return d.faces[key]
}

func newFace(f *opentype.Font, key faceKey) *face {
	// NewFace fails for no size that is positive.
	src, err := opentype.NewFace(f, &opentype.FaceOptions{Size: float64(key.size), DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic("draw: " + err.Error())
	}
	m := src.Metrics()
	return &face{
		faceKey: key, ascent: m.Ascent.Ceil(), descent: m.Descent.Ceil(), cap: m.CapHeight.Ceil(),
		src: src, glyphs: map[rune]*glyph{},
	}
}

// glyph returns r's coverage; characters that the font lacks get its box.
func (f *face) glyph(r rune) *glyph {
	if g, ok := f.glyphs[r]; ok {
		return g
	}
	if len(f.glyphs) >= maxGlyphs || f.ink > maxInk {
		clear(f.glyphs)
		f.ink = 0
	}
	g := &glyph{}
	bounds, mask, at, advance, ok := f.src.Glyph(fixed.Point26_6{}, r)
	if ok {
		g.w, g.h, g.dx, g.dy, g.advance = bounds.Dx(), bounds.Dy(), bounds.Min.X, bounds.Min.Y, advance
		g.mask = make([]uint8, g.w*g.h)
		f.ink += len(g.mask)
		dst := image.Alpha{Pix: g.mask, Stride: max(g.w, 1), Rect: image.Rect(0, 0, g.w, g.h)}
		for y := range g.h {
			for x := range g.w {
				dst.Set(x, y, mask.At(at.X+x, at.Y+y))
			}
		}
	}
	f.glyphs[r] = g
	return g
}

// width of the text in samples, measured up to limit.
func (f *face) width(text []byte, limit int) int {
	var pen fixed.Int26_6
	for len(text) > 0 && pen.Ceil() < limit {
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		pen += f.glyph(r).advance
	}
	return min(pen.Ceil(), limit)
}
