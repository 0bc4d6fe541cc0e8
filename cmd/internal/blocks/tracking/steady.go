package tracking

import (
	"perch/pipeline"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

// How a velocity is believed: how much it may change from frame to frame, how
// far a measurement may be off, and how little is known at first (variances, as
// the block's authors chose them).
const (
	velocityDrift = 0.001
	velocityNoise = 0.01
	velocityFirst = 1.0
)

// A steady smooths the boxes of tracked objects, and carries those that are not
// detected on for a few frames.
//
// A box that was there on the frame before becomes alpha × now + (1 - alpha) ×
// before, both as detected. Of its centre's change from frame to frame the mean
// of the last few is taken in by a Kalman filter for each direction. An object
// that is not detected moves on by alpha × that velocity, for as many frames as
// there are measurements to forget, one a frame.
type steady struct {
	alpha  float32
	window int
	held   []held
	index  map[pipeline.TrackID]int // place in held
	frame  uint64
}

// held is what is kept of one object.
type held struct {
	last     workflow.Detection // as detected, or as carried on
	history  [][2]float32       // measured velocities, oldest first, pixels a frame
	velocity [2]float32
	variance float32
	seen     uint64 // frame
}

func newSteady(alpha float64, window int) *steady {
	return &steady{alpha: float32(alpha), window: window, index: map[pipeline.TrackID]int{}}
}

// update puts the steadied detections of the next frame out: first those of d in
// their order, then those that are carried on.
func (s *steady) update(d, out *workflow.Detections) {
	s.frame++
	for i := range d.Items {
		out.Items = append(out.Items, d.Items[i])
		it := &out.Items[len(out.Items)-1]
		h, known := s.hold(it.Track)
		if h == nil {
			continue // no room: it passes as it is
		}
		if known {
			h.measure(centre(it.Box), s.window)
			it.Box = between(h.last.Box, it.Box, s.alpha)
		}
		h.seen = s.frame
		keep(&h.last, &d.Items[i])
	}
	for i := range s.held {
		if h := &s.held[i]; h.seen != s.frame && len(h.history) > 0 {
			h.last.Box = moved(h.last.Box, h.velocity[0]*s.alpha, h.velocity[1]*s.alpha)
			out.Items = append(out.Items, h.last)
		}
	}
	s.forget()
}

// hold returns the place of an object and whether it was held before; nil when
// all places are taken.
func (s *steady) hold(id pipeline.TrackID) (h *held, known bool) {
	if i, ok := s.index[id]; ok {
		return &s.held[i], true
	}
	n := len(s.held)
	if n >= track.Remembered {
		return nil, false
	}
	if n < cap(s.held) {
		s.held = s.held[:n+1] // with the memory of one that was forgotten
	} else {
		s.held = append(s.held, held{})
	}
	h = &s.held[n]
	h.history, h.velocity, h.variance = h.history[:0], [2]float32{}, 0
	s.index[id] = n
	return h, false
}

// measure takes in that the object's centre is now at p.
func (h *held) measure(p pipeline.Point, window int) {
	was := centre(h.last.Box)
	now := [2]float32{p.X - was.X, p.Y - was.Y}
	if len(h.history) == 0 {
		h.history = append(h.history, now)
		h.velocity, h.variance = now, velocityFirst+velocityDrift
		return
	}
	if len(h.history) >= window {
		h.history = append(h.history[:0], h.history[len(h.history)-window+1:]...)
	}
	h.history = append(h.history, now)
	var mean [2]float32
	for _, v := range h.history {
		mean[0] += v[0] / float32(len(h.history))
		mean[1] += v[1] / float32(len(h.history))
	}
	gain := h.variance / (h.variance + velocityNoise)
	for k := range mean {
		h.velocity[k] += gain * (mean[k] - h.velocity[k])
	}
	h.variance += velocityDrift - gain*h.variance
}

// forget ages those that were not detected: each loses its newest measurement,
// and its place when it was not put out either.
func (s *steady) forget() {
	kept := 0
	for i := range s.held {
		h := &s.held[i]
		switch {
		case h.seen == s.frame:
		case len(h.history) > 0:
			h.history = h.history[:len(h.history)-1]
			h.variance += velocityDrift
		default:
			delete(s.index, h.last.Track)
			continue
		}
		if i != kept {
			s.held[kept], s.held[i] = s.held[i], s.held[kept]
			s.index[s.held[kept].last.Track] = kept
		}
		kept++
	}
	s.held = s.held[:kept]
}

// keep copies a detection with all that it refers to into dst's own memory:
// what a step hands out is its own again on the next frame.
func keep(dst, src *workflow.Detection) {
	keypoints, polygon, mask := dst.Keypoints, dst.Polygon, dst.Mask
	*dst = *src
	dst.Keypoints = append(keypoints[:0], src.Keypoints...)
	dst.Polygon = append(polygon[:0], src.Polygon...)
	if src.Mask == nil {
		return
	}
	if mask == nil {
		mask = &pipeline.Mask{}
	}
	bits := append(mask.Bits[:0], src.Mask.Bits...)
	*mask = *src.Mask
	mask.Bits = bits
	dst.Mask = mask
}

func centre(b pipeline.Box) pipeline.Point {
	return pipeline.Point{X: (b.X0 + b.X1) / 2, Y: (b.Y0 + b.Y1) / 2}
}

func between(a, b pipeline.Box, t float32) pipeline.Box {
	return pipeline.Box{X0: t*b.X0 + (1-t)*a.X0, Y0: t*b.Y0 + (1-t)*a.Y0, X1: t*b.X1 + (1-t)*a.X1, Y1: t*b.Y1 + (1-t)*a.Y1}
}

func moved(b pipeline.Box, x, y float32) pipeline.Box {
	return pipeline.Box{X0: b.X0 + x, Y0: b.Y0 + y, X1: b.X1 + x, Y1: b.Y1 + y}
}
