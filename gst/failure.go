package gst

/*
#include "glue.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"perch/pipeline"
)

// A failure collects what the bus said about one attempt.
type failure struct {
	first   message // the first error: those after it follow from it
	missing string  // what decodebin found no element for
	content string  // HTTP content type
}

func (f *failure) add(m message) {
	switch m.kind {
	case msgError:
		if f.first.kind == msgNone {
			f.first = m
		}
	case msgMissing:
		// "gstreamer|1.0|program|AAC decoder|decoder-audio/mpeg, ...": only
		// what keeps pictures from us matters.
		if p := strings.Split(m.text, "|"); len(p) >= 5 && !strings.HasPrefix(p[4], "decoder-audio/") && !strings.HasPrefix(p[4], "decoder-text/") {
			f.missing = p[3]
		}
	case msgContent:
		f.content = m.text
	}
}

func (f *failure) happened() bool { return f.first.kind != msgNone }

// maxText keeps dumps of codec headers out of errors.
const maxText = 300

// text returns the bus's own words and, where it adds something, the last line
// of the element's explanation.
func (f *failure) text(s *SourceSpec) string {
	t := strings.TrimSuffix(f.first.text, ".")
	lines := strings.Split(strings.TrimSpace(f.first.debug), "\n")
	if last := lines[len(lines)-1]; len(lines) > 1 && last != "" && !strings.Contains(t, last) {
		t += ": " + strings.TrimSuffix(last, ".")
	}
	t = s.scrub(t)
	if len(t) > maxText {
		t = strings.ToValidUTF8(t[:maxText], "") + " ..."
	}
	return t
}

func (f *failure) is(d domain, codes ...int) bool {
	if f.first.domain != d {
		return false
	}
	for _, c := range codes {
		if f.first.code == c {
			return true
		}
	}
	return false
}

func (f *failure) noDecoder() bool {
	return f.is(domainStream, C.GST_STREAM_ERROR_CODEC_NOT_FOUND) || f.is(domainCore, C.GST_CORE_ERROR_MISSING_PLUGIN)
}

func opOf(s *SourceSpec, opened bool) string {
	switch {
	case s.Kind == pipeline.SourceWebRTC:
		return "decode track"
	case s.Kind == pipeline.SourceFile && opened:
		return "play"
	case s.Kind == pipeline.SourceFile:
		return "open"
	case opened:
		return "watch camera"
	}
	return "open camera"
}

// explain turns what the bus said into an error that says what to do.
func (f *failure) explain(s *SourceSpec, got found, opened bool) error {
	e := &pipeline.Error{Op: opOf(s, opened), On: s.on(), Err: errors.New(f.text(s))}
	switch {
	case f.is(domainResource, C.GST_RESOURCE_ERROR_NOT_AUTHORIZED), strings.Contains(f.first.debug, "Unauthorized"), strings.Contains(f.first.debug, "Forbidden"):
		e.Kind, e.Hint = pipeline.Refused, "check the user name and password"
	case f.is(domainResource, C.GST_RESOURCE_ERROR_NOT_FOUND):
		e.Kind = pipeline.NotFound
	case f.missing != "", got.unknown != "", got.codec != codecOther && f.noDecoder():
		f.unsupported(e, s, got)
	case s.Kind == pipeline.SourceFile:
		f.explainFile(e, s, got, opened)
	case s.Kind == pipeline.SourceV4L2 && f.is(domainResource, C.GST_RESOURCE_ERROR_BUSY):
		e.Kind, e.Hint = pipeline.Gone, "another program uses this camera"
	case s.Kind == pipeline.SourceV4L2 && strings.Contains(f.first.debug, "not-negotiated"):
		e.Kind, e.Hint = pipeline.BadConfig, fmt.Sprintf("the camera does not do %s; v4l2-ctl --list-formats-ext says what it does", strings.TrimPrefix(wish(s), ","))
	case s.Kind == pipeline.SourceHTTP && f.is(domainStream, C.GST_STREAM_ERROR_FAILED):
		// All that souphttpsrc says of a connection that was refused or reset.
		e.Kind, e.Err = pipeline.Gone, errors.New("the server does not answer or has closed the connection")
		askNetwork(e, s, opened)
	case f.first.domain == domainStream && !opened:
		e.Kind = pipeline.BadInput
	default:
		e.Kind = pipeline.Gone
		askNetwork(e, s, opened)
	}
	return e
}

// askNetwork puts the network's words in the place of GStreamer's when a
// camera could not be connected to.
func askNetwork(e *pipeline.Error, s *SourceSpec, opened bool) {
	if opened {
		return
	}
	if err := reach(s); err != nil {
		e.Err, e.Hint = err, "check that the camera has power and network, and that its address is right"
	}
}

// unsupported names the codec and the package that brings a decoder for it.
func (f *failure) unsupported(e *pipeline.Error, s *SourceSpec, got found) {
	e.Kind = pipeline.Unsupported
	what := got.unknown
	if got.codec != codecOther {
		what = got.description
	}
	if what == "" {
		what = strings.TrimSuffix(f.missing, " decoder")
	}
	switch {
	case s.Decoder != "" && got.codec != codecOther:
		e.Err = fmt.Errorf("decoder %q, which was asked for, does not do %s", s.Decoder, what)
	case got.codec != codecOther:
		e.Err = fmt.Errorf("no decoder for %s is installed", what)
		e.Hint = "install it with: apt install " + decodeSoftware(got.codec)[0].pkg
	case what != "":
		e.Err = fmt.Errorf("no decoder is known here for %s", what)
		e.Hint = fmt.Sprintf("try: apt install %s %s; or convert the video to H.264", pkgLibav, pkgBad)
	default:
		e.Hint = fmt.Sprintf("try: apt install %s %s", pkgLibav, pkgBad)
	}
}

// explainFile uses the words that people use of files.
func (f *failure) explainFile(e *pipeline.Error, s *SourceSpec, got found, opened bool) {
	e.Kind = pipeline.BadInput
	if flaw, _ := fileState(s.Path); flaw != "" {
		e.Err = errors.New(flaw)
		return
	}
	name := filepath.Base(s.Path)
	switch {
	case opened:
		e.Err = fmt.Errorf("the file is damaged: %s", f.text(s))
	case f.is(domainStream, C.GST_STREAM_ERROR_TYPE_NOT_FOUND, C.GST_STREAM_ERROR_WRONG_TYPE):
		e.Err = fmt.Errorf("%s is not a video: %s", name, f.text(s))
	case f.is(domainStream, C.GST_STREAM_ERROR_DEMUX):
		e.Err = fmt.Errorf("%s is damaged or not a video: %s", name, f.text(s))
	case got.codec == codecOther && got.decoder == "":
		e.Err = errNoVideo
	default:
		e.Err = fmt.Errorf("the video cannot be decoded: %s", f.text(s))
	}
}

var (
	errNoVideo  = errors.New("the file has no video stream")
	errNoFrames = errors.New("the file has a video stream but no pictures in it")
)
