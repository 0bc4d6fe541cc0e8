package blocks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"perch/pipeline/model"
)

// Short is the short form of a workflow, as a camera's settings have it. Zero
// values mean the model's own.
type Short struct {
	Model      string
	Confidence float64 // smallest score that counts
	IoU        float64 // boxes of a class that overlap more are one
	Classes    []string
	Track      bool
	Zones      map[string][][2]float64 // corners in pixels
	Lines      map[string][2][2]float64
}

// step is one step, with its properties in a fixed order.
type step map[string]any

// Expand returns the specification that the short form stands for. m is the
// manifest of its model, whose thresholds are written out. The text is the
// same for the same settings.
func (s Short) Expand(m model.Manifest) ([]byte, error) {
	confidence, iou := s.Confidence, s.IoU
	if confidence == 0 {
		confidence = round(m.Head.Confidence)
	}
	if iou == 0 {
		iou = round(m.Head.IoU)
	}
	find := step{
		"type": "roboflow_core/roboflow_object_detection_model@v2", "name": "model", "images": "$inputs.image", "model_id": s.Model,
		"confidence": confidence, "iou_threshold": iou,
	}
	switch m.Task {
	case model.Segmentation:
		find["type"] = "roboflow_core/roboflow_instance_segmentation_model@v2"
	case model.Keypoints:
		find["type"] = "roboflow_core/roboflow_keypoint_detection_model@v2"
	case model.Classification, model.MultiLabel:
		return s.expandClasses(m, confidence)
	}
	if len(s.Classes) > 0 {
		find["class_filter"] = s.Classes
	}
	g := &graph{steps: []step{find}, outputs: []step{output("predictions", "$steps.model.predictions")}}
	if s.Track || len(s.Zones)+len(s.Lines) > 0 {
		g.follow(s)
	}
	return g.text()
}

// expandClasses is the short form with a model that classifies.
func (s Short) expandClasses(m model.Manifest, confidence float64) ([]byte, error) {
	if len(s.Zones)+len(s.Lines)+len(s.Classes) > 0 {
		return nil, fmt.Errorf("model %q scores whole pictures, so there is nothing to find in zones, at lines or by class", s.Model)
	}
	kind := "roboflow_classification_model"
	if m.Task == model.MultiLabel {
		kind = "roboflow_multi_label_classification_model"
	}
	g := &graph{
		steps:   []step{{"type": "roboflow_core/" + kind + "@v2", "name": "model", "images": "$inputs.image", "model_id": s.Model, "confidence": confidence}},
		outputs: []step{output("predictions", "$steps.model.predictions")},
	}
	return g.text()
}

// round drops the digits that a float32 does not have.
func round(f float32) float64 {
	var out float64
	if _, err := fmt.Sscan(fmt.Sprint(f), &out); err != nil {
		return float64(f)
	}
	return out
}

type graph struct{ steps, outputs []step }

func output(name, selector string) step {
	return step{"type": "JsonField", "name": name, "selector": selector}
}

// follow adds the tracker, and what counts what it follows.
func (g *graph) follow(s Short) {
	g.steps = append(g.steps, step{
		"type": "roboflow_core/byte_tracker@v3", "name": "tracker", "image": "$inputs.image", "detections": "$steps.model.predictions",
	})
	const tracked = "$steps.tracker.tracked_detections"
	g.outputs[0] = output("predictions", "$steps.tracker.all_detections")
	for _, name := range slices.Sorted(maps.Keys(s.Lines)) {
		id := "line_" + name
		g.steps = append(g.steps, step{
			"type": "roboflow_core/line_counter@v2", "name": id, "image": "$inputs.image", "detections": tracked, "line_segment": s.Lines[name], "triggering_anchor": "BOTTOM_CENTER",
		})
		g.outputs = append(g.outputs, output(id+"_in", "$steps."+id+".count_in"), output(id+"_out", "$steps."+id+".count_out"))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Zones)) {
		id := "zone_" + name
		g.steps = append(g.steps, step{
			"type": "roboflow_core/time_in_zone@v2", "name": id, "image": "$inputs.image", "detections": tracked, "zone": s.Zones[name], "triggering_anchor": "BOTTOM_CENTER",
		})
		g.outputs = append(g.outputs, output(id, "$steps."+id+".timed_detections"))
	}
}

func (g *graph) text() ([]byte, error) {
	return json.MarshalIndent(map[string]any{
		"version": "1.0",
		"inputs":  []step{{"type": "WorkflowImage", "name": "image"}},
		"steps":   ordered(g.steps), "outputs": ordered(g.outputs),
	}, "", "  ")
}

// ordered writes each step with its name and type first.
func ordered(steps []step) []json.RawMessage {
	var out []json.RawMessage
	for _, s := range steps {
		keys := slices.SortedFunc(maps.Keys(s), func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
		text := []byte{'{'}
		for i, k := range keys {
			if i > 0 {
				text = append(text, ',')
			}
			v, err := json.Marshal(s[k])
			if err != nil {
				v = []byte("null") // numbers, strings and lists of them always have a JSON form
			}
			text = append(fmt.Appendf(text, "%q:", k), v...)
		}
		out = append(out, append(text, '}'))
	}
	return out
}

func rank(key string) int {
	if i := slices.Index([]string{"type", "name", "selector", "image", "images", "detections"}, key); i >= 0 {
		return i
	}
	return 100
}
