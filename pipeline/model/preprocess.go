package model

import (
	"fmt"

	"perch/pipeline"
)

// A Preprocessor samples pictures straight from YUV into the model's input; the
// package documentation says exactly how. It keeps tables for the last picture
// size it has seen, and their memory for others: it allocates only when a picture
// is larger than all before. It is not safe for concurrent use: each run has its
// own.
type Preprocessor struct {
	m      *Model
	in     Input
	f32    *[3]*[tableSize]float32
	u8     *[3]*[tableSize]uint8
	i32    *[3]*[tableSize]int32
	f16    *[3]*[tableSize]uint16
	plan   plan
	colour *colourTables
	blank  pipeline.Picture // what plan and colour were made for, without planes
}

// NewPreprocessor returns a Preprocessor for this model's input.
func (m *Model) NewPreprocessor() *Preprocessor {
	p := &Preprocessor{m: m, in: m.manifest.Input}
	switch p.in.Type {
	case pipeline.Uint8:
		p.u8 = newTables(&p.in, asUint8)
	case pipeline.Int32:
		p.i32 = newTables(&p.in, asInt32)
	case pipeline.Float16:
		p.f16 = newTables(&p.in, asHalf)
		p.f32 = newTables(&p.in, asFloat) // for a runtime that narrows itself
	default:
		p.f32 = newTables(&p.in, asFloat)
	}
	return p
}

// Len is the number of elements of one picture in the model's input.
func (p *Preprocessor) Len() int { return p.in.Width * p.in.Height * p.in.Colour.channels() }

// Fill samples pic into dst, which is one picture of a float32 input, or of a
// float16 input that the runtime narrows itself: Len elements in the model's
// layout, each (v*scale - mean) / std. It writes all of dst, so that slots of a
// batch may be shared between cameras.
func (p *Preprocessor) Fill(dst []float32, pic pipeline.Picture) (Transform, error) {
	return fill(p, dst, p.f32, pic, Padding{})
}

// Padding says around which rectangle of which model's input the pad has been
// written.
type Padding struct {
	m                        *Model
	left, top, width, height int
}

func (p *Preprocessor) padding() Padding {
	t := &p.plan.Transform
	return Padding{p.m, t.Left, t.Top, t.Width, t.Height}
}

// Refill is Fill for memory that keeps what was written to it. padded is what
// the last Refill of dst returned, by whichever Preprocessor, the zero Padding at
// first: where the pad is there already it is not written again, which for a
// wide picture is nearly half of dst.
func (p *Preprocessor) Refill(dst []float32, pic pipeline.Picture, padded Padding) (Transform, Padding, error) {
	t, err := fill(p, dst, p.f32, pic, padded)
	if err != nil {
		return t, Padding{}, err
	}
	return t, p.padding(), nil
}

// FillBytes is Fill for uint8 inputs.
func (p *Preprocessor) FillBytes(dst []uint8, pic pipeline.Picture) (Transform, error) {
	return fill(p, dst, p.u8, pic, Padding{})
}

// FillInt32 is Fill for int32 inputs.
func (p *Preprocessor) FillInt32(dst []int32, pic pipeline.Picture) (Transform, error) {
	return fill(p, dst, p.i32, pic, Padding{})
}

// FillHalf is Fill for float16 inputs; dst holds the bits of IEEE 754 half floats.
func (p *Preprocessor) FillHalf(dst []uint16, pic pipeline.Picture) (Transform, error) {
	return fill(p, dst, p.f16, pic, Padding{})
}

func fill[T element](p *Preprocessor, dst []T, tables *[3]*[tableSize]T, pic pipeline.Picture, padded Padding) (Transform, error) {
	fail := func(err error) (Transform, error) {
		return Transform{}, &pipeline.Error{Op: "sample picture", Kind: pipeline.BadInput, Err: err}
	}
	if tables == nil {
		return fail(fmt.Errorf("the model's input is %s, not %T", p.in.Type, dst))
	}
	if len(dst) != p.Len() {
		return fail(fmt.Errorf("the model's input has %d elements, the destination %d", p.Len(), len(dst)))
	}
	if err := pic.Check(); err != nil {
		return fail(err)
	}
	p.prepare(pic)
	if p.in.Layout == NHWC {
		fillInterleaved(p, dst, tables, &pic)
	} else {
		fillPlanar(p, dst, tables, &pic, padded == p.padding())
	}
	return p.plan.Transform, nil
}

// prepare makes the tables that depend on the picture, unless the last ones fit.
func (p *Preprocessor) prepare(pic pipeline.Picture) {
	pic.Planes, pic.Strides = [3][]byte{}, [3]int{}
	b := &p.blank
	colours := p.colour != nil && b.FullRange == pic.FullRange && b.Matrix == pic.Matrix
	if colours && b.Width == pic.Width && b.Height == pic.Height && b.Format == pic.Format {
		return
	}
	p.blank = pic
	p.plan.lay(&p.in, pic)
	if !colours {
		p.colour = newColourTables(pic.Matrix, pic.FullRange, p.in.Colour)
	}
}

// fillPlanar writes NCHW. Only the rows and columns that the picture fills are
// sampled; the rest is the pad value.
func fillPlanar[T element](p *Preprocessor, dst []T, tables *[3]*[tableSize]T, pic *pipeline.Picture, padded bool) {
	w, t, n := p.in.Width, &p.plan.Transform, p.in.Colour.channels()
	area := w * p.in.Height
	first, last := t.Top*w, (t.Top+t.Height)*w
	var out [3][]T
	for c := range n {
		out[c] = dst[c*area : (c+1)*area]
		if padded {
			continue
		}
		pad := tables[c][tableBias+4*p.in.Pad]
		set(out[c][:first], pad)
		set(out[c][last:], pad)
		if t.Width == w {
			continue
		}
		for y := first; y < last; y += w {
			set(out[c][y:y+t.Left], pad)
			set(out[c][y+t.Left+t.Width:y+w], pad)
		}
	}
	for j := range t.Height {
		sums := p.plan.sample(pic, j, p.colour)
		at := first + j*w + t.Left
		if n == 1 {
			greyRow(out[0][at:at+t.Width], sums, tables[0])
			continue
		}
		planarRow(out[0][at:at+t.Width], out[1][at:at+t.Width], out[2][at:at+t.Width], sums, tables)
	}
}

// fillInterleaved writes NHWC.
func fillInterleaved[T element](p *Preprocessor, dst []T, tables *[3]*[tableSize]T, pic *pipeline.Picture) {
	t, n := &p.plan.Transform, p.in.Colour.channels()
	w := p.in.Width * n
	pad := func(px []T) {
		for i := range px {
			px[i] = tables[i%n][tableBias+4*p.in.Pad]
		}
	}
	pad(dst[:t.Top*w])
	pad(dst[(t.Top+t.Height)*w:])
	for j := range t.Height {
		row := dst[(t.Top+j)*w : (t.Top+j+1)*w]
		pad(row[:t.Left*n])
		pad(row[(t.Left+t.Width)*n:])
		sums := p.plan.sample(pic, j, p.colour)
		px := row[t.Left*n : (t.Left+t.Width)*n]
		if n == 1 {
			greyRow(px, sums, tables[0])
			continue
		}
		interleavedRow(px, sums, tables)
	}
}

// set fills s with v; clearing is much the fastest way where v is zero.
func set[T element](s []T, v T) {
	if v == 0 {
		clear(s)
		return
	}
	if len(s) == 0 {
		return
	}
	s[0] = v
	for done := 1; done < len(s); done *= 2 {
		copy(s[done:], s[:done])
	}
}
