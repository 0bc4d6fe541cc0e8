package blocks

import (
	"errors"
	"fmt"
	"slices"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

func detectionsConsensus() *workflow.Manifest {
	mode := func(name, def, doc string) workflow.Field {
		return workflow.Field{Name: name, Default: workflow.StringOf(def), Literal: workflow.EnumLiteral, Enum: []string{"average", "max", "min"}, Doc: doc}
	}
	return &workflow.Manifest{
		Type: prefix + "detections_consensus@v1", Aliases: []string{"DetectionsConsensus"}, Title: "Detections Consensus", Group: "detections",
		Doc: "Joins what several models found on the same image: boxes of different models that overlap are votes for one object, which is kept if it has votes enough.",
		Fields: []workflow.Field{
			{Name: "predictions_batches", Aliases: []string{"predictions"}, Required: true, Form: workflow.Many, MinItems: 1, Kinds: workflow.AnyDetections(), Doc: "what each model found on the image"},
			{Name: "required_votes", Required: true, Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 1, Doc: "how many models must have found an object"},
			{Name: "class_aware", Default: workflow.BoolOf(true), Kinds: []workflow.Kind{workflow.BooleanKind}, Literal: workflow.BoolLiteral, Doc: "count only boxes of the same class as votes for one object"},
			{Name: "iou_threshold", Default: workflow.FloatOf(0.3), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, Max: 1, Doc: "overlap (intersection over union) above which two boxes are one object"},
			{Name: "confidence", Default: workflow.FloatOf(0), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, Max: 1, Doc: "least confidence of an object after joining its boxes"},
			{Name: "classes_to_consider", Kinds: []workflow.Kind{workflow.ListKind}, Literal: workflow.StringsLiteral, Doc: "names of the classes that take part; without it all do"},
			{Name: "required_objects", Kinds: []workflow.Kind{workflow.IntegerKind, workflow.DictionaryKind}, Literal: workflow.AnyLiteral, Doc: "how many objects there must be for object_present: a number, or {class: number}"},
			mode("presence_confidence_aggregation", "max", "how presence_confidence is made of the objects' confidences"),
			mode("detections_merge_confidence_aggregation", "average", "how confidence and class of an object are made of its boxes': their mean and the most frequent class, or those of the most (max) or least (min) confident"),
			mode("detections_merge_coordinates_aggregation", "average", "how the box of an object is made of its boxes: their mean, the largest (max) or the smallest (min)"),
		},
		Outputs: []workflow.Output{
			{Name: "predictions", Kinds: []workflow.Kind{workflow.ObjectDetections}, Doc: "the objects that were agreed on"},
			{Name: "object_present", Kinds: []workflow.Kind{workflow.BooleanKind, workflow.DictionaryKind}, Doc: "whether there are any, and as many as required_objects asks for"},
			{Name: "presence_confidence", Kinds: []workflow.Kind{workflow.DictionaryKind}, Doc: "{class: confidence}, or {\"any_object\": confidence} if classes do not matter; empty unless object_present"},
		},
		New: func(p *workflow.Params) (workflow.Block, error) {
			b := &consensusBlock{
				sources: p.Many("predictions_batches"), votes: p.In("required_votes"), aware: p.In("class_aware"), overlap: p.In("iou_threshold"), least: p.In("confidence"),
				classes: p.In("classes_to_consider"), required: p.In("required_objects"),
			}
			for name, to := range map[string]*string{"presence_confidence_aggregation": &b.presence, "detections_merge_confidence_aggregation": &b.mergeScore, "detections_merge_coordinates_aggregation": &b.mergeBox} {
				v, _ := p.Const(name) // no selector can stand there
				*to, _ = v.Str()
			}
			if v, known := p.Const("required_objects"); known {
				if _, err := readRequired(v); err != nil {
					return nil, p.Fault("required_objects", err.Error(), "for example 3, or {\"car\": 2}")
				}
			}
			return b, nil
		},
	}
}

type consensusBlock struct {
	sources                                         []workflow.In
	votes, aware, overlap, least, classes, required workflow.In
	presence, mergeScore, mergeBox                  string

	given []*workflow.Detections
	used  [][]bool // what already belongs to an object, by source
	group []*workflow.Detection
	picks []int // by source, the detection that votes, or -1
}

// Run implements [workflow.Block].
func (b *consensusBlock) Run(c *workflow.Call) error {
	o, err := b.read(c)
	if err != nil {
		return err
	}
	origin, err := b.origin(c)
	if err != nil {
		return err
	}
	out := c.NewDetections(origin)
	for s, d := range b.given {
		for i := range d.Items {
			b.vote(c, o, s, i, out)
		}
	}
	present, confidence := o.present(out)
	c.Set(0, workflow.DetectionsOf(out))
	c.Set(1, workflow.BoolOf(present))
	c.Set(2, workflow.ObjectOf(confidence))
	return nil
}

// origin checks that all sources looked at one image.
func (b *consensusBlock) origin(c *workflow.Call) (o workflow.Origin, err error) {
	b.given = b.given[:0]
	for i, in := range b.sources {
		d, err := c.Detections(in)
		if err != nil {
			return o, err
		}
		if i == 0 {
			o = d.Origin
		} else if d.Origin.Name != o.Name {
			return o, fmt.Errorf("predictions_batches[%d] was found on %q and the first on %q: only what was found on the same image can be agreed on", i, d.Origin.Name, o.Name)
		}
		b.given = append(b.given, d)
		if len(b.used) <= i {
			b.used = append(b.used, nil)
		}
		b.used[i] = append(b.used[i][:0], make([]bool, len(d.Items))...)
	}
	return o, nil
}

// agreement are the settings of one frame.
type agreement struct {
	votes    int
	aware    bool
	overlap  float64
	least    float64
	classes  []workflow.Value
	required requirement
	presence string
}

func (b *consensusBlock) read(c *workflow.Call) (o agreement, err error) {
	o.presence = b.presence
	if o.votes, err = c.Int(b.votes); err != nil {
		return o, err
	}
	if o.aware, err = c.Bool(b.aware); err != nil {
		return o, err
	}
	if o.overlap, err = c.Float(b.overlap); err != nil {
		return o, err
	}
	if o.least, err = c.Float(b.least); err != nil {
		return o, err
	}
	o.classes, _ = c.Value(b.classes).Items()
	o.required, err = readRequired(c.Value(b.required))
	return o, err
}

func (o *agreement) considers(label string) bool {
	return len(o.classes) == 0 || slices.ContainsFunc(o.classes, func(v workflow.Value) bool { s, ok := v.Str(); return ok && s == label })
}

// vote finds the votes for detection i of source s, of each other source the
// one that overlaps most, and adds the object if they suffice.
func (b *consensusBlock) vote(c *workflow.Call, o agreement, s, i int, out *workflow.Detections) {
	it := &b.given[s].Items[i]
	if b.used[s][i] || !o.considers(it.Label) {
		return
	}
	b.group, b.picks = append(b.group[:0], it), b.picks[:0]
	for other, d := range b.given {
		best, most := -1, o.overlap
		for k := range d.Items {
			rival := &d.Items[k]
			if other == s || b.used[other][k] || !o.considers(rival.Label) || o.aware && rival.Label != it.Label {
				continue
			}
			if v := overlap(it.Box, rival.Box); v > most {
				best, most = k, v
			}
		}
		b.picks = append(b.picks, best)
		if best >= 0 {
			b.group = append(b.group, &d.Items[best])
		}
	}
	if len(b.group) < o.votes {
		return
	}
	merged := workflow.Detection{ID: c.NewID()}
	merged.Box = mergeBoxes(b.group, b.mergeBox)
	merged.Score, merged.Class, merged.Label = mergeScores(b.group, b.mergeScore)
	if float64(merged.Score) < o.least {
		return
	}
	b.used[s][i] = true
	for other, k := range b.picks {
		if k >= 0 {
			b.used[other][k] = true
		}
	}
	out.Items = append(out.Items, merged)
}

func overlap(a, b pipeline.Box) float64 {
	w := float64(min(a.X1, b.X1)) - float64(max(a.X0, b.X0))
	h := float64(min(a.Y1, b.Y1)) - float64(max(a.Y0, b.Y0))
	if !(w > 0 && h > 0) {
		return 0
	}
	return w * h / (area(a) + area(b) - w*h)
}

func area(b pipeline.Box) float64 {
	return (float64(b.X1) - float64(b.X0)) * (float64(b.Y1) - float64(b.Y0))
}

func mergeBoxes(group []*workflow.Detection, mode string) pipeline.Box {
	best := group[0].Box
	var sum [4]float64
	for _, d := range group {
		if a := area(d.Box); mode == "max" && a > area(best) || mode == "min" && a < area(best) {
			best = d.Box
		}
		for i, v := range [...]float32{d.Box.X0, d.Box.Y0, d.Box.X1, d.Box.Y1} {
			sum[i] += float64(v)
		}
	}
	if mode != "average" {
		return best
	}
	n := float64(len(group))
	return pipeline.Box{X0: float32(sum[0] / n), Y0: float32(sum[1] / n), X1: float32(sum[2] / n), Y1: float32(sum[3] / n)}
}

// mergeScores returns the confidence and the class of an object. Of classes
// that are equally frequent the first counts.
func mergeScores(group []*workflow.Detection, mode string) (score float32, class int, label string) {
	best, sum, most := group[0], 0.0, 0
	var frequent *workflow.Detection
	for _, d := range group {
		sum += float64(d.Score)
		if mode == "max" && d.Score > best.Score || mode == "min" && d.Score < best.Score {
			best = d
		}
		n := 0
		for _, e := range group {
			if e.Class == d.Class && e.Label == d.Label {
				n++
			}
		}
		if n > most {
			frequent, most = d, n
		}
	}
	if mode != "average" {
		return best.Score, best.Class, best.Label
	}
	return float32(sum / float64(len(group))), frequent.Class, frequent.Label
}

// requirement is how many objects there must be.
type requirement struct {
	total int64
	by    *workflow.Fields // class to number; nil if classes do not matter
}

func readRequired(v workflow.Value) (r requirement, err error) {
	if v.IsNull() {
		return r, nil
	}
	if n, ok := v.Int(); ok && n >= 1 {
		return requirement{total: n}, nil
	}
	f, ok := v.Fields()
	if !ok {
		return r, fmt.Errorf("it is %s and must be a number of objects from 1, or an object of classes to numbers", v.Describe())
	}
	r.by = f
	for i, k := range f.Keys {
		n, ok := f.Values[i].Int()
		if !ok || n < 1 {
			return r, fmt.Errorf("of class %q it asks for %s objects, and it must be a number from 1", k, f.Values[i].Describe())
		}
		r.total += n
	}
	if r.total == 0 {
		return r, errors.New("it names no class")
	}
	return r, nil
}

// present says whether the objects are enough, and how sure that is.
func (o *agreement) present(d *workflow.Detections) (bool, *workflow.Fields) {
	none, confidence := &workflow.Fields{}, &workflow.Fields{}
	if len(d.Items) == 0 || (o.required.by == nil || !o.aware) && int64(len(d.Items)) < o.required.total {
		return false, none
	}
	counts := map[string]int64{}
	for i := range d.Items {
		key := "any_object"
		if o.aware {
			key = d.Items[i].Label
		}
		counts[key]++
		before, _ := confidence.Get(key)
		f, _ := before.Float()
		score := float64(d.Items[i].Score)
		switch {
		case counts[key] == 1:
			f = score
		case o.presence == "max":
			f = max(f, score)
		case o.presence == "min":
			f = min(f, score)
		default:
			f += (score - f) / float64(counts[key])
		}
		confidence.Set(key, workflow.FloatOf(f))
	}
	if o.aware && o.required.by != nil {
		for i, k := range o.required.by.Keys {
			if n, _ := o.required.by.Values[i].Int(); counts[k] < n {
				return false, none
			}
		}
	}
	return true, confidence
}
