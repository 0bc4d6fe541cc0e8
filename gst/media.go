// Package gst is everything that touches GStreamer: pictures in from files and
// cameras, encoded previews and annotated files out. It is the only package
// that imports go-gst, and no type of it leaves.
package gst

/*
#cgo pkg-config: gstreamer-1.0 gstreamer-app-1.0 gstreamer-video-1.0 gstreamer-pbutils-1.0
#cgo CFLAGS: -Wall -Wno-unused-variable
#include <stdlib.h>
#include "glue.h"
*/
import "C"

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"unsafe"

	"perch/pipeline"
)

// Options is what the configuration may say about media.
type Options struct {
	Log      *slog.Logger
	Platform string            // "jetson", "nvidia" or "software"; "" finds out
	Elements map[string]string // job (see [PlatformInfo]) to the element that must do it
}

// Media knows what this machine's GStreamer can do. Its methods may be called
// from several goroutines.
type Media struct {
	log      *slog.Logger
	platform *platform
	jpegs    *stills
}

// Open starts GStreamer and chooses an element for each job. It fails with
// Kind BadConfig when Options name a platform, job or element that is unknown,
// and with Unsupported when GStreamer itself does not start.
func Open(o Options) (*Media, error) {
	var text *C.char
	if C.perch_init(&text) == 0 {
		defer C.g_free(C.gpointer(text))
		return nil, &pipeline.Error{Op: "start GStreamer", Kind: pipeline.Unsupported, Err: errors.New(C.GoString(text))}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p, err := choosePlatform(o, registry{})
	if err != nil {
		return nil, err
	}
	for c := codec(0); c < numCodecs; c++ {
		if j := p.job(c.job()); len(j.present) > 0 {
			prefer(j.present[0].element)
		}
	}
	return &Media{log: o.Log, platform: p, jpegs: newStills()}, nil
}

// Close gives back the encoders of stills that wait for work. Whoever still
// encodes one gets its answer.
func (m *Media) Close() { m.jpegs.close() }

// prefer puts a decoder that may be wanted in front of the others, and among
// these the ones that read start codes only. Which one is used is not decided
// by this; but decodebin makes parsers write what the foremost decoder reads,
// and what those read all can.
func prefer(element string) {
	name := C.CString(element)
	defer C.free(unsafe.Pointer(name))
	C.perch_prefer(name)
}

// Platform says which element does which job here, and what is missing.
func (m *Media) Platform() PlatformInfo { return m.platform.info() }

// Version returns GStreamer's version, for example "1.22.0".
func (m *Media) Version() string {
	s := C.gst_version_string()
	defer C.g_free(C.gpointer(s))
	return strings.TrimPrefix(C.GoString((*C.char)(s)), "GStreamer ")
}

// registry answers from GStreamer's registry and the device tree.
type registry struct{}

func (registry) has(element string) bool {
	name := C.CString(element)
	defer C.free(unsafe.Pointer(name))
	f := C.gst_element_factory_find((*C.gchar)(name))
	if f == nil {
		return false
	}
	C.gst_object_unref(C.gpointer(f))
	return true
}

func (registry) exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// sortedKeys makes messages about maps come out the same every time.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
