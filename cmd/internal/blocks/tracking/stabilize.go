package tracking

import (
	"fmt"

	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

func stabilizeDetections() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "stabilize_detections@v1", Title: "Detections Stabilizer", Group: group,
		Doc: "Smooths the boxes of tracked objects from frame to frame, and carries an object that is not detected on for a few frames, where its movement leads. " +
			"A tracker that gives many short-lived ids makes many short-lived boxes here. Its settings are read on the first frame; at most 4096 objects are held, more pass as they are.",
		Fields: []workflow.Field{
			frameField(2),
			trackedField(),
			{Name: "smoothing_window_size", Default: workflow.IntOf(3), Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 1, Max: 300,
				Doc: "from how many of its last movements an object's velocity is taken; also for how many frames it is carried on at most"},
			{Name: "bbox_smoothing_coefficient", Default: workflow.FloatOf(0.2), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, Max: 1,
				Doc: "weight of the box on this frame against the one before; 1 does not smooth"},
		},
		Outputs: []workflow.Output{{Name: "tracked_detections", Like: "detections", Tracked: true, Doc: "the smoothed detections, then those that are carried on"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &stabilizeBlock{detections: p.In("detections"), window: p.In("smoothing_window_size"), alpha: p.In("bbox_smoothing_coefficient")}, nil
		},
	}
}

type stabilizeBlock struct {
	detections, window, alpha workflow.In
	steady                    *steady
}

// Run implements [workflow.Block].
func (b *stabilizeBlock) Run(c *workflow.Call) error {
	if err := onFrame(c); err != nil {
		return err
	}
	d, err := c.Detections(b.detections)
	if err != nil {
		return err
	}
	for i := range d.Items {
		if d.Items[i].Track == 0 {
			return fmt.Errorf("detection %d (%s): %w (put a tracker before this step)", i, d.Items[i].Label, track.ErrUntracked)
		}
	}
	if b.steady == nil {
		window, err := c.Int(b.window)
		if err != nil {
			return err
		}
		alpha, err := c.Float(b.alpha)
		if err != nil {
			return err
		}
		b.steady = newSteady(alpha, window)
	}
	out := c.NewDetections(d.Origin)
	out.Like(d)
	b.steady.update(d, out)
	c.Set(0, workflow.DetectionsOf(out))
	return nil
}
