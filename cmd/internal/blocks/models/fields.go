package models

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"perch/cmd/internal/models"
	"perch/pipeline"
	"perch/pipeline/model"
	"perch/pipeline/workflow"
)

const prefix = "roboflow_core/"

// common are the fields that all model blocks of a version have.
func common(version int) []workflow.Field {
	fields := []workflow.Field{
		{Name: "images", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Pixels: workflow.SampledPixels, Doc: "the image, or the crops, that the model looks at"},
		{
			Name: "model_id", Required: true, Kinds: []workflow.Kind{workflow.ModelKind, workflow.StringKind}, Literal: workflow.StringLiteral,
			Doc: "a model of this device, or a name that workflows.models maps to one; nothing is downloaded",
		},
		{Name: "disable_active_learning", Kinds: []workflow.Kind{workflow.BooleanKind}, Literal: workflow.BoolLiteral, Default: workflow.BoolOf(true), Doc: "accepted and without effect: this device sends no pictures anywhere"},
		{Name: "active_learning_target_dataset", Kinds: workflow.Anything(), Literal: workflow.AnyLiteral, Doc: "accepted and without effect"},
	}
	if version < 3 {
		return append(fields, workflow.Field{
			Name: "confidence", Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Max: 1, Default: workflow.FloatOf(0.4),
			Doc: "smallest score that counts, 0 to 1",
		})
	}
	return append(fields,
		workflow.Field{
			Name: "confidence_mode", Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.EnumLiteral, Enum: []string{"best", "default", "custom"}, Default: workflow.StringOf("best"),
			Doc: "best and default take the smallest score that the model's manifest recommends, custom takes custom_confidence",
		},
		workflow.Field{
			Name: "custom_confidence", Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Max: 1, Default: workflow.FloatOf(0.4),
			Doc: "smallest score that counts, 0 to 1, with confidence_mode custom",
		})
}

// boxes are the fields of models that find objects.
func boxes() []workflow.Field {
	strings := []workflow.Kind{workflow.ListKind}
	return []workflow.Field{
		{Name: "class_filter", Kinds: strings, Literal: workflow.StringsLiteral, Doc: "only these classes; null for all"},
		{Name: "iou_threshold", Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Max: 1, Default: workflow.FloatOf(0.3), Doc: "of two boxes of a class that overlap more than this (intersection over union) the better one stays"},
		{Name: "max_detections", Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 1, Max: 4096, Default: workflow.IntOf(300), Doc: "at most so many objects, the best"},
		{Name: "class_agnostic_nms", Kinds: []workflow.Kind{workflow.BooleanKind}, Literal: workflow.BoolLiteral, Default: workflow.BoolOf(false), Doc: "boxes of different classes suppress each other too"},
		{Name: "max_candidates", Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 1, Max: 1e6, Default: workflow.IntOf(3000), Doc: "suppression looks at so many boxes, the best"},
	}
}

// outputs are those of all model blocks of a version.
func outputs(version int, kind workflow.Kind, doc string) []workflow.Output {
	outs := []workflow.Output{
		{Name: "predictions", Kinds: []workflow.Kind{kind}, Doc: doc},
		{Name: "inference_id", Kinds: []workflow.Kind{workflow.StringKind}, Doc: "a random id of this inference"},
	}
	if version >= 2 {
		outs = append(outs, workflow.Output{Name: "model_id", Kinds: []workflow.Kind{workflow.ModelKind, workflow.StringKind}, Doc: "the model as it was asked for"})
	}
	return outs
}

// runner is what all model blocks share: the model and how sure it must be.
type runner struct {
	images     workflow.In
	confidence workflow.In
	best       bool // take what the manifest recommends
	name       string
	params     model.Params
	run        *models.Runner // nil while a graph is checked
	model      *model.Model   // the same
	wantsID    bool
	hasModelID bool
}

// newRunner finds the model, checks that it does what the block is for, and,
// when the graph is bound, gets it ready.
func newRunner(m Models, p *workflow.Params, version int, tasks ...model.Task) (*runner, error) {
	r := &runner{images: p.In("images"), hasModelID: version >= 2, wantsID: p.Used("inference_id")}
	if version < 3 {
		r.confidence = p.In("confidence")
	} else {
		r.confidence = p.In("custom_confidence")
		mode, known := p.Const("confidence_mode")
		s, _ := mode.Str()
		if !known && !p.Checking() {
			return nil, p.Fault("confidence_mode", "it changes from frame to frame", "write it, or select a parameter")
		}
		r.best = s != "custom"
	}
	id, known := p.Const("model_id")
	name, ok := id.Str()
	if !known || !ok {
		if p.Checking() {
			return r, nil // a parameter that has no value yet
		}
		return nil, p.Fault("model_id", "it is "+id.Describe(), "name a model, or select a parameter that does")
	}
	r.name = name
	manifest, err := m.Manifest(name)
	if err != nil {
		return nil, modelFault(p, err)
	}
	if !slices.Contains(tasks, manifest.Task) {
		return nil, p.Fault("model_id", fmt.Sprintf("model %q is for %s, and this block is for %s", name, manifest.Task, tasks[0]), "choose another model or another block")
	}
	if p.Checking() {
		_, err := classes(p, manifest)
		return r, err
	}
	loaded, err := m.Ready(name)
	if err != nil {
		return nil, err
	}
	p.Uses(loaded.Now, loaded.Model.Labels())
	r.params = loaded.Model.Params()
	r.run, r.model = loaded.NewRunner(), loaded.Model
	if r.params.Classes, err = classes(p, manifest); err != nil {
		return nil, err
	}
	return r, nil
}

// modelFault puts the error about a model where the reader looks for it.
func modelFault(p *workflow.Params, err error) error {
	var e *pipeline.Error
	if errors.As(err, &e) && e.Kind == pipeline.NotFound {
		return p.Fault("model_id", fmt.Sprintf("%q: %v", e.On, e.Err), e.Hint)
	}
	return err
}

// classes are the indexes that class_filter names; nil for all.
func classes(p *workflow.Params, m model.Manifest) ([]int, error) {
	if m.Task.Scores() {
		return nil, nil
	}
	v, _ := p.Const("class_filter")
	items, _ := v.Items()
	var picked []int
	for _, item := range items {
		name, _ := item.Str()
		i := slices.Index(m.Labels, name)
		if i < 0 {
			return nil, p.Fault("class_filter", fmt.Sprintf("model %q has no class %q", m.ID, name), "it has "+shortList(m.Labels))
		}
		picked = append(picked, i)
	}
	return picked, nil
}

func shortList(names []string) string {
	if len(names) > 12 {
		return strings.Join(names[:12], ", ") + fmt.Sprintf(" and %d more", len(names)-12)
	}
	return strings.Join(names, ", ")
}

// Start implements [workflow.Starter]: it queues the image for the model.
func (r *runner) Start(c *workflow.Call) (workflow.Pending, error) {
	img, err := c.Image(r.images)
	if err != nil {
		return nil, err
	}
	return r.run.BeginOf(c.Context(), img.Picture, pipeline.Size{Width: img.Origin.Width, Height: img.Origin.Height})
}

// Enough implements [workflow.Sampler].
func (r *runner) Enough(image pipeline.Size) pipeline.Size { return r.model.Enough(image) }

// threshold is the smallest score that counts on this frame.
func (r *runner) threshold(c *workflow.Call) (float32, error) {
	if r.best {
		return r.params.Confidence, nil
	}
	f, err := c.Float(r.confidence)
	return float32(f), err
}

// tell sets the outputs that all model blocks have, and says where time went.
func (r *runner) tell(c *workflow.Call, predictions workflow.Value, took models.Took) {
	c.Set(0, predictions)
	if r.wantsID {
		c.Set(1, workflow.StringOf(c.NewID().String()))
	}
	if r.hasModelID {
		c.Set(2, workflow.StringOf(r.name))
	}
	c.Took(pipeline.StagePreprocess, took.Prepare)
	c.Took(pipeline.StageInference, took.Infer)
}
