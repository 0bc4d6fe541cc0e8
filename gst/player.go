package gst

/*
#include <stdlib.h>
#include "glue.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"github.com/go-gst/go-gst/gst"

	"perch/pipeline"
)

const (
	pollInterval = 100 * time.Millisecond // how late a cancelled context may be noticed
	stateTimeout = 10 * time.Second       // how long a state change may take before it is stuck
)

// A player owns one GStreamer pipeline. Its methods belong to one goroutine.
type player struct {
	pipeline *gst.Pipeline
	elements map[string]*gst.Element
	tap      *C.perch_tap
	stuck    bool
}

// newPlayer parses launch. go-gst frees what it wraps in finalizers, which run
// too late: the collector sees a few bytes and not the pool of pictures behind
// them. We own the references instead and drop them in close.
func newPlayer(launch string) (*player, error) {
	p, err := gst.NewPipelineFromString(launch)
	if err != nil {
		return nil, fmt.Errorf("build %q: %w", launch, err)
	}
	runtime.SetFinalizer(p.GObject(), nil)
	return &player{pipeline: p, elements: map[string]*gst.Element{}}, nil
}

// element returns the element called name, which must exist.
func (p *player) element(name string) *gst.Element {
	if e := p.elements[name]; e != nil {
		return e
	}
	e, err := p.pipeline.GetElementByName(name)
	if err != nil {
		panic("gst: no element " + name)
	}
	runtime.SetFinalizer(e.GObject(), nil)
	p.elements[name] = e
	return e
}

// set gives the element's property a value if it has such a property. Numbers
// and enumerations are written as gst-launch has them. Strings are set as they
// are: a password may contain anything.
func (p *player) set(name, property string, value any) {
	e := p.element(name)
	if _, err := e.GetPropertyType(property); err != nil {
		return
	}
	switch v := value.(type) {
	case string:
		if e.SetProperty(property, v) != nil { // an enumeration or flags, by name
			e.SetArg(property, v)
		}
	case int:
		e.SetArg(property, strconv.Itoa(v))
	case bool:
		e.SetArg(property, strconv.FormatBool(v))
	default:
		panic(fmt.Sprintf("gst: property of type %T", value))
	}
}

func (p *player) native() *C.GstElement { return (*C.GstElement)(p.pipeline.Unsafe()) }

func (p *player) nativeElement(name string) *C.GstElement {
	return (*C.GstElement)(p.element(name).Unsafe())
}

// setState changes state, but never waits longer than stateTimeout. After that
// the pipeline is abandoned, threads and all, and the error has Kind Stuck.
func (p *player) setState(s gst.State) error {
	if p.stuck {
		return nil
	}
	done := make(chan C.GstStateChangeReturn, 1)
	native := p.native()
	go func() { done <- C.gst_element_set_state(native, C.GstState(s)) }()
	timer := time.NewTimer(stateTimeout)
	defer timer.Stop()
	select {
	case r := <-done:
		if r == C.GST_STATE_CHANGE_FAILURE {
			return fmt.Errorf("GStreamer refused to go to state %s", s)
		}
		return nil
	case <-timer.C:
		p.stuck = true
		return &pipeline.Error{Op: "change state to", On: s.String(), Kind: pipeline.Stuck, Err: fmt.Errorf("GStreamer did not return within %v", stateTimeout), Hint: "the process must be restarted"}
	}
}

// close stops the pipeline and gives everything back. The error, if any, has
// Kind Stuck, and then nothing is given back.
func (p *player) close() error {
	if err := p.setState(gst.StateNull); p.stuck {
		return err
	}
	for _, e := range p.elements {
		e.GObject().Unref()
	}
	p.pipeline.GObject().Unref()
	if p.tap != nil {
		C.perch_tap_unref(p.tap)
	}
	C.perch_trim()
	return nil
}

// stay makes the RTSP source "src", whose location has been set, refuse to be
// sent elsewhere.
func (p *player) stay() { C.perch_tap_stay(p.tap, p.nativeElement("src")) }

// A messageKind is one of those that matter here.
type messageKind int

const (
	msgNone    messageKind = C.PERCH_MSG_NONE
	msgError   messageKind = C.PERCH_MSG_ERROR
	msgWarning messageKind = C.PERCH_MSG_WARNING
	msgEOS     messageKind = C.PERCH_MSG_EOS
	msgMissing messageKind = C.PERCH_MSG_MISSING // decodebin lacks an element
	msgContent messageKind = C.PERCH_MSG_CONTENT // an HTTP server said what it sends
)

// A domain says which of GStreamer's lists of errors a code is from.
type domain int

const (
	domainCore     domain = C.PERCH_DOMAIN_CORE
	domainResource domain = C.PERCH_DOMAIN_RESOURCE
	domainStream   domain = C.PERCH_DOMAIN_STREAM
)

// A message is what the bus says.
type message struct {
	kind    messageKind
	domain  domain
	code    int
	text    string
	debug   string
	element string // factory of the element that says it
}

// pop returns the next message that matters; its kind is msgNone when there
// was none within wait.
func (p *player) pop(wait time.Duration) message {
	var m C.perch_message
	C.perch_bus_pop(p.native(), C.guint64(wait), &m)
	if m._type == C.PERCH_MSG_NONE {
		return message{}
	}
	defer C.perch_message_clear(&m)
	return message{kind: messageKind(m._type), domain: domain(m.domain), code: int(m.code), text: C.GoString(m.text), debug: C.GoString(m.debug), element: C.GoString(m.element)}
}

// duration returns the length of what is played; 0 when unknown.
func (p *player) duration() time.Duration {
	return max(0, time.Duration(C.perch_duration(p.native())))
}

// found is what the callbacks learned.
type found struct {
	codec          codec
	description    string
	decoder        string
	orientation    string
	unknown        string
	videos, others int
	skipped        int
	redirected     bool
	// Size of a picture that is larger than allowed; 0 when none was.
	tooWide, tooHigh int
}

func (p *player) found() found {
	var f C.perch_found
	C.perch_tap_found(p.tap, &f)
	defer C.perch_found_clear(&f)
	return found{
		codec: codec(f.codec), description: C.GoString(f.description), decoder: C.GoString(f.decoder),
		orientation: C.GoString(f.orientation), unknown: C.GoString(f.unknown),
		videos: int(f.videos), others: int(f.others), skipped: int(f.skipped), redirected: f.redirected != 0, tooWide: int(f.too_wide), tooHigh: int(f.too_high),
	}
}

// tapSpec says how a pipeline decodes.
type tapSpec struct {
	live              bool   // wait for a key frame
	strict            bool   // a wanted decoder is used or nothing is
	settings          string // "name=value ..." for decoders that have such properties
	wanted            map[codec]string
	feature, download string // memory of decoders, and the bin that leads out of it
	maxPixels         int    // 0: any
}

// newTap connects the callbacks of decoding.
func (p *player) newTap(t tapSpec) {
	text := func(s string) (*C.char, func()) {
		c := C.CString(s)
		return c, func() { C.free(unsafe.Pointer(c)) }
	}
	boolean := func(b bool) C.gboolean {
		if b {
			return 1
		}
		return 0
	}
	settings, free := text(t.settings)
	defer free()
	p.tap = C.perch_tap_new(boolean(t.live), boolean(t.strict), settings)
	for c, element := range t.wanted {
		name, free := text(element)
		C.perch_tap_want(p.tap, C.int(c), name)
		free()
	}
	if t.feature != "" {
		feature, free1 := text(t.feature)
		defer free1()
		download, free2 := text(t.download)
		defer free2()
		C.perch_tap_download(p.tap, feature, download, bestScaling)
	}
	C.perch_tap_bound(p.tap, C.guint64(t.maxPixels))
	C.perch_tap_attach(p.tap, p.native())
}
