package track

import (
	"time"

	"perch/pipeline"
)

// DwellOptions say which zones count and what leaving them means.
type DwellOptions struct {
	Zones []*Zone // being in any of them counts; one at least
	// KeepOutside lists detections outside all zones as well, with time 0.
	KeepOutside bool
	// KeepTime goes on from the first time an object came in when it comes in
	// again; otherwise leaving sets its time back to nothing.
	KeepTime bool
}

// Unseen is how long an object that was in a zone may be out of sight before
// it counts as having left.
const Unseen = 10 * time.Second

// sweepEvery is how often a [Dwell] looks for objects that are out of sight.
const sweepEvery = time.Second

// A Dwell measures how long tracked objects are in zones.
type Dwell struct {
	o        DwellOptions
	stays    memory[stay]
	swept    time.Duration
	present  []Present
	passages []Passage
}

// stay is what is kept of a track that came in.
type stay struct {
	since, seen time.Duration
	in          bool
	label       string
}

// Present is a detection with its time in the zone.
type Present struct {
	Index int           // into the detections of the frame
	In    bool          // in a zone now
	Time  time.Duration // since it came in: 0 on the first frame, and outside
}

// A Passage is an object that came into the zones or left them.
type Passage struct {
	Track pipeline.TrackID
	Label string
	In    bool          // came in; otherwise left
	Time  time.Duration // of one that left: how long it was in
	// Gone is true of one that did not leave in sight: it was last seen inside,
	// [Unseen] ago.
	Gone bool
}

// NewDwell returns a measurement in which nobody has come in. The error is of
// kind BadConfig.
func NewDwell(o DwellOptions) (*Dwell, error) {
	if len(o.Zones) == 0 {
		return nil, refuse("set up time in zone", "zones", "give a polygon", "there is none")
	}
	o.Zones = append([]*Zone(nil), o.Zones...)
	return &Dwell{o: o, stays: newMemory[stay](Remembered)}, nil
}

// Update takes the detections of the next frame at its place in time (that of
// the stream, or of any clock that does not go back: a time before that of
// coming in gives 0) and returns those in a zone, or with KeepOutside all, in
// order; the slice is used again by the next call. An object that is not
// detected for a while and then found in the zone has been in it all along. A
// detection without a track ([ErrUntracked]), or without the mask that an
// anchor needs ([ErrNoMask]), is an error, and then nothing changes.
func (d *Dwell) Update(dets []pipeline.Detection, at time.Duration) ([]Present, error) {
	const op = "measure time in zone"
	d.present, d.passages = d.present[:0], d.passages[:0]
	if err := tracked(op, dets); err != nil {
		return nil, err
	}
	for _, z := range d.o.Zones {
		if err := masked(op, dets, z.anchors); err != nil {
			return nil, err
		}
	}
	for i := range dets {
		if d.in(&dets[i]) {
			d.present = append(d.present, Present{Index: i, In: true, Time: d.inside(&dets[i], at)})
			continue
		}
		d.outside(dets[i].Track, at)
		if d.o.KeepOutside {
			d.present = append(d.present, Present{Index: i})
		}
	}
	d.sweep(at)
	return d.present, nil
}

// Passages returns who came in and who left on the last Update, in order; the
// slice is used again by the next one. A track that has to be forgotten (see
// [Remembered]) does not leave.
func (d *Dwell) Passages() []Passage { return d.passages }

// inside takes note of a track in the zones and returns its time there.
func (d *Dwell) inside(det *pipeline.Detection, at time.Duration) time.Duration {
	s, known := d.stays.get(det.Track)
	if !known {
		s.since = at
	}
	if !s.in {
		d.passages = append(d.passages, Passage{Track: det.Track, Label: det.Label, In: true})
	}
	s.in, s.seen, s.label = true, at, det.Label
	return max(0, at-s.since)
}

// outside takes note of a track that is in none of the zones.
func (d *Dwell) outside(id pipeline.TrackID, at time.Duration) {
	if !d.stays.seen(id) {
		return
	}
	s, _ := d.stays.get(id)
	if s.in {
		d.passages = append(d.passages, Passage{Track: id, Label: s.label, Time: max(0, at-s.since)})
	}
	s.in, s.seen = false, at
	if !d.o.KeepTime {
		d.stays.forget(id)
	}
}

// sweep finds the tracks that are in the zones as far as is known and have not
// been seen for long. Their time goes on should they come back.
func (d *Dwell) sweep(at time.Duration) {
	if since := at - d.swept; since >= 0 && since < sweepEvery {
		return
	}
	d.swept = at
	for i := range d.stays.entries[1:] {
		e := &d.stays.entries[i+1]
		if s := &e.value; s.in && at-s.seen >= Unseen {
			s.in = false
			d.passages = append(d.passages, Passage{Track: e.id, Label: s.label, Time: max(0, s.seen-s.since), Gone: true})
		}
	}
}

func (d *Dwell) in(det *pipeline.Detection) bool {
	for _, z := range d.o.Zones {
		if z.Has(det) {
			return true
		}
	}
	return false
}
