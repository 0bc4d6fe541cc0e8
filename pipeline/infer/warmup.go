package infer

import (
	"errors"
	"reflect"
	"runtime"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

// warmUp runs the model on empty frames and settles the plan with what comes
// out: one frame, two where the batch is open, and on a GPU every further
// number, since each new shape is tuned when it is first seen.
func (op *opening) warmUp(provider string) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	p := op.plan
	rows := 1
	if p.fixed {
		rows = p.batch
	}
	one, err := op.try(rows, &pin)
	if err != nil {
		return warmUpError(op.name, err)
	}
	var two [][]int64
	if p.open && (p.batch > 1 || provider != TensorRT) && p.single == "" {
		if two, err = op.try(2, &pin); err != nil {
			p.single = "two frames at a time failed: " + oneLine(err)
		}
	}
	if err := p.settle(one, two); err != nil {
		return named(op.name, err)
	}
	for n := 3; p.open && n <= p.batch && !onCPU(provider); n++ {
		if _, err := op.try(n, &pin); err != nil {
			return warmUpError(op.name, err)
		}
	}
	return nil
}

// try runs rows empty frames and returns the shapes of the outputs.
func (op *opening) try(rows int, pin *runtime.Pinner) (shapes [][]int64, err error) {
	var ins, outs []ort.Value
	defer func() { err = errors.Join(err, destroy(ins), destroy(outs)) }()
	for _, in := range op.plan.inputs {
		shape := in.shape
		if in.rows {
			shape = withRows(in.shape, rows)
		}
		v, err := emptyValue(in.typ, shape, pin)
		if err != nil {
			return nil, err
		}
		ins = append(ins, v)
	}
	for _, o := range op.plan.outputs {
		var v ort.Value
		// The binding cannot copy float16, so its memory comes from here.
		if o.typ == pipeline.Float16 && len(o.given) > 0 && isFixed(o.given[1:]) {
			shape := o.given
			if shape[0] < 0 || op.plan.open && rows > 1 {
				shape = withRows(o.given, rows)
			}
			if v, err = emptyValue(o.typ, shape, pin); err != nil {
				return nil, err
			}
		}
		outs = append(outs, v)
	}
	if err := op.sess.Run(ins, outs); err != nil {
		return nil, err
	}
	for _, v := range outs {
		shapes = append(shapes, v.GetShape())
	}
	return shapes, nil
}

// emptyValue is a tensor of ones for whole numbers, which are often sizes that
// something is divided by (a division by zero ends the process), else zeros.
func emptyValue(t pipeline.TensorType, shape []int64, pin *runtime.Pinner) (ort.Value, error) {
	b, err := newBuffer(t, elements(shape), pin)
	if err != nil {
		return nil, err
	}
	b.clear()
	return b.value(shape)
}

func destroy(vs []ort.Value) error {
	var errs []error
	for _, v := range vs {
		if !absent(v) {
			errs = append(errs, v.Destroy())
		}
	}
	return errors.Join(errs...)
}

// absent reports whether there is no value. When the binding fails to copy an
// output it leaves an interface that is not nil around a pointer that is.
func absent(v ort.Value) bool { return v == nil || reflect.ValueOf(v).IsNil() }

// loadError sorts ONNX Runtime's refusals, which are text only.
func loadError(name string, err error) error {
	e := &pipeline.Error{Op: "load model", On: name, Kind: pipeline.BadInput, Err: errors.New(oneLine(err)), Hint: hintDamaged}
	for _, s := range []string{"NOT_IMPLEMENTED", "Could not find an implementation", "is not a registered function/op", "No Op registered", "opset", "IR version", "ir_version"} {
		if strings.Contains(err.Error(), s) {
			e.Kind, e.Hint = pipeline.Unsupported, "use a newer ONNX Runtime, or export the model with an older opset"
		}
	}
	return e
}

func warmUpError(name string, err error) error {
	e := &pipeline.Error{Op: "warm up model", On: name, Kind: pipeline.BadInput, Err: errors.New(oneLine(err)), Hint: hintDamaged}
	if errors.Is(err, ort.ZeroShapeLengthError) {
		e.Kind, e.Hint = pipeline.Unsupported, "export the model without outputs that are a single number"
	}
	return e
}
