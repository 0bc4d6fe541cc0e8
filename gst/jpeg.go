package gst

/*
#include <stdlib.h>
#include "glue.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"perch/pipeline"
)

// jpegQuality is for pictures that nobody has asked a quality of.
const jpegQuality = 85

// EncodeJPEG returns pic as a JPEG file (JFIF) of quality 85.
func (m *Media) EncodeJPEG(pic pipeline.Picture) ([]byte, error) {
	return m.EncodeJPEGQuality(pic, jpegQuality)
}

// EncodeJPEGQuality returns pic as a JPEG file (JFIF: BT.601 in full range) of
// the given quality, 1 to 100. As many pictures are encoded at a time as there
// are processors; more callers wait.
func (m *Media) EncodeJPEGQuality(pic pipeline.Picture, quality int) ([]byte, error) {
	fail := func(kind pipeline.Kind, err error) ([]byte, error) {
		return nil, &pipeline.Error{Op: "encode JPEG", Kind: kind, Err: err}
	}
	if err := pic.Check(); err != nil {
		return fail(pipeline.BadInput, err)
	}
	if quality < 1 || quality > 100 {
		return fail(pipeline.BadInput, fmt.Errorf("quality %d is not from 1 to 100", quality))
	}
	e := encoding{width: pic.Width, height: pic.Height, fullRange: true}
	s, err := m.jpegs.take(e.inputCaps(pic))
	if err != nil {
		return fail(pipeline.Unsupported, err)
	}
	data, err := s.encode(e, pic, quality)
	m.jpegs.give(s, err == nil)
	if err != nil {
		return fail(pipeline.Other, err)
	}
	return data, nil
}

// stills are encoders of JPEG, kept for the next picture: building one takes
// longer than encoding a small picture with it.
type stills struct {
	places chan struct{} // one for each that may be at work

	mu     sync.Mutex
	idle   []*still // guarded by mu; at most as many as there are places
	closed bool     // guarded by mu
}

func newStills() *stills {
	return &stills{places: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// take returns an encoder, if possible one that has encoded such pictures.
func (p *stills) take(caps string) (*still, error) {
	p.places <- struct{}{}
	p.mu.Lock()
	if len(p.idle) > 0 {
		i := max(slices.IndexFunc(p.idle, func(s *still) bool { return s.caps == caps }), 0)
		s := p.idle[i]
		p.idle = slices.Delete(p.idle, i, i+1)
		p.mu.Unlock()
		return s, nil
	}
	p.mu.Unlock()
	s, err := newStill()
	if err != nil {
		<-p.places
	}
	return s, err
}

// give returns an encoder that take has lent. One that failed is not used again.
func (p *stills) give(s *still, good bool) {
	p.mu.Lock()
	if good = good && !p.closed; good {
		p.idle = append(p.idle, s)
	}
	p.mu.Unlock()
	if !good {
		s.free()
	}
	<-p.places
}

func (p *stills) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, s := range idle {
		s.free()
	}
}

// A still is a chain of elements that encodes one picture after another, on the
// goroutine that asks.
type still struct {
	native *C.perch_still
	caps   string // of the last picture
}

func newStill() (*still, error) {
	// Of the picture only the matrix is left to be converted; see perch_buffer.
	line := C.CString("videoconvert ! video/x-raw,format=I420,colorimetry=1:4:0:0 ! jpegenc name=encoder")
	defer C.free(unsafe.Pointer(line))
	n := C.perch_still_new(line)
	if n == nil {
		return nil, errors.New("GStreamer has no videoconvert or jpegenc here; perch doctor says what is missing")
	}
	return &still{native: n}, nil
}

func (s *still) free() { C.perch_still_free(s.native) }

func (s *still) encode(e encoding, pic pipeline.Picture, quality int) ([]byte, error) {
	C.perch_still_quality(s.native, C.int(quality))
	if caps := e.inputCaps(pic); caps != s.caps {
		text := C.CString(caps)
		defer C.free(unsafe.Pointer(text))
		if C.perch_still_caps(s.native, text) == 0 {
			return nil, fmt.Errorf("the encoder does not take %s", caps)
		}
		s.caps = caps
	}
	planes, strides, nv12 := native(pic)
	w, h := C.int(e.width), C.int(e.height)
	b := C.perch_buffer(planes[0], planes[1], planes[2], &strides[0], nv12, e.rangeOf(pic), w, h, w, h)
	if b == nil {
		return nil, errors.New("there is no memory for the picture")
	}
	var m C.GstMapInfo
	if r := C.perch_still_encode(s.native, b, &m); r != C.GST_FLOW_OK {
		return nil, fmt.Errorf("the encoder refused the picture (flow %d)", int(r))
	}
	defer C.perch_still_clear(s.native, &m)
	return C.GoBytes(unsafe.Pointer(m.data), C.int(m.size)), nil
}
