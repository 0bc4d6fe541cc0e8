package tracking

import (
	"perch/pipeline"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

func velocity() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "velocity@v1", Title: "Velocity", Group: group,
		Doc: "Measures how fast the centre of each object moves over the picture and adds velocity [right, down] and speed to its detection, each also smoothed. Perspective is not made up for: far away is slow. " +
			"An object that is seen for the first time has no velocity, which is what smoothing starts from. Its settings are read on the first frame; the 4096 tracks seen last are remembered.",
		Fields: []workflow.Field{
			frameField(2),
			trackedField(),
			{Name: "smoothing_alpha", Default: workflow.FloatOf(0.5), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, MinOpen: true, Max: 1,
				Doc: "weight of the newest velocity in the smoothed one; 1 does not smooth"},
			{Name: "pixels_per_meter", Default: workflow.FloatOf(1), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, MinOpen: true,
				Doc: "how many pixels are one metre; velocities are in metres per second, or with 1 in pixels per second"},
		},
		Outputs: []workflow.Output{{Name: "velocity_detections", Like: "detections", Doc: "the detections with velocity, speed, smoothed_velocity and smoothed_speed"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &velocityBlock{detections: p.In("detections"), alpha: p.In("smoothing_alpha"), scale: p.In("pixels_per_meter")}, nil
		},
	}
}

type velocityBlock struct {
	detections, alpha, scale workflow.In

	clock    clock
	velocity *track.Velocity
	dets     []pipeline.Detection
}

func (b *velocityBlock) prepare(c *workflow.Call) error {
	alpha, err := c.Float(b.alpha)
	if err != nil {
		return err
	}
	scale, err := c.Float(b.scale)
	if err != nil {
		return err
	}
	b.velocity, err = track.NewVelocity(track.VelocityOptions{Alpha: alpha, PixelsPerMetre: scale})
	return err
}

// Run implements [workflow.Block].
func (b *velocityBlock) Run(c *workflow.Call) error {
	if err := onFrame(c); err != nil {
		return err
	}
	d, err := c.Detections(b.detections)
	if err != nil {
		return err
	}
	if b.velocity == nil {
		if err := b.prepare(c); err != nil {
			return err
		}
	}
	b.dets = plain(b.dets, d)
	motion, err := b.velocity.Update(b.dets, b.clock.at(c.Frame()))
	if err != nil {
		return err
	}
	out := c.NewDetections(d.Origin)
	out.Like(d)
	out.Items = append(out.Items, d.Items...)
	for i, m := range motion {
		it := &out.Items[i]
		it.Velocity, it.Speed = [2]float64{m.X, m.Y}, m.Speed
		it.SmoothedVelocity, it.SmoothedSpeed = [2]float64{m.SmoothX, m.SmoothY}, m.Smoothed
		it.Has |= workflow.HasVelocity
	}
	c.Set(0, workflow.DetectionsOf(out))
	return nil
}
