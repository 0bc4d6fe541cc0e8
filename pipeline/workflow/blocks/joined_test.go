package blocks_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks"
	"perch/pipeline/workflow/workflowtest"
)

func TestDetectionsMerge(t *testing.T) {
	const step = `"type": "roboflow_core/detections_merge@v1", "predictions": "$steps.source.predictions"`
	two := []workflow.Detection{workflowtest.Det(10, 20, 30, 40, 3, "cat", .75, 5), workflowtest.Det(5, 25, 12, 50, 4, "dog", .5, 6)}
	for name, c := range map[string]struct {
		fields string
		given  []workflow.Detection
		want   string
		score  float32
	}{
		"two":    {"", two, "merged_detection 5,20,30,50", .5},
		"one":    {"", two[:1], "merged_detection 10,20,30,40", .75},
		"named":  {`, "class_name": "pets"`, two, "pets 5,20,30,50", .5},
		"nobody": {"", nil, "", 0},
	} {
		h := run(t, graphOf(step+c.fields, "predictions"), c.given)
		h.Blank()
		d := found(t, h, "predictions")
		if got := boxes(d); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		} else if len(d.Items) > 0 && (d.Items[0].Score != c.score || d.Items[0].Class != 0 || d.Items[0].Track != 0) {
			t.Errorf("%s: %+v", name, d.Items[0])
		}
	}
	h := run(t, graphOf(step, "predictions"), two)
	h.Blank()
	if got, want := h.JSON("predictions"), `{"image":{"width":64,"height":48},"predictions":[{"width":25.0,"height":30.0,"x":17.5,"y":35.0,"confidence":0.5,"class_id":0,"class":"merged_detection",`; !strings.HasPrefix(got, want) {
		t.Error(got)
	}
}

func TestDetectionsCombine(t *testing.T) {
	doc := strings.Replace(graphOf(`"type": "roboflow_core/detections_combine@v1", "prediction_one": "$steps.source.predictions", "prediction_two": "$steps.b.predictions"`, "predictions"),
		`"steps": [`, `"steps": [{"type": "test/b", "name": "b", "image": "$inputs.image"}, `, 1)
	one, two := []workflow.Detection{workflowtest.Det(1, 1, 2, 2, 0, "cat", .75, 5)}, []workflow.Detection{workflowtest.Det(3, 3, 4, 4, 1, "dog", .5, 0), workflowtest.Det(1, 1, 2, 2, 0, "cat", .75, 5)}
	for _, c := range []struct {
		a, b []workflow.Detection
		want string
	}{{one, two, "cat 1,1,2,2; dog 3,3,4,4; cat 1,1,2,2"}, {nil, two[:1], "dog 3,3,4,4"}, {one, nil, "cat 1,1,2,2"}, {nil, nil, ""}} {
		set := []*workflow.Manifest{workflowtest.Detections(c.a), workflowtest.Detections(c.b), workflowtest.Values(workflow.Value{})}
		set[1].Type = "test/b"
		h := workflowtest.New(t, doc, nil, workflow.Options{}, nil, blocks.All(), set)
		for range 2 {
			h.Blank()
			if got := boxes(found(t, h, "predictions")); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		}
	}
	onCrop := strings.NewReplacer(`{"type": "test/b", "name": "b", "image": "$inputs.image"}`,
		`{"type": "AbsoluteStaticCrop", "name": "crop", "images": "$inputs.image", "x_center": 8, "y_center": 8, "width": 8, "height": 8}, {"type": "test/detections@v1", "name": "b", "image": "$steps.crop.crops"}`).Replace(doc)
	h := run(t, onCrop, one)
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), "same image") {
		t.Error(err)
	}
}

func TestPerClassConfidenceFilter(t *testing.T) {
	const step = `"type": "roboflow_core/per_class_confidence_filter@v1", "predictions": "$steps.source.predictions", "class_thresholds": `
	given := []workflow.Detection{workflowtest.Det(0, 0, 1, 1, 0, "cat", .9, 1), workflowtest.Det(0, 0, 2, 2, 1, "dog", .4, 0), workflowtest.Det(0, 0, 3, 3, 2, "cow", .25, 0)}
	for fields, want := range map[string]string{
		`{}`: "cat 0,0,1,1; dog 0,0,2,2", `{"cat": 0.95}`: "dog 0,0,2,2", `{"cow": 0.2}`: "cat 0,0,1,1; dog 0,0,2,2; cow 0,0,3,3",
		`{"cat": 0.9, "dog": 0.4}`: "cat 0,0,1,1; dog 0,0,2,2", `{}, "default_threshold": 0.5`: "cat 0,0,1,1", `{"dog": 0}, "default_threshold": 1`: "dog 0,0,2,2",
	} {
		h := run(t, graphOf(step+fields, "predictions"), given)
		h.Blank()
		if got := boxes(found(t, h, "predictions")); got != want {
			t.Errorf("%s: %s, want %s", fields, got, want)
		}
	}
	for _, fields := range []string{`{"cat": 90}`, `{"cat": "sure"}`, `[0.5]`, `{}, "default_threshold": 2`} {
		refused(t, graphOf(step+fields))
	}
	h := run(t, graphOf(step+`"$steps.v.value"`, "predictions"), given, workflow.IntOf(5))
	if _, err := h.Try(workflowtest.Picture(8, 8, 0)); err == nil || !strings.Contains(err.Error(), `property "class_thresholds"`) {
		t.Error(err)
	}
}

// Detections, their crops, what a classifier says of each crop, and the
// detections with those classes.
const replaceDoc = `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}],
	"steps": [{"type": "test/detections@v1", "name": "source", "image": "$inputs.image"},
		{"type": "DynamicCrop", "name": "crop", "images": "$inputs.image", "predictions": "$steps.source.predictions"},
		{"type": "test/classify", "name": "classify", "image": "$steps.crop.crops"},
		{"type": "DetectionsClassesReplacement", "name": "it", "object_detection_predictions": "$steps.source.predictions", "classification_predictions": "$steps.classify.predictions"FIELDS}],
	"outputs": [{"type": "JsonField", "name": "predictions", "selector": "$steps.it.predictions"}]}`

// classifier answers, for the crop of index i, answers[i]; nothing for nil.
func classifier(kind workflow.Kind, answers ...func(o workflow.Origin) workflow.Value) *workflow.Manifest {
	return &workflow.Manifest{
		Type:    "test/classify",
		Fields:  []workflow.Field{{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}}},
		Outputs: []workflow.Output{{Name: "predictions", Kinds: []workflow.Kind{kind}}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &classifying{p.In("image"), answers}, nil
		},
	}
}

type classifying struct {
	image   workflow.In
	answers []func(o workflow.Origin) workflow.Value
}

func (b *classifying) Run(c *workflow.Call) error {
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	if answer := b.answers[c.Index()]; answer != nil {
		c.Set(0, answer(img.Origin))
	}
	return nil
}

func TestDetectionsClassesReplacement(t *testing.T) {
	type answer = func(o workflow.Origin) workflow.Value
	of := func(multi bool, picked int, classes ...workflow.Class) answer {
		return func(o workflow.Origin) workflow.Value {
			return workflow.ClassesOf(&workflow.Classes{Origin: o, Multi: multi, Items: classes, Picked: classes[:picked]})
		}
	}
	says := func(v workflow.Value) answer { return func(workflow.Origin) workflow.Value { return v } }
	collie, pug := workflow.Class{Class: 7, Label: "collie", Score: .75}, workflow.Class{Class: 8, Label: "pug", Score: .5}
	for name, c := range map[string]struct {
		fields  string
		kind    workflow.Kind
		answers []answer // of two dogs
		want    string
	}{
		"both":                {"", workflow.Classification, []answer{of(false, 0, collie, pug), of(false, 0, pug)}, "collie 7 0.75 @0; pug 8 0.5 @10"},
		"one is not answered": {"", workflow.Classification, []answer{nil, of(false, 0, pug)}, "pug 8 0.5 @10"},
		"a fallback":          {`, "fallback_class_name": "dog", "fallback_class_id": 3`, workflow.Classification, []answer{nil, of(false, 0, pug)}, "dog 3 0 @0; pug 8 0.5 @10"},
		"without a number":    {`, "fallback_class_name": "dog", "fallback_class_id": -1`, workflow.Classification, []answer{nil, nil}, fmt.Sprintf("dog %d 0 @0; dog %d 0 @10", math.MaxInt64, math.MaxInt64)},
		"several classes":     {"", workflow.Classification, []answer{of(true, 1, pug, collie), of(true, 0, pug)}, "collie 7 0.75 @0"},
		"an empty answer":     {"", workflow.Classification, []answer{of(false, 0), of(false, 0, pug)}, "pug 8 0.5 @10"},
		"texts":               {"", workflow.StringKind, []answer{says(workflow.StringOf("AB 123")), nil}, "AB 123 0 1 @0"},
		"lists of texts":      {`, "fallback_class_name": "unread"`, workflow.ListKind, []answer{says(workflow.ListOf(nil)), says(workflow.ListOf([]workflow.Value{workflow.StringOf("CD 456")}))}, fmt.Sprintf("unread %d 0 @0; CD 456 0 1 @10", math.MaxInt64)},
	} {
		t.Run(name, func(t *testing.T) {
			dogs := []workflow.Detection{workflowtest.Det(0, 0, 8, 8, 1, "dog", .9, 1), workflowtest.Det(10, 0, 18, 8, 1, "dog", .8, 2)}
			dogs[1].ID[15]++
			h := workflowtest.New(t, strings.Replace(replaceDoc, "FIELDS", c.fields, 1), nil, workflow.Options{}, nil, blocks.All(), []*workflow.Manifest{workflowtest.Detections(dogs), classifier(c.kind, c.answers...)})
			h.Blank()
			var got []string
			d := found(t, h, "predictions")
			for i := range d.Items {
				it := &d.Items[i]
				got = append(got, fmt.Sprintf("%s %d %v @%v", it.Label, it.Class, it.Score, it.Box.X0))
				if it.Track == 0 || it.ID == dogs[0].ID || it.ID == dogs[1].ID {
					t.Errorf("%+v", it)
				}
			}
			if s := strings.Join(got, "; "); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
		})
	}
	h := workflowtest.New(t, strings.Replace(replaceDoc, "FIELDS", "", 1), nil, workflow.Options{}, nil, blocks.All(), []*workflow.Manifest{workflowtest.Detections(nil), classifier(workflow.Classification)})
	h.Blank()
	if d := found(t, h, "predictions"); len(d.Items) != 0 {
		t.Errorf("%+v", d)
	}
	s := refused(t, graphOf(`"type": "DetectionsClassesReplacement", "object_detection_predictions": "$steps.source.predictions", "classification_predictions": "$steps.v.value"`))
	if !strings.Contains(s, "list") {
		t.Error(s)
	}
}
