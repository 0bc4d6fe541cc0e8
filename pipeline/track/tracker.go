package track

import (
	"math"
	"time"

	"perch/pipeline"
)

// A Tracker gives the detections of consecutive frames the id of the object
// they belong to.
type Tracker struct {
	o       Options
	buffer  int64 // o.LostBuffer in frames of this stream
	objects []object
	nextID  pipeline.TrackID

	frame int64         // of the stream, frames nobody looked at included
	at    time.Duration // of the newest Update
	fresh bool          // nothing came before this frame
	stats Stats

	matcher   matcher
	high, low []int // detections, each stage leaving the next what it did not use
	rows      []int // objects that take part in a stage
}

// Stats count what a [Tracker] did since it was made, and what it holds now.
type Stats struct {
	Frames    uint64 // times Update was called
	Skipped   uint64 // frames that, by the clock, lay between
	Cuts      uint64 // gaps so long that every track ended
	Started   uint64 // tracks that began, most of them to be confirmed
	Confirmed uint64 // tracks that got an id
	Ended     uint64 // confirmed tracks that were given up
	Refused   uint64 // detections that began no track because MaxTracks were there
	Unusable  uint64 // detections without an area, or not finite

	Unconfirmed, Tracked, Lost int
}

// condition is how far a track has come.
type condition uint8

const (
	unconfirmed condition = iota // began, not yet found again often enough
	followed                     // seen on the newest frame
	lost                         // confirmed, not seen on the newest frame
)

// An object is one track.
type object struct {
	filter filter
	box    box // what the filter says now
	id     pipeline.TrackID
	class  int
	state  condition
	hits   int   // frames that found it again
	began  int64 // frame
	seen   int64 // frame
	lostAt int64 // frame
	det    int   // detection of this frame, or -1
	ended  bool  // to be left out at the end of this frame
}

// New returns a tracker without tracks. The error, of kind BadConfig, names the
// option that cannot be meant.
func New(o Options) (*Tracker, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return &Tracker{o: o, buffer: o.bufferFrames(), fresh: true}, nil
}

// Update takes the detections of one frame, at its place in the stream's time,
// and sets each one's Track: the id of a confirmed track, or 0. It returns
// dets, or with DropUntracked the tracked ones among them, moved to its front
// in their order. Boxes stay as they were detected.
//
// Frames must come in order. When, by the clock, frames were left out between,
// tracks are predicted over them one by one, and the lost buffer goes on
// running, but no track is lost for not being seen on a frame that nobody
// looked at. After a gap (or a jump back) of more than the lost buffer, MaxGap
// and one and a half frames every track has ended, and ids go on counting. A
// jump back by less counts as one frame.
func (t *Tracker) Update(dets []pipeline.Detection, at time.Duration) []pipeline.Detection {
	t.advance(at)
	t.divide(dets)

	t.associate(dets, &t.high, func(o *object) bool { return o.state != unconfirmed }, t.o.MatchingThreshold, !t.o.IgnoreScore)
	t.associate(dets, &t.low, func(o *object) bool { return o.state == followed && o.det < 0 }, t.o.LowThreshold, false)
	for i := range t.objects {
		if o := &t.objects[i]; o.state == followed && o.det < 0 {
			o.state, o.lostAt = lost, t.frame
		}
	}
	t.associate(dets, &t.high, func(o *object) bool { return o.state == unconfirmed }, t.o.UnconfirmedThreshold, !t.o.IgnoreScore)
	for i := range t.objects {
		o := &t.objects[i]
		// One that was lost just now takes part once more, whatever the buffer.
		o.ended = (o.state == unconfirmed && o.det < 0) || (o.state == lost && o.lostAt != t.frame && t.frame-o.seen > t.buffer)
	}
	t.sweep()
	t.begin(dets)
	t.deduplicate()
	t.sweep()
	return t.label(dets)
}

// SetFrameRate tells the tracker what the stream's frame rate has turned out to
// be (above 0, up to [FastestRate]). Tracks go on as they are; the lost buffer
// lasts as long as before, in more or fewer frames.
func (t *Tracker) SetFrameRate(fps float64) error {
	o := t.o
	o.FrameRate = fps
	if fps == 0 {
		return refuse("set up tracking", "frame rate", "leave it as it is while it is not known", "a rate that was known cannot become unknown")
	}
	if err := o.check(); err != nil {
		return err
	}
	t.o, t.buffer = o, o.bufferFrames()
	return nil
}

// advance moves all tracks on to the time at.
func (t *Tracker) advance(at time.Duration) {
	steps := t.steps(at)
	t.stats.Frames++
	t.stats.Skipped += uint64(steps - 1)
	t.frame += steps
	t.at = at
	for i := range t.objects {
		o := &t.objects[i]
		o.det = -1
		if steps > 1 && o.state == lost && t.frame-o.seen > t.buffer+1 {
			o.ended = true // its time ran out between frames
			continue
		}
		if o.state == unconfirmed && o.hits == 0 {
			continue // seen once: its speed is not known yet (the paper's program)
		}
		for range steps {
			if o.state == lost {
				o.filter[height].v = 0 // out of sight it does not grow (the paper's program)
			}
			o.filter.predict()
		}
		o.box = o.filter.box()
	}
	t.sweep()
}

// steps returns how many frames the stream has moved on, at least one.
func (t *Tracker) steps(at time.Duration) int64 {
	gap := at - t.at
	if t.stats.Frames == 0 {
		return 1
	}
	t.fresh = false
	if most := t.o.maxGap(); gap > most || gap < -most {
		t.stats.Cuts++
		for i := range t.objects {
			t.objects[i].ended = true
		}
		t.sweep()
		t.fresh = true
		return 1
	}
	return max(1, int64(math.Round(gap.Seconds()*t.o.FrameRate)))
}

// divide sorts detections into high and low scores.
func (t *Tracker) divide(dets []pipeline.Detection) {
	t.high, t.low = t.high[:0], t.low[:0]
	for i := range dets {
		d := &dets[i]
		d.Track = 0
		switch {
		case !usable(d.Box):
			t.stats.Unusable++
		case d.Score > t.o.ActivationThreshold:
			t.high = append(t.high, i)
		case d.Score > t.o.LowScore:
			t.low = append(t.low, i)
		}
	}
}

// associate pairs the objects that take part with the detections in left, at
// costs below limit, and takes the used ones out of left.
func (t *Tracker) associate(dets []pipeline.Detection, left *[]int, takesPart func(*object) bool, limit float32, byScore bool) {
	t.rows = t.rows[:0]
	for i := range t.objects {
		if takesPart(&t.objects[i]) {
			t.rows = append(t.rows, i)
		}
	}
	if len(t.rows) == 0 || len(*left) == 0 {
		return
	}
	t.matcher.reset(len(t.rows), len(*left))
	for col, c := range *left {
		d, weight := &dets[c], 1.0
		if byScore {
			weight = float64(d.Score)
		}
		at := wide(d.Box)
		for row, r := range t.rows {
			o := &t.objects[r]
			if t.o.PerClass && o.class != d.Class {
				continue
			}
			if gain := float64(limit) - 1 + weight*iou(o.box, at); gain > 0 {
				t.matcher.offer(row, col, gain)
			}
		}
	}
	t.matcher.solve()
	for row, col := range t.matcher.mate {
		if col >= 0 {
			c := (*left)[col]
			t.found(&t.objects[t.rows[row]], c, &dets[c])
			(*left)[col] = -1
		}
	}
	rest := (*left)[:0]
	for _, c := range *left {
		if c >= 0 {
			rest = append(rest, c)
		}
	}
	*left = rest
}

// found takes a detection into a track.
func (t *Tracker) found(o *object, det int, d *pipeline.Detection) {
	o.filter.update(measure(d.Box))
	o.box, o.det, o.seen = o.filter.box(), det, t.frame
	o.hits++
	if o.state == unconfirmed && o.hits >= t.o.MinConsecutiveFrames {
		t.confirm(o)
	}
	if o.state == lost {
		o.state = followed
	}
}

func (t *Tracker) confirm(o *object) {
	t.nextID++
	o.id, o.state = t.nextID, followed
	t.stats.Confirmed++
}

// begin starts a track for each detection that is left and sure enough.
func (t *Tracker) begin(dets []pipeline.Detection) {
	for _, i := range t.high {
		d := &dets[i]
		if d.Score < t.o.BeginThreshold {
			continue
		}
		if len(t.objects) >= t.o.MaxTracks && !t.makeRoom() {
			t.stats.Refused++
			continue
		}
		o := object{filter: begin(measure(d.Box)), class: d.Class, began: t.frame, seen: t.frame, det: i}
		o.box = o.filter.box()
		t.stats.Started++
		if need := t.o.MinConsecutiveFrames; need == 0 || need == 1 && t.fresh && !t.o.AlikeAtFirst {
			t.confirm(&o)
		}
		t.objects = append(t.objects, o)
	}
}

// makeRoom gives up the lost track that was not seen for longest.
func (t *Tracker) makeRoom() bool {
	oldest := -1
	for i := range t.objects {
		if o := &t.objects[i]; o.state == lost && (oldest < 0 || o.seen < t.objects[oldest].seen) {
			oldest = i
		}
	}
	if oldest >= 0 {
		t.objects[oldest].ended = true
		t.sweep()
	}
	return oldest >= 0
}

// sameObject is the overlap above which a track in sight and a lost one are
// one object (the paper's program: a distance below 0.15).
const sameObject = 0.85

// deduplicate ends the shorter of two tracks that follow one object: one in
// sight and one lost, the only way in which two come to be.
func (t *Tracker) deduplicate() {
	for i := range t.objects {
		p := &t.objects[i]
		if p.state == lost {
			continue
		}
		for j := range t.objects {
			q := &t.objects[j]
			if q.state != lost || (t.o.PerClass && p.class != q.class) || iou(p.box, q.box) <= sameObject {
				continue
			}
			if p.seen-p.began > q.seen-q.began {
				q.ended = true
			} else {
				p.ended = true
			}
		}
	}
}

// sweep leaves out the tracks that have ended.
func (t *Tracker) sweep() {
	kept := t.objects[:0]
	for i := range t.objects {
		if o := &t.objects[i]; !o.ended {
			kept = append(kept, *o)
		} else if o.id != 0 {
			t.stats.Ended++
		}
	}
	t.objects = kept
}

// label writes the ids into the detections.
func (t *Tracker) label(dets []pipeline.Detection) []pipeline.Detection {
	for i := range t.objects {
		if o := &t.objects[i]; o.state == followed {
			dets[o.det].Track = o.id
		}
	}
	if !t.o.DropUntracked {
		return dets
	}
	kept := dets[:0]
	for i := range dets {
		if dets[i].Track != 0 {
			kept = append(kept, dets[i])
		}
	}
	return kept
}

// Stats returns the counts as they stand.
func (t *Tracker) Stats() Stats {
	s := t.stats
	for i := range t.objects {
		switch t.objects[i].state {
		case unconfirmed:
			s.Unconfirmed++
		case followed:
			s.Tracked++
		case lost:
			s.Lost++
		}
	}
	return s
}
