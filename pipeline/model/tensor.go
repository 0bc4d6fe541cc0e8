package model

import (
	"fmt"
	"slices"
	"strings"

	"perch/pipeline"
)

// A Tensor is one output of a model for one picture. Exactly one of Data and
// Ints is set: half floats arrive as float32, every integer type as int64.
type Tensor struct {
	Name  string
	Shape []int64 // the batch dimension, where there is one, is 1
	Data  []float32
	Ints  []int64
}

// value is element i of either kind.
func (t *Tensor) value(i int) float32 {
	if t.Data != nil {
		return t.Data[i]
	}
	return float32(t.Ints[i])
}

// check reports a shape that does not describe the data.
func (t *Tensor) check() error {
	have := int64(max(len(t.Data), len(t.Ints)))
	n := int64(1)
	for _, d := range t.Shape {
		// n <= have is kept true, so the product cannot overflow.
		if d < 0 || d > 0 && n > have/d {
			return fmt.Errorf("output %s has %d elements", t, have)
		}
		n *= d
	}
	if n != have || len(t.Data) > 0 && len(t.Ints) > 0 {
		return fmt.Errorf("output %s has %d elements", t, have)
	}
	return nil
}

func (t *Tensor) String() string {
	typ := pipeline.Float32
	if t.Ints != nil {
		typ = pipeline.Int64
	}
	return describe(pipeline.TensorInfo{Name: t.Name, Type: typ, Shape: t.Shape})
}

// describe writes a tensor as name type[shape].
func describe(t pipeline.TensorInfo) string {
	return fmt.Sprintf("%q %s%s", t.Name, t.Type, shapeText(t.Shape))
}

// shapeText writes a shape as [1,84,?].
func shapeText(shape []int64) string {
	var dims []string
	for _, d := range shape {
		if d < 0 {
			dims = append(dims, "?")
			continue
		}
		dims = append(dims, fmt.Sprint(d))
	}
	return "[" + strings.Join(dims, ",") + "]"
}

// named finds an output by its name.
func named(outs []Tensor, name string) (*Tensor, error) {
	for i := range outs {
		if outs[i].Name == name {
			return &outs[i], nil
		}
	}
	return nil, mismatch(outs, fmt.Sprintf("an output named %q", name))
}

// shaped finds the first output of float numbers with the given shape, where -1
// is any size.
func shaped(outs []Tensor, want ...int) (*Tensor, error) {
	for i := range outs {
		if outs[i].Data != nil && dims(outs[i].Shape, want...) {
			return &outs[i], nil
		}
	}
	shape := make([]int64, len(want)) // a copy: want would escape from every call
	for i, d := range want {
		shape[i] = int64(d)
	}
	return nil, mismatch(outs, "float32"+shapeText(shape))
}

func mismatch(outs []Tensor, want string) error {
	var have []string
	for i := range outs {
		have = append(have, outs[i].String())
	}
	return fmt.Errorf("the head wants %s, the model gave %s", want, strings.Join(have, ", "))
}

// infoNamed reports whether a graph has outputs of all these names.
func infoNamed(outs []pipeline.TensorInfo, names ...string) bool {
	for _, n := range names {
		if !slices.ContainsFunc(outs, func(t pipeline.TensorInfo) bool { return t.Name == n }) {
			return false
		}
	}
	return true
}
