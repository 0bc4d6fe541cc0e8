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

// A Dwell measures how long tracked objects are in zones.
type Dwell struct {
	o       DwellOptions
	since   memory[time.Duration]
	present []Present
}

// Present is a detection with its time in the zone.
type Present struct {
	Index int           // into the detections of the frame
	In    bool          // in a zone now
	Time  time.Duration // since it came in: 0 on the first frame, and outside
}

// NewDwell returns a measurement in which nobody has come in. The error is of
// kind BadConfig.
func NewDwell(o DwellOptions) (*Dwell, error) {
	if len(o.Zones) == 0 {
		return nil, refuse("set up time in zone", "zones", "give a polygon", "there is none")
	}
	o.Zones = append([]*Zone(nil), o.Zones...)
	return &Dwell{o: o, since: newMemory[time.Duration](Remembered)}, nil
}

// Update takes the detections of the next frame at its place in time (that of
// the stream, or of any clock that does not go back: a time before that of
// coming in gives 0) and returns those in a zone, or with KeepOutside all, in
// order; the slice is used again by the next call. An object that is not
// detected for a while and then found in the zone has been in it all along. A
// detection without a track is an error ([ErrUntracked]), and then nothing
// changes.
func (d *Dwell) Update(dets []pipeline.Detection, at time.Duration) ([]Present, error) {
	d.present = d.present[:0]
	if err := tracked("measure time in zone", dets); err != nil {
		return nil, err
	}
	for i := range dets {
		id := dets[i].Track
		if !d.in(dets[i].Box) {
			if d.o.KeepTime {
				d.since.seen(id)
			} else {
				d.since.forget(id)
			}
			if d.o.KeepOutside {
				d.present = append(d.present, Present{Index: i})
			}
			continue
		}
		since, known := d.since.get(id)
		if !known {
			*since = at
		}
		d.present = append(d.present, Present{Index: i, In: true, Time: max(0, at-*since)})
	}
	return d.present, nil
}

func (d *Dwell) in(b pipeline.Box) bool {
	for _, z := range d.o.Zones {
		if z.Has(b) {
			return true
		}
	}
	return false
}
