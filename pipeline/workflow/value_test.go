package workflow_test

import (
	"math"
	"testing"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

func TestTheLargestIntegers(t *testing.T) {
	for _, n := range []int64{math.MaxInt64, math.MinInt64, math.MaxInt64 - 1<<11 + 1, 1 << 53, -5} {
		v := workflow.IntOf(n)
		if got, ok := v.Int(); !ok || got != n {
			t.Errorf("%d became %d", n, got)
		}
		// Written down and read again it is the same.
		b, err := (&workflow.Encoder{}).Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := workflow.ParseJSON(b); err != nil || !again.Equal(v) {
			t.Errorf("%d was written as %s, %v", n, b, err)
		}
	}
}

func TestAllOutputsOfAStepWithoutAny(t *testing.T) {
	h := harness(t, doc([]string{"all=$steps.gate.*"}, `{"type": "test/value@v1", "name": "v"}`,
		`{"type": "test/pass@v1", "name": "gate", "value": "$steps.v.value", "above": 1, "next_steps": ["$steps.next"]}`,
		`{"type": "test/echo@v1", "name": "next", "value": "$steps.v.value"}`), workflow.Options{}, workflowtest.Values(workflow.IntOf(1)))
	h.Blank()
	if got := h.JSON("all"); got != "{}" {
		t.Errorf("%s, want an object", got)
	}
}
