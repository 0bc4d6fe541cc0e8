package blocks_test

import (
	"testing"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks"
	"perch/pipeline/workflow/workflowtest"
)

func TestDeltaFilterLetsChangesThrough(t *testing.T) {
	const spec = `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}],
	"steps": [
		{"type": "test/value@v1", "name": "v"},
		{"type": "roboflow_core/delta_filter@v1", "name": "delta", "image": "$inputs.image", "value": "$steps.v.value", "next_steps": ["$steps.crop"]},
		{"type": "AbsoluteStaticCrop", "name": "crop", "image": "$inputs.image", "x_center": 8, "y_center": 8, "width": 4, "height": 4}],
	"outputs": [{"type": "JsonField", "name": "crop", "selector": "$steps.crop.crops"}]}`
	h := workflowtest.New(t, spec, nil, workflow.Options{}, nil, blocks.All(), []*workflow.Manifest{workflowtest.Values(
		workflow.IntOf(1), workflow.IntOf(1), workflow.FloatOf(1), workflow.IntOf(2), workflow.StringOf("2"))})
	for i, want := range []bool{true, false, false, true, true} {
		h.Blank()
		if got := !h.Value("crop").IsNull(); got != want {
			t.Errorf("frame %d: the next step ran: %v, want %v", i+1, got, want)
		}
	}
}
