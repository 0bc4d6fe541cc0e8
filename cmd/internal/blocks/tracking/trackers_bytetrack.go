package tracking

import (
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

func trackersByteTrack() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "trackers_bytetrack@v1", Title: "ByteTrack Tracker", Group: group,
		Doc: "Follows objects from frame to frame with ByteTrack, with the settings of the trackers package: overlap alone decides which detection belongs to which track. " +
			"Its settings are read on the first frame. At most 1024 objects are followed at a time.",
		Fields: []workflow.Field{
			frameField(2),
			untrackedField(),
			{Name: "minimum_iou_threshold", Default: workflow.FloatOf(0.1), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, Max: 0.99,
				Doc: "overlap (intersection over union) above which a detection may be a track's object"},
			{Name: "minimum_consecutive_frames", Default: workflow.IntOf(2), Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 1,
				Doc: "in how many frames in a row an object must be found, its first included, before it gets an id"},
			{Name: "lost_track_buffer", Default: workflow.IntOf(30), Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 0, Max: 18000,
				Doc: "how long an object that is not detected keeps its id, in frames at 30 a second: 30 is one second at any frame rate"},
			{Name: "track_activation_threshold", Default: workflow.FloatOf(0.7), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, Max: 1,
				Doc: "least score that begins a track"},
			{Name: "high_conf_det_threshold", Default: workflow.FloatOf(0.6), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, Max: 1,
				Doc: "score above which a detection is matched first; the others are offered to the tracks that are then left"},
			cacheField(),
		},
		Outputs: trackedOutputs(true),
		New: func(p *workflow.Params) (workflow.Block, error) {
			s := trackersSettings{
				p.In("minimum_iou_threshold"), p.In("track_activation_threshold"), p.In("high_conf_det_threshold"),
				p.In("lost_track_buffer"), p.In("minimum_consecutive_frames"),
			}
			return &trackerBlock{step: p.Step(), everyone: p.Used(allDetections), detections: p.In("detections"), options: s.read, instances: true, cache: p.In("instances_cache_size")}, nil
		},
	}
}

type trackersSettings struct{ overlap, activation, high, buffer, frames workflow.In }

func (s trackersSettings) read(c *workflow.Call) (o track.Options, err error) {
	o = track.Trackers()
	for _, f := range []struct {
		in  workflow.In
		set func(float32)
	}{
		{s.overlap, func(v float32) { o.MatchingThreshold, o.LowThreshold, o.UnconfirmedThreshold = 1-v, 1-v, 1-v }},
		{s.activation, func(v float32) { o.BeginThreshold = v }},
		{s.high, func(v float32) { o.ActivationThreshold = v }},
	} {
		v, err := c.Float(f.in)
		if err != nil {
			return o, err
		}
		f.set(float32(v))
	}
	if o.LostBuffer, err = c.Int(s.buffer); err != nil {
		return o, err
	}
	frames, err := c.Int(s.frames)
	o.MinConsecutiveFrames = frames - 1
	return o, err
}
