package model

import (
	"fmt"
	"slices"

	"perch/pipeline"
)

// A Task is what a model is for.
type Task string

// The tasks that a model may have. All but the last two find objects in boxes.
const (
	Detection      Task = "detection"
	Faces          Task = "faces"
	Segmentation   Task = "segmentation"   // with a mask for each object
	Keypoints      Task = "keypoints"      // with named points on each object
	Classification Task = "classification" // one class is right
	MultiLabel     Task = "multi-label"    // each class may be right or not
)

// Scores reports whether a model scores the whole picture by class and finds
// no boxes: [Decoder.Classify] is for it.
func (t Task) Scores() bool { return t == Classification || t == MultiLabel }

// A Layout is the order of an input's dimensions.
type Layout string

// The layouts of an input: batch, then channels first or last.
const (
	NCHW Layout = "nchw"
	NHWC Layout = "nhwc"
)

// A Colour is the order of an input's channels.
type Colour string

// The channels of an input. Grey is luma, stretched to 0..255.
const (
	RGB  Colour = "rgb"
	BGR  Colour = "bgr"
	Grey Colour = "grey"
)

func (c Colour) channels() int {
	if c == Grey {
		return 1
	}
	return 3
}

// A Resize is how a frame is made to fit the input.
type Resize string

// Letterbox keeps the aspect ratio and pads; Stretch does not.
const (
	Letterbox Resize = "letterbox"
	Stretch   Resize = "stretch"
)

// A Position is where a letterboxed frame lies in the input.
type Position string

// The positions of a letterboxed frame.
const (
	Centre  Position = "centre"
	TopLeft Position = "top-left"
)

// A Units is what the coordinates of boxes count.
type Units string

// Pixels are those of the input; Normalised boxes go from 0 to 1.
const (
	Pixels     Units = "pixels"
	Normalised Units = "normalised"
)

// An Activation turns a classifier's output into scores.
type Activation string

// Auto is Softmax unless the values are probabilities already: all within 0..1
// and their sum within 0.01 of 1. Sigmoid is for classes that do not exclude
// each other.
const (
	Auto    Activation = "auto"
	Softmax Activation = "softmax"
	Sigmoid Activation = "sigmoid"
	None    Activation = "none"
)

// A Manifest is model.yaml: what a network's numbers mean.
type Manifest struct {
	ID          string   `yaml:"id"` // also the folder's name in a [Store]
	Description string   `yaml:"description,omitempty"`
	Task        Task     `yaml:"task"`
	Input       Input    `yaml:"input"`
	Head        Head     `yaml:"head"`
	Labels      []string `yaml:"labels,omitempty"` // class names by index; without them a class is called "class 7"
	Licence     string   `yaml:"licence,omitempty"`
	Source      string   `yaml:"source,omitempty"` // where the weights come from

	// Guessed lists what [Inspect] assumed because the graph does not say it.
	Guessed []string `yaml:"-"`
}

// Input is how a frame becomes the model's input. An element is
// (v*Scale - Mean[c]) / Std[c], where v is 0..255 and c is the channel in the
// order of Colour.
type Input struct {
	Name     string              `yaml:"name"`
	Width    int                 `yaml:"width"`            // pixels
	Height   int                 `yaml:"height"`           // pixels
	Layout   Layout              `yaml:"layout,omitempty"` // default nchw
	Type     pipeline.TensorType `yaml:"type,omitempty"`   // default float32
	Colour   Colour              `yaml:"colour,omitempty"` // default rgb
	Scale    float64             `yaml:"scale,omitempty"`  // default 1
	Mean     []float64           `yaml:"mean,flow,omitempty"`
	Std      []float64           `yaml:"std,flow,omitempty"`
	Resize   Resize              `yaml:"resize,omitempty"`   // default letterbox
	Position Position            `yaml:"position,omitempty"` // default centre
	Pad      int                 `yaml:"pad,omitempty"`      // 0..255, before scale; every channel
}

func (in *Input) mean(c int) float64 { return pick(in.Mean, c, 0) }
func (in *Input) std(c int) float64  { return pick(in.Std, c, 1) }

// pick is element c of a list that may hold one value for all channels or none.
func pick(list []float64, c int, none float64) float64 {
	switch len(list) {
	case 0:
		return none
	case 1:
		return list[0]
	}
	return list[c]
}

// Head is how the model's outputs become detections. Which fields a family uses
// is in README.md; the others stay empty.
type Head struct {
	Family     string     `yaml:"family"`
	Strides    []int      `yaml:"strides,flow,omitempty"`   // of the grids, in the order of the outputs' rows
	RegMax     int        `yaml:"reg_max,omitempty"`        // nanodet: bins per side, less one
	Offset     *float64   `yaml:"offset,omitempty"`         // nanodet: where in its cell a grid point lies
	Decoded    bool       `yaml:"decoded,omitempty"`        // yolox: the graph has added the grid already
	Units      Units      `yaml:"units,omitempty"`          // boxes: what coordinates count
	FirstClass *int       `yaml:"first_class,omitempty"`    // ssd: number of the first label
	SizeInput  string     `yaml:"size_input,omitempty"`     // rtdetr, dfine: name of the input that wants the picture's size
	Activation Activation `yaml:"activation,omitempty"`     // classification: what makes scores of the output
	Keypoints  []string   `yaml:"keypoints,flow,omitempty"` // names, in order
	// PointValues is what a key point of yolov8-pose and yolo26-pose has: 3 for
	// x, y and score (the default), 2 for x and y.
	PointValues int     `yaml:"point_values,omitempty"`
	Confidence  float32 `yaml:"confidence,omitempty"` // default threshold
	IoU         float32 `yaml:"iou,omitempty"`        // default overlap for suppression; 1 suppresses nothing
}

// Parse reads model.yaml with the decoder given, fills in defaults and
// validates. decode should refuse unknown keys; path is for messages.
func Parse(path string, data []byte, decode func(data []byte, into any) error) (Manifest, error) {
	var m Manifest
	if err := decode(data, &m); err != nil {
		return Manifest{}, &pipeline.Error{Op: "read model manifest", On: path, Kind: pipeline.BadConfig, Err: err}
	}
	m = m.withDefaults()
	if err := m.Validate(); err != nil {
		return Manifest{}, &pipeline.Error{Op: "check model manifest", On: path, Kind: pipeline.BadConfig, Err: err}
	}
	return m, nil
}

// withDefaults fills in what model.yaml may leave out. It shares no memory
// with m.
func (m Manifest) withDefaults() Manifest {
	m.Labels = slices.Clone(m.Labels)
	m.Input.Mean, m.Input.Std = slices.Clone(m.Input.Mean), slices.Clone(m.Input.Std)
	h, in := &m.Head, &m.Input
	h.Strides, h.Keypoints = slices.Clone(h.Strides), slices.Clone(h.Keypoints)
	orDefault(&in.Layout, NCHW)
	orDefault(&in.Type, pipeline.Float32)
	orDefault(&in.Colour, RGB)
	orDefault(&in.Scale, 1)
	orDefault(&in.Resize, Letterbox)
	orDefault(&in.Position, Centre)
	if f, ok := familyNamed(h.Family); ok {
		orDefault(&m.Task, f.task)
		f.head(h, in)
	}
	orDefault(&h.Confidence, 0.3)
	orDefault(&h.IoU, 0.6)
	return m
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// label is the name of class i.
func (m *Manifest) label(i int) string {
	if i < len(m.Labels) {
		return m.Labels[i]
	}
	return fmt.Sprintf("class %d", i)
}
