package gst

/*
#include "glue.h"
*/
import "C"

import (
	"errors"
	"sync/atomic"
	"time"
	"unsafe"

	"perch/pipeline"
)

// errMap is returned when a buffer cannot be mapped for reading, which is what
// happens when a decoder's own memory reaches a sink that asked for system memory.
var errMap = errors.New("the decoder's picture cannot be read: it is not in system memory")

// A frame is one decoded picture on loan from GStreamer.
type frame struct {
	info    pipeline.FrameInfo
	picture pipeline.Picture
	native  *C.perch_picture
	holders atomic.Int32
}

func (f *frame) Info() pipeline.FrameInfo  { return f.info }
func (f *frame) Picture() pipeline.Picture { return f.picture }

// Retain adds a holder and returns f.
func (f *frame) Retain() pipeline.Frame {
	if f.holders.Add(1) < 2 {
		panic("gst: Retain of a released frame")
	}
	return f
}

// Release drops one holder; the last one gives the buffer back to its pool.
func (f *frame) Release() {
	switch n := f.holders.Add(-1); {
	case n > 0:
		return
	case n < 0:
		panic("gst: frame released twice")
	}
	f.picture = pipeline.Picture{}
	C.perch_picture_free(f.native)
	f.native = nil
}

// A sink hands out the pictures that reach an appsink.
type sink struct{ native *C.perch_sink }

func newSink(p *player, name string) sink {
	return sink{C.perch_sink_new(p.nativeElement(name))}
}

func (s sink) close() { C.perch_sink_free(s.native) }

// A pulled picture is a frame whose place in the stream is not decided yet.
type pulled struct {
	*frame
	pts time.Duration // -1 when unknown
	fps float64       // 0 when unknown
}

// pull waits for the next picture. It returns nil without an error when there
// was none in time, and end true at the end of the stream.
func (s sink) pull(wait time.Duration) (p *pulled, end bool, err error) {
	var n *C.perch_picture
	switch C.perch_pull(s.native, C.guint64(wait), &n) {
	case C.PERCH_EOS:
		return nil, true, nil
	case C.PERCH_NONE:
		return nil, false, nil
	case C.PERCH_UNMAPPABLE:
		return nil, false, errMap
	}
	f := &frame{native: n, picture: pictureOf(n)}
	f.holders.Store(1)
	f.info = pipeline.FrameInfo{Wall: time.Now(), Width: f.picture.Width, Height: f.picture.Height}
	if n.whole_width > 0 {
		f.info.Width, f.info.Height = int(n.whole_width), int(n.whole_height)
	}
	p = &pulled{frame: f, pts: time.Duration(n.pts)}
	if n.fps_n > 0 && n.fps_d > 0 {
		p.fps = float64(n.fps_n) / float64(n.fps_d)
	}
	if err := f.picture.Check(); err != nil {
		f.Release()
		return nil, false, err
	}
	return p, false, nil
}

func pictureOf(n *C.perch_picture) pipeline.Picture {
	p := pipeline.Picture{Format: pipeline.I420, Width: int(n.width), Height: int(n.height), FullRange: n.full_range != 0}
	if n.nv12 != 0 {
		p.Format = pipeline.NV12
	}
	if n.bt709 != 0 {
		p.Matrix = pipeline.BT709
	}
	for i := range p.Planes {
		if n.data[i] != nil {
			p.Planes[i] = unsafe.Slice((*byte)(unsafe.Pointer(n.data[i])), int(n.len[i]))
			p.Strides[i] = int(n.stride[i])
		}
	}
	return p
}
