package model

import (
	"fmt"
	"slices"

	"perch/pipeline"
)

// A Model knows what one network's input and outputs mean. It never changes and
// may be shared; each run makes its own [Preprocessor] and [Decoder].
type Model struct {
	manifest Manifest
	family   family
}

// Open prepares a model. The manifest is validated.
func Open(m Manifest) (*Model, error) {
	m = m.withDefaults()
	if err := m.Validate(); err != nil {
		return nil, &pipeline.Error{Op: "open model", On: m.ID, Kind: pipeline.BadConfig, Err: err}
	}
	f, _ := familyNamed(m.Head.Family) // Validate has seen it
	return &Model{manifest: m, family: f}, nil
}

// Manifest returns the manifest with every default filled in.
func (m *Model) Manifest() Manifest { return m.manifest.withDefaults() }

// Task is what the model is for.
func (m *Model) Task() Task { return m.manifest.Task }

// Keypoints returns the names of the key points of each object, in the order of
// [pipeline.Detection]'s; empty when the model has none.
func (m *Model) Keypoints() []string { return slices.Clone(m.manifest.Head.Keypoints) }

// Labels returns the class names by index; empty when the manifest has none.
func (m *Model) Labels() []string { return slices.Clone(m.manifest.Labels) }

// An ExtraInput is an input besides the picture. Its value never changes.
type ExtraInput struct {
	pipeline.TensorInfo
	Ints []int64
}

// ExtraInputs lists what the graph wants besides the picture. The size of the
// picture is given as that of the model's input, width first: so boxes come in
// pixels of the input, and [Transform] takes them to the frame.
func (m *Model) ExtraInputs() []ExtraInput {
	if m.manifest.Head.SizeInput == "" {
		return nil
	}
	in := &m.manifest.Input
	return []ExtraInput{{
		TensorInfo: pipeline.TensorInfo{Name: m.manifest.Head.SizeInput, Type: pipeline.Int64, Shape: []int64{1, 2}},
		Ints:       []int64{int64(in.Width), int64(in.Height)},
	}}
}

// InputInfo describes the picture's input for a batch of one.
func (m *Model) InputInfo() pipeline.TensorInfo {
	return pipeline.TensorInfo{Name: m.manifest.Input.Name, Type: m.manifest.Input.Type, Shape: m.manifest.Input.shape()}
}

func (in *Input) shape() []int64 {
	c, h, w := int64(in.Colour.channels()), int64(in.Height), int64(in.Width)
	if in.Layout == NHWC {
		return []int64{1, h, w, c}
	}
	return []int64{1, c, h, w}
}

// Check compares the manifest with the graph that it describes: the inputs, and
// whether the outputs are those of the head's family.
func (m *Model) Check(g Graph) error {
	fail := func(format string, args ...any) error {
		return &pipeline.Error{
			Op: "compare manifest with graph of model", On: m.manifest.ID, Kind: pipeline.BadConfig, Err: fmt.Errorf(format, args...),
			Hint: "perch model inspect shows what the graph has",
		}
	}
	want := m.InputInfo()
	i := slices.IndexFunc(g.Inputs, func(t pipeline.TensorInfo) bool { return t.Name == want.Name })
	if i < 0 {
		return fail("input.name: there is no input %q; the graph has %s", want.Name, list(g.Inputs))
	}
	have := g.Inputs[i]
	if have.Type != want.Type {
		return fail("input.type: the manifest says %s, the graph %s", want.Type, have.Type)
	}
	shape := make([]int, len(want.Shape))
	for k, d := range want.Shape {
		shape[k] = int(d)
	}
	if len(have.Shape) == len(shape) && have.Shape[0] > 1 {
		shape[0] = int(have.Shape[0]) // a fixed batch is the runtime's business
	}
	if !dims(have.Shape, shape...) {
		return fail("input: the manifest says %s, the graph %s", describe(want), describe(have))
	}
	for _, t := range g.Inputs {
		if t.Name != want.Name && t.Name != m.manifest.Head.SizeInput {
			return fail("the graph wants one more input, %s, which family %q does not know", describe(t), m.family.name)
		}
	}
	h := m.manifest.Head
	classes, ok := m.family.fits(g.single().Outputs, &m.manifest.Input, &h)
	if !ok {
		return fail("head.family: %q wants %s; the graph has %s", m.family.name, m.family.about, list(g.Outputs))
	}
	if n := len(m.manifest.Labels); n > 0 && classes > 0 && n != classes {
		return fail("labels: there are %d, the graph has %d classes", n, classes)
	}
	return nil
}

func (m *Manifest) family() family {
	f, _ := familyNamed(m.Head.Family)
	return f
}
