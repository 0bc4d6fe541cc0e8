package blocks_test

import (
	"strings"
	"testing"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks"
	"perch/pipeline/workflow/workflowtest"
)

// sources are three models, "source", "b" and "c", that find what is given.
func sources(t testing.TB, fields string, a, b, c []workflow.Detection) *workflowtest.Harness {
	t.Helper()
	doc := graphOf(`"type": "DetectionsConsensus", "predictions_batches": ["$steps.source.predictions", "$steps.b.predictions", "$steps.c.predictions"], `+fields, "predictions", "object_present", "presence_confidence")
	doc = strings.Replace(doc, `"steps": [`, `"steps": [{"type": "test/b", "name": "b", "image": "$inputs.image"}, {"type": "test/c", "name": "c", "image": "$inputs.image"}, `, 1)
	set := []*workflow.Manifest{workflowtest.Detections(a), workflowtest.Detections(b), workflowtest.Detections(c), workflowtest.Values(workflow.Value{})}
	set[1].Type, set[2].Type = "test/b", "test/c"
	return workflowtest.New(t, doc, nil, workflow.Options{}, nil, blocks.All(), set)
}

func TestDetectionsConsensus(t *testing.T) {
	one := func(x0, x1 float32, label string, score float32) []workflow.Detection {
		class := map[string]int{"cat": 0, "dog": 1}[label]
		return []workflow.Detection{workflowtest.Det(x0, 0, x1, 10, class, label, score, 0)}
	}
	var none []workflow.Detection
	a, b := one(0, 10, "cat", .5), one(2, 12, "cat", .75) // overlap 8/12
	dog := one(0, 10, "dog", 1)
	far := one(40, 50, "cat", .875)
	for name, c := range map[string]struct {
		fields  string
		a, b, c []workflow.Detection
		want    string // boxes
		score   float32
		present string // object_present and presence_confidence
	}{
		"two agree":             {`"required_votes": 2`, a, b, none, "cat 1,0,11,10", .625, `true {"cat":0.625}`},
		"alone":                 {`"required_votes": 2`, a, none, none, "", 0, `false {}`},
		"one is enough":         {`"required_votes": 1`, a, none, none, "cat 0,0,10,10", .5, `true {"cat":0.5}`},
		"nobody":                {`"required_votes": 1`, none, none, none, "", 0, `false {}`},
		"three agree":           {`"required_votes": 3`, a, b, one(1, 11, "cat", .25), "cat 1,0,11,10", .5, `true {"cat":0.5}`},
		"two of three":          {`"required_votes": 3`, a, b, far, "", 0, `false {}`},
		"another class":         {`"required_votes": 2`, a, dog, none, "", 0, `false {}`},
		"classes do not matter": {`"required_votes": 2, "class_aware": false`, a, dog, none, "cat 0,0,10,10", .75, `true {"any_object":0.75}`},
		"the surer class":       {`"required_votes": 2, "class_aware": false, "detections_merge_confidence_aggregation": "max"`, a, dog, none, "dog 0,0,10,10", 1, `true {"any_object":1.0}`},
		"the less sure class":   {`"required_votes": 2, "class_aware": false, "detections_merge_confidence_aggregation": "min"`, a, dog, none, "cat 0,0,10,10", .5, `true {"any_object":0.5}`},
		"the more frequent":     {`"required_votes": 3, "class_aware": false`, dog, a, b, "cat 0.6667,0,10.67,10", .75, `true {"any_object":0.75}`},
		"the larger box":        {`"required_votes": 2, "detections_merge_coordinates_aggregation": "max"`, a, one(0, 12, "cat", .5), none, "cat 0,0,12,10", .5, `true {"cat":0.5}`},
		"the smaller box":       {`"required_votes": 2, "detections_merge_coordinates_aggregation": "min"`, one(0, 12, "cat", .5), a, none, "cat 0,0,10,10", .5, `true {"cat":0.5}`},
		"too little overlap":    {`"required_votes": 2, "iou_threshold": 0.7`, a, b, none, "", 0, `false {}`},
		"not sure enough":       {`"required_votes": 2, "confidence": 0.7`, a, b, none, "", 0, `false {}`},
		"one class only":        {`"required_votes": 1, "classes_to_consider": ["dog"]`, a, dog, none, "dog 0,0,10,10", 1, `true {"dog":1.0}`},
		"two objects":           {`"required_votes": 1, "required_objects": 2`, a, b, far, "cat 1,0,11,10; cat 40,0,50,10", .625, `true {"cat":0.875}`},
		"their least":           {`"required_votes": 1, "presence_confidence_aggregation": "min"`, a, b, far, "cat 1,0,11,10; cat 40,0,50,10", .625, `true {"cat":0.625}`},
		"their mean":            {`"required_votes": 1, "presence_confidence_aggregation": "average"`, a, b, far, "cat 1,0,11,10; cat 40,0,50,10", .625, `true {"cat":0.75}`},
		"three are asked for":   {`"required_votes": 1, "required_objects": 3`, a, b, far, "cat 1,0,11,10; cat 40,0,50,10", .625, `false {}`},
		"of each class":         {`"required_votes": 1, "required_objects": {"cat": 1, "dog": 1}`, a, dog, none, "cat 0,0,10,10; dog 0,0,10,10", .5, `true {"cat":0.5,"dog":1.0}`},
		"one class lacks":       {`"required_votes": 1, "required_objects": {"cat": 1, "dog": 2}`, a, dog, none, "cat 0,0,10,10; dog 0,0,10,10", .5, `false {}`},
		"classes are summed":    {`"required_votes": 1, "class_aware": false, "required_objects": {"cat": 1, "dog": 2}`, a, dog, none, "cat 0,0,10,10", .75, `false {}`},
		"no area":               {`"required_votes": 2`, one(5, 5, "cat", .5), one(5, 5, "cat", .5), none, "", 0, `false {}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := sources(t, c.fields, c.a, c.b, c.c)
			h.Blank()
			d := found(t, h, "predictions")
			if got := boxes(d); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			} else if len(d.Items) > 0 && d.Items[0].Score != c.score {
				t.Errorf("score %v, want %v", d.Items[0].Score, c.score)
			}
			if got := h.JSON("object_present") + " " + h.JSON("presence_confidence"); got != c.present {
				t.Errorf("%s, want %s", got, c.present)
			}
		})
	}
}

// Of several boxes of another model the one that overlaps most is the vote, and
// a box votes once.
func TestConsensusVotesOnce(t *testing.T) {
	a := []workflow.Detection{workflowtest.Det(0, 0, 10, 10, 0, "cat", .5, 0), workflowtest.Det(3, 0, 13, 10, 0, "cat", .5, 0)}
	b := []workflow.Detection{workflowtest.Det(4, 0, 14, 10, 0, "cat", .5, 0), workflowtest.Det(1, 0, 11, 10, 0, "cat", .5, 0)}
	h := sources(t, `"required_votes": 2`, a, b, nil)
	h.Blank()
	if got, want := boxes(found(t, h, "predictions")), "cat 0.5,0,10.5,10; cat 3.5,0,13.5,10"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	h = sources(t, `"required_votes": 2`, a, b[:1], nil)
	h.Blank()
	if got, want := boxes(found(t, h, "predictions")), "cat 2,0,12,10"; got != want { // the first has the only vote
		t.Errorf("%s, want %s", got, want)
	}
}

func TestConsensusMistakes(t *testing.T) {
	const step = `"type": "roboflow_core/detections_consensus@v1", `
	for fields, says := range map[string]string{
		`"predictions_batches": [], "required_votes": 1`:                                                                "predictions_batches",
		`"predictions_batches": ["$steps.source.predictions"], "required_votes": 0`:                                     "required_votes",
		`"predictions_batches": ["$steps.source.predictions"], "required_votes": 1, "required_objects": "many"`:         "required_objects",
		`"predictions_batches": ["$steps.source.predictions"], "required_votes": 1, "required_objects": {"cat": "two"}`: `class \"cat\"`,
		`"predictions_batches": ["$steps.source.predictions"], "required_votes": 1, "required_objects": {}`:             "no class",
		`"predictions_batches": ["$steps.v.value", "$inputs.image"], "required_votes": 1`:                               "image",
	} {
		if s := refused(t, graphOf(step+fields)); !strings.Contains(s, says) && !strings.Contains(s, strings.ReplaceAll(says, `\"`, `"`)) {
			t.Errorf("%s: %s", fields, s)
		}
	}
	// What was found on a crop is no vote about the frame.
	doc := graphOf(`"type": "DetectionsConsensus", "predictions_batches": ["$steps.source.predictions", "$steps.b.predictions"], "required_votes": 1`)
	doc = strings.Replace(doc, `"steps": [`, `"steps": [{"type": "AbsoluteStaticCrop", "name": "crop", "images": "$inputs.image", "x_center": 8, "y_center": 8, "width": 8, "height": 8}, {"type": "test/detections@v1", "name": "b", "image": "$steps.crop.crops"}, `, 1)
	h := run(t, doc, []workflow.Detection{workflowtest.Det(0, 0, 5, 5, 0, "cat", .5, 0)})
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), "same image") {
		t.Error(err)
	}
}
