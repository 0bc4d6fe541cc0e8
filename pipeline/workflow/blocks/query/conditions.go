package query

import (
	"fmt"
	"slices"

	"perch/pipeline/workflow"
)

// test is a compiled condition.
type test func(st *state) (bool, error)

// value is a compiled operand.
type value func(st *state) (workflow.Value, error)

// group compiles a StatementGroup.
func (c *compiler) group(path string, v workflow.Value) (test, error) {
	if err := c.enter(path); err != nil {
		return nil, err
	}
	defer c.leave()
	n, err := c.object(path, v, "a StatementGroup")
	if err != nil {
		return nil, err
	}
	if _, err := n.word("type", []string{"StatementGroup"}); err != nil {
		return nil, err
	}
	and := false
	if !n.get("operator").IsNull() {
		i, err := n.word("operator", []string{"or", "and"})
		if err != nil {
			return nil, err
		}
		and = i == 1
	}
	items, ok := n.get("statements").Items()
	if !ok || len(items) == 0 {
		return nil, n.wrong("statements", "a list of one or more statements")
	}
	tests := make([]test, len(items))
	for i, item := range items {
		if tests[i], err = c.statement(fmt.Sprintf("%s[%d]", n.at("statements"), i), item); err != nil {
			return nil, err
		}
	}
	if len(tests) == 1 {
		return tests[0], nil
	}
	return func(st *state) (bool, error) {
		for _, t := range tests {
			if ok, err := t(st); err != nil || ok != and {
				return ok && err == nil, err
			}
		}
		return and, nil
	}, nil
}

// statement compiles what can stand in a group.
func (c *compiler) statement(path string, v workflow.Value) (test, error) {
	if err := c.enter(path); err != nil {
		return nil, err
	}
	defer c.leave()
	n, err := c.object(path, v, "a statement")
	if err != nil {
		return nil, err
	}
	kind, err := n.word("type", []string{"BinaryStatement", "UnaryStatement", "StatementGroup"})
	if err != nil {
		return nil, err
	}
	if kind == 2 {
		return c.group(path, v)
	}
	negate, err := n.boolOr("negate", false)
	if err != nil {
		return nil, err
	}
	var t test
	if kind == 0 {
		t, err = c.binary(n)
	} else {
		t, err = c.unary(n)
	}
	if err != nil || !negate {
		return t, err
	}
	return func(st *state) (bool, error) {
		ok, err := t(st)
		return !ok, err
	}, nil
}

// operand is what stands on one side of a statement.
type operand struct {
	path  string
	get   value
	kinds kinds // what it may be
	con   workflow.Value
	known bool  // it is always con
	point place // it is a point of the detection at hand
}

func (c *compiler) operand(n node, key string) (*operand, error) {
	path := n.at(key)
	if err := c.enter(path); err != nil {
		return nil, err
	}
	defer c.leave()
	o, err := c.object(path, n.get(key), "a StaticOperand or a DynamicOperand")
	if err != nil {
		return nil, err
	}
	kind, err := o.word("type", []string{"StaticOperand", "DynamicOperand"})
	if err != nil {
		return nil, err
	}
	if kind == 0 {
		return c.static(o)
	}
	return c.dynamic(o)
}

// static compiles an operand whose value is written.
func (c *compiler) static(n node) (*operand, error) {
	v, ok := n.f.Get("value")
	if !ok {
		return nil, n.wrong("value", "any value")
	}
	in := kindOf(v)
	ops, out, err := c.chain(n.at("operations"), n.get("operations"), in)
	if err != nil {
		return nil, err
	}
	if len(ops) == 0 {
		return &operand{path: n.path, con: v, known: true, kinds: in, get: func(*state) (workflow.Value, error) { return v, nil }}, nil
	}
	return &operand{path: n.path, kinds: out, get: func(st *state) (workflow.Value, error) { return run(st, ops, v) }}, nil
}

// dynamic compiles an operand that is the detection at hand or a parameter.
func (c *compiler) dynamic(n node) (*operand, error) {
	name, err := n.strOr("operand_name", "_")
	if err != nil {
		return nil, err
	}
	if c.filter && name == "_" {
		return c.detection(n)
	}
	i := slices.Index(c.names, name)
	if i < 0 {
		return nil, &Error{n.at("operand_name"), fmt.Sprintf("there is no value %q here", name), c.nameHint(name)}
	}
	ops, out, err := c.chain(n.at("operations"), n.get("operations"), kAny)
	if err != nil {
		return nil, err
	}
	if len(ops) == 0 {
		return &operand{path: n.path, kinds: kAny, get: func(st *state) (workflow.Value, error) { return st.params[i], nil }}, nil
	}
	return &operand{path: n.path, kinds: out, get: func(st *state) (workflow.Value, error) { return run(st, ops, st.params[i]) }}, nil
}

func (c *compiler) nameHint(name string) string {
	all := c.names
	if c.filter {
		all = append(slices.Clone(all), "_")
	}
	return workflow.Suggest("names", name, all)
}

// detection compiles the operand that is the detection at hand. The usual
// case, one of its properties, goes without a list of operations.
func (c *compiler) detection(n node) (*operand, error) {
	v := n.get("operations")
	ops, out, err := c.chain(n.at("operations"), v, kDetection)
	if err != nil {
		return nil, err
	}
	o := &operand{path: n.path, kinds: out, get: func(st *state) (workflow.Value, error) {
		return run(st, ops, workflow.DetectionsOf(st.one))
	}}
	items, _ := v.Items()
	if len(items) == 0 {
		o.point = center
		return o, nil
	}
	if !isType(items[0], "ExtractDetectionProperty") {
		return o, nil
	}
	f, _ := items[0].Fields()
	p, err := node{f: f}.property()
	if err != nil {
		return nil, err
	}
	rest := ops[1:]
	if len(rest) == 0 {
		o.point = placeOf(p.name)
		o.get = func(st *state) (workflow.Value, error) { return p.one(st.one, &st.one.Items[0]), nil }
		return o, nil
	}
	o.get = func(st *state) (workflow.Value, error) { return run(st, rest, p.one(st.one, &st.one.Items[0])) }
	return o, nil
}

// kindOf is the kind of a value that is written.
func kindOf(v workflow.Value) kinds {
	switch v.Type() {
	case workflow.Null:
		return kNull
	case workflow.Bool:
		return kBool
	case workflow.Integer, workflow.Float:
		return kNumber
	case workflow.String:
		return kText
	case workflow.List:
		return kList
	case workflow.Object:
		return kObject
	}
	return kAny
}
