package blocks

import (
	"fmt"
	"slices"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

func expression() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "expression@v1", Aliases: []string{"Expression"}, Title: "Expression", Group: "formatting",
		Doc: "Chooses a value by conditions: the result of the first case whose condition holds, else the default.",
		Fields: []workflow.Field{
			{Name: "data", Required: true, Form: workflow.Named, Kinds: workflow.Anything(), Doc: "the values that conditions and results refer to, by name"},
			{Name: "data_operations", Literal: workflow.ObjectLiteral, Doc: "what is done with values of data before: an object, name to list of operations"},
			{Name: "switch", Required: true, Literal: workflow.ObjectLiteral,
				Doc: "a CasesDefinition: cases, each a CaseDefinition with a condition (StatementGroup) and a result, and default, a result. A result is a StaticCaseResult with a value, or a DynamicCaseResult with the parameter_name of a value of data and operations on it"},
		},
		Outputs: []workflow.Output{{Name: "output", Kinds: workflow.Anything(), Doc: "the result"}},
		New:     newExpression,
	}
}

// maxCases bounds an expression.
const maxCases = 200

type expressionBlock struct {
	data  *query.Inputs
	cases []exprCase // the last one is the default
}

type exprCase struct {
	when *query.Condition // nil: always
	con  workflow.Value
	from int // input that the result is made of; -1: con
	ops  *query.Operations
}

func newExpression(p *workflow.Params) (workflow.Block, error) {
	data, err := query.CompileInputs(p, "data", "data_operations")
	if err != nil {
		return nil, err
	}
	b := &expressionBlock{data: data}
	v, _ := p.Const("switch")
	s, _ := v.Fields()
	if err := ofType(p, "switch", s, "CasesDefinition"); err != nil {
		return nil, err
	}
	cases, _ := s.Get("cases")
	items, ok := cases.Items()
	switch {
	case !ok && !cases.IsNull():
		return nil, p.Fault("switch.cases", "it is "+cases.Describe(), "it takes a list of CaseDefinition")
	case len(items) > maxCases:
		return nil, p.Fault("switch.cases", fmt.Sprintf("there are %d cases", len(items)), fmt.Sprintf("at most %d are looked at", maxCases))
	}
	for i, item := range items {
		if err := b.addCase(p, fmt.Sprintf("switch.cases[%d]", i), item); err != nil {
			return nil, err
		}
	}
	def, ok := s.Get("default")
	if !ok {
		return nil, p.Fault("switch.default", "it is missing", "it takes a StaticCaseResult or a DynamicCaseResult, used when no case holds")
	}
	last, err := b.result(p, "switch.default", def)
	b.cases = append(b.cases, last)
	return b, err
}

// ofType checks the type of an object inside a field.
func ofType(p *workflow.Params, path string, f *workflow.Fields, types ...string) error {
	if f == nil {
		return p.Fault(path, "it is no object", "it takes a "+types[0])
	}
	v, _ := f.Get("type")
	s, _ := v.Str()
	if !slices.Contains(types, s) {
		return p.Fault(path+".type", "it is "+v.Describe(), workflow.Suggest("types", s, types))
	}
	return nil
}

func (b *expressionBlock) addCase(p *workflow.Params, path string, v workflow.Value) error {
	f, _ := v.Fields()
	if err := ofType(p, path, f, "CaseDefinition"); err != nil {
		return err
	}
	condition, _ := f.Get("condition")
	when, err := query.CompileGroup(condition, b.data.Names()...)
	if err != nil {
		return query.Fault(p, path+".condition", err)
	}
	result, _ := f.Get("result")
	r, err := b.result(p, path+".result", result)
	r.when = when
	b.cases = append(b.cases, r)
	return err
}

// result reads what a case results in.
func (b *expressionBlock) result(p *workflow.Params, path string, v workflow.Value) (exprCase, error) {
	r := exprCase{from: -1}
	f, _ := v.Fields()
	if err := ofType(p, path, f, "StaticCaseResult", "DynamicCaseResult"); err != nil {
		return r, err
	}
	typ, _ := f.Get("type")
	if s, _ := typ.Str(); s == "StaticCaseResult" {
		con, ok := f.Get("value")
		if !ok {
			return r, p.Fault(path+".value", "it is missing", "it takes any value")
		}
		r.con = con
		return r, nil
	}
	name, _ := f.Get("parameter_name")
	s, _ := name.Str()
	if r.from = slices.Index(b.data.Names(), s); r.from < 0 {
		return r, p.Fault(path+".parameter_name", fmt.Sprintf("it is %s, and there is no such value in data", name.Describe()), workflow.Suggest("names", s, b.data.Names()))
	}
	list, _ := f.Get("operations")
	ops, err := query.Compile(list, b.data.Names()...)
	if err != nil {
		return r, query.Fault(p, path+".operations", err)
	}
	r.ops = ops
	return r, nil
}

func (b *expressionBlock) Run(c *workflow.Call) error {
	values, err := b.data.Read(c)
	if err != nil {
		return err
	}
	for i := range b.cases {
		k := &b.cases[i]
		if k.when != nil {
			holds, err := k.when.Eval(c, values...)
			if err != nil {
				return fmt.Errorf("case %d: %w", i+1, err)
			}
			if !holds {
				continue
			}
		}
		v := k.con
		if k.from >= 0 {
			if v, err = k.ops.Apply(c, values[k.from], values...); err != nil {
				return err
			}
		}
		c.Set(0, v)
		return nil
	}
	return nil
}
