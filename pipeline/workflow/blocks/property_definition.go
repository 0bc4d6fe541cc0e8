package blocks

import (
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

func propertyDefinition() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "property_definition@v1", Aliases: []string{"PropertyDefinition", "PropertyExtraction"}, Title: "Property Definition", Group: "formatting",
		Doc: "Makes one value of another: the number of detections, their classes, the text of a number.",
		Fields: []workflow.Field{
			{Name: "data", Required: true, Kinds: workflow.Anything(), Doc: "the value to start from"},
			{Name: "operations", Required: true, Literal: workflow.OperationsLiteral, Doc: "what is done with it, from left to right"},
		},
		Outputs: []workflow.Output{{Name: "output", Kinds: workflow.Anything(), Doc: "what the last operation makes"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			ops, err := query.CompileField(p, "operations")
			if err != nil {
				return nil, err
			}
			return &propertyBlock{data: p.In("data"), ops: ops}, nil
		},
	}
}

type propertyBlock struct {
	data workflow.In
	ops  *query.Operations
}

func (b *propertyBlock) Run(c *workflow.Call) error {
	v, err := b.ops.Apply(c, c.Value(b.data))
	if err != nil {
		return err
	}
	c.Set(0, v)
	return nil
}
