package blocks

import (
	"fmt"
	"strings"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

func switchCase() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "switch_case@v1", Aliases: []string{"SwitchCase"}, Title: "Switch Case", Group: "flow",
		Doc: "Lets one of several steps run, chosen by a value. Several cases, and the default, may lead to the same step.",
		Fields: []workflow.Field{
			{Name: "value", Required: true, Kinds: workflow.Anything(), Literal: workflow.AnyLiteral, Doc: "the value; compared as text: True, 1, 1.0, None"},
			{Name: "cases", Form: workflow.Cases, Doc: "value to the step that runs then"},
			{Name: "case_insensitive", Literal: workflow.BoolLiteral, Default: workflow.BoolOf(false), Doc: "whether upper and lower case are the same"},
			{Name: "default_next_steps", Form: workflow.Steps, Doc: "the steps that run when no case fits"},
		},
		Flow: true,
		New:  newSwitchCase,
	}
}

type switchBlock struct {
	value    workflow.In
	cases    []workflow.Target
	fallback []workflow.Target
	fold     bool
}

func newSwitchCase(p *workflow.Params) (workflow.Block, error) {
	b := &switchBlock{value: p.In("value"), cases: p.Targets("cases"), fallback: p.Targets("default_next_steps")}
	v, _ := p.Const("case_insensitive")
	b.fold, _ = v.Bool()
	keys := map[string]bool{}
	for _, t := range b.cases {
		key := strings.ToLower(t.Key)
		if b.fold && keys[key] {
			return nil, p.Fault("cases", fmt.Sprintf("the case %q is there twice when upper and lower case are the same", t.Key), "")
		}
		keys[key] = true
	}
	if len(b.cases)+len(b.fallback) == 0 {
		return nil, p.Fault("cases", "there is no step that could run", "name one in cases or default_next_steps")
	}
	return b, nil
}

func (b *switchBlock) Run(c *workflow.Call) error {
	s, err := query.Text(c.Value(b.value))
	if err != nil {
		return err
	}
	for _, t := range b.cases {
		if t.Key == s || b.fold && strings.EqualFold(t.Key, s) {
			c.Allow(t)
			return nil
		}
	}
	for _, t := range b.fallback {
		c.Allow(t)
	}
	return nil
}
