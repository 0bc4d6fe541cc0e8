package blocks

import (
	"fmt"

	"perch/pipeline/workflow"
)

func perClassConfidenceFilter() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "per_class_confidence_filter@v1", Title: "Per-Class Confidence Filter", Group: "detections",
		Doc: "Keeps the detections that are as sure as is asked of their class.",
		Fields: []workflow.Field{
			{Name: "predictions", Required: true, Kinds: workflow.AnyDetections(), Doc: "the detections"},
			{Name: "class_thresholds", Required: true, Kinds: []workflow.Kind{workflow.DictionaryKind}, Literal: workflow.ObjectLiteral, Doc: `least confidence by class, {"person": 0.9}`},
			{Name: "default_threshold", Default: workflow.FloatOf(0.3), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, Max: 1, Doc: "least confidence of all other classes"},
		},
		Outputs: []workflow.Output{{Name: "predictions", Like: "predictions", Doc: "the detections that are kept"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			if v, known := p.Const("class_thresholds"); known {
				if err := checkThresholds(v); err != nil {
					return nil, p.Fault("class_thresholds", err.Error(), `for example {"person": 0.9}`)
				}
			}
			return &classFilterBlock{predictions: p.In("predictions"), thresholds: p.In("class_thresholds"), rest: p.In("default_threshold")}, nil
		},
	}
}

func checkThresholds(v workflow.Value) error {
	f, ok := v.Fields()
	if !ok {
		return fmt.Errorf("it is %s and must be an object of classes to confidences", v.Describe())
	}
	for i, k := range f.Keys {
		if t, ok := f.Values[i].Float(); !ok || t < 0 || t > 1 {
			return fmt.Errorf("of class %q it asks for %s, and it must be a number from 0 to 1", k, f.Values[i].Describe())
		}
	}
	return nil
}

type classFilterBlock struct{ predictions, thresholds, rest workflow.In }

// Run implements [workflow.Block].
func (b *classFilterBlock) Run(c *workflow.Call) error {
	d, err := c.Detections(b.predictions)
	if err != nil {
		return err
	}
	v := c.Value(b.thresholds)
	if err := checkThresholds(v); err != nil {
		return fmt.Errorf("property %q: %w", "class_thresholds", err)
	}
	rest, err := c.Float(b.rest)
	if err != nil {
		return err
	}
	thresholds, _ := v.Fields()
	out := c.NewDetections(d.Origin)
	out.Like(d)
	for i := range d.Items {
		least := rest
		if t, listed := thresholds.Get(d.Items[i].Label); listed {
			least, _ = t.Float()
		}
		// A confidence is compared in the precision that models have, so that
		// one which is written like the threshold is not below it.
		if d.Items[i].Score >= float32(least) {
			out.Items = append(out.Items, d.Items[i])
		}
	}
	c.Set(0, workflow.DetectionsOf(out))
	return nil
}
