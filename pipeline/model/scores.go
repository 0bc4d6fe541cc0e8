package model

import (
	"fmt"

	"perch/pipeline"
)

// A ClassScore is what a classifier says of one class.
type ClassScore struct {
	Class int    // index into the model's labels
	Label string // the model's name for Class
	Score float32
}

// Classify appends to dst what a classifier's outputs say of each class: best
// first, equal scores in the order of the classes. Of p, Confidence and Classes
// count: with 0 and nil every class is there, whose score is a finite number and
// not negative. It fails with Kind Unsupported when the model finds objects
// instead; dst comes back unchanged with an error.
func (d *Decoder) Classify(dst []ClassScore, outs []Tensor, p Params) ([]ClassScore, error) {
	m := &d.m.manifest
	if !m.Task.Scores() {
		return dst, &pipeline.Error{
			Op: "classify with model", On: m.ID, Kind: pipeline.Unsupported,
			Err: fmt.Errorf("it is for %s", m.Task), Hint: "use a model whose task is classification or multi-label",
		}
	}
	if err := d.find(outs, p); err != nil {
		return dst, d.failed(err)
	}
	d.sort()
	dst = room(dst, len(d.found))
	for i := range d.found {
		c := &d.found[i]
		dst = append(dst, ClassScore{Class: int(c.class), Label: d.label(c.class), Score: c.score})
	}
	return dst, nil
}

// classes makes detections of the whole frame of a classification.
func (d *Decoder) classes(dst []pipeline.Detection, t Transform) []pipeline.Detection {
	d.params.IoU = 1
	d.suppress()
	dst = room(dst, len(d.found))
	for i := range d.found {
		c := &d.found[i]
		dst = append(dst, pipeline.Detection{Box: t.Whole(), Class: int(c.class), Label: d.label(c.class), Score: c.score})
	}
	return dst
}

// label is the name of a class. One that the manifest does not have is made
// once, for a label must not be allocated for each detection.
func (d *Decoder) label(class int32) string {
	i := int(class)
	if i < len(d.m.manifest.Labels) || i >= maxClasses {
		return d.m.manifest.label(i)
	}
	for len(d.names) <= i {
		d.names = append(d.names, "")
	}
	if d.names[i] == "" {
		d.names[i] = d.m.manifest.label(i)
	}
	return d.names[i]
}
