package blocks

import (
	"fmt"

	"perch/pipeline/workflow"
)

func deltaFilter() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "delta_filter@v1", Title: "Delta Filter", Group: "flow",
		Doc: "Lets the next steps run only when a value differs from the one that last let them run. Detections are compared by their boxes, classes, scores and tracks. One value is remembered, of at most 64 MB.",
		Fields: []workflow.Field{
			{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Pixels: workflow.NoPixels, Doc: "the frame; names the video whose last value is remembered"},
			{Name: "value", Required: true, Kinds: workflow.Anything(), Doc: "the value that is watched; anything but an image"},
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
	if t := v.Type(); t == workflow.ImageType || t == workflow.MetadataType {
		return fmt.Errorf("property \"value\" is %s, which is another one on each frame: select a number, a text, a list or detections", v.Describe())
	}
	if b.seen && same(v, b.last) {
		return nil
	}
	kept, _, err := keep(v, workflow.Value{})
	if err != nil {
		return err
	}
	b.seen, b.last = true, kept
	for _, t := range b.next {
		c.Allow(t)
	}
	return nil
}
