// Package draw burns boxes, labels and lines into pictures, in the decoder's
// own YUV. It is pure Go.
package draw

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/opentype"

	"perch/pipeline"
)

// MinKeypointScore is the score below which a key point is not drawn.
const MinKeypointScore = 0.3

// A Drawer draws on the pictures of one video. It keeps glyphs and colours for
// the size and coding it saw last, so that drawing allocates nothing while they
// stay the same. Only Stats may be called concurrently.
type Drawer struct {
	font  *opentype.Font
	face  *face // for one text size
	tints map[tintKey]*tint
	label []byte    // scratch: text of a label
	mask  []uint8   // scratch: coverage of a label's text
	cross []float32 // scratch: where a row crosses a polygon

	drawn, skipped atomic.Uint64
}

// Stats says what a [Drawer] did.
type Stats struct {
	Drawn   uint64 // pictures
	Skipped uint64 // pictures whose planes are smaller than they claim
}

// New returns a drawer with the embedded font.
func New() (*Drawer, error) {
	f, err := opentype.Parse(gobold.TTF)
	if err != nil {
		return nil, fmt.Errorf("parse embedded font: %w", err)
	}
	return &Drawer{font: f, tints: map[tintKey]*tint{}}, nil
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
	for i := len(r.Detections) - 1; i >= 0; i-- {
		det := &r.Detections[i]
		tint := d.tint(codingOf(pic), ClassColour(det.Class))
		frame(pic, outer(pic, det.Box), t, tint.plate)
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

// Polyline draws connected lines with round joints.
func (d *Drawer) Polyline(pic pipeline.Picture, points []pipeline.Point, c Colour) {
	if !d.begin(pic) {
		return
	}
	ink := d.tint(codingOf(pic), c).plate
	for i := 1; i < len(points); i++ {
		stroke(pic, points[i-1], points[i], float32(thickness(pic.Height))/2, ink)
	}
}

// Polygon fills a polygon (even-odd rule) with the given opacity, 0 to 1, and
// draws its outline.
func (d *Drawer) Polygon(pic pipeline.Picture, points []pipeline.Point, c Colour, opacity float32) {
	if !d.begin(pic) || len(points) < 2 {
		return
	}
	d.fill(pic, points, d.tint(codingOf(pic), c).plate, uint32(min(max(opacity, 0), 1)*255))
	d.Polyline(pic, points, c)
	d.Polyline(pic, []pipeline.Point{points[len(points)-1], points[0]}, c)
}

// Label draws text on a plate whose lower left corner is at. Text that does not
// fit is cut at the picture's edge.
func (d *Drawer) Label(pic pipeline.Picture, at pipeline.Point, text string, c Colour) {
	if !d.begin(pic) {
		return
	}
	d.label = append(d.label[:0], text...)
	d.plate(pic, outer(pic, pipeline.Box{X0: at.X, Y0: at.Y, X1: at.X, Y1: at.Y}), thickness(pic.Height), d.tint(codingOf(pic), c))
}

// begin checks pic and makes the font's size fit it.
func (d *Drawer) begin(pic pipeline.Picture) bool {
	if pic.Check() != nil {
		d.skipped.Add(1)
		return false
	}
	if size := textSize(pic.Height); d.face == nil || d.face.size != size {
		d.face = newFace(d.font, size)
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
