package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"perch/pipeline"
)

// A Graph is what a model file says of itself.
type Graph struct {
	Inputs, Outputs []pipeline.TensorInfo
	Metadata        map[string]string // for example Ultralytics' names, task, stride, imgsz
}

// single is the graph with its outputs for one picture, where it was exported
// for a fixed number of them.
func (g Graph) single() Graph {
	if len(g.Inputs) == 0 || len(g.Inputs[0].Shape) == 0 || g.Inputs[0].Shape[0] < 2 {
		return g
	}
	batch := g.Inputs[0].Shape[0]
	g.Outputs = slices.Clone(g.Outputs)
	for i := range g.Outputs {
		if s := g.Outputs[i].Shape; len(s) > 1 && s[0] == batch {
			g.Outputs[i].Shape = append([]int64{1}, s[1:]...)
		}
	}
	return g
}

// Inspect works out from a graph what it may: the input's size, layout and
// type, the family of the head, the classes. What it had to assume is in
// Guessed; ID is "model", for the caller to replace. A graph that fits no family
// is an error that names what was found and what is known.
func Inspect(g Graph) (Manifest, error) {
	g = g.single()
	fail := func(hint string, err error) (Manifest, error) {
		return Manifest{}, &pipeline.Error{Op: "inspect graph", Kind: pipeline.Unsupported, Err: err, Hint: hint}
	}
	in, hint, err := inspectInput(g)
	if err != nil {
		return fail(hint, err)
	}
	only, err := taskOf(g.Metadata["task"])
	if err != nil {
		return fail("export a detector, a segmenter, a pose estimator or a classifier", err)
	}
	for _, f := range families() {
		if f.like != "" || only != "" && f.task != only {
			continue
		}
		m := Manifest{ID: "model", Task: f.task, Input: in}
		if f.points == anyPoints {
			m.inspectPoints(g)
		}
		classes, ok := f.match(g.Outputs, &in, &m.Head)
		if !ok || !inputsFit(g, f, in.Name) {
			continue
		}
		m.Head.Family = f.name
		f.input(&m.Input)
		if in.Colour == Grey {
			m.Input.Colour = Grey
		}
		m.Guessed = append(m.Guessed, fmt.Sprintf("input: colour %s, scale %.6g, mean %v, std %v, %s, as networks of family %s usually want",
			or(m.Input.Colour, RGB), m.Input.Scale, m.Input.Mean, m.Input.Std, or(m.Input.Resize, Letterbox), f.name))
		if f.points == anyPoints {
			m.Guessed = append(m.Guessed, m.guessedPoints())
		}
		if err := m.inspectLabels(g, classes); err != nil {
			return fail("write a model.yaml", err)
		}
		m.Licence, m.Description = bounded(g.Metadata["license"]), bounded(g.Metadata["description"])
		m = m.withDefaults()
		if err := m.Validate(); err != nil {
			return fail("write a model.yaml", err)
		}
		return m, nil
	}
	return fail("write a model.yaml that names the family, or export the model differently", unknownHead(g, only))
}

// taskOf is what Ultralytics' exporter says the graph is for, "" if it does not.
func taskOf(task string) (Task, error) {
	known := map[string]Task{"": "", "detect": Detection, "segment": Segmentation, "pose": Keypoints, "classify": Classification}
	t, ok := known[task]
	if !ok {
		return "", fmt.Errorf("the graph's task is %q, which is not supported", task)
	}
	return t, nil
}

// inspectPoints takes the number of key points from the metadata, where
// Ultralytics' exporter writes it: [points, values of each].
func (m *Manifest) inspectPoints(g Graph) {
	shape := intList(g.Metadata["kpt_shape"])
	if len(shape) != 2 || shape[0] < 1 || shape[0] > maxKeypoints || shape[1] < 2 || shape[1] > 3 {
		return
	}
	m.Head.Keypoints, m.Head.PointValues = pointNames(shape[0]), shape[1]
}

func (m *Manifest) guessedPoints() string {
	switch n := len(m.Head.Keypoints); n {
	case 0:
		return "head.keypoints: COCO's 17 of a person, because the outputs have room for them; a detector of 52 classes looks the same"
	case cocoKeypoints:
		return "head.keypoints: COCO's names, because there are 17"
	default:
		return fmt.Sprintf("head.keypoints: %d without names", n)
	}
}

// inputsFit reports whether a graph has no inputs that the family does not know.
func inputsFit(g Graph, f family, picture string) bool {
	for _, t := range g.Inputs {
		if t.Name != picture && (f.name != "rtdetr" || t.Name != sizeInputName) {
			return false
		}
	}
	return true
}

// unknownHead says what the graph has and what is known; only of the task that
// the graph says it is for.
func unknownHead(g Graph, only Task) error {
	var b strings.Builder
	fmt.Fprintf(&b, "no known head family fits; inputs %s; outputs %s; ", list(g.Inputs), list(g.Outputs))
	if only != "" {
		fmt.Fprintf(&b, "its metadata says that its task is %q; for that ", g.Metadata["task"])
	}
	b.WriteString("known are")
	known := families()
	slices.SortFunc(known, func(a, b family) int { return strings.Compare(a.name, b.name) })
	sep := " "
	for _, f := range known {
		if only == "" || f.task == only {
			fmt.Fprintf(&b, "%s%s: %s", sep, f.name, f.about)
			sep = "; "
		}
	}
	return errors.New(b.String())
}

func list(ts []pipeline.TensorInfo) string {
	var s []string
	for _, t := range ts {
		s = append(s, describe(t))
	}
	return strings.Join(s, ", ")
}

// inspectInput reads the picture's input: the first with four dimensions of
// which the second or the last is 1 or 3.
func inspectInput(g Graph) (in Input, hint string, err error) {
	for _, t := range g.Inputs {
		if len(t.Shape) != 4 {
			continue
		}
		in = Input{Name: t.Name, Type: t.Type, Layout: NCHW}
		c, h, w := t.Shape[1], t.Shape[2], t.Shape[3]
		if !isChannels(c) {
			in.Layout, h, w, c = NHWC, t.Shape[1], t.Shape[2], t.Shape[3]
		}
		if !isChannels(c) {
			continue
		}
		if c == 1 {
			in.Colour = Grey
		}
		if h <= 0 || w <= 0 {
			size := intList(g.Metadata["imgsz"]) // height, width
			if len(size) != 2 {
				return in, "export it with a fixed size, or give input.width and input.height in model.yaml", fmt.Errorf("input %s leaves its size open", describe(t))
			}
			h, w = int64(size[0]), int64(size[1])
		}
		if h < minSide || w < minSide || h > maxSide || w > maxSide {
			return in, "", fmt.Errorf("input %s is not between %d and %d pixels a side", describe(t), minSide, maxSide)
		}
		in.Width, in.Height = int(w), int(h)
		return in, "", nil
	}
	return in, "", fmt.Errorf("no input is a picture, [N,C,H,W] or [N,H,W,C] with 1 or 3 channels; inputs are %s", list(g.Inputs))
}

func isChannels(d int64) bool { return d == 1 || d == 3 }

// inspectLabels finds the class names in the metadata, or assumes those that
// networks with so many classes nearly always have.
func (m *Manifest) inspectLabels(g Graph, classes int) error {
	names, err := classNames(g.Metadata["names"])
	if err != nil {
		return fmt.Errorf("metadata names: %w", err)
	}
	switch {
	case len(names) > 0:
		if classes > 0 && len(names) != classes {
			return fmt.Errorf("the metadata names %d classes, the outputs %s have %d by the layout of family %s", len(names), list(g.Outputs), classes, m.Head.Family)
		}
		m.Labels = names
	case m.Task == Faces:
		m.Labels = []string{"face"}
	case m.Task == Keypoints && classes == 1:
		m.Labels = []string{"person"}
		m.Guessed = append(m.Guessed, "labels: person, because there is one class")
	case (m.Task == Detection || m.Task == Segmentation) && classes == 80:
		m.Labels = coco80()
		m.Guessed = append(m.Guessed, "labels: the 80 classes of COCO, because there are 80")
	case (m.Task == Detection || m.Task == Segmentation) && classes == 91:
		m.Labels = coco91()
		m.Guessed = append(m.Guessed, "labels: COCO's classes by category number, because there are 91")
	default:
		m.Guessed = append(m.Guessed, "labels: none; classes are called \"class 0\" and so on")
	}
	return nil
}

func or[T ~string](v, def T) T {
	if v == "" {
		return def
	}
	return v
}

func bounded(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxText)], "") }
