package blocks_test

import (
	"strings"
	"testing"
	"time"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// modelOf stands for a detection model: it has seen these detections.
func modelOf(frames ...[]workflow.Detection) *workflow.Manifest {
	m := workflowtest.Detections(frames...)
	m.Type = "roboflow_core/roboflow_object_detection_model@v3"
	return m
}

// painter stands for a block that draws: it hands the image on.
func painter() *workflow.Manifest {
	return &workflow.Manifest{
		Type:    "roboflow_core/bounding_box_visualization@v1",
		Fields:  []workflow.Field{{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}}, {Name: "predictions", Required: true, Kinds: workflow.AnyDetections()}},
		Outputs: []workflow.Output{{Name: "image", Kinds: []workflow.Kind{workflow.ImageKind}}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return painted{p.In("image")}, nil
		},
	}
}

type painted struct{ image workflow.In }

func (b painted) Run(c *workflow.Call) error {
	c.Set(0, c.Value(b.image))
	return nil
}

// diary stands for the file sink: it keeps what it is given.
func diary(pages *[]string) *workflow.Manifest {
	return &workflow.Manifest{
		Type:    "roboflow_core/local_file_sink@v1",
		Fields:  []workflow.Field{{Name: "content", Required: true, Kinds: []workflow.Kind{workflow.StringKind}}},
		Outputs: []workflow.Output{{Name: "message", Kinds: []workflow.Kind{workflow.StringKind}}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &writer{p.In("content"), pages}, nil
		},
	}
}

type writer struct {
	content workflow.In
	pages   *[]string
}

func (b *writer) Run(c *workflow.Call) error {
	s, err := c.Str(b.content)
	*b.pages = append(*b.pages, s)
	c.Set(0, workflow.StringOf("written"))
	return err
}

// TestCSVOnlyWhenSomebodyIsThere is the specification's example 8: a row for
// each frame with a person, with a name that comes from outside.
func TestCSVOnlyWhenSomebodyIsThere(t *testing.T) {
	const doc = `{"version": "1.0",
	"inputs": [
		{"type": "WorkflowImage", "name": "image"},
		{"type": "WorkflowParameter", "name": "output_directory", "default_value": "detection_logs"},
		{"type": "WorkflowBatchInput", "name": "names", "dimensionality": 1}],
	"steps": [
		{"type": "roboflow_core/roboflow_object_detection_model@v3", "name": "detection", "image": "$inputs.image", "model_id": "yolov8n-640", "class_filter": ["person"]},
		{"type": "ContinueIf", "name": "continue_if", "condition_statement": {"type": "StatementGroup", "statements": [{"type": "BinaryStatement",
			"left_operand": {"type": "DynamicOperand", "operand_name": "prediction", "operations": [{"type": "SequenceLength"}]},
			"comparator": {"type": "(Number) >="}, "right_operand": {"type": "StaticOperand", "value": 1}}]},
			"evaluation_parameters": {"prediction": "$steps.detection.predictions"}, "next_steps": ["$steps.csv_formatter"]},
		{"type": "roboflow_core/csv_formatter@v1", "name": "csv_formatter", "columns_data": {"num_detections": "$steps.detection.predictions", "name": "$inputs.names"},
			"columns_operations": {"num_detections": [{"type": "SequenceLength"}]}},
		{"type": "roboflow_core/local_file_sink@v1", "name": "local_file_sink", "content": "$steps.csv_formatter.csv_content", "file_type": "csv", "output_mode": "separate_files",
			"target_directory": "$inputs.output_directory", "file_name_prefix": "detection_log"}],
	"outputs": [{"type": "JsonField", "name": "save_message", "selector": "$steps.local_file_sink.message"}]}`
	person := workflowtest.Det(0, 0, 5, 5, 0, "person", 0.9, 0)
	var pages []string
	c := &clock{now: workflowtest.Start()}
	h := trial{env: c.env(), params: map[string]workflow.Value{"names": strs("gate, north")},
		blocks: []*workflow.Manifest{modelOf([]workflow.Detection{person}, nil, []workflow.Detection{person, person}, nil), diary(&pages)}}.start(t, doc)
	for i, want := range []string{`"written"`, `null`, `"written"`, `null`} {
		h.Blank()
		c.now = c.now.Add(time.Second)
		if got := h.JSON("save_message"); got != want {
			t.Errorf("frame %d: %s, want %s", i+1, got, want)
		}
	}
	want := []string{
		"num_detections,name,timestamp\n1,\"gate, north\",2026-01-02T03:04:05+00:00\n",
		"num_detections,name,timestamp\n2,\"gate, north\",2026-01-02T03:04:07+00:00\n",
	}
	if got := strings.Join(pages, "|"); got != strings.Join(want, "|") {
		t.Errorf("%q\nwant %q", pages, want)
	}
}

// TestOnePictureASecond is the specification's example 7 at 30 frames a second.
func TestOnePictureASecond(t *testing.T) {
	const doc = `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}],
	"steps": [
		{"type": "roboflow_core/roboflow_object_detection_model@v3", "name": "model", "images": "$inputs.image", "model_id": "yolov8n-640"},
		{"type": "roboflow_core/rate_limiter@v1", "name": "rate_limiter", "cooldown_seconds": 1, "depends_on": "$steps.model.predictions", "next_steps": ["$steps.visualization"]},
		{"type": "roboflow_core/bounding_box_visualization@v1", "name": "visualization", "image": "$inputs.image", "predictions": "$steps.model.predictions"}],
	"outputs": [{"type": "JsonField", "name": "visualization", "coordinates_system": "own", "selector": "$steps.visualization.image"}]}`
	c := &clock{now: workflowtest.Start()}
	h := trial{env: c.env(), blocks: []*workflow.Manifest{modelOf(nil), painter()}}.start(t, doc)
	var drawn []int
	for i := range 70 {
		c.now = workflowtest.Start().Add(time.Duration(i) * time.Second / 30)
		h.Blank()
		if !h.Value("visualization").IsNull() {
			drawn = append(drawn, i)
		}
	}
	if len(drawn) != 3 || drawn[0] != 0 || drawn[1] != 30 || drawn[2] != 60 {
		t.Errorf("frames %v were drawn, want 0, 30 and 60", drawn)
	}
}

// TestChangesInAZone is the specification's example 3: a row whenever the
// number of objects in the zone changes.
func TestChangesInAZone(t *testing.T) {
	const doc = `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}, {"type": "WorkflowParameter", "name": "target_directory"}],
	"steps": [
		{"type": "roboflow_core/roboflow_object_detection_model@v3", "name": "model", "images": "$inputs.image", "model_id": "m"},
		{"type": "roboflow_core/detections_filter@v1", "name": "detections_filter", "predictions": "$steps.model.predictions", "operations": [{"type": "DetectionsFilter", "filter_operation": {"type": "StatementGroup", "operator": "and", "statements": [{"type": "BinaryStatement", "left_operand": {"type": "DynamicOperand", "operand_name": "_", "operations": [{"type": "ExtractDetectionProperty", "property_name": "center"}]}, "comparator": {"type": "(Detection) in zone"}, "right_operand": {"type": "StaticOperand", "value": [[0, 0], [0, 20], [20, 20], [20, 0]]}, "negate": false}]}}], "operations_parameters": {}},
		{"type": "roboflow_core/property_definition@v1", "name": "property_definition", "data": "$steps.detections_filter.predictions", "operations": [{"type": "SequenceLength"}]},
		{"type": "roboflow_core/delta_filter@v1", "name": "delta_filter", "value": "$steps.property_definition.output", "image": "$inputs.image", "next_steps": ["$steps.csv_formatter"]},
		{"type": "roboflow_core/csv_formatter@v1", "name": "csv_formatter", "columns_data": {"Class Name": "$steps.detections_filter.predictions"}, "columns_operations": {"Class Name": [{"type": "DetectionsPropertyExtract", "property_name": "class_name"}]}},
		{"type": "roboflow_core/local_file_sink@v1", "name": "reports_sink", "content": "$steps.csv_formatter.csv_content", "file_type": "csv", "output_mode": "append_log", "target_directory": "$inputs.target_directory", "file_name_prefix": "csv_containing_changes"}],
	"outputs": [{"type": "JsonField", "name": "csv", "coordinates_system": "own", "selector": "$steps.csv_formatter.csv_content"}]}`
	in, out := workflowtest.Det(10, 10, 20, 20, 0, "car", 0.9, 0), workflowtest.Det(30, 10, 40, 20, 1, "bus", 0.9, 0)
	edge := workflowtest.Det(15, 0, 25, 10, 2, "dog", 0.9, 0) // its centre (20, 5) is on the edge
	var pages []string
	c := &clock{now: workflowtest.Start()}
	h := trial{env: c.env(), blocks: []*workflow.Manifest{diary(&pages), modelOf([]workflow.Detection{in, out}, []workflow.Detection{out, in}, []workflow.Detection{in, edge}, []workflow.Detection{out}, nil)},
		params: map[string]workflow.Value{"target_directory": workflow.StringOf("logs")}}.start(t, doc)
	for i, want := range []string{`['car']`, ``, `"['car', 'dog']"`, `[]`, ``} {
		h.Blank()
		if want != "" {
			want = "Class Name,timestamp\n" + want + ",2026-01-02T03:04:05+00:00\n"
		}
		if got, _ := h.Value("csv").Str(); got != want {
			t.Errorf("frame %d: %q, want %q", i+1, got, want)
		}
	}
	if len(pages) != 3 {
		t.Errorf("%d rows were written, want 3", len(pages))
	}
}
