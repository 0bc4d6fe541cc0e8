package visual

import (
	"perch/pipeline"
	"perch/pipeline/workflow"
)

const (
	maxTrace  = 3600 // frames
	maxTrails = 1024 // tracks; further ones wait until others are over
)

func trace() *workflow.Manifest {
	tracked := predictions(workflow.AnyDetections()...)
	tracked.Tracked = true
	m := manifest("trace_visualization@v1", "", "Trace Visualization",
		"Draws where each tracked detection was on the last frames. At most 1024 tracks are remembered at once; what is not tracked has no trace.",
		append(coloured(tracked),
			position("position", "CENTER", "the place on the detection that is followed"),
			whole("trace_length", 30, 1, maxTrace, "how many frames are remembered"),
			thickness("thickness", 1, "width of the line"))...)
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newColourist(p)
		if err != nil {
			return nil, err
		}
		at, err := newAnchor(p, "position")
		return &traceBlock{colourist: base, at: at, length: p.In("trace_length"), thickness: p.In("thickness"), trails: map[pipeline.TrackID]*trail{}}, err
	}
	return m
}

type traceBlock struct {
	colourist
	at                anchor
	length, thickness workflow.In
	trails            map[pipeline.TrackID]*trail
	spare             []*trail // of tracks that are over
}

// trail is where a track was; frames[i] is the count of the frame of points[i].
type trail struct {
	points []pipeline.Point
	frames []int64
}

// Run implements [workflow.Block].
func (b *traceBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	at, length, thickness := b.at.of(&r), r.int(b.length), r.int(b.thickness)
	s := b.scene(&r, r.detections(b.predictions).Items)
	if r.err != nil {
		return r.err
	}
	now := c.Frame().Count
	b.forget(now - int64(length))
	for i := range s.found {
		d := &s.found[i]
		t := b.trail(d.Track)
		if t == nil {
			continue
		}
		t.points, t.frames = append(t.points, at.Of(&d.Detection)), append(t.frames, now)
		b.Polyline(s.Picture, t.points, false, s.colour(i), thickness)
	}
	return nil
}

// trail returns a track's trail, or nil if it has none.
func (b *traceBlock) trail(id pipeline.TrackID) *trail {
	if t := b.trails[id]; t != nil || id == 0 || len(b.trails) >= maxTrails {
		return t
	}
	t := &trail{}
	if n := len(b.spare); n > 0 {
		t, b.spare = b.spare[n-1], b.spare[:n-1]
	}
	b.trails[id] = t
	return t
}

// forget drops what was on frames up to last.
func (b *traceBlock) forget(last int64) {
	for id, t := range b.trails {
		old := 0
		for old < len(t.frames) && t.frames[old] <= last {
			old++
		}
		t.points, t.frames = drop(t.points, old), drop(t.frames, old)
		if len(t.frames) == 0 {
			delete(b.trails, id)
			b.spare = append(b.spare, t)
		}
	}
}

// drop removes the first n in place, so that the memory is used again.
func drop[T any](s []T, n int) []T { return s[:copy(s, s[n:])] }
