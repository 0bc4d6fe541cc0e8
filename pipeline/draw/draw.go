// Package draw burns boxes, labels, shapes, tinted areas and text into pictures,
// in the decoder's own YUV. It is pure Go.
package draw

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"

	"perch/pipeline"
)

// MinKeypointScore is the score below which a key point is not drawn.
const MinKeypointScore = 0.3

// A Drawer draws on the pictures of one video, in place. Everything is cut at
// the picture's edge, and no coordinate can make it panic: a shape whose place
// is not a number is left out, as is a round one that is more than a million
// samples away. A picture whose planes are smaller than they claim is left
// alone and counted.
//
// A Drawer keeps glyphs, colours and scratch memory for the sizes and codings
// that it saw last, so that drawing allocates nothing while they stay the
// same. Only Stats may be called concurrently.
type Drawer struct {
	regular, bold *opentype.Font
	faces         map[faceKey]*face
	small         *face // of the labels that Draw writes
	tints         map[tintKey]*tint

	// Scratch, which only grows.
	label        []byte            // text of a label
	mask         []uint8           // coverage of a label's text
	cross        []float32         // where a row crosses a polygon
	tri          [3]pipeline.Point // of a triangle
	soft         stencil           // of a shape with soft edges
	shape, taken region            // of areas
	rows         []uint8           // of a blur, between its two passes
	line         []uint8           // one row that a blur begins with
	sums         []uint32          // of a blur's columns
	steps        []step            // of a picture that is enlarged

	drawn, skipped atomic.Uint64
}

// Stats says what a [Drawer] did.
type Stats struct {
	Drawn   uint64 // pictures
	Skipped uint64 // pictures whose planes are smaller than they claim
}

// New returns a drawer with the embedded fonts.
func New() (*Drawer, error) {
	d := &Drawer{tints: map[tintKey]*tint{}, faces: map[faceKey]*face{}}
	for _, f := range []struct {
		to   **opentype.Font
		data []byte
	}{{&d.regular, goregular.TTF}, {&d.bold, gobold.TTF}} {
		var err error
		if *f.to, err = opentype.Parse(f.data); err != nil {
			return nil, fmt.Errorf("parse embedded font: %w", err)
		}
	}
	return d, nil
}

// Stats returns the counts so far.
func (d *Drawer) Stats() Stats { return Stats{d.drawn.Load(), d.skipped.Load()} }

// Draw draws r's detections on pic, in place. The first detection ends up on
// top. A picture whose planes are too small is left alone and counted.
func (d *Drawer) Draw(pic pipeline.Picture, r *pipeline.Result) {
	if !d.begin(pic) {
		return
	}
	d.drawn.Add(1)
	t := thickness(pic.Height)
	d.small = d.face(textSize(pic.Height), true)
	for i := len(r.Detections) - 1; i >= 0; i-- {
		det := &r.Detections[i]
		tint := d.tint(codingOf(pic), ClassColour(det.Class))
		hollow(pic, outer(pic, det.Box), t, tint.plate)
		for _, k := range det.Keypoints {
			if k.Score >= MinKeypointScore {
				stroke(pic, k.Point, k.Point, float32(t)*1.5, tint.plate)
			}
		}
	}
	for i := len(r.Detections) - 1; i >= 0; i-- {
		det := &r.Detections[i]
		d.label = appendLabel(d.label[:0], det)
		d.plate(pic, outer(pic, det.Box), t, d.tint(codingOf(pic), ClassColour(det.Class)))
	}
}

// begin checks pic.
func (d *Drawer) begin(pic pipeline.Picture) bool {
	if pic.Check() != nil {
		d.skipped.Add(1)
		return false
	}
	return true
}

// appendLabel writes "person 87% #12" to dst.
func appendLabel(dst []byte, det *pipeline.Detection) []byte {
	if det.Label == "" {
		dst = append(dst, "class "...)
		dst = strconv.AppendInt(dst, int64(det.Class), 10)
	} else {
		dst = append(dst, det.Label...)
	}
	percent := 0 // also for a score that is not a number
	if det.Score > 0 {
		percent = int(min(det.Score, 1)*100 + 0.5)
	}
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(percent), 10)
	dst = append(dst, '%')
	if det.Track != 0 {
		dst = append(dst, " #"...)
		dst = strconv.AppendUint(dst, uint64(det.Track), 10)
	}
	return dst
}

// thickness of lines in luma samples; even, so that chroma has clean edges.
func thickness(height int) int { return 2 * max(1, (height+270)/540) }

// textSize is the font's size in pixels.
func textSize(height int) int { return max(12, (height+22)/45) }

type tintKey struct {
	coding
	Colour
}

// tint is a colour, ready for one coding: the plate's colour and the way from
// there to the text's colour.
type tint struct {
	plate yuv
	text  *ramp
}

// maxTints bounds the cache against callers that invent colours; the palette in
// all four codings fits many times.
const maxTints = 512

func (d *Drawer) tint(k coding, c Colour) *tint {
	key := tintKey{k, c}
	if t, ok := d.tints[key]; ok {
		return t
	}
	if len(d.tints) >= maxTints {
		clear(d.tints)
	}
	plate := k.encode(c)
	t := &tint{plate, newRamp(plate, k.encode(ink(c)))}
	d.tints[key] = t
	return t
}
