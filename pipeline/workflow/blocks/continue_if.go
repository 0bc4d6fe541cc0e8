package blocks

import (
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

func continueIf() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "continue_if@v1", Aliases: []string{"ContinueIf"}, Title: "Continue If", Group: "flow",
		Doc: "Lets the next steps run while a condition holds.",
		Fields: []workflow.Field{
			{Name: "condition_statement", Required: true, Literal: workflow.ObjectLiteral, Doc: "the condition, a StatementGroup; its DynamicOperands name values of evaluation_parameters"},
			{Name: "evaluation_parameters", Form: workflow.Named, Kinds: workflow.Anything(), Doc: "the values that the condition is about, by name"},
			{Name: "next_steps", Required: true, Form: workflow.Steps, Doc: "steps that run when the condition holds"},
			{Name: "stop_delay", Literal: workflow.NumberLiteral, Kinds: workflow.Numbers(), Default: workflow.FloatOf(0), Max: 1e9, Doc: "seconds for which the next steps go on after the condition last held"},
		},
		Flow: true,
		New: func(p *workflow.Params) (workflow.Block, error) {
			params := p.Named("evaluation_parameters")
			cond, err := query.CompileGroupField(p, "condition_statement", query.Names(params)...)
			if err != nil {
				return nil, err
			}
			return &continueBlock{cond: cond, params: params, values: make([]workflow.Value, len(params)), delay: p.In("stop_delay"), next: p.Targets("next_steps")}, nil
		},
	}
}

type continueBlock struct {
	cond   *query.Condition
	params []workflow.NamedIn
	values []workflow.Value
	delay  workflow.In
	next   []workflow.Target
	held   bool
	last   float64 // seconds at which it last held
}

func (b *continueBlock) Run(c *workflow.Call) error {
	for i := range b.params {
		b.values[i] = c.Value(b.params[i].In)
	}
	holds, err := b.cond.Eval(c, b.values...)
	if err != nil {
		return err
	}
	delay, err := c.Float(b.delay)
	if err != nil {
		return err
	}
	now := c.Frame().Seconds()
	if holds {
		b.held, b.last = true, now
	}
	since := now - b.last
	if !holds && (delay <= 0 || !b.held || since < 0 || since > delay+tinyTime) {
		return nil
	}
	for _, t := range b.next {
		c.Allow(t)
	}
	return nil
}
