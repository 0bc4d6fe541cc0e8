package blocks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"perch/cmd/internal/blocks/sinks"
	"perch/cmd/internal/models"
	"perch/pipeline"
	"perch/pipeline/model"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// described are models of which everything is known and none can run.
type described struct{}

func (described) Manifest(name string) (model.Manifest, error) {
	task, _, ok := strings.Cut(name, "/")
	if !ok {
		task = string(model.Detection)
	}
	return model.Manifest{Task: model.Task(task), Labels: []string{"person", "dog"}}, nil
}

func (described) Ready(string) (*models.Loaded, error) { return nil, errors.New("it cannot run here") }

// group is a condition that always holds.
const group = `{"type": "StatementGroup", "statements": [{"type": "UnaryStatement", "operand": {"type": "StaticOperand", "value": 1}, "operator": {"type": "Exists"}}]}`

// byName are values for fields that need a particular one.
var byName = map[string]string{
	"line_segment": "[[0, 5], [30, 5]]", "reference_path": "[[0, 5], [30, 5]]", "zone": "[[0, 0], [20, 0], [20, 20]]",
	"perspective_polygons": "[[0, 0], [20, 0], [20, 20], [0, 20]]", "condition_statement": group, "url": `"https://example.org/x"`,
	"switch":           `{"type": "CasesDefinition", "cases": [], "default": {"type": "DynamicCaseResult", "parameter_name": "x"}}`,
	"aggregation_mode": `{"x": ["count"]}`, "color_axis": `"TRACK"`, "target_directory": `"there"`, "class_thresholds": `{"person": 0.9}`,
}

// plain is a value that will do for a field; "" for one that is left out.
func plain(m *workflow.Manifest, f *workflow.Field) string {
	v, ok := byName[f.Name]
	if f.Name == "zone" && m.Type == "roboflow_core/line_counter_visualization@v1" {
		return byName["line_segment"]
	}
	switch {
	case ok:
		return v
	case f.Name == "model_id":
		for _, task := range []model.Task{model.Segmentation, model.Keypoints, model.MultiLabel, model.Classification, model.Detection} {
			if words := strings.Split(string(task), "-"); strings.Contains(m.Type, strings.TrimSuffix(words[0], "s")) {
				return fmt.Sprintf("%q", string(task)+"/1")
			}
		}
	case !f.Required && f.Form == workflow.One && !f.Default.IsNull():
		b, err := (&workflow.Encoder{}).Append(nil, f.Default)
		if err != nil {
			return ""
		}
		return string(b)
	}
	for _, k := range f.Kinds {
		switch k {
		case workflow.Any:
			return shaped(f, `"$steps.found.predictions"`)
		case workflow.ImageKind:
			return shaped(f, `"$inputs.image"`)
		case workflow.VideoMetadata:
			return `"$inputs.meta"`
		case workflow.ObjectDetections, workflow.InstanceMasks, workflow.KeypointsKind:
			return shaped(f, `"$steps.found.predictions"`)
		}
	}
	if f.Form != workflow.One || f.Required {
		return shaped(f, `"$inputs.p"`)
	}
	return ""
}

// shaped puts a selector into a field's form.
func shaped(f *workflow.Field, sel string) string {
	switch f.Form {
	case workflow.Many:
		return "[" + sel + "]"
	case workflow.Named:
		return `{"x": ` + sel + `}`
	case workflow.Steps:
		return `["$steps.then"]`
	case workflow.Cases:
		return `{"x": "$steps.then"}`
	}
	switch f.Literal {
	case workflow.EnumLiteral:
		return fmt.Sprintf("%q", f.Enum[0])
	case workflow.IntegerLiteral, workflow.NumberLiteral:
		return fmt.Sprint(max(1, f.Min))
	case workflow.StringLiteral:
		return `"a@example.org"`
	case workflow.OperationsLiteral:
		return `[{"type": "DetectionsFilter", "filter_operation": ` + group + `}]`
	}
	return sel
}

// oneOf is a workflow with one step of a block, most of whose fields are
// written.
func oneOf(m *workflow.Manifest) string {
	var fields []string
	for i := range m.Fields {
		if v := plain(m, &m.Fields[i]); v != "" {
			fields = append(fields, fmt.Sprintf(", %q: %s", m.Fields[i].Name, v))
		}
	}
	return fmt.Sprintf(`{"version": "1.0",
	"inputs": [{"type": "WorkflowImage", "name": "image"}, {"type": "WorkflowVideoMetadata", "name": "meta"}, {"type": "WorkflowParameter", "name": "p", "default_value": 1}],
	"steps": [{"type": "test/detections@v1", "name": "found", "image": "$inputs.image"}, {"type": "roboflow_core/current_time@v1", "name": "then"}, {"type": %q, "name": "it"%s}],
	"outputs": [{"type": "JsonField", "name": "all", "selector": "$steps.it.*"}]}`, m.Type, strings.Join(fields, ""))
}

// FuzzCompile compiles anything with all blocks there are, and runs what binds
// on one small frame. Nothing may panic or hang, and what is said has a bounded
// length.
func FuzzCompile(f *testing.F) {
	options := Options{Models: described{}, Sinks: sinks.Options{MailFrom: "perch@example.org", AllowWrite: []string{f.TempDir()}}}
	lib := workflow.NewLibrary(Library(options).Blocks(), []*workflow.Manifest{workflowtest.Detections([]workflow.Detection{workflowtest.Det(2, 3, 12, 20, 0, "person", 0.9, 1)})})
	for _, m := range lib.Blocks() {
		f.Add(oneOf(m))
	}
	files, err := filepath.Glob("../../perch/testdata/workflows/*.json")
	if err != nil || len(files) < 10 {
		f.Fatalf("examples: %d, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		env := &workflow.Env{DisableSinks: true}
		g, err := workflow.Compile([]byte(text), lib, env)
		if err != nil {
			if n := len(err.Error()); n > 4<<20+10*len(text) {
				t.Errorf("%d bytes are said of a document of %d", n, len(text))
			}
			return
		}
		e, err := g.Bind(env, workflow.Options{Tolerant: true})
		if err != nil {
			return
		}
		e.Opened(pipeline.StreamInfo{FPS: 30, Width: 32, Height: 24})
		h := &workflowtest.Harness{T: t, Engine: e, Graph: g}
		h.Frame(workflowtest.Picture(32, 24, 128))
		for i := range h.Last.Outputs.Len() {
			if _, err := h.Last.Outputs.AppendJSON(nil, i, 80); err != nil && err.Error() == "" {
				t.Error("an error without a text")
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}
