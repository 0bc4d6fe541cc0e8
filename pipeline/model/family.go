package model

import (
	"math"

	"perch/pipeline"
)

// A family is one way in which networks write down what they found.
type family struct {
	name  string
	about string // the outputs that it expects, for messages
	// like names the family whose outputs look the same. A graph cannot tell
	// the two apart, so this one is only found where a manifest names it.
	like string
	task Task
	// points is how many key points an object has, 0 if none; anyPoints leaves it
	// to the manifest.
	points int
	// head fills in what model.yaml may leave out of its head.
	head func(h *Head, in *Input)
	// input is what networks of this family usually want and no graph says.
	input func(in *Input)
	// match reports whether a graph's outputs fit and how many classes they
	// have (0 if they do not say). It may set the head's fields.
	match func(outs []pipeline.TensorInfo, in *Input, h *Head) (classes int, ok bool)
	// open prepares decoding.
	open func(m *Manifest) decodeFunc
}

const anyPoints = -1

// decodeFunc adds one picture's candidates to d, in pixels of the input.
type decodeFunc func(d *Decoder, outs []Tensor) error

// families are all that is known, in the order in which [Inspect] tries them:
// names and rare shapes first, shapes that could be something else last.
func families() []family {
	fs := make([]family, 0, 32)
	fs = append(fs, yoloSegFamilies()...)
	fs = append(fs, detrFamilies()...)
	fs = append(fs, faceFamilies()...)
	fs = append(fs, poseFamilies()...)
	fs = append(fs, ssdFamily())
	fs = append(fs, nanodetFamily())
	fs = append(fs, yoloFamilies()...)
	return append(fs, classifierFamilies()...)
}

// fits reports whether a graph's outputs are those of the family.
func (f family) fits(outs []pipeline.TensorInfo, in *Input, h *Head) (classes int, ok bool) {
	if f.like != "" {
		f, _ = familyNamed(f.like)
	}
	return f.match(outs, in, h)
}

func familyNamed(name string) (family, bool) {
	for _, f := range families() {
		if f.name == name {
			return f, true
		}
	}
	return family{}, false
}

// Families lists the head families by name, each with the outputs it expects.
func Families() map[string]string {
	m := map[string]string{}
	for _, f := range families() {
		m[f.name] = f.about
	}
	return m
}

// A grid is one level of a head: w times h cells of stride pixels each, of which
// the first is row first of the output.
type grid struct {
	stride, w, h, first int
}

func (g grid) cells() int { return g.w * g.h }

// at is the column and row of cell i of this level.
func (g grid) at(i int) (x, y float32) { return float32(i % g.w), float32(i / g.w) }

// grids lays out an input at each stride, incomplete cells included, and counts
// the cells.
func grids(in *Input, strides []int) (gs []grid, cells int) {
	for _, s := range strides {
		g := grid{stride: s, w: (in.Width + s - 1) / s, h: (in.Height + s - 1) / s, first: cells}
		gs = append(gs, g)
		cells += g.cells()
	}
	return gs, cells
}

func sigmoid(v float32) float32 { return float32(1 / (1 + math.Exp(-float64(v)))) }
func exp(v float32) float32     { return float32(math.Exp(float64(v))) }

// centred is the box around a centre.
func centred(cx, cy, w, h float32) pipeline.Box {
	return pipeline.Box{X0: cx - w/2, Y0: cy - h/2, X1: cx + w/2, Y1: cy + h/2}
}

// scaled multiplies a box's coordinates.
func scaled(b pipeline.Box, x, y float32) pipeline.Box {
	return pipeline.Box{X0: b.X0 * x, Y0: b.Y0 * y, X1: b.X1 * x, Y1: b.Y1 * y}
}

// unit is what a head's coordinates are multiplied by to become pixels.
func (m *Manifest) unit() (x, y float32) {
	if m.Head.Units == Normalised {
		return float32(m.Input.Width), float32(m.Input.Height)
	}
	return 1, 1
}

// dims reports whether a shape is what is wanted; -1 in want stands for any
// size, -1 in the shape for one that the graph leaves open.
func dims(shape []int64, want ...int) bool {
	if len(shape) != len(want) {
		return false
	}
	for i, d := range shape {
		if want[i] >= 0 && d >= 0 && d != int64(want[i]) {
			return false
		}
	}
	return true
}
