package draw

import (
	"math"

	"perch/pipeline"
)

// A Colour is an opaque colour in sRGB.
type Colour struct{ R, G, B uint8 }

// ClassColour returns the colour of a class. Classes share colours when there
// are more of them than colours; neighbours never do.
func ClassColour(class int) Colour {
	// Bright enough to be seen on dark video, saturated enough to be seen on
	// bright video; neighbours differ in hue by a sixth of the circle or more,
	// so that the first classes of a model are told apart at a glance.
	palette := [...]Colour{
		{0x35, 0xd0, 0xba}, // teal
		{0xff, 0xb0, 0x2e}, // amber
		{0xb3, 0x8b, 0xff}, // violet
		{0xff, 0x6b, 0x6b}, // coral
		{0x58, 0xb4, 0xff}, // sky
		{0xa8, 0xe0, 0x4f}, // lime
		{0xff, 0x7a, 0xc6}, // pink
		{0xff, 0xe0, 0x66}, // yellow
		{0x7c, 0x9c, 0xff}, // indigo
		{0x4f, 0xe0, 0x86}, // green
		{0xff, 0x92, 0x4a}, // orange
		{0x6f, 0xe3, 0xff}, // cyan
	}
	n := len(palette)
	return palette[((class%n)+n)%n]
}

// yuv is a colour as a picture stores it.
type yuv struct{ y, u, v uint8 }

// coding is what decides how a colour is stored.
type coding struct {
	matrix pipeline.ColourMatrix
	full   bool
}

func codingOf(p pipeline.Picture) coding { return coding{p.Matrix, p.FullRange} }

// encode converts c with the equations of ITU-R BT.601 (2.5) or BT.709 (3.2 and
// 3.3), quantised to 8 bits.
func (k coding) encode(c Colour) yuv {
	kr, kb := 0.299, 0.114
	if k.matrix == pipeline.BT709 {
		kr, kb = 0.2126, 0.0722
	}
	r, g, b := float64(c.R)/255, float64(c.G)/255, float64(c.B)/255
	y := kr*r + (1-kr-kb)*g + kb*b
	u, v := (b-y)/(2*(1-kb)), (r-y)/(2*(1-kr))
	if k.full {
		return yuv{quantise(255 * y), quantise(128 + 255*u), quantise(128 + 255*v)}
	}
	return yuv{quantise(16 + 219*y), quantise(128 + 224*u), quantise(128 + 224*v)}
}

func quantise(x float64) uint8 { return uint8(math.Round(min(max(x, 0), 255))) }

// ink returns black or white, whichever contrasts more with c (WCAG 2.2,
// contrast ratio of relative luminances).
func ink(c Colour) Colour {
	l := 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
	if (l+0.05)/0.05 >= 1.05/(l+0.05) {
		return Colour{0x0b, 0x0f, 0x14}
	}
	return Colour{0xff, 0xff, 0xff}
}

func linear(v uint8) float64 {
	x := float64(v) / 255
	if x <= 0.04045 {
		return x / 12.92
	}
	return math.Pow((x+0.055)/1.055, 2.4)
}

// ramp goes from one colour to another in 256 steps, a table for each plane, so
// that blending a mask is a look-up.
type ramp struct{ y, u, v [256]uint8 }

func newRamp(from, to yuv) *ramp {
	var r ramp
	for i := range 256 {
		r.y[i] = mix(from.y, to.y, uint32(i))
		r.u[i] = mix(from.u, to.u, uint32(i))
		r.v[i] = mix(from.v, to.v, uint32(i))
	}
	return &r
}

// mix blends b over a with coverage 0..255.
func mix(a, b uint8, cover uint32) uint8 {
	return uint8((uint32(a)*(255-cover) + uint32(b)*cover + 127) / 255)
}
