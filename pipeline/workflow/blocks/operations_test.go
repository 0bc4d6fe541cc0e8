package blocks_test

import (
	"strings"
	"testing"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// byClass is a filter by class name; classes is an operand.
func byClass(classes string) string {
	return `[{"type": "DetectionsFilter", "filter_operation": {"type": "StatementGroup", "operator": "and", "statements": [{"type": "BinaryStatement",
		"left_operand": {"type": "DynamicOperand", "operand_name": "_", "operations": [{"type": "ExtractDetectionProperty", "property_name": "class_name"}]},
		"comparator": {"type": "in (Sequence)"}, "right_operand": ` + classes + `, "negate": false}]}}]`
}

func TestDetectionsFilterBlock(t *testing.T) {
	car, dog := workflowtest.Det(2, 4, 12, 10, 2, "car", 0.9, 7), workflowtest.Det(0, 0, 9, 9, 16, "dog", 0.8, 0)
	for _, c := range []struct {
		typ, operations, params string
		value                   workflow.Value
		want                    string
	}{
		{"roboflow_core/detections_filter@v1", byClass(`{"type": "StaticOperand", "value": ["car"]}`), `{}`, workflow.Value{}, `["car"]`},
		{"DetectionsFilter", byClass(`{"type": "DynamicOperand", "operand_name": "classes"}`), `{"classes": "$inputs.wanted"}`, strs("dog", "cat"), `["dog"]`},
		{"DetectionsFilter", byClass(`{"type": "DynamicOperand", "operand_name": "classes"}`), `{"classes": ["car", "dog"]}`, workflow.Value{}, `["car","dog"]`},
		{"roboflow_core/detections_transformation@v1", `[{"type": "SortDetections", "mode": "confidence"}]`, `{}`, workflow.Value{}, `["dog","car"]`},
		{"DetectionsTransformation", `[{"type": "DetectionsSelection", "mode": "right_most"}, {"type": "DetectionsRename", "class_map": "names"}]`,
			`{"names": {"car": "vehicle"}}`, workflow.Value{}, `["vehicle"]`},
	} {
		h := trial{params: map[string]workflow.Value{"wanted": c.value}, blocks: []*workflow.Manifest{workflowtest.Detections([]workflow.Detection{car, dog}, nil)}}.start(t,
			spec(`{"type": "WorkflowParameter", "name": "wanted", "default_value": []}`, []string{detectionsStep,
				`{"type": "` + c.typ + `", "name": "f", "predictions": "$steps.d.predictions", "operations": ` + c.operations + `, "operations_parameters": ` + c.params + `}`,
				`{"type": "PropertyExtraction", "name": "p", "data": "$steps.f.predictions", "operations": [{"type": "DetectionsPropertyExtract", "property_name": "class_name"}]}`}, "p=$steps.p.output"))
		h.Blank()
		if got := h.JSON("p"); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.typ, c.params, got, c.want)
		}
		h.Blank()
		if got := h.JSON("p"); got != `[]` {
			t.Errorf("%s of nothing: %s", c.typ, got)
		}
	}
}

// TestDetectionsFilterForm is the form in which clients get what remains.
func TestDetectionsFilterForm(t *testing.T) {
	car := workflowtest.Det(2, 4, 12, 10, 2, "car", 0.9, 7)
	h := trial{blocks: []*workflow.Manifest{workflowtest.Detections([]workflow.Detection{car, workflowtest.Det(0, 0, 9, 9, 16, "dog", 0.8, 0)})}}.start(t, spec("", []string{detectionsStep,
		`{"type": "DetectionsFilter", "name": "f", "predictions": "$steps.d.predictions", "operations": ` + byClass(`{"type": "StaticOperand", "value": ["car"]}`) + `}`,
		`{"type": "PropertyDefinition", "name": "dict", "data": "$steps.f.predictions", "operations": [{"type": "DetectionsToDictionary"}]}`}, "f=$steps.f.predictions", "dict=$steps.dict.output"))
	h.Blank()
	const want = `{"image":{"width":64,"height":48},"predictions":[{"width":10.0,"height":6.0,"x":7.0,"y":7.0,"confidence":0.9,"class_id":2,"tracker_id":7,"class":"car",` +
		`"detection_id":"63617220-2020-2020-2020-202020202020","parent_id":"image"}]}`
	if got := h.JSON("f"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := h.JSON("dict"); got != want {
		t.Errorf("as a dictionary: %s\nwant %s", got, want)
	}
}

func TestDetectionsFilterAllocatesNothing(t *testing.T) {
	h := trial{blocks: []*workflow.Manifest{workflowtest.Detections([]workflow.Detection{workflowtest.Det(2, 4, 12, 10, 2, "car", 0.9, 7)})}}.start(t, spec("", []string{detectionsStep,
		`{"type": "DetectionsFilter", "name": "f", "predictions": "$steps.d.predictions", "operations": ` + byClass(`{"type": "StaticOperand", "value": ["car"]}`) + `}`,
		`{"type": "PropertyDefinition", "name": "n", "data": "$steps.f.predictions", "operations": [{"type": "SequenceLength"}]}`,
		`{"type": "ContinueIf", "name": "go", "condition_statement": ` + atLeast2 + `, "evaluation_parameters": {"n": "$steps.n.output"}, "next_steps": ["$steps.probe"]}`, probe("probe"),
		`{"type": "roboflow_core/delta_filter@v1", "name": "delta", "image": "$inputs.image", "value": "$steps.n.output", "next_steps": ["$steps.other"]}`, probe("other")}))
	pic := workflowtest.Picture(64, 48, 128)
	without := trial{blocks: []*workflow.Manifest{workflowtest.Detections([]workflow.Detection{workflowtest.Det(2, 4, 12, 10, 2, "car", 0.9, 7)})}}.start(t, spec("", []string{detectionsStep}))
	h.Frame(pic)
	without.Frame(pic)
	// The test's own frame and result are allocated; the blocks add nothing.
	base := testing.AllocsPerRun(100, func() { without.Frame(pic) })
	if n := testing.AllocsPerRun(100, func() { h.Frame(pic) }); n > base {
		t.Errorf("%v allocations a frame, %v without the blocks", n, base)
	}
}

func TestDetectionsFilterMistakes(t *testing.T) {
	r := trial{blocks: []*workflow.Manifest{workflowtest.Detections(nil)}}
	for _, c := range []struct{ fields, want string }{
		{`"operations": [{"type": "DetectionFilter"}]`, `property "operations[0].type": there is no operation "DetectionFilter" (did you mean "DetectionsFilter"?)`},
		{`"operations": [{"type": "SequenceLength"}]`, `property "operations": the last operation makes something else of the detections (use roboflow_core/property_definition@v1 for that)`},
		{`"operations": [], "operations_parameters": {"_": 1}`, `the name _ stands for the detection at hand`},
		{`"operations": ` + byClass(`{"type": "DynamicOperand", "operand_name": "klasses"}`) + `, "operations_parameters": {"classes": 1}`,
			`property "operations[0].filter_operation.statements[0].right_operand.operand_name": there is no value "klasses" here (did you mean "classes"?)`},
		{`"operations": 5`, `a list of operations`},
	} {
		got := r.faults(t, spec("", []string{detectionsStep, `{"type": "DetectionsFilter", "name": "f", "predictions": "$steps.d.predictions", ` + c.fields + `}`}))
		if !strings.Contains(got, c.want) {
			t.Errorf("%s:\n%s\nwant %s", c.fields, got, c.want)
		}
	}
	if got := r.faults(t, spec("", []string{`{"type": "DetectionsFilter", "name": "f", "predictions": "$inputs.image", "operations": []}`})); !strings.Contains(got, "$inputs.image is image") {
		t.Errorf("an image filtered: %s", got)
	}
}

func TestExpression(t *testing.T) {
	when := func(limit string) string {
		return `{"type": "StatementGroup", "statements": [{"type": "BinaryStatement", "left_operand": {"type": "DynamicOperand", "operand_name": "n"}, "comparator": {"type": "(Number) >"},
			"right_operand": {"type": "StaticOperand", "value": ` + limit + `}}]}`
	}
	sw := `{"type": "CasesDefinition", "cases": [
		{"type": "CaseDefinition", "condition": ` + when("10") + `, "result": {"type": "StaticCaseResult", "value": {"level": "many"}}},
		{"type": "CaseDefinition", "condition": ` + when("2") + `, "result": {"type": "DynamicCaseResult", "parameter_name": "text", "operations": [{"type": "SequenceJoin", "separator": "/"}]}}],
		"default": {"type": "DynamicCaseResult", "parameter_name": "n"}}`
	step := func(sw string) string {
		return `{"type": "Expression", "name": "e", "data": {"n": "$steps.v.value", "text": "$steps.v.value"}, "data_operations": {"n": [{"type": "SequenceLength"}]}, "switch": ` + sw + `}`
	}
	h := trial{blocks: []*workflow.Manifest{workflowtest.Values(strs(strings.Split("abcdefghijk", "")...), strs("a", "b", "c"), strs("a", "b"), strs(), workflow.Value{})}}.start(t,
		spec("", []string{valueStep, step(sw)}, "e=$steps.e.output"))
	for i, want := range []string{`{"level":"many"}`, `"a/b/c"`, `2`, `0`, `null`} {
		h.Blank()
		if got := h.JSON("e"); got != want {
			t.Errorf("frame %d: %s, want %s", i+1, got, want)
		}
	}
	r := trial{blocks: []*workflow.Manifest{workflowtest.Values(ints(1)...)}}
	for _, c := range []struct{ sw, want string }{
		{`{"type": "Cases"}`, `property "switch.type": it is "Cases"`},
		{`{"type": "CasesDefinition", "cases": 5, "default": {}}`, `property "switch.cases": it is 5`},
		{`{"type": "CasesDefinition", "cases": []}`, `property "switch.default": it is missing`},
		{`{"type": "CasesDefinition", "cases": [], "default": {"type": "StaticCaseResult"}}`, `property "switch.default.value": it is missing`},
		{`{"type": "CasesDefinition", "cases": [], "default": {"type": "DynamicCaseResult", "parameter_name": "m"}}`, `there is no such value in data`},
		{`{"type": "CasesDefinition", "cases": [{"type": "CaseDefinition", "condition": ` + strings.Replace(when("1"), `"n"`, `"x"`, 1) + `, "result": {}}], "default": {}}`,
			`property "switch.cases[0].condition.statements[0].left_operand.operand_name": there is no value "x" here`},
		{strings.Replace(sw, "SequenceJoin", "SequenceJion", 1), `property "switch.cases[1].result.operations[0].type": there is no operation "SequenceJion" (did you mean "SequenceJoin"?)`},
	} {
		if got := r.faults(t, spec("", []string{valueStep, step(c.sw)})); !strings.Contains(got, c.want) {
			t.Errorf("%s:\n%s\nwant %s", c.sw, got, c.want)
		}
	}
	if got := r.faults(t, spec("", []string{valueStep, strings.Replace(step(sw), `{"n": [`, `{"m": [`, 1)})); !strings.Contains(got, `property "data_operations.m": there are operations for a value that there is not`) {
		t.Error(got)
	}
}
