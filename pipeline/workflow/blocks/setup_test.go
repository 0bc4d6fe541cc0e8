package blocks_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks"
	"perch/pipeline/workflow/workflowtest"
)

// probe is a step that shows whether flow control let it run: its output is
// the frame's width, else null.
func probe(name string) string {
	return fmt.Sprintf(`{"type": "PropertyDefinition", "name": %q, "data": "$inputs.image", "operations": [{"type": "ExtractImageProperty", "property_name": "width"}]}`, name)
}

const (
	valueStep      = `{"type": "test/value@v1", "name": "v"}`
	detectionsStep = `{"type": "test/detections@v1", "name": "d", "image": "$inputs.image"}`
)

// spec writes a workflow: inputs besides the image, steps, and an output for
// each "name=selector".
func spec(inputs string, steps []string, outputs ...string) string {
	var outs []string
	for _, o := range outputs {
		name, sel, _ := strings.Cut(o, "=")
		outs = append(outs, fmt.Sprintf(`{"type": "JsonField", "name": %q, "selector": %q}`, name, sel))
	}
	if inputs != "" {
		inputs = ", " + inputs
	}
	return fmt.Sprintf(`{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}%s], "steps": [%s], "outputs": [%s]}`,
		inputs, strings.Join(steps, ", "), strings.Join(outs, ", "))
}

// trial is a workflow on frames; its sets are this package's blocks and those of
// the test.
type trial struct {
	params map[string]workflow.Value
	env    *workflow.Env
	info   *pipeline.StreamInfo
	blocks []*workflow.Manifest
}

func (r trial) start(t testing.TB, spec string) *workflowtest.Harness {
	t.Helper()
	return workflowtest.New(t, spec, r.env, workflow.Options{Parameters: r.params}, r.info, blocks.All(), r.blocks)
}

// faults is what is wrong with a workflow.
func (r trial) faults(t testing.TB, spec string) string {
	t.Helper()
	g, err := workflow.Compile([]byte(spec), workflow.NewLibrary(blocks.All(), r.blocks), r.env)
	if err == nil {
		_, err = g.Bind(r.env, workflow.Options{Parameters: r.params})
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

// clock is a clock that a test sets.
type clock struct{ now time.Time }

func (c *clock) env() *workflow.Env { return &workflow.Env{Now: func() time.Time { return c.now }} }

func ints(n ...int64) []workflow.Value {
	var all []workflow.Value
	for _, i := range n {
		all = append(all, workflow.IntOf(i))
	}
	return all
}

func strs(s ...string) workflow.Value {
	all := []workflow.Value{}
	for _, x := range s {
		all = append(all, workflow.StringOf(x))
	}
	return workflow.ListOf(all)
}
