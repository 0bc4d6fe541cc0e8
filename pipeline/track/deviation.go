package track

import (
	"math"

	"perch/pipeline"
)

// MostPathPoints bounds the reference path of a [Deviation].
const MostPathPoints = 1000

// A Deviation measures how far the way that each tracked object has taken so
// far is from a reference path: their discrete Fréchet distance, the shortest
// leash with which two can walk along both from the first point to the last, if
// each only ever steps forward (Eiter and Mannila, "Computing Discrete Fréchet
// Distance", Technische Universität Wien, 1994).
//
// The distance to the path walked so far needs, of all points walked before,
// only one row of numbers, so memory does not grow with time.
type Deviation struct {
	path    []pipeline.Point
	anchors []Anchor
	rows    memory[[]float64] // of each track: its leash to every point of the path
	far     []float64
}

// NewDeviation returns a measurement that has seen nothing. The error, of kind
// BadConfig, says what is wrong with the path, which must have two points or
// more and at most [MostPathPoints].
func NewDeviation(path []pipeline.Point, anchor Anchor) (*Deviation, error) {
	const op = "set up path deviation"
	if len(path) < 2 || len(path) > MostPathPoints {
		return nil, refuse(op, "reference path", "give two points or more", "it has %d points, and from 2 to %d can be used", len(path), MostPathPoints)
	}
	for i, p := range path {
		if !finite(p) {
			return nil, refuse(op, "reference path", "points are in pixels of the frame", "point %d is not finite", i+1)
		}
	}
	anchors := []Anchor{anchor}
	if err := checkAnchors(op, anchors); err != nil {
		return nil, err
	}
	return &Deviation{path: append([]pipeline.Point(nil), path...), anchors: anchors, rows: newMemory[[]float64](Remembered)}, nil
}

// Update takes the detections of the next frame and returns the distance of
// each in pixels, not a number as long as it was only ever seen with an empty
// mask; the slice is used again by the next call. A detection without a track
// ([ErrUntracked]), or without the mask that an anchor needs ([ErrNoMask]), is
// an error, and then nothing changes.
func (d *Deviation) Update(dets []pipeline.Detection) ([]float64, error) {
	const op = "measure path deviation"
	d.far = d.far[:0]
	if err := tracked(op, dets); err != nil {
		return nil, err
	}
	if err := masked(op, dets, d.anchors); err != nil {
		return nil, err
	}
	for i := range dets {
		d.far = append(d.far, d.step(&dets[i]))
	}
	return d.far, nil
}

// step lets one object take its next step.
func (d *Deviation) step(det *pipeline.Detection) float64 {
	p := d.anchors[0].Of(det)
	if !finite(p) {
		if d.rows.seen(det.Track) {
			row, _ := d.rows.get(det.Track)
			return (*row)[len(d.path)-1]
		}
		return math.NaN()
	}
	row, known := d.rows.get(det.Track)
	if !known {
		*row = make([]float64, len(d.path))
	}
	leash := *row
	before := math.Inf(1) // leash[j-1] as it was before this step
	for j, q := range d.path {
		shortest := math.Inf(1)
		if known {
			shortest = min(leash[j], before)
		}
		if j > 0 {
			shortest = min(shortest, leash[j-1])
		}
		if !known && j == 0 {
			shortest = 0
		}
		before = leash[j]
		leash[j] = max(shortest, math.Hypot(float64(p.X)-float64(q.X), float64(p.Y)-float64(q.Y)))
	}
	return leash[len(d.path)-1]
}
