package models

import (
	"fmt"

	"perch/cmd/internal/models"
	"perch/pipeline/model"
	"perch/pipeline/workflow"
)

func classification(m Models, version int) *workflow.Manifest {
	man := &workflow.Manifest{
		Type: fmt.Sprintf("%sroboflow_classification_model@v%d", prefix, version), Title: "Classification Model", Group: "model",
		Doc:     "Says which one class an image, or a crop, belongs to.",
		Fields:  common(version),
		Outputs: outputs(version, workflow.Classification, "the classes whose score counts, best first"),
		New: func(p *workflow.Params) (workflow.Block, error) {
			return newClasses(m, p, version, model.Classification)
		},
	}
	if version == 1 {
		man.Aliases = []string{"RoboflowClassificationModel", "ClassificationModel"}
	}
	return man
}

func multiLabel(m Models, version int) *workflow.Manifest {
	man := &workflow.Manifest{
		Type: fmt.Sprintf("%sroboflow_multi_label_classification_model@v%d", prefix, version), Title: "Multi-Label Classification Model", Group: "model",
		Doc:     "Says which classes an image, or a crop, belongs to; there may be several or none.",
		Fields:  common(version),
		Outputs: outputs(version, workflow.Classification, "all classes with their scores, and those that count"),
		New: func(p *workflow.Params) (workflow.Block, error) {
			return newClasses(m, p, version, model.MultiLabel)
		},
	}
	if version == 1 {
		man.Aliases = []string{"RoboflowMultiLabelClassificationModel", "MultiLabelClassificationModel"}
	}
	return man
}

// classesBlock runs a model that scores classes.
type classesBlock struct {
	*runner
	multi  bool
	scores []model.ClassScore // reused
}

func newClasses(m Models, p *workflow.Params, version int, task model.Task) (*classesBlock, error) {
	r, err := newRunner(m, p, version, task)
	return &classesBlock{runner: r, multi: task == model.MultiLabel}, err
}

// Run implements [workflow.Block].
func (b *classesBlock) Run(c *workflow.Call) error {
	pending := c.Pending().(*models.Pending)
	least, err := b.threshold(c)
	if err != nil {
		pending.Abandon()
		return err
	}
	params := b.params
	params.Confidence = 0 // all classes; which count is decided here
	if b.scores, err = pending.Classify(c.Context(), params, b.scores[:0]); err != nil {
		return err
	}
	img, err := c.Image(b.images)
	if err != nil {
		return err
	}
	k := c.NewClasses(img.Origin)
	k.Multi = b.multi
	if b.multi {
		b.fillMulti(k, least)
	} else {
		for _, s := range b.scores {
			if s.Score >= least {
				k.Items = append(k.Items, workflow.Class{Class: s.Class, Label: s.Label, Score: s.Score})
			}
		}
	}
	b.tell(c, workflow.ClassesOf(k), pending.Took())
	return nil
}

// fillMulti puts all classes into the order of the model.
func (b *classesBlock) fillMulti(k *workflow.Classes, least float32) {
	for range b.scores {
		k.Items = append(k.Items, workflow.Class{})
	}
	for _, s := range b.scores {
		if s.Class < len(k.Items) {
			k.Items[s.Class] = workflow.Class{Class: s.Class, Label: s.Label, Score: s.Score}
		}
		if s.Score >= least {
			k.Picked = append(k.Picked, workflow.Class{Class: s.Class, Label: s.Label, Score: s.Score})
		}
	}
}
