package blocks

import "perch/pipeline/workflow"

func deltaFilter() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "delta_filter@v1", Title: "Delta Filter", Group: "flow",
		Doc: "Lets the next steps run only when a value differs from the one that last let them run.",
		Fields: []workflow.Field{
			{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the frame; names the video whose last value is remembered"},
			{Name: "value", Required: true, Kinds: workflow.Anything(), Doc: "the value that is watched"},
			{Name: "next_steps", Required: true, Form: workflow.Steps, Doc: "steps that run when the value has changed"},
		},
		Flow: true,
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &deltaBlock{value: p.In("value"), next: p.Targets("next_steps")}, nil
		},
	}
}

type deltaBlock struct {
	value workflow.In
	next  []workflow.Target
	seen  bool
	last  workflow.Value
}

func (b *deltaBlock) Run(c *workflow.Call) error {
	v := c.Value(b.value)
	if b.seen && v.Equal(b.last) {
		return nil
	}
	b.seen, b.last = true, v
	for _, t := range b.next {
		c.Allow(t)
	}
	return nil
}
