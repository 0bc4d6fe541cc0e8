package query

import (
	"errors"
	"fmt"
	"strings"

	"perch/pipeline/workflow"
)

// CompileField compiles the operations that a field of a step holds, whose
// literal is [workflow.OperationsLiteral]. Its error is one about that field.
func CompileField(p *workflow.Params, field string, names ...string) (*Operations, error) {
	v, _ := p.Const(field)
	o, err := Compile(v, names...)
	return o, Fault(p, field, err)
}

// CompileNamed compiles the operations that a field holds for the inputs of
// another field: an object, input name to list of operations. The result has
// the order of inputs; an input without operations has nil, which changes
// nothing.
func CompileNamed(p *workflow.Params, field string, inputs []workflow.NamedIn) ([]*Operations, error) {
	all := make([]*Operations, len(inputs))
	v, _ := p.Const(field)
	f, ok := v.Fields()
	if !ok {
		return all, nil
	}
	named := make(map[string]int, len(inputs))
	for i, in := range inputs {
		named[in.Key] = i
	}
	for i, key := range f.Keys {
		at, ok := named[key]
		if !ok {
			return nil, p.Fault(field+"."+key, "there are operations for a value that there is not", workflow.Suggest("names", key, Names(inputs)))
		}
		o, err := Compile(f.Values[i])
		if err != nil {
			return nil, Fault(p, field+"."+key, err)
		}
		if !o.Empty() {
			all[at] = o
		}
	}
	return all, nil
}

// CompileGroupField compiles the StatementGroup that a field holds, whose
// literal is [workflow.ObjectLiteral].
func CompileGroupField(p *workflow.Params, field string, names ...string) (*Condition, error) {
	v, _ := p.Const(field)
	c, err := CompileGroup(v, names...)
	return c, Fault(p, field, err)
}

// Names are the names of inputs.
func Names(inputs []workflow.NamedIn) []string {
	names := make([]string, len(inputs))
	for i, in := range inputs {
		names[i] = in.Key
	}
	return names
}

// Fault makes an error about a field of what [Compile], [CompileGroup],
// [ParseTemplate] or [ParseFormat] said.
func Fault(p *workflow.Params, field string, err error) error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return p.Fault(field, err.Error(), "")
	case e.Path != "" && !strings.HasPrefix(e.Path, "["):
		field += "."
	}
	return p.Fault(field+e.Path, e.Text, e.Hint)
}

// Inputs are the named inputs of a step with the operations that each goes
// through.
type Inputs struct {
	ins    []workflow.NamedIn
	ops    []*Operations
	values []workflow.Value
}

// CompileInputs prepares the inputs of a field of form [workflow.Named] and the
// operations on them, which another field holds.
func CompileInputs(p *workflow.Params, field, operations string) (*Inputs, error) {
	ins := p.Named(field)
	ops, err := CompileNamed(p, operations, ins)
	if err != nil {
		return nil, err
	}
	return &Inputs{ins: ins, ops: ops, values: make([]workflow.Value, len(ins))}, nil
}

// Names are the names of the inputs.
func (in *Inputs) Names() []string { return Names(in.ins) }

// Read returns the values of the inputs in their order, after their
// operations. They are valid until the next call.
func (in *Inputs) Read(c *workflow.Call) ([]workflow.Value, error) {
	for i := range in.ins {
		v, err := in.ops[i].Apply(c, c.Value(in.ins[i].In))
		if err != nil {
			return nil, fmt.Errorf("value %q: %w", in.ins[i].Key, err)
		}
		in.values[i] = v
	}
	return in.values, nil
}
