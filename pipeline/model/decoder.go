package model

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"perch/pipeline"
)

// maxCandidates bounds what suppression looks at: the best of one picture. What
// is left out is counted in DecoderStats.Truncated.
const maxCandidates = 4096

// Params are the choices of one picture; [Model.Params] has the model's own.
type Params struct {
	Confidence    float32 // smallest score that is kept, 0 to 1
	IoU           float32 // a box that overlaps a better one of its class by more is dropped; 1 keeps all
	MaxDetections int     // at most so many of one picture, the best
	MaxCandidates int     // suppression looks at so many, the best; 0 and what is above 4096 is 4096
	Classes       []int   // only these; nil for all
	ClassAgnostic bool    // suppress across classes

	// KeypointConfidence: a key point that scores less keeps its place with
	// score 0, so that point i is always the one that is named i-th.
	KeypointConfidence float32
	Masks              MaskMode // how masks are made of what segmentation gave
}

// A MaskMode is how a mask is made, which the model gives at a fraction of the
// frame's resolution.
type MaskMode uint8

// The ways to make masks.
const (
	MaskAccurate MaskMode = iota // interpolated bilinearly to the frame, then cut at the threshold
	MaskFast                     // cut at the model's resolution, then the nearest value for each pixel of the frame
	MaskNone                     // detections without masks
)

// Params returns what the manifest recommends.
func (m *Model) Params() Params {
	p := Params{Confidence: m.manifest.Head.Confidence, IoU: m.manifest.Head.IoU, MaxDetections: 300}
	if m.manifest.Task.Scores() {
		p.MaxDetections = 5
	}
	return p
}

func (p Params) check() error {
	if !(p.Confidence >= 0 && p.Confidence <= 1) || !(p.IoU >= 0 && p.IoU <= 1) || p.MaxDetections < 1 || p.MaxCandidates < 0 {
		return fmt.Errorf("confidence %v and iou %v must be 0 to 1, max detections %d at least 1, max candidates %d not negative", p.Confidence, p.IoU, p.MaxDetections, p.MaxCandidates)
	}
	if !(p.KeypointConfidence >= 0 && p.KeypointConfidence <= 1) {
		return fmt.Errorf("key point confidence %v must be 0 to 1", p.KeypointConfidence)
	}
	if p.Masks > MaskNone {
		return fmt.Errorf("there is no mask mode %d", p.Masks)
	}
	return nil
}

// DecoderStats counts what a Decoder left out, since it was made.
type DecoderStats struct {
	Invalid   uint64 // scores or boxes that were not finite numbers
	Empty     uint64 // boxes without area, or wholly outside the frame
	Truncated uint64 // candidates above the threshold that were too many to look at
}

// A Decoder turns a model's outputs into detections. It keeps its scratch memory
// between pictures, so it is not safe for concurrent use: each run has its own.
type Decoder struct {
	m       *Model
	decode  decodeFunc
	params  Params
	allowed []bool // by class; nil for all
	found   []candidate
	points  []pipeline.Keypoint // of all candidates, one after the other
	names   []string            // of classes that the manifest does not name, as far as they were seen
	best    []float32           // scratch of heads
	bestOf  []int32
	masks   maskHead // where the masks of this picture are
	masker  masker
	stats   DecoderStats
}

// A candidate is a box above the threshold, in pixels of the input.
type candidate struct {
	box    pipeline.Box
	score  float32
	class  int32
	index  int32 // row of the output; the tie-breaker
	points int32 // first of its key points
}

// NewDecoder returns a Decoder for this model.
func (m *Model) NewDecoder() *Decoder {
	return &Decoder{m: m, decode: m.family.open(&m.manifest)}
}

// Stats reads the counters. Call it from the goroutine that decodes.
func (d *Decoder) Stats() DecoderStats { return d.stats }

// Decode returns what outs, the model's outputs for one picture, say is in it:
// boxes in pixels of the frame, clamped to it, best score first; equal scores in
// the order of the outputs. The same outputs give the same detections. The
// result is the caller's; outs is not kept.
func (d *Decoder) Decode(outs []Tensor, t Transform, p Params) ([]pipeline.Detection, error) {
	return d.Append(nil, outs, t, p)
}

// Append is Decode into memory of the caller's: it appends to dst. Key points
// and masks are allocated; nothing else is once dst is large enough. dst comes
// back unchanged with an error.
func (d *Decoder) Append(dst []pipeline.Detection, outs []Tensor, t Transform, p Params) ([]pipeline.Detection, error) {
	if t.Width <= 0 || t.Height <= 0 {
		return dst, d.failed(fmt.Errorf("the transform is empty"))
	}
	if err := d.find(outs, p); err != nil {
		return dst, d.failed(err)
	}
	if d.m.manifest.Task.Scores() {
		return d.classes(dst, t), nil
	}
	d.suppress()
	dst = d.boxes(dst, t)
	d.masks = maskHead{} // outs is not kept
	return dst, nil
}

func (d *Decoder) failed(err error) error {
	return &pipeline.Error{Op: "decode outputs of model", On: d.m.manifest.ID, Kind: pipeline.BadInput, Err: err}
}

// find makes candidates of the outputs.
func (d *Decoder) find(outs []Tensor, p Params) error {
	if err := p.check(); err != nil {
		return err
	}
	for i := range outs {
		if err := outs[i].check(); err != nil {
			return err
		}
	}
	d.begin(p)
	return d.decode(d, outs)
}

func (d *Decoder) begin(p Params) {
	d.params = p
	d.found, d.points, d.allowed = d.found[:0], d.points[:0], d.allowed[:0]
	for _, c := range p.Classes {
		if c < 0 || c >= maxClasses {
			continue
		}
		for len(d.allowed) <= c {
			d.allowed = append(d.allowed, false)
		}
		d.allowed[c] = true
	}
}

// threshold is the confidence as the bits of a float: whatever is not smaller,
// taken as an unsigned integer, is a score to keep, a negative number or not a
// number at all. So one comparison finds all that needs a second look.
func (d *Decoder) threshold() uint32 { return math.Float32bits(d.params.Confidence) }

// add takes a candidate whose score reached the confidence, and reports whether
// it was kept.
func (d *Decoder) add(b pipeline.Box, score float32, class, index int) bool {
	// x-x is zero for finite numbers only.
	if sum := (score - score) + (b.X0 - b.X0) + (b.Y0 - b.Y0) + (b.X1 - b.X1) + (b.Y1 - b.Y1); sum != 0 {
		d.stats.Invalid++
		return false
	}
	if score < d.params.Confidence || class < 0 {
		return false
	}
	if d.params.Classes != nil && (class >= len(d.allowed) || !d.allowed[class]) {
		return false
	}
	if !(b.X1 > b.X0 && b.Y1 > b.Y0) {
		d.stats.Empty++
		return false
	}
	d.found = append(d.found, candidate{b, score, int32(class), int32(index), int32(len(d.points))})
	return true
}

// addClass is add for an output that holds the class as a number.
func (d *Decoder) addClass(b pipeline.Box, score, class float32, index int) bool {
	if !(class > -1 && class < maxClasses) {
		d.stats.Invalid++
		return false
	}
	return d.add(b, score, int(class), index)
}

// sort puts the candidates in order: best first, equal ones in the order of the
// outputs.
func (d *Decoder) sort() {
	slices.SortFunc(d.found, func(a, b candidate) int {
		if c := cmp.Compare(b.score, a.score); c != 0 {
			return c
		}
		if c := cmp.Compare(a.index, b.index); c != 0 {
			return c
		}
		return cmp.Compare(a.class, b.class)
	})
}

// suppress sorts the candidates and drops those that overlap a better one
// (greedy non-maximum suppression), keeping at most MaxDetections.
func (d *Decoder) suppress() {
	d.sort()
	most := maxCandidates
	if n := d.params.MaxCandidates; n > 0 {
		most = min(n, most)
	}
	if n := len(d.found); n > most {
		d.stats.Truncated += uint64(n - most)
		d.found = d.found[:most]
	}
	kept := d.found[:0]
next:
	for _, c := range d.found {
		if len(kept) >= d.params.MaxDetections {
			break
		}
		if d.params.IoU < 1 {
			for i := range kept {
				if (d.params.ClassAgnostic || kept[i].class == c.class) && iou(&kept[i].box, &c.box) > d.params.IoU {
					continue next
				}
			}
		}
		kept = append(kept, c)
	}
	d.found = kept
}

// iou is the overlap of two boxes that have an area: intersection over union.
func iou(a, b *pipeline.Box) float32 {
	w := min(a.X1, b.X1) - max(a.X0, b.X0)
	h := min(a.Y1, b.Y1) - max(a.Y0, b.Y0)
	if w <= 0 || h <= 0 {
		return 0
	}
	both := w * h
	return both / ((a.X1-a.X0)*(a.Y1-a.Y0) + (b.X1-b.X0)*(b.Y1-b.Y0) - both)
}

// room is dst with room for n more: exactly that, if it has to be allocated.
func room[T any](dst []T, n int) []T {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]T, 0, len(dst)+n), dst...)
}

// boxes makes the result.
func (d *Decoder) boxes(dst []pipeline.Detection, t Transform) []pipeline.Detection {
	if len(d.found) == 0 {
		return dst
	}
	n := len(d.m.manifest.Head.Keypoints)
	var points []pipeline.Keypoint
	if n > 0 {
		points = make([]pipeline.Keypoint, 0, n*len(d.found))
	}
	dst = room(dst, len(d.found))
	for i := range d.found {
		c := &d.found[i]
		b := t.Box(c.box)
		if !(b.X1 > b.X0 && b.Y1 > b.Y0) {
			d.stats.Empty++
			continue
		}
		det := pipeline.Detection{Box: b, Class: int(c.class), Label: d.label(c.class), Score: c.score}
		if n > 0 {
			first := len(points)
			for _, k := range d.points[c.points:][:n] {
				k.Point = t.Point(k.Point)
				if k.Score < d.params.KeypointConfidence {
					k.Score = 0
				}
				points = append(points, k)
			}
			det.Keypoints = points[first:len(points):len(points)]
		}
		if d.m.manifest.Task == Segmentation && d.params.Masks != MaskNone {
			det.Mask = d.masker.mask(&d.masks, int(c.index), b, &t, d.params.Masks)
		}
		dst = append(dst, det)
	}
	return dst
}
