package blocks

import (
	"fmt"
	"slices"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

func detectionsFilter() *workflow.Manifest {
	m := detectionsOperations("Detections Filter", "Keeps the detections for which a condition holds.",
		"what is done with the detections, usually one DetectionsFilter: its filter_operation is a StatementGroup in which the operand _ is one detection")
	m.Type, m.Aliases = prefix+"detections_filter@v1", []string{"DetectionsFilter"}
	return m
}

func detectionsTransformation() *workflow.Manifest {
	m := detectionsOperations("Detections Transformation", "Changes detections: filters, sorts, selects, renames, moves or enlarges them.",
		"what is done with the detections, from left to right; what comes out must be detections")
	m.Type, m.Aliases = prefix+"detections_transformation@v1", []string{"DetectionsTransformation"}
	return m
}

func detectionsOperations(title, doc, operations string) *workflow.Manifest {
	return &workflow.Manifest{
		Title: title, Group: "detections", Doc: doc,
		Fields: []workflow.Field{
			{Name: "predictions", Required: true, Kinds: workflow.AnyDetections(), Doc: "the detections"},
			{Name: "operations", Required: true, Literal: workflow.OperationsLiteral, Doc: operations},
			{Name: "operations_parameters", Form: workflow.Named, Kinds: workflow.Anything(), Literal: workflow.AnyLiteral,
				Doc: "further values that operations may refer to by name (operand_name)"},
		},
		Outputs: []workflow.Output{{Name: "predictions", Like: "predictions", Doc: "the detections that remain"}},
		New:     newDetectionsOperations,
	}
}

func newDetectionsOperations(p *workflow.Params) (workflow.Block, error) {
	params := p.Named("operations_parameters")
	names := query.Names(params)
	if slices.Contains(names, "_") {
		return nil, p.Fault("operations_parameters._", "the name _ stands for the detection at hand", "take another name")
	}
	ops, err := query.CompileField(p, "operations", names...)
	if err != nil {
		return nil, err
	}
	if !ops.MayYieldDetections() {
		return nil, p.Fault("operations", "the last operation makes something else of the detections", "use roboflow_core/property_definition@v1 for that")
	}
	return &detectionsOperationsBlock{
		predictions: p.In("predictions"), params: params, ops: ops, values: make([]workflow.Value, len(params)),
	}, nil
}

type detectionsOperationsBlock struct {
	predictions workflow.In
	params      []workflow.NamedIn
	ops         *query.Operations
	values      []workflow.Value
}

func (b *detectionsOperationsBlock) Run(c *workflow.Call) error {
	for i := range b.params {
		b.values[i] = c.Value(b.params[i].In)
	}
	v, err := b.ops.Apply(c, c.Value(b.predictions), b.values...)
	if err != nil {
		return err
	}
	if _, ok := v.Detections(); !ok {
		return fmt.Errorf("the operations make %s of the detections and must make detections", v.Describe())
	}
	c.Set(0, v)
	return nil
}
