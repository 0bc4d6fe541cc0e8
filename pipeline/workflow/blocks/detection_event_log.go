package blocks

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// mostLogged is how many objects a log holds.
const mostLogged = 4096

func detectionEventLog() *workflow.Manifest {
	frames := func(name string, def int64, doc string) workflow.Field {
		return workflow.Field{Name: name, Default: workflow.IntOf(def), Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 1, Doc: doc}
	}
	return &workflow.Manifest{
		Type: prefix + "detection_event_log@v1", Title: "Detection Event Log", Group: "tracking",
		Doc: "Keeps a log of tracked objects: when each was first and last seen, and on how many frames. One that was seen often enough is logged, before that it is pending; one that has not been seen for long is taken out, " +
			"and put out as complete if it was logged. The log holds 4096 objects; when one more comes, that which was not seen for longest is taken out.",
		Fields: []workflow.Field{
			{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Pixels: workflow.NoPixels, Doc: "the frame: when it was taken"},
			{Name: "detections", Required: true, Tracked: true, Kinds: workflow.AnyDetections(), Doc: "detections with track ids, as a tracker puts them out"},
			frames("frame_threshold", 30, "on how many frames an object must have been seen to be logged"),
			frames("flush_interval", 30, "every how many frames it is looked for objects that have not been seen for long"),
			frames("stale_frames", 300, "an object that was not seen for more frames than these is taken out"),
			{Name: "reference_timestamp", Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Doc: "not used any more: times come from the frames"},
			{Name: "fallback_fps", Default: workflow.FloatOf(1), Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, MinOpen: true, Doc: "frame rate of a file that does not say its own, for times from its beginning"},
		},
		Outputs: []workflow.Output{
			{Name: "event_log", Kinds: []workflow.Kind{workflow.DictionaryKind}, Doc: `{"logged": {track id: event}, "pending": {track id: event}}; times in seconds since 1970, and since the first frame`},
			{Name: "detections", Like: "detections", Doc: "the detections, as they were given"},
			{Name: "total_logged", Kinds: []workflow.Kind{workflow.IntegerKind}, Doc: "how many objects are logged now"},
			{Name: "total_pending", Kinds: []workflow.Kind{workflow.IntegerKind}, Doc: "how many are pending now"},
			{Name: "complete_events", Kinds: []workflow.Kind{workflow.DictionaryKind}, Doc: "the logged objects that were taken out on this frame, {track id: event}"},
		},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &eventLogBlock{
				detections: p.In("detections"), threshold: p.In("frame_threshold"), flush: p.In("flush_interval"), stale: p.In("stale_frames"), fps: p.In("fallback_fps"),
				index: map[pipeline.TrackID]int{},
			}, nil
		},
	}
}

type eventLogBlock struct {
	detections, threshold, flush, stale, fps workflow.In

	frame, flushed int
	start          time.Time
	first          int64    // number of the first frame
	events         []logged // in the order in which they came
	index          map[pipeline.TrackID]int
}

// logged is what is kept of one object.
type logged struct {
	track       pipeline.TrackID
	label       string
	first, last moment
	frames      int
}

// moment is a frame in all the ways in which it is told.
type moment struct {
	frame    int     // of the log, from 1
	unix     float64 // seconds
	relative float64 // seconds since the first frame
}

// Run implements [workflow.Block].
func (b *eventLogBlock) Run(c *workflow.Call) error {
	if err := oncePerFrame(c); err != nil {
		return err
	}
	d, err := c.Detections(b.detections)
	if err != nil {
		return err
	}
	var at [3]int
	for i, in := range []workflow.In{b.threshold, b.flush, b.stale} {
		if at[i], err = c.Int(in); err != nil {
			return err
		}
	}
	threshold, flush, stale := at[0], at[1], at[2]
	fps, err := c.Float(b.fps)
	if err != nil {
		return err
	}
	for i := range d.Items {
		if d.Items[i].Track == 0 {
			return fmt.Errorf("detection %d (%s) has no track, and the log tells objects apart by it (put a tracker before this step)", i, d.Items[i].Label)
		}
	}
	now := b.now(c.Frame(), fps)
	complete := &workflow.Fields{}
	if b.frame-b.flushed >= flush {
		b.flushed = b.frame
		b.takeOut(func(e *logged) bool { return b.frame-e.last.frame > stale }, threshold, complete)
	}
	for i := range d.Items {
		b.see(&d.Items[i], now, threshold, complete)
	}
	b.putOut(c, threshold)
	c.Set(1, workflow.DetectionsOf(d))
	c.Set(4, workflow.ObjectOf(complete))
	return nil
}

// now counts the frame and tells its time. A file's time is that of its frames.
func (b *eventLogBlock) now(f *workflow.Frame, fps float64) moment {
	b.frame++
	if b.frame == 1 {
		b.start, b.first, b.flushed = f.Time, f.Number, 1
	}
	m := moment{frame: b.frame, unix: float64(f.Time.UnixMicro()) / 1e6, relative: f.Time.Sub(b.start).Seconds()}
	if f.FromFile {
		if f.FPS > 0 {
			fps = f.FPS
		}
		m.relative = float64(f.Number-b.first) / fps
	}
	return m
}

func (b *eventLogBlock) see(d *workflow.Detection, now moment, threshold int, complete *workflow.Fields) {
	i, known := b.index[d.Track]
	if !known {
		if len(b.events) >= mostLogged {
			oldest := slices.MinFunc(b.events, func(x, y logged) int { return x.last.frame - y.last.frame }).track
			b.takeOut(func(e *logged) bool { return e.track == oldest }, threshold, complete)
		}
		i = len(b.events)
		b.index[d.Track] = i
		b.events = append(b.events, logged{track: d.Track, label: d.Label, first: now})
	}
	e := &b.events[i]
	e.last = now
	e.frames++
}

// takeOut removes events; those that were logged are complete.
func (b *eventLogBlock) takeOut(gone func(*logged) bool, threshold int, complete *workflow.Fields) {
	kept := b.events[:0]
	for i := range b.events {
		e := &b.events[i]
		if !gone(e) {
			b.index[e.track] = len(kept)
			kept = append(kept, *e)
			continue
		}
		delete(b.index, e.track)
		if e.frames >= threshold {
			complete.Set(e.key(), e.value())
		}
	}
	b.events = kept
}

func (b *eventLogBlock) putOut(c *workflow.Call, threshold int) {
	done, pending := &workflow.Fields{}, &workflow.Fields{}
	for i := range b.events {
		e := &b.events[i]
		to := pending
		if e.frames >= threshold {
			to = done
		}
		to.Keys, to.Values = append(to.Keys, e.key()), append(to.Values, e.value())
	}
	c.Set(0, workflow.ObjectOf(&workflow.Fields{Keys: []string{"logged", "pending"}, Values: []workflow.Value{workflow.ObjectOf(done), workflow.ObjectOf(pending)}}))
	c.Set(2, workflow.IntOf(int64(len(done.Keys))))
	c.Set(3, workflow.IntOf(int64(len(pending.Keys))))
}

func (e *logged) key() string { return strconv.FormatUint(uint64(e.track), 10) }

func (e *logged) value() workflow.Value {
	return workflow.ObjectOf(&workflow.Fields{
		Keys: []string{
			"tracker_id", "class_name", "first_seen_frame", "first_seen_timestamp", "last_seen_frame", "last_seen_timestamp",
			"first_seen_relative", "last_seen_relative", "frame_count",
		},
		Values: []workflow.Value{
			workflow.IntOf(int64(e.track)), workflow.StringOf(e.label),
			workflow.IntOf(int64(e.first.frame)), workflow.FloatOf(e.first.unix), workflow.IntOf(int64(e.last.frame)), workflow.FloatOf(e.last.unix),
			workflow.FloatOf(e.first.relative), workflow.FloatOf(e.last.relative), workflow.IntOf(int64(e.frames)),
		},
	})
}
