package blocks

import (
	"strings"
	"testing"

	"perch/cmd/internal/models"
	"perch/pipeline/model"
	"perch/pipeline/workflow"
)

// oneModel is a device with one model, of a task.
type oneModel struct{ m model.Manifest }

func (o oneModel) Manifest(string) (model.Manifest, error) { return o.m, nil }
func (o oneModel) Ready(string) (*models.Loaded, error)    { panic("a check loads nothing") }

func TestShortFormsCompile(t *testing.T) {
	square := [][2]float64{{0, 0}, {10, 0}, {10, 10}}
	for name, c := range map[string]struct {
		short   Short
		task    model.Task
		outputs string
	}{
		"plain":    {Short{Model: "m"}, model.Detection, "predictions"},
		"all said": {Short{Model: "m", Confidence: 0.3, IoU: 0.5, Classes: []string{"cat"}, Track: true}, model.Detection, "predictions"},
		"zones and lines": {
			Short{Model: "m", Zones: map[string][][2]float64{"yard": square, "door": square}, Lines: map[string][2][2]float64{"gate": {{0, 1}, {2, 3}}}}, model.Detection,
			"predictions line_gate_in line_gate_out zone_door zone_yard",
		},
		"faces":        {Short{Model: "m"}, model.Faces, "predictions"},
		"segmentation": {Short{Model: "m", Track: true}, model.Segmentation, "predictions"},
		"key points":   {Short{Model: "m", Track: true}, model.Keypoints, "predictions"},
		"classes":      {Short{Model: "m", Track: true}, model.Classification, "predictions"},
		"labels":       {Short{Model: "m"}, model.MultiLabel, "predictions"},
	} {
		t.Run(name, func(t *testing.T) {
			m := model.Manifest{ID: "m", Task: c.task, Labels: []string{"dog", "cat"}, Head: model.Head{Confidence: 0.45, IoU: 0.6}}
			text, err := c.short.Expand(m)
			if err != nil {
				t.Fatal(err)
			}
			again, err := c.short.Expand(m)
			if err != nil || string(again) != string(text) {
				t.Error("the text differs from one time to the next")
			}
			g, err := workflow.Compile(text, Library(Options{Models: oneModel{m}}), nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if got := strings.Join(g.OutputNames(), " "); got != c.outputs {
				t.Errorf("outputs %q, want %q", got, c.outputs)
			}
			if c.short.Confidence == 0 && !strings.Contains(string(text), `"confidence": 0.45`) {
				t.Errorf("the model's own threshold is not written out:\n%s", text)
			}
		})
	}
}

func TestShortFormsThatCannotBe(t *testing.T) {
	m := model.Manifest{ID: "m", Task: model.Classification}
	_, err := Short{Model: "m", Zones: map[string][][2]float64{"yard": {{0, 0}, {1, 0}, {1, 1}}}}.Expand(m)
	if err == nil || !strings.Contains(err.Error(), "scores whole pictures") {
		t.Errorf("zones with a classifier: %v", err)
	}
	m.Task, m.Labels = model.Detection, []string{"dog"}
	text, err := Short{Model: "m", Classes: []string{"unicorn"}}.Expand(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := workflow.Compile(text, Library(Options{Models: oneModel{m}}), nil); err == nil || !strings.Contains(err.Error(), `has no class "unicorn"`) {
		t.Errorf("an unknown class: %v", err)
	}
}
