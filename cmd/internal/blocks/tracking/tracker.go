package tracking

import (
	"perch/pipeline"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

// trackerBlock is what all tracker blocks share.
type trackerBlock struct {
	step       string
	detections workflow.In
	// options reads the step's settings, once, on the first frame.
	options func(c *workflow.Call) (track.Options, error)
	// cache is how many tracks are remembered as seen; only with instances.
	cache     workflow.In
	instances bool
	everyone  bool // somebody reads all_detections

	tracker  *track.Tracker
	seen     *track.Instances
	declared bool
	dets     []pipeline.Detection
}

// Run implements [workflow.Block].
func (b *trackerBlock) Run(c *workflow.Call) error {
	if err := onFrame(c); err != nil {
		return err
	}
	d, err := c.Detections(b.detections)
	if err != nil {
		return err
	}
	if err := b.prepare(c); err != nil {
		return err
	}
	b.dets = plain(b.dets, d)
	b.tracker.Update(b.dets, c.Frame().PTS)

	all := c.NewDetections(d.Origin)
	all.Like(d)
	for i := range b.dets {
		if id := b.dets[i].Track; id != 0 {
			all.Items = append(all.Items, d.Items[i])
			all.Items[len(all.Items)-1].Track = id
		}
	}
	c.Set(0, workflow.DetectionsOf(all))
	if b.instances {
		b.divide(c, all)
	}
	if b.everyone {
		b.both(c, d)
	}
	return nil
}

// both puts out what was given, with the ids of those that have one.
func (b *trackerBlock) both(c *workflow.Call, d *workflow.Detections) {
	all := c.NewDetections(d.Origin)
	all.Like(d)
	for i := range b.dets {
		all.Items = append(all.Items, d.Items[i])
		all.Items[i].Track = b.dets[i].Track
	}
	output := 1
	if b.instances {
		output = 3
	}
	c.Set(output, workflow.DetectionsOf(all))
}

// prepare makes the tracker on the first frame, and keeps to the measured frame
// rate of a stream that does not say it.
func (b *trackerBlock) prepare(c *workflow.Call) error {
	rate, declared := frameRate(c.Frame())
	if b.tracker != nil {
		if b.declared {
			return nil
		}
		return b.tracker.SetFrameRate(rate)
	}
	o, err := b.options(c)
	if err != nil {
		return err
	}
	o.FrameRate = rate
	if b.instances {
		size, err := c.Int(b.cache)
		if err != nil {
			return err
		}
		if b.seen, err = track.NewInstances(size); err != nil {
			return err
		}
	}
	if b.tracker, err = track.New(o); err != nil {
		return err
	}
	if b.declared = declared; !declared {
		sayUnknown(c.Env().Log, b.step, c.Frame())
	}
	return nil
}

// divide puts out which tracks are there for the first time.
func (b *trackerBlock) divide(c *workflow.Call, all *workflow.Detections) {
	fresh, known := c.NewDetections(all.Origin), c.NewDetections(all.Origin)
	fresh.Like(all)
	known.Like(all)
	for i := range all.Items {
		to := known
		if b.seen.New(all.Items[i].Track) {
			to = fresh
		}
		to.Items = append(to.Items, all.Items[i])
	}
	c.Set(1, workflow.DetectionsOf(fresh))
	c.Set(2, workflow.DetectionsOf(known))
}

// allDetections is the output that Roboflow's trackers do not have.
const allDetections = "all_detections"

func untrackedField() workflow.Field {
	return workflow.Field{Name: "detections", Required: true, Kinds: workflow.AnyDetections(), Doc: "what a model found on the frame"}
}

func cacheField() workflow.Field {
	return workflow.Field{
		Name: "instances_cache_size", Default: workflow.IntOf(16384), Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 1, Max: 1 << 20,
		Doc: "how many tracks are remembered as seen before; when there are more, the one that came first is forgotten and would be new again",
	}
}

func trackedOutputs(instances bool) []workflow.Output {
	outs := []workflow.Output{{Name: "tracked_detections", Like: "detections", Tracked: true, Doc: "the detections that belong to a confirmed track, with its id; others are left out"}}
	if instances {
		outs = append(outs,
			workflow.Output{Name: "new_instances", Like: "detections", Tracked: true, Doc: "those whose track is there for the first time"},
			workflow.Output{Name: "already_seen_instances", Like: "detections", Tracked: true, Doc: "those whose track was there before"})
	}
	outs = append(outs, workflow.Output{Name: allDetections, Like: "detections", Doc: "all detections, with the id of those that belong to a confirmed track; only Perch has this output"})
	return outs
}
