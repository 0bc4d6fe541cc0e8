package storage

import (
	"time"

	"perch/pipeline"
)

// A tally is what some frames of a run add to its progress and its tracks.
type tally struct {
	frames     uint64
	detections map[string]uint64
	last       time.Time // wall time of the last frame
	tracks     map[pipeline.TrackID]*span
}

// A span is what some frames add to one track.
type span struct {
	class             int
	label             string
	first, last       uint64
	firstPTS, lastPTS time.Duration
	frames            uint64
	best              float32
}

func (t *tally) add(r *pipeline.Result) {
	t.frames++
	t.last = r.Frame.Wall
	for i := range r.Detections {
		d := &r.Detections[i]
		t.count(d.Label, 1)
		if d.Track != 0 {
			t.track(d.Track, span{d.Class, d.Label, r.Frame.Seq, r.Frame.Seq, r.Frame.PTS, r.Frame.PTS, 1, d.Score})
		}
	}
}

// merge adds o, whose frames are later than those of t.
func (t *tally) merge(o *tally) {
	if o.frames == 0 {
		return
	}
	t.frames += o.frames
	t.last = o.last
	for label, n := range o.detections {
		t.count(label, n)
	}
	for id, s := range o.tracks {
		t.track(id, *s)
	}
}

func (t *tally) count(label string, n uint64) {
	if t.detections == nil {
		t.detections = map[string]uint64{}
	}
	t.detections[label] += n
}

func (t *tally) track(id pipeline.TrackID, s span) {
	if t.tracks == nil {
		t.tracks = map[pipeline.TrackID]*span{}
	}
	was := t.tracks[id]
	if was == nil {
		t.tracks[id] = &s
		return
	}
	was.class, was.label = s.class, s.label
	was.last, was.lastPTS = s.last, s.lastPTS
	was.frames += s.frames
	was.best = max(was.best, s.best)
}
