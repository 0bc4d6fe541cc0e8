package tracking

import (
	"fmt"

	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

// beginAbove is how much surer than the activation threshold a detection must
// be to begin a track (the paper's program).
const beginAbove = 0.1

func byteTracker(version int) *workflow.Manifest {
	m := &workflow.Manifest{
		Type: fmt.Sprintf("%sbyte_tracker@v%d", prefix, version), Title: "Byte Tracker", Group: group,
		Doc: "Follows objects from frame to frame with ByteTrack and gives each an id that it keeps while it is in sight, and when it comes back before it is given up. " +
			"Its settings are read on the first frame. At most 1024 objects are followed at a time.",
		Fields: []workflow.Field{
			frameField(version),
			untrackedField(),
			{Name: "track_activation_threshold", Default: workflow.FloatOf(0.25), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, Max: 1,
				Doc: "score above which a detection is matched first; it begins a new track from 0.1 above that. Detections with a score of 0.1 or less are not looked at"},
			{Name: "lost_track_buffer", Default: workflow.IntOf(30), Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 0, Max: 18000,
				Doc: "how long an object that is not detected keeps its id, in frames at 30 a second: 30 is one second at any frame rate"},
			{Name: "minimum_matching_threshold", Default: workflow.FloatOf(0.8), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Min: 0, MinOpen: true, Max: 1,
				Doc: "largest distance (1 - overlap × score) at which a detection is taken for a track's object; larger is more lenient"},
			{Name: "minimum_consecutive_frames", Default: workflow.IntOf(1), Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 1,
				Doc: "in how many frames in a row after its first an object must be found again before it gets an id"},
		},
		Outputs: trackedOutputs(version >= 3),
	}
	if version >= 3 {
		m.Fields = append(m.Fields, cacheField())
	}
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		s := byteSettings{p.In("track_activation_threshold"), p.In("minimum_matching_threshold"), p.In("lost_track_buffer"), p.In("minimum_consecutive_frames")}
		b := &trackerBlock{step: p.Step(), everyone: p.Used(allDetections), detections: p.In("detections"), options: s.read, instances: version >= 3}
		if b.instances {
			b.cache = p.In("instances_cache_size")
		}
		return b, nil
	}
	return m
}

type byteSettings struct{ activation, matching, buffer, frames workflow.In }

func (s byteSettings) read(c *workflow.Call) (o track.Options, err error) {
	o = track.Defaults()
	activation, err := c.Float(s.activation)
	if err != nil {
		return o, err
	}
	matching, err := c.Float(s.matching)
	if err != nil {
		return o, err
	}
	o.ActivationThreshold, o.BeginThreshold, o.MatchingThreshold = float32(activation), float32(activation+beginAbove), float32(matching)
	if o.LostBuffer, err = c.Int(s.buffer); err != nil {
		return o, err
	}
	o.MinConsecutiveFrames, err = c.Int(s.frames)
	return o, err
}
