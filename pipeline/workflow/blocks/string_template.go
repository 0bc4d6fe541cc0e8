package blocks

import (
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

func stringTemplate() *workflow.Manifest {
	text := []workflow.Kind{workflow.StringKind}
	return &workflow.Manifest{
		Type: prefix + "string_template@v1", Title: "String Template", Group: "formatting",
		Doc: "Puts values into a text.",
		Fields: []workflow.Field{
			{Name: "template", Required: true, Kinds: text, Literal: workflow.StringLiteral,
				Doc: "the text, with a place {name} for each value; {confidence:.2f} writes a number with two digits after the point (the formats of Python). {{ and }} are braces"},
			{Name: "data", Form: workflow.Named, Kinds: workflow.Anything(), Literal: workflow.AnyLiteral, Doc: "the values by name"},
			{Name: "data_operations", Literal: workflow.ObjectLiteral, Doc: "what is done with a value before: name to list of operations"},
		},
		Outputs: []workflow.Output{{Name: "output", Kinds: text, Doc: "the text"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			data, err := query.CompileInputs(p, "data", "data_operations")
			if err != nil {
				return nil, err
			}
			b := &templateBlock{template: p.In("template"), data: data}
			if v, ok := p.Const("template"); ok {
				s, _ := v.Str()
				if err := b.parse(s); err != nil {
					return nil, query.Fault(p, "template", err)
				}
			}
			return b, nil
		},
	}
}

type templateBlock struct {
	template workflow.In
	data     *query.Inputs
	text     string
	parsed   *query.Template
	out      []byte
}

func (b *templateBlock) parse(text string) error {
	if b.parsed != nil && text == b.text {
		return nil
	}
	t, err := query.ParseFormat(text, b.data.Names()...)
	if err != nil {
		return err
	}
	b.text, b.parsed = text, t
	return nil
}

func (b *templateBlock) Run(c *workflow.Call) error {
	text, err := c.Str(b.template)
	if err != nil {
		return err
	}
	if err := b.parse(text); err != nil {
		return err
	}
	values, err := b.data.Read(c)
	if err != nil {
		return err
	}
	if b.out, err = b.parsed.Append(b.out[:0], values...); err != nil {
		return err
	}
	c.Set(0, workflow.StringOf(string(b.out)))
	return nil
}
