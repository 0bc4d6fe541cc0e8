package gst

/*
#include "glue.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/go-gst/go-gst/gst"

	"perch/pipeline"
)

// A feed pushes pictures into the appsrc "in" of a pipeline. It belongs to one
// goroutine at a time.
type feed struct {
	encoding
	player *player
	src    *C.GstElement
	caps   string
}

// openFeed starts the first of the elements that works; rest is what follows
// the encoder. The reasons why better ones failed come back joined in tried.
func (m *Media) openFeed(e encoding, job *job, rest string, settings ...setting) (f *feed, element string, tried error, err error) {
	for _, c := range job.present {
		line, own := e.launch(c.element)
		f, err := startFeed(e, line+rest, append(own, settings...))
		if err == nil {
			return f, c.element, tried, nil
		}
		tried = errors.Join(tried, fmt.Errorf("%s: %w", c.element, err))
		if pipeline.KindOf(err) == pipeline.Stuck {
			return nil, "", tried, err
		}
	}
	fail := &pipeline.Error{Op: "encode", On: job.key, Kind: pipeline.Unsupported, Err: tried}
	if tried == nil {
		last := job.candidates[len(job.candidates)-1]
		fail.Err, fail.Hint = errors.New("no encoder is installed"), "install one with: apt install "+last.pkg
	}
	return nil, "", tried, fail
}

func startFeed(e encoding, launch string, settings []setting) (*feed, error) {
	p, err := newPlayer(launch)
	if err != nil {
		return nil, err
	}
	for _, s := range settings {
		p.set(s.element, s.property, s.value)
	}
	f := &feed{encoding: e, player: p, src: p.nativeElement("in")}
	if err := p.setState(gst.StatePlaying); err != nil {
		var why failure
		why.add(p.pop(0))
		if why.happened() {
			err = fmt.Errorf("%w: %s", err, why.text(&SourceSpec{}))
		}
		return nil, errors.Join(err, p.close())
	}
	return f, nil
}

// check reports a picture that does not fit the encoder.
func (e encoding) check(pic pipeline.Picture) error {
	if err := pic.Check(); err != nil {
		return err
	}
	if pic.Width != e.width || pic.Height != e.height {
		return fmt.Errorf("picture is %dx%d, the encoder was opened for %dx%d", pic.Width, pic.Height, e.width, e.height)
	}
	return nil
}

// push copies pic, which has been checked, into the queue.
func (f *feed) push(pic pipeline.Picture, pts time.Duration) error {
	if caps := f.inputCaps(pic); caps != f.caps {
		f.player.set("in", "caps", caps)
		f.caps = caps
	}
	planes, strides, nv12 := native(pic)
	w, h := f.coded()
	duration := C.gint64(0)
	if f.fps > 0 {
		duration = C.gint64(float64(time.Second) / f.fps)
	}
	if r := C.perch_push(f.src, planes[0], planes[1], planes[2], &strides[0], nv12, f.rangeOf(pic), C.int(f.width), C.int(f.height), C.int(w), C.int(h), C.gint64(pts), duration); r != C.GST_FLOW_OK {
		return fmt.Errorf("the encoder takes no more pictures (flow %d)", int(r))
	}
	return nil
}

// native is where C finds the samples of pic.
func native(pic pipeline.Picture) (planes [3]unsafe.Pointer, strides [3]C.int, nv12 C.int) {
	for i, p := range pic.Planes {
		if len(p) > 0 {
			planes[i], strides[i] = unsafe.Pointer(&p[0]), C.int(pic.Strides[i])
		}
	}
	if pic.Format == pipeline.NV12 {
		nv12 = 1
	}
	return planes, strides, nv12
}

// rangeOf says how the samples of pic are changed on their way in.
func (e encoding) rangeOf(pic pipeline.Picture) C.int {
	switch {
	case pic.FullRange && !e.fullRange:
		return C.PERCH_RANGE_LIMIT
	case !pic.FullRange && e.fullRange:
		return C.PERCH_RANGE_EXTEND
	}
	return C.PERCH_RANGE_KEEP
}

// level returns how many pictures wait for the encoder.
func (f *feed) level() int { return int(C.perch_level(f.src)) }

// end says that no more pictures come.
func (f *feed) end() { C.perch_end(f.src) }

// A unitSink hands out encoded units of the appsink "out".
type unitSink struct{ native *C.GstElement }

func (f *feed) units() unitSink { return unitSink{f.player.nativeElement("out")} }

// pull waits for the next unit and copies it; ok is false when there was none,
// and end is true when there will be none.
func (s unitSink) pull(wait time.Duration) (au pipeline.AccessUnit, ok, end bool) {
	var u C.perch_unit
	switch C.perch_pull_unit(s.native, C.guint64(wait), &u) {
	case C.PERCH_EOS:
		return au, false, true
	case C.PERCH_NONE, C.PERCH_UNMAPPABLE:
		return au, false, false
	}
	defer C.perch_unit_clear(&u)
	return pipeline.AccessUnit{
		PTS: max(0, time.Duration(u.pts)), Duration: max(0, time.Duration(u.duration)), Key: u.key != 0,
		Data: C.GoBytes(unsafe.Pointer(u._map.data), C.int(u._map.size)),
	}, true, false
}

// forceKey asks the encoder for a key frame.
func (s unitSink) forceKey() { C.perch_force_key(s.native) }

// trouble returns what the bus complains of; nil when it does not.
func (f *feed) trouble() error {
	var why failure
	for {
		m := f.player.pop(0)
		if m.kind == msgNone {
			break
		}
		why.add(m)
	}
	if !why.happened() {
		return nil
	}
	return errors.New(why.text(&SourceSpec{}))
}
