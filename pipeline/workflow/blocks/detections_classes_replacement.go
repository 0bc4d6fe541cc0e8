package blocks

import (
	"fmt"
	"math"

	"perch/pipeline/workflow"
)

func detectionsClassesReplacement() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "detections_classes_replacement@v1", Aliases: []string{"DetectionsClassesReplacement"}, Title: "Detections Classes Replacement", Group: "detections",
		Doc: "Gives detections the classes that a classifier found on their crops, with its confidence. A classification belongs to the detection on whose crop it was made; texts are matched in order. " +
			"Detections without one are left out, unless there is a class to fall back to. The detections get new ids.",
		Fields: []workflow.Field{
			{Name: "object_detection_predictions", Required: true, Kinds: workflow.AnyDetections(), Doc: "the detections"},
			{Name: "classification_predictions", Required: true, Kinds: []workflow.Kind{workflow.Classification, workflow.StringKind, workflow.ListKind}, Doc: "what was found on the detections' crops: classifications, or texts (of a list the first)"},
			{Name: "fallback_class_name", Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.StringLiteral, Doc: "the class of detections without a classification; their confidence is 0"},
			{Name: "fallback_class_id", Kinds: []workflow.Kind{workflow.IntegerKind}, Literal: workflow.IntegerLiteral, Doc: "the number of that class; without one, or below 0, the largest there is"},
		},
		Outputs: []workflow.Output{{Name: "predictions", Like: "object_detection_predictions", Doc: "the detections with their new classes"}},
		Delta:   -1,
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &replaceBlock{
				detections: p.In("object_detection_predictions"), classes: p.In("classification_predictions"), name: p.In("fallback_class_name"), id: p.In("fallback_class_id"),
			}, nil
		},
	}
}

type replaceBlock struct {
	detections, classes, name, id workflow.In
	byCrop                        map[string]workflow.Class
}

// Run implements [workflow.Block].
func (b *replaceBlock) Run(c *workflow.Call) error {
	d, err := c.Detections(b.detections)
	if err != nil {
		return err
	}
	given, ok := c.Value(b.classes).Items()
	if !ok {
		return fmt.Errorf("property %q is %s and must be a list, one for each crop", "classification_predictions", c.Value(b.classes).Describe())
	}
	fallback, hasFallback, err := b.fallback(c)
	if err != nil {
		return err
	}
	texts, err := b.sort(given)
	if err != nil {
		return err
	}
	out := c.NewDetections(d.Origin)
	out.Like(d)
	for i := range d.Items {
		it := d.Items[i]
		class, found := b.byCrop[it.ID.String()]
		if !found && texts && i < len(given) {
			class, found = textClass(given[i])
		}
		switch {
		case found:
		case hasFallback:
			class = fallback
		default:
			continue
		}
		it.ID, it.Class, it.Label, it.Score = c.NewID(), class.Class, class.Label, class.Score
		out.Items = append(out.Items, it)
	}
	c.Set(0, workflow.DetectionsOf(out))
	return nil
}

func (b *replaceBlock) fallback(c *workflow.Call) (class workflow.Class, ok bool, err error) {
	if c.Value(b.name).IsNull() {
		return class, false, nil
	}
	class.Class = math.MaxInt64
	if class.Label, err = c.Str(b.name); err != nil {
		return class, false, err
	}
	if !c.Value(b.id).IsNull() {
		id, err := c.Int(b.id)
		if err != nil {
			return class, false, err
		}
		if id >= 0 {
			class.Class = id
		}
	}
	return class, class.Label != "", nil
}

// sort notes which crop each classification was made on, and reports whether
// there are texts among what was given.
func (b *replaceBlock) sort(given []workflow.Value) (texts bool, err error) {
	if b.byCrop == nil {
		b.byCrop = map[string]workflow.Class{}
	}
	clear(b.byCrop)
	for i, v := range given {
		if k, ok := v.Classes(); ok {
			if class, ok := leading(k); ok {
				b.byCrop[k.Origin.Name] = class
			}
			continue
		}
		switch v.Type() {
		case workflow.Null:
		case workflow.String, workflow.List:
			texts = true
		default:
			return false, fmt.Errorf("classification_predictions[%d] is %s and must be a classification or a text", i, v.Describe())
		}
	}
	return texts, nil
}

// leading is the class that a classification is most sure of. One with several
// classes that names none has none.
func leading(k *workflow.Classes) (best workflow.Class, ok bool) {
	if !k.Multi {
		return k.Top(), len(k.Items) > 0
	}
	for i, class := range k.Items {
		if i == 0 || class.Score > best.Score {
			best = class
		}
	}
	return best, len(k.Picked) > 0 && len(k.Items) > 0
}

func textClass(v workflow.Value) (workflow.Class, bool) {
	if items, ok := v.Items(); ok && len(items) > 0 {
		v = items[0]
	}
	s, ok := v.Str()
	return workflow.Class{Label: s, Score: 1}, ok
}
