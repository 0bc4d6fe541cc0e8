package models

import (
	"fmt"

	"perch/cmd/internal/models"
	"perch/pipeline"
	"perch/pipeline/model"
	"perch/pipeline/workflow"
)

func objectDetection(m Models, version int) *workflow.Manifest {
	man := &workflow.Manifest{
		Type: fmt.Sprintf("%sroboflow_object_detection_model@v%d", prefix, version), Title: "Object Detection Model", Group: "model",
		Doc:     "Finds objects and their boxes.",
		Fields:  append(common(version), boxes()...),
		Outputs: outputs(version, workflow.ObjectDetections, "the objects"),
		New: func(p *workflow.Params) (workflow.Block, error) {
			return newObjects(m, p, version, model.Detection, model.Faces)
		},
	}
	if version == 1 {
		man.Aliases = []string{"RoboflowObjectDetectionModel", "ObjectDetectionModel"}
	}
	return man
}

func instanceSegmentation(m Models, version int) *workflow.Manifest {
	man := &workflow.Manifest{
		Type: fmt.Sprintf("%sroboflow_instance_segmentation_model@v%d", prefix, version), Title: "Instance Segmentation Model", Group: "model",
		Doc: "Finds objects, their boxes and which pixels belong to them.",
		Fields: append(append(common(version), boxes()...),
			workflow.Field{
				Name: "mask_decode_mode", Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.EnumLiteral, Enum: []string{"accurate", "tradeoff", "fast"}, Default: workflow.StringOf("accurate"),
				Doc: "accurate and tradeoff interpolate the mask to the frame's size before it is cut; fast cuts it at the model's size, with steps at its edge",
			},
			workflow.Field{Name: "tradeoff_factor", Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Max: 1, Default: workflow.FloatOf(0), Doc: "accepted and without effect: interpolating is fast enough here"}),
		Outputs: outputs(version, workflow.InstanceMasks, "the objects with their masks"),
		New: func(p *workflow.Params) (workflow.Block, error) {
			b, err := newObjects(m, p, version, model.Segmentation)
			if err != nil {
				return nil, err
			}
			if mode, _ := p.Const("mask_decode_mode"); mode.Equal(workflow.StringOf("fast")) {
				b.params.Masks = model.MaskFast
			}
			return b, nil
		},
	}
	if version == 1 {
		man.Aliases = []string{"RoboflowInstanceSegmentationModel", "InstanceSegmentationModel"}
	}
	return man
}

func keypointDetection(m Models, version int) *workflow.Manifest {
	man := &workflow.Manifest{
		Type: fmt.Sprintf("%sroboflow_keypoint_detection_model@v%d", prefix, version), Title: "Keypoint Detection Model", Group: "model",
		Doc: "Finds objects, their boxes and named points on them.",
		Fields: append(append(common(version), boxes()...), workflow.Field{
			Name: "keypoint_confidence", Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Max: 1, Default: workflow.FloatOf(0),
			Doc: "smallest score of a point that counts, 0 to 1",
		}),
		Outputs: outputs(version, workflow.KeypointsKind, "the objects with their points"),
		New: func(p *workflow.Params) (workflow.Block, error) {
			b, err := newObjects(m, p, version, model.Keypoints)
			if err != nil {
				return nil, err
			}
			b.pointConfidence, b.hasPoints = p.In("keypoint_confidence"), true
			return b, nil
		},
	}
	if version == 1 {
		man.Aliases = []string{"RoboflowKeypointDetectionModel", "KeypointsDetectionModel"}
	}
	return man
}

// objectsBlock runs a model that finds objects.
type objectsBlock struct {
	*runner
	iou, most, agnostic, candidates workflow.In
	pointConfidence                 workflow.In
	hasPoints                       bool
	points                          []string             // names of key points
	found                           []pipeline.Detection // reused
}

func newObjects(m Models, p *workflow.Params, version int, tasks ...model.Task) (*objectsBlock, error) {
	r, err := newRunner(m, p, version, tasks...)
	if err != nil {
		return nil, err
	}
	b := &objectsBlock{
		runner: r, iou: p.In("iou_threshold"), most: p.In("max_detections"), agnostic: p.In("class_agnostic_nms"), candidates: p.In("max_candidates"),
	}
	if !p.Checking() {
		if _, known := p.Const("class_filter"); !known {
			return nil, p.Fault("class_filter", "it changes from frame to frame", "write the classes, select a parameter, or filter what was found with detections_filter")
		}
		manifest, err := m.Manifest(r.name)
		if err != nil {
			return nil, err
		}
		b.points = manifest.Head.Keypoints
	}
	return b, nil
}

// Run implements [workflow.Block].
func (b *objectsBlock) Run(c *workflow.Call) error {
	pending := c.Pending().(*models.Pending)
	params, err := b.paramsOf(c)
	if err != nil {
		pending.Abandon()
		return err
	}
	if b.found, err = pending.Finish(c.Context(), params, b.found[:0]); err != nil {
		return err
	}
	img, err := c.Image(b.images)
	if err != nil {
		return err
	}
	d := c.NewDetections(img.Origin)
	d.Keypoints = b.points
	for i := range b.found {
		d.Items = append(d.Items, workflow.Detection{Detection: b.found[i], ID: c.NewID()})
	}
	b.tell(c, workflow.DetectionsOf(d), pending.Took())
	return nil
}

func (b *objectsBlock) paramsOf(c *workflow.Call) (model.Params, error) {
	params := b.params
	var err error
	if params.Confidence, err = b.threshold(c); err != nil {
		return params, err
	}
	iou, err := c.Float(b.iou)
	if err != nil {
		return params, err
	}
	params.IoU = float32(iou)
	if params.MaxDetections, err = c.Int(b.most); err != nil {
		return params, err
	}
	if params.MaxCandidates, err = c.Int(b.candidates); err != nil {
		return params, err
	}
	if params.ClassAgnostic, err = c.Bool(b.agnostic); err != nil || !b.hasPoints {
		return params, err
	}
	score, err := c.Float(b.pointConfidence)
	params.KeypointConfidence = float32(score)
	return params, err
}
