package blocks

import (
	"fmt"

	"perch/pipeline/workflow"
)

func dimensionCollapse() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "dimension_collapse@v1", Aliases: []string{"DimensionCollapse"}, Title: "Dimension Collapse", Group: "formatting",
		Doc:     "Gathers the values of all crops of an image into one list. What is null, because a branch ended there, is left out.",
		Delta:   -1,
		Fields:  []workflow.Field{{Name: "data", Required: true, Kinds: workflow.Anything(), Doc: "an output of a step that works on crops"}},
		Outputs: []workflow.Output{{Name: "output", Kinds: []workflow.Kind{workflow.ListKind}, Doc: "the list, in the order of the crops"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &collapseBlock{data: p.In("data")}, nil
		},
	}
}

type collapseBlock struct{ data workflow.In }

func (b *collapseBlock) Run(c *workflow.Call) error {
	items, ok := c.Value(b.data).Items()
	if !ok {
		return fmt.Errorf("property \"data\" is %s and must be a list", c.Value(b.data).Describe())
	}
	all := make([]workflow.Value, 0, len(items))
	for _, v := range items {
		if !v.IsNull() {
			all = append(all, v)
		}
	}
	c.Set(0, workflow.ListOf(all))
	return nil
}
