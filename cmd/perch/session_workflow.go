package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"perch/cmd/internal/api"
	"perch/pipeline"
	"perch/pipeline/workflow"
)

// sessionEngine compiles a client's workflow, checks the names of the outputs
// that it asks for, and makes the engine of its run.
func (s *sessions) sessionEngine(ctx context.Context, req api.SessionRequest, id string) (*workflow.Engine, error) {
	text, err := s.sessionWorkflow(req.Workflow)
	if err != nil {
		return nil, err
	}
	params, err := workflow.ParseParameters(req.Workflow.Parameters)
	if err != nil {
		return nil, &api.ConfigurationError{Message: "workflows_parameters cannot be read: " + err.Error()}
	}
	env := s.env("", id)
	env.DisableSinks = req.Workflow.DisableSinks
	g, err := workflow.Compile(text, s.sessionLibrary(ctx), env)
	if err != nil {
		return nil, workflowError(err)
	}
	if err := checkOutputs(g.OutputNames(), req); err != nil {
		return nil, err
	}
	opt := workflow.Options{Name: cmp.Or(req.Workflow.ID, "session"), ImageInput: req.Workflow.ImageInput, Parameters: params, Tolerant: true}
	if req.DeclaredFPS != nil && *req.DeclaredFPS > 0 {
		opt.FPS = *req.DeclaredFPS
	}
	e, err := g.Bind(env, opt)
	if err != nil {
		return nil, workflowError(err)
	}
	return e, nil
}

// sessionWorkflow returns the specification: inline, or a file of this device
// whose name is the workflow's id.
func (s *sessions) sessionWorkflow(w api.SessionWorkflow) ([]byte, error) {
	if len(w.Specification) > 0 {
		return w.Specification, nil
	}
	if strings.ContainsAny(w.ID, "/\\") || strings.HasPrefix(w.ID, ".") {
		return nil, &api.ConfigurationError{Message: fmt.Sprintf("workflow_id %q is no name of a workflow on this device.", w.ID)}
	}
	text, err := readWorkflow(s.cfg.WorkflowFile(w.ID))
	if pipeline.KindOf(err) == pipeline.NotFound {
		return nil, &pipeline.Error{
			Op: "find workflow", On: w.ID, Kind: pipeline.NotFound, Err: errors.New("this device has no workflow of that name, and fetches none from elsewhere"),
			Hint: "put " + w.ID + ".json into its folder of workflows, or send workflow_specification",
		}
	}
	return text, err
}

// checkOutputs refuses names that the workflow does not have.
func checkOutputs(have []string, req api.SessionRequest) error {
	given := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" })
	}
	data := given(req.DataOutput)
	if !slices.Equal(data, []string{"*"}) {
		if bad := slices.DeleteFunc(data, func(n string) bool { return slices.Contains(have, n) }); len(bad) > 0 {
			return &api.ConfigurationError{Message: fmt.Sprintf("Invalid data_output fields: %s. Available workflow outputs: %s", pythonList(bad), pythonList(have))}
		}
	}
	if stream := given(req.StreamOutput); len(stream) > 0 && !slices.Contains(have, stream[0]) {
		return &api.ConfigurationError{Message: fmt.Sprintf("Invalid stream_output field: %s. Available workflow outputs: %s", pythonString(stream[0]), pythonList(have))}
	}
	return nil
}

// pythonList writes names as clients of Roboflow Inference read them in its
// messages.
func pythonList(names []string) string {
	var quoted []string
	for _, n := range names {
		quoted = append(quoted, pythonString(n))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func pythonString(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	s = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s)
	if quote == "'" {
		s = strings.ReplaceAll(s, "'", `\'`)
	}
	return quote + s + quote
}

// workflowError puts what is wrong with a workflow into the form that clients
// of Roboflow Inference know.
func workflowError(err error) error {
	var spec *workflow.SpecError
	if !errors.As(err, &spec) {
		var e *pipeline.Error
		if errors.As(err, &e) {
			return &api.WorkflowError{Type: "WorkflowError", Message: err.Error(), Context: "workflow_compilation | engine_initialisation", Inner: err.Error()}
		}
		return err
	}
	out := &api.WorkflowError{
		Type: "WorkflowSyntaxError", Message: spec.Error(), Context: "workflow_compilation | specification_parsing", InnerType: "SpecError", Inner: spec.Faults[0].String(),
	}
	for _, f := range spec.Faults {
		details := f.Text
		if f.Hint != "" {
			details += " (" + f.Hint + ")"
		}
		out.Blocks = append(out.Blocks, api.BlockError{BlockID: f.Step, BlockType: f.Type, BlockDetails: f.String(), PropertyName: f.Property, PropertyDetails: details})
	}
	return out
}
