package blocks

import (
	"fmt"
	"slices"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

func dataAggregator() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "data_aggregator@v1", Title: "Data Aggregator", Group: "formatting",
		Doc: "Sums values up over an interval. Its outputs, <name>_<mode>, are null except on the frame that ends an interval, so that steps behind it run only then. An interval of time begins with the first frame, or the frame after the last end, and is measured in frame number / frame rate for files and by the clock for cameras; one that is not over when the run ends is lost. At most 100,000 different values are told apart, and those of all such steps of a workflow may take 64 MB; beyond that the step fails and begins anew.",
		Fields: []workflow.Field{
			{Name: "data", Required: true, Form: workflow.Named, Kinds: workflow.Anything(), MinItems: 1, Doc: "the values, by name; on a frame on which one of them is null, nothing is added"},
			{Name: "data_operations", Literal: workflow.ObjectLiteral, Doc: "what is done with a value before: name to list of operations"},
			{Name: "aggregation_mode", Required: true, Literal: workflow.ObjectLiteral,
				Doc: "name to list of modes. Of numbers: sum, avg, max, min, values_difference (max - min). Of anything: count (a list counts as many as it has elements), distinct (the different values, in the order of their first appearance), count_distinct (how many), values_counts (how often each). Lists count element by element"},
			{Name: "interval_unit", Literal: workflow.EnumLiteral, Enum: []string{"seconds", "minutes", "hours", "runs"}, Default: workflow.StringOf("seconds"), Doc: "what the interval is counted in; a run is a frame on which the step runs"},
			{Name: "interval", Required: true, Literal: workflow.IntegerLiteral, MinOpen: true, Max: 1e9, Doc: "length of the interval"},
		},
		Ports: aggregatorPorts,
		New:   newDataAggregator,
	}
}

// aggregates lists what is asked for, in the order of data.
func aggregates(p *workflow.Params) []aggregate {
	v, _ := p.Const("aggregation_mode")
	f, ok := v.Fields()
	if !ok {
		return nil
	}
	lists := make(map[string]workflow.Value, len(f.Keys))
	for i, key := range f.Keys {
		lists[key] = f.Values[i]
	}
	var all []aggregate
	for i, in := range p.Named("data") {
		var asked [len(aggregateModes)]bool
		items, _ := lists[in.Key].Items()
		for _, item := range items {
			mode, _ := item.Str()
			if m := slices.Index(aggregateModes[:], mode); m >= 0 && !asked[m] {
				asked[m] = true
				all = append(all, aggregate{name: in.Key + "_" + mode, mode: mode, input: i})
			}
		}
	}
	return all
}

func aggregatorPorts(p *workflow.Params) []workflow.Output {
	var outs []workflow.Output
	for _, a := range aggregates(p) {
		kinds := workflow.Numbers()
		switch a.mode {
		case "distinct":
			kinds = []workflow.Kind{workflow.ListKind}
		case "values_counts":
			kinds = []workflow.Kind{workflow.DictionaryKind}
		}
		outs = append(outs, workflow.Output{Name: a.name, Kinds: kinds, Doc: a.mode + " of the interval"})
	}
	return outs
}

type aggregatorBlock struct {
	data     *query.Inputs
	states   []aggregate
	interval float64 // runs or seconds
	byRuns   bool
	runs     float64
	started  bool
	start    float64
}

func newDataAggregator(p *workflow.Params) (workflow.Block, error) {
	data, err := query.CompileInputs(p, "data", "data_operations")
	if err != nil {
		return nil, err
	}
	if err := checkModes(p, data.Names()); err != nil {
		return nil, err
	}
	b := &aggregatorBlock{data: data, states: aggregates(p)}
	v, _ := p.Const("interval")
	b.interval, _ = v.Float()
	unit, _ := p.Const("interval_unit")
	switch s, _ := unit.Str(); s {
	case "runs":
		b.byRuns = true
	case "minutes":
		b.interval *= 60
	case "hours":
		b.interval *= 3600
	}
	shared := p.Shared("aggregates", func() any { return &room{left: maxDistinctBytes} }).(*room)
	for i := range b.states {
		b.states[i].room = shared
	}
	b.reset()
	return b, nil
}

// checkModes finds what is wrong with aggregation_mode.
func checkModes(p *workflow.Params, names []string) error {
	const field = "aggregation_mode"
	v, _ := p.Const(field)
	f, _ := v.Fields()
	known := map[string]bool{}
	for _, name := range names {
		known[name] = true
	}
	for i, key := range f.Keys {
		if !known[key] {
			return p.Fault(field+"."+key, "there is no such value in data", workflow.Suggest("names", key, names))
		}
		items, ok := f.Values[i].Items()
		if !ok {
			return p.Fault(field+"."+key, "it is "+f.Values[i].Describe(), "it takes a list of modes")
		}
		for _, item := range items {
			if s, _ := item.Str(); !slices.Contains(aggregateModes[:], s) {
				return p.Fault(field+"."+key, "there is no mode "+item.Describe(), workflow.Suggest("modes", s, aggregateModes[:]))
			}
		}
	}
	seen := map[string]bool{}
	all := aggregates(p)
	for _, a := range all {
		if seen[a.name] {
			return p.Fault(field, fmt.Sprintf("two outputs would be called %q", a.name), "give one of the values another name")
		}
		seen[a.name] = true
	}
	if len(all) == 0 {
		return p.Fault(field, "it asks for nothing", "{\"<name of data>\": [\"sum\"]}")
	}
	return nil
}

func (b *aggregatorBlock) reset() {
	b.runs = 0
	for i := range b.states {
		b.states[i].reset()
	}
}

func (b *aggregatorBlock) Run(c *workflow.Call) error {
	now := c.Frame().Seconds()
	if !b.started || now < b.start { // the first frame, or a clock that was set back
		b.started, b.start = true, now
	}
	values, err := b.data.Read(c)
	if err != nil {
		return err
	}
	b.runs++
	for i := range b.states {
		a := &b.states[i]
		if err := a.add(values[a.input]); err != nil {
			b.reset()
			b.start = now
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	passed := now - b.start + tinyTime
	if b.byRuns {
		passed = b.runs
	}
	if passed < b.interval {
		return nil
	}
	for i := range b.states {
		c.Set(i, b.states[i].result())
	}
	b.reset()
	b.start = now
	return nil
}
