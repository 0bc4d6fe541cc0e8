package blocks

import (
	"fmt"

	"perch/pipeline/workflow"
)

func detectionsCombine() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "detections_combine@v1", Title: "Detections Combine", Group: "detections",
		Doc: "Puts two sets of detections on the same image into one, the first before the second. Boxes that overlap stay two.",
		Fields: []workflow.Field{
			{Name: "prediction_one", Required: true, Kinds: workflow.AnyDetections(), Doc: "the first detections"},
			{Name: "prediction_two", Required: true, Kinds: workflow.AnyDetections(), Doc: "the second detections"},
		},
		Outputs: []workflow.Output{{Name: "predictions", Like: "prediction_one", Doc: "all detections"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &combineBlock{one: p.In("prediction_one"), two: p.In("prediction_two")}, nil
		},
	}
}

type combineBlock struct{ one, two workflow.In }

// Run implements [workflow.Block].
func (b *combineBlock) Run(c *workflow.Call) error {
	one, err := c.Detections(b.one)
	if err != nil {
		return err
	}
	two, err := c.Detections(b.two)
	if err != nil {
		return err
	}
	if one.Origin.Name != two.Origin.Name {
		return fmt.Errorf("prediction_two was found on %q and prediction_one on %q: only what was found on the same image can be put together", two.Origin.Name, one.Origin.Name)
	}
	out := c.NewDetections(one.Origin)
	out.Like(one)
	if out.Keypoints == nil {
		out.Keypoints = two.Keypoints
	}
	out.Items = append(append(out.Items, one.Items...), two.Items...)
	c.Set(0, workflow.DetectionsOf(out))
	return nil
}
