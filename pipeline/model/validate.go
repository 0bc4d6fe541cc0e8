package model

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"perch/pipeline"
)

// Limits of a manifest: large enough for any network that an appliance runs,
// small enough that a mistake cannot exhaust its memory.
const (
	minSide    = 16
	maxSide    = 4096
	maxClasses = 100_000
	maxStride  = 1024
	maxRegMax  = 256
	maxText    = 1000 // bytes of a label, licence or source

	maxKeypoints = 1000
)

// Validate reports every mistake at once, each with its path in model.yaml.
// It expects that defaults have been filled in, as [Parse] and [Inspect] do.
func (m *Manifest) Validate() error {
	var errs []error
	bad := func(path, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{path}, args...)...))
	}
	if !validID(m.ID) {
		bad("id", "%q is not a folder name: a to z, 0 to 9, '-', '_' and '.', at most 64, beginning with a letter or digit", m.ID)
	}
	f, known := familyNamed(m.Head.Family)
	if !known {
		bad("head.family", "%q is not known; known are %s", m.Head.Family, strings.Join(slices.Sorted(maps.Keys(Families())), ", "))
	} else if m.Task != f.task {
		bad("task", "%q does not go with family %q, which is for %q", m.Task, f.name, f.task)
	}
	m.Input.validate(bad)
	if known {
		m.Head.validate(f, &m.Input, bad)
	}
	if len(m.Labels) > maxClasses {
		bad("labels", "there are %d; at most %d are possible", len(m.Labels), maxClasses)
	}
	for i, l := range m.Labels {
		if strings.TrimSpace(l) == "" || len(l) > maxText {
			bad(fmt.Sprintf("labels[%d]", i), "must be 1 to %d bytes long", maxText)
		}
	}
	return errors.Join(errs...)
}

func (in *Input) validate(bad func(path, format string, args ...any)) {
	if in.Name == "" {
		bad("input.name", "is missing")
	}
	if in.Width < minSide || in.Width > maxSide {
		bad("input.width", "%d is not between %d and %d", in.Width, minSide, maxSide)
	}
	if in.Height < minSide || in.Height > maxSide {
		bad("input.height", "%d is not between %d and %d", in.Height, minSide, maxSide)
	}
	oneOf(bad, "input.layout", in.Layout, NCHW, NHWC)
	oneOf(bad, "input.type", in.Type, pipeline.Float32, pipeline.Float16, pipeline.Uint8, pipeline.Int32)
	oneOf(bad, "input.colour", in.Colour, RGB, BGR, Grey)
	oneOf(bad, "input.resize", in.Resize, Letterbox, Stretch)
	oneOf(bad, "input.position", in.Position, Centre, TopLeft)
	if in.Scale == 0 || math.IsNaN(in.Scale) || math.IsInf(in.Scale, 0) {
		bad("input.scale", "%v is not a number to multiply with", in.Scale)
	}
	for i, list := range [][]float64{in.Mean, in.Std} {
		path := []string{"input.mean", "input.std"}[i]
		if n := len(list); n > 1 && n != in.Colour.channels() {
			bad(path, "has %d numbers; it takes one, or one for each of %d channels", n, in.Colour.channels())
		}
		for i, v := range list {
			if math.IsNaN(v) || math.IsInf(v, 0) || path == "input.std" && v == 0 {
				bad(fmt.Sprintf("%s[%d]", path, i), "%v is not possible", v)
			}
		}
	}
	if in.Pad < 0 || in.Pad > 255 {
		bad("input.pad", "%d is not between 0 and 255", in.Pad)
	}
}

func (h *Head) validate(f family, in *Input, bad func(path, format string, args ...any)) {
	if !(h.Confidence > 0 && h.Confidence <= 1) {
		bad("head.confidence", "%v is not above 0 and at most 1", h.Confidence)
	}
	if !(h.IoU > 0 && h.IoU <= 1) {
		bad("head.iou", "%v is not above 0 and at most 1", h.IoU)
	}
	if len(h.Strides) > 8 {
		bad("head.strides", "there are %d; at most 8 are possible", len(h.Strides))
	}
	for i, s := range h.Strides {
		if s < 1 || s > maxStride {
			bad(fmt.Sprintf("head.strides[%d]", i), "%d is not between 1 and %d", s, maxStride)
		}
	}
	if h.RegMax < 0 || h.RegMax > maxRegMax {
		bad("head.reg_max", "%d is not between 0 and %d", h.RegMax, maxRegMax)
	}
	if h.Offset != nil && !(*h.Offset >= 0 && *h.Offset <= 1) {
		bad("head.offset", "%v is not between 0 and 1", *h.Offset)
	}
	if h.FirstClass != nil && (*h.FirstClass < 0 || *h.FirstClass > 1) {
		bad("head.first_class", "%d is neither 0 nor 1", *h.FirstClass)
	}
	if h.Units != "" {
		oneOf(bad, "head.units", h.Units, Pixels, Normalised)
	}
	if h.Activation != "" {
		possible := []Activation{Auto, Softmax, Sigmoid, None}
		if h.Family == multiLabelFamily {
			possible = possible[2:] // several classes may be right
		}
		oneOf(bad, "head.activation", h.Activation, possible...)
	}
	h.validatePoints(f, bad)
	if h.SizeInput != "" && h.SizeInput == in.Name {
		bad("head.size_input", "%q is the picture's input", h.SizeInput)
	}
}

func (h *Head) validatePoints(f family, bad func(path, format string, args ...any)) {
	switch n := len(h.Keypoints); {
	case f.points == 0 && n > 0:
		bad("head.keypoints", "family %q has none", f.name)
	case f.points > 0 && n != f.points:
		bad("head.keypoints", "there are %d; family %q has %d", n, f.name, f.points)
	case n > maxKeypoints:
		bad("head.keypoints", "there are %d; at most %d are possible", n, maxKeypoints)
	}
	for i, name := range h.Keypoints {
		if strings.TrimSpace(name) == "" || len(name) > maxText {
			bad(fmt.Sprintf("head.keypoints[%d]", i), "must be 1 to %d bytes long", maxText)
		}
	}
	switch v := h.PointValues; {
	case f.points != anyPoints && v != 0:
		bad("head.point_values", "family %q does not have it", f.name)
	case f.points == anyPoints && v != 2 && v != 3:
		bad("head.point_values", "%d is neither 2 nor 3", v)
	}
}

// oneOf reports a value that is none of those possible.
func oneOf[T ~string](bad func(path, format string, args ...any), path string, v T, possible ...T) {
	if slices.Contains(possible, v) {
		return
	}
	var names []string
	for _, p := range possible {
		names = append(names, string(p))
	}
	bad(path, "%q is none of %s", v, strings.Join(names, ", "))
}

// validID reports whether id is safe as the name of a folder on any system.
func validID(id string) bool {
	if len(id) < 1 || len(id) > 64 {
		return false
	}
	for i, r := range []byte(id) {
		alnum := r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		if !alnum && (i == 0 || r != '-' && r != '_' && r != '.') {
			return false
		}
	}
	return true
}
