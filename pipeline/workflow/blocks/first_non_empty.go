package blocks

import "perch/pipeline/workflow"

func firstNonEmpty() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "first_non_empty_or_default@v1", Aliases: []string{"FirstNonEmptyOrDefault"}, Title: "First Non Empty Or Default", Group: "formatting",
		Doc: "The first of several values that is not null, for example of branches of which only one runs.",
		Fields: []workflow.Field{
			{Name: "data", Required: true, Form: workflow.Many, Kinds: workflow.Anything(), MinItems: 1, Doc: "the values, in the order in which they are preferred"},
			{Name: "default", Literal: workflow.AnyLiteral, Doc: "the value when all are null"},
		},
		Outputs:      []workflow.Output{{Name: "output", Kinds: workflow.Anything(), Doc: "the value"}},
		AcceptsEmpty: true,
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &firstBlock{data: p.Many("data"), fallback: p.In("default")}, nil
		},
	}
}

type firstBlock struct {
	data     []workflow.In
	fallback workflow.In
}

func (b *firstBlock) Run(c *workflow.Call) error {
	for _, in := range b.data {
		if v := c.Value(in); !v.IsNull() {
			c.Set(0, v)
			return nil
		}
	}
	c.Set(0, c.Value(b.fallback))
	return nil
}
