package infer

import (
	"fmt"
	"slices"

	"perch/pipeline"
)

// A plan is how frames become tensors and back: the shapes that the graph and
// the options agree on, and how many frames go into a run.
type plan struct {
	inputs  []inputPlan
	primary int // index of the image input
	outputs []outputPlan
	batch   int    // frames in a run at most
	open    bool   // the graph leaves the batch dimension open
	fixed   bool   // the graph takes exactly batch frames, more than one
	single  string // why an open batch dimension is not used; ""
}

type inputPlan struct {
	name  string
	typ   pipeline.TensorType
	shape []int64 // for one frame; the leading dimension is 1 when batched
	rows  bool    // the leading dimension counts frames
	given []int64 // as the graph has it
}

type outputPlan struct {
	name  string
	typ   pipeline.TensorType
	given []int64
	shape []int64 // for one frame; nil when it may differ from run to run
	seen  []int64 // for one frame, as the warm-up had it
}

func newPlan(g Graph, o Options) (*plan, error) {
	p := &plan{batch: 1}
	var err error
	if p.primary, err = primaryInput(g, o.Input); err != nil {
		return nil, err
	}
	shape := g.Inputs[p.primary].Shape
	switch {
	case len(shape) >= 2 && shape[0] < 0:
		p.open, p.batch = true, o.MaxBatch
	case len(shape) == 4 && shape[0] > 1:
		p.fixed, p.batch = true, int(min(shape[0], maxElements))
	}
	for i, in := range g.Inputs {
		want := o.ExtraShapes[in.Name]
		if i == p.primary {
			want = o.InputShape
		}
		ip, err := p.input(in, want)
		if err != nil {
			return nil, err
		}
		p.inputs = append(p.inputs, ip)
	}
	for _, out := range g.Outputs {
		if _, err := findType(out.Type); err != nil {
			return nil, unsupported(fmt.Errorf("output %q: %w", out.Name, err), "export the model with outputs that are numbers")
		}
		o := outputPlan{name: out.Name, typ: out.Type, given: out.Shape}
		if o.typ == pipeline.Float16 && !isFixed(o.given) && !p.firstOnly(o) {
			// The binding copies an output of unknown shape, and of float16
			// only half the bytes.
			return nil, unsupported(fmt.Errorf("output %q is float16 of open shape %v", o.name, o.given), "export the model with float32 outputs or fixed shapes")
		}
		p.outputs = append(p.outputs, o)
	}
	return p, p.checkBatch()
}

func primaryInput(g Graph, name string) (int, error) {
	if name == "" {
		i := slices.IndexFunc(g.Inputs, func(t pipeline.TensorInfo) bool { return len(t.Shape) == 4 })
		return max(i, 0), nil
	}
	i := slices.IndexFunc(g.Inputs, func(t pipeline.TensorInfo) bool { return t.Name == name })
	if i < 0 {
		return 0, badOption(fmt.Errorf("the model has no input %q; it has %s", name, describe(g.Inputs)), "")
	}
	return i, nil
}

// input closes the open dimensions of one input.
func (p *plan) input(in pipeline.TensorInfo, want []int64) (inputPlan, error) {
	ip := inputPlan{name: in.Name, typ: in.Type, given: in.Shape}
	if _, err := findType(in.Type); err != nil {
		return ip, unsupported(fmt.Errorf("input %q: %w", in.Name, err), "export the model with an input of numbers")
	}
	if len(in.Shape) == 0 {
		return ip, unsupported(fmt.Errorf("input %q is a single number or has no known rank", in.Name), "export the model with a fixed input shape")
	}
	if want != nil && len(want) != len(in.Shape) {
		return ip, badOption(fmt.Errorf("input %q has %d dimensions %v, the shape given has %d: %v", in.Name, len(in.Shape), in.Shape, len(want), want), "")
	}
	ip.shape = slices.Clone(in.Shape)
	ip.rows = p.open && in.Shape[0] < 0 || p.fixed && in.Shape[0] == int64(p.batch)
	for i, d := range in.Shape {
		switch {
		case i == 0 && ip.rows:
			ip.shape[0] = 1
		case d >= 0 && want != nil && want[i] != d && i > 0:
			return ip, badOption(fmt.Errorf("input %q has shape %v, which %v does not fit", in.Name, in.Shape, want), "take the size from the graph")
		case d < 0 && (want == nil || want[i] <= 0):
			return ip, badOption(fmt.Errorf("input %q has open dimensions %v", in.Name, in.Shape), "give the size of the input in the model's manifest")
		case d < 0:
			ip.shape[i] = want[i]
		}
	}
	if n := elements(ip.shape); n == 0 || n > maxElements/max(p.batch, 1) {
		return ip, &pipeline.Error{Op: "open model", Kind: pipeline.BadInput,
			Err: fmt.Errorf("input %q of shape %v for %d frames has no elements or more than %d", in.Name, ip.shape, p.batch, maxElements)}
	}
	return ip, nil
}

// checkBatch gives up batching where an input is shared by all frames.
func (p *plan) checkBatch() error {
	for _, in := range p.inputs {
		if in.rows || p.batch == 1 {
			continue
		}
		if p.fixed {
			return unsupported(fmt.Errorf("the image input takes %d frames and input %q has shape %v", p.batch, in.name, in.given), "export the model for one frame")
		}
		p.batch, p.single = 1, fmt.Sprintf("input %q has no open batch dimension", in.name)
	}
	return nil
}

// settle takes what two warm-up runs showed: the shapes of the outputs for one
// frame (for all frames, when the batch is fixed) and, where the batch is open,
// for two; two is nil when that run was not made or failed.
func (p *plan) settle(one, two [][]int64) error {
	if p.open && p.batch > 1 && two == nil && p.single == "" {
		p.single = "two frames at a time were not tried"
	}
	for i := range p.outputs {
		o := &p.outputs[i]
		o.seen = one[i]
		switch {
		case p.fixed:
			if len(one[i]) == 0 || one[i][0] != int64(p.batch) {
				return unsupported(fmt.Errorf("the model takes %d frames and output %q has shape %v", p.batch, o.name, one[i]), "export the model for one frame")
			}
			o.seen = withRows(one[i], 1)
			if isFixed(o.given) {
				o.shape = o.seen
			}
		case isFixed(o.given) && !p.open:
			o.shape = one[i]
		case p.open && two != nil:
			if !scales(one[i], two[i]) {
				p.single = fmt.Sprintf("output %q has shape %v for one frame and %v for two", o.name, one[i], two[i])
			} else if len(o.given) > 0 && isFixed(o.given[1:]) {
				o.shape = one[i]
			}
		}
		if o.typ == pipeline.Float16 && o.shape == nil {
			o.shape = withRows(o.given, 1)
		}
	}
	if p.single != "" {
		p.batch = 1
	}
	return nil
}

// firstOnly reports whether only the batch dimension of o is open.
func (p *plan) firstOnly(o outputPlan) bool {
	return (p.open || p.fixed) && len(o.given) > 0 && o.given[0] < 0 && isFixed(o.given[1:])
}

func isFixed(shape []int64) bool {
	return shape != nil && !slices.ContainsFunc(shape, func(d int64) bool { return d <= 0 })
}

// scales reports whether two is one with twice the frames.
func scales(one, two []int64) bool {
	return len(one) > 0 && len(one) == len(two) && one[0] == 1 && two[0] == 2 && slices.Equal(one[1:], two[1:])
}

func describe(ts []pipeline.TensorInfo) string {
	s := ""
	for i, t := range ts {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%s %s%v", t.Name, t.Type, t.Shape)
	}
	return s
}

func unsupported(err error, hint string) error {
	return &pipeline.Error{Op: "open model", Kind: pipeline.Unsupported, Err: err, Hint: hint}
}
