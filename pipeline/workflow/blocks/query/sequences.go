package query

import (
	"errors"
	"fmt"
	"math"

	"perch/pipeline/workflow"
)

func buildLength(*compiler, node) (op, error) {
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		n, ok := length(v)
		if !ok {
			return v, fmt.Errorf("SequenceLength is given %s, which has no length", v.Describe())
		}
		if s, isStr := v.Str(); isStr {
			return workflow.IntOf(int64(n)), st.read(len(s))
		}
		return workflow.IntOf(int64(n)), nil
	}, nil
}

func buildCount(*compiler, node) (op, error) {
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		items, err := st.items(v, "SequenceElementsCount")
		if err != nil {
			return v, err
		}
		at := map[string]int{}
		var counts []int64
		f := &workflow.Fields{}
		for _, item := range items {
			s, err := Text(item)
			if err != nil {
				return v, fmt.Errorf("SequenceElementsCount: %w", err)
			}
			if err := st.read(len(s)); err != nil {
				return v, err
			}
			i, ok := at[s]
			if !ok {
				i = len(counts)
				at[s] = i
				counts = append(counts, 0)
				f.Keys = append(f.Keys, s)
			}
			counts[i]++
		}
		for _, n := range counts {
			f.Values = append(f.Values, workflow.IntOf(n))
		}
		return workflow.ObjectOf(f), nil
	}, nil
}

func buildAggregate(_ *compiler, n node) (op, error) {
	mode, err := n.word("mode", []string{"first", "last", "most_common", "least_common"})
	if err != nil {
		return nil, err
	}
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		items, err := st.items(v, "SequenceAggregate")
		switch {
		case err != nil:
			return v, err
		case len(items) == 0:
			return v, errors.New("SequenceAggregate is given an empty list (let a condition ask (Sequence) is not empty first)")
		case mode == 0:
			return items[0], nil
		case mode == 1:
			return items[len(items)-1], nil
		}
		return common(st, items, mode == 3)
	}, nil
}

// common is the most common item, the first such; or the least common one, the
// last such in the order of their first appearance.
func common(st *state, items []workflow.Value, rarest bool) (workflow.Value, error) {
	var seen []workflow.Value
	var counts []int
next:
	for _, item := range items {
		for i := range seen {
			same, err := st.equal(seen[i], item)
			if err != nil {
				return item, err
			}
			if same {
				counts[i]++
				continue next
			}
		}
		seen, counts = append(seen, item), append(counts, 1)
	}
	best := 0
	for i, n := range counts {
		if n > counts[best] && !rarest || n <= counts[best] && rarest {
			best = i
		}
	}
	return seen[best], nil
}

func buildNumeric(_ *compiler, n node) (op, error) {
	function, err := n.word("function", []string{"min", "max", "sum"})
	if err != nil {
		return nil, err
	}
	neutral := n.get("neutral_value")
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		items, err := st.items(v, "NumericSequenceAggregate")
		if err != nil {
			return v, err
		}
		if len(items) == 0 {
			return neutral, nil
		}
		best, sum, integer := 0, 0.0, true
		for i, item := range items {
			f, ok := Number(item)
			if !ok {
				return v, fmt.Errorf("NumericSequenceAggregate: element %d is %s, which is no number", i+1, item.Describe())
			}
			g, _ := Number(items[best])
			if function == 0 && f < g || function == 1 && f > g {
				best = i
			}
			sum += f
			integer = integer && whole(item)
		}
		if function == 2 {
			return NumberOf(sum, integer), nil
		}
		return items[best], nil
	}, nil
}

func buildMap(_ *compiler, n node) (op, error) {
	find, err := lookup(n, "SequenceMap")
	if err != nil {
		return nil, err
	}
	return each("SequenceMap", func(_ *state, v workflow.Value) (workflow.Value, error) { return find(v) }), nil
}

func buildApply(c *compiler, n node) (op, error) {
	ops, _, err := c.chain(n.at("operations"), n.get("operations"), kAny)
	if err != nil {
		return nil, err
	}
	return each("SequenceApply", func(st *state, v workflow.Value) (workflow.Value, error) { return run(st, ops, v) }), nil
}

// each makes a list of what f makes of each element.
func each(what string, f op) op {
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		items, err := st.items(v, what)
		if err != nil {
			return v, err
		}
		out := make([]workflow.Value, len(items))
		for i, item := range items {
			if out[i], err = f(st, item); err != nil {
				return v, fmt.Errorf("element %d: %w", i+1, err)
			}
		}
		return workflow.ListOf(out), nil
	}
}

func buildJoin(_ *compiler, n node) (op, error) {
	separator, err := n.strOr("separator", ", ")
	if err != nil {
		return nil, err
	}
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		items, err := st.items(v, "SequenceJoin")
		if err != nil {
			return v, err
		}
		var dst []byte
		for i, item := range items {
			if i > 0 {
				dst = append(dst, separator...)
			}
			if dst, err = AppendText(dst, item); err == nil {
				err = tooLong(len(dst))
			}
			if err != nil {
				return v, fmt.Errorf("SequenceJoin: %w", err)
			}
		}
		return workflow.StringOf(string(dst)), st.read(len(dst))
	}, nil
}

func buildClassification(_ *compiler, n node) (op, error) {
	mode, err := n.word("property_name", []string{"top_class", "top_class_confidence", "top_class_confidence_single", "all_classes", "all_confidences"})
	if err != nil {
		return nil, err
	}
	name := func(k workflow.Class) workflow.Value { return workflow.StringOf(k.Label) }
	score := func(k workflow.Class) workflow.Value { return workflow.FloatOf(workflow.Decimal(k.Score)) }
	return func(_ *state, v workflow.Value) (workflow.Value, error) {
		c, ok := v.Classes()
		if !ok {
			return v, fmt.Errorf("ClassificationPropertyExtract is given %s and needs a classification", v.Describe())
		}
		switch {
		case mode == 3:
			return listOf(c.Items, name), nil
		case mode == 4:
			return listOf(c.Items, score), nil
		case mode == 0 && c.Multi:
			return listOf(c.Picked, name), nil
		case mode == 0:
			return name(c.Top()), nil
		case !c.Multi:
			return score(c.Top()), nil
		case mode == 1:
			return listOf(c.Picked, score), nil
		}
		best := 0.0
		for _, k := range c.Picked {
			best = math.Max(best, workflow.Decimal(k.Score))
		}
		return workflow.FloatOf(best), nil
	}, nil
}

func listOf(classes []workflow.Class, f func(workflow.Class) workflow.Value) workflow.Value {
	list := make([]workflow.Value, len(classes))
	for i, k := range classes {
		list[i] = f(k)
	}
	return workflow.ListOf(list)
}
