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

// Params are the choices of a run.
type Params struct {
	Confidence    float32 // smallest score that is kept, 0 to 1
	IoU           float32 // a box that overlaps a better one of its class by more is dropped; 1 keeps all
	MaxDetections int     // at most so many of one picture, the best
	Classes       []int   // only these; nil for all
	ClassAgnostic bool    // suppress across classes
}

// Params returns what the manifest recommends.
func (m *Model) Params() Params {
	p := Params{Confidence: m.manifest.Head.Confidence, IoU: m.manifest.Head.IoU, MaxDetections: 300}
	if m.manifest.Task == Classification {
		p.MaxDetections = 5
	}
	return p
}

func (p Params) check() error {
	if !(p.Confidence >= 0 && p.Confidence <= 1) || !(p.IoU >= 0 && p.IoU <= 1) || p.MaxDetections < 1 {
		return fmt.Errorf("confidence %v and iou %v must be 0 to 1, max detections %d at least 1", p.Confidence, p.IoU, p.MaxDetections)
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
	best    []float32           // scratch of heads
	bestOf  []int32
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
	fail := func(err error) ([]pipeline.Detection, error) {
		return nil, &pipeline.Error{Op: "decode outputs of model", On: d.m.manifest.ID, Kind: pipeline.BadInput, Err: err}
	}
	if err := p.check(); err != nil {
		return fail(err)
	}
	if t.Width <= 0 || t.Height <= 0 {
		return fail(fmt.Errorf("the transform is empty"))
	}
	for i := range outs {
		if err := outs[i].check(); err != nil {
			return fail(err)
		}
	}
	d.begin(p)
	if err := d.decode(d, outs); err != nil {
		return fail(err)
	}
	if d.m.manifest.Task == Classification {
		return d.classes(t), nil
	}
	d.suppress()
	return d.boxes(t), nil
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

// suppress sorts the candidates and drops those that overlap a better one
// (greedy non-maximum suppression), keeping at most MaxDetections.
func (d *Decoder) suppress() {
	slices.SortFunc(d.found, func(a, b candidate) int {
		if c := cmp.Compare(b.score, a.score); c != 0 {
			return c
		}
		if c := cmp.Compare(a.index, b.index); c != 0 {
			return c
		}
		return cmp.Compare(a.class, b.class)
	})
	if n := len(d.found); n > maxCandidates {
		d.stats.Truncated += uint64(n - maxCandidates)
		d.found = d.found[:maxCandidates]
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

// boxes makes the result: two allocations at most.
func (d *Decoder) boxes(t Transform) []pipeline.Detection {
	if len(d.found) == 0 {
		return nil
	}
	n := len(d.m.manifest.Head.Keypoints)
	var points []pipeline.Keypoint
	if n > 0 {
		points = make([]pipeline.Keypoint, 0, n*len(d.found))
	}
	out := make([]pipeline.Detection, 0, len(d.found))
	for i := range d.found {
		c := &d.found[i]
		b := t.Box(c.box)
		if !(b.X1 > b.X0 && b.Y1 > b.Y0) {
			d.stats.Empty++
			continue
		}
		det := pipeline.Detection{Box: b, Class: int(c.class), Label: d.m.manifest.label(int(c.class)), Score: c.score}
		if n > 0 {
			first := len(points)
			for _, k := range d.points[c.points:][:n] {
				k.Point = t.Point(k.Point)
				points = append(points, k)
			}
			det.Keypoints = points[first:len(points):len(points)]
		}
		out = append(out, det)
	}
	return out
}

// classes makes the result of a classification.
func (d *Decoder) classes(t Transform) []pipeline.Detection {
	d.params.IoU = 1
	d.suppress()
	out := make([]pipeline.Detection, 0, len(d.found))
	for _, c := range d.found {
		out = append(out, pipeline.Detection{Box: t.Whole(), Class: int(c.class), Label: d.m.manifest.label(int(c.class)), Score: c.score})
	}
	return out
}
