package blocks

import "perch/pipeline/workflow"

func detectionsMerge() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "detections_merge@v1", Title: "Detections Merge", Group: "detections",
		Doc: "Makes one detection of all: a box around all boxes, with the least of their confidences. Of no detections it makes none.",
		Fields: []workflow.Field{
			{Name: "predictions", Required: true, Kinds: workflow.AnyDetections(), Doc: "the detections"},
			{Name: "class_name", Default: workflow.StringOf("merged_detection"), Literal: workflow.StringLiteral, Doc: "the class of the detection that is made"},
		},
		Outputs: []workflow.Output{{Name: "predictions", Kinds: []workflow.Kind{workflow.ObjectDetections}, Doc: "the one detection"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &mergeBlock{predictions: p.In("predictions"), class: p.In("class_name")}, nil
		},
	}
}

type mergeBlock struct{ predictions, class workflow.In }

// Run implements [workflow.Block].
func (b *mergeBlock) Run(c *workflow.Call) error {
	d, err := c.Detections(b.predictions)
	if err != nil {
		return err
	}
	class, err := c.Str(b.class)
	if err != nil {
		return err
	}
	out := c.NewDetections(d.Origin)
	c.Set(0, workflow.DetectionsOf(out))
	if len(d.Items) == 0 {
		return nil
	}
	all := workflow.Detection{ID: c.NewID()}
	all.Label, all.Score, all.Box = class, d.Items[0].Score, d.Items[0].Box
	for i := range d.Items {
		it := &d.Items[i]
		all.Score = min(all.Score, it.Score)
		all.Box.X0, all.Box.Y0 = min(all.Box.X0, it.Box.X0), min(all.Box.Y0, it.Box.Y0)
		all.Box.X1, all.Box.Y1 = max(all.Box.X1, it.Box.X1), max(all.Box.Y1, it.Box.Y1)
	}
	out.Items = append(out.Items, all)
	return nil
}
