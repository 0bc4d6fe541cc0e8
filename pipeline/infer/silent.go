package infer

import (
	"slices"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

// askShapes completes the graph where its file does not say how large an output
// is: ONNX Runtime often infers that. An output whose shape is known is read
// where the model wrote it; one that may differ from run to run is allocated
// and copied each time, which for NanoDet is 1.2 MB a frame. To ask, the binding
// loads the model once more, so files that speak are spared that. Where nothing
// comes of it, loading goes on as before and says what is wrong, if anything.
func (op *opening) askShapes() {
	silent := func(t pipeline.TensorInfo) bool { return t.Shape == nil }
	if !slices.ContainsFunc(op.graph.Outputs, silent) {
		return
	}
	var outs []ort.InputOutputInfo
	var err error
	if op.model.Path != "" {
		_, outs, err = ort.GetInputOutputInfo(op.model.Path)
	} else {
		_, outs, err = ort.GetInputOutputInfoWithONNXData(op.model.Data)
	}
	if err != nil {
		op.o.Log.Debug("shapes of outputs are not known before the first run", "model", op.name, "error", oneLine(err))
		return
	}
	op.graph.Outputs = slices.Clone(op.graph.Outputs)
	for i, t := range op.graph.Outputs {
		if k := slices.IndexFunc(outs, func(o ort.InputOutputInfo) bool { return o.Name == t.Name }); silent(t) && k >= 0 && len(outs[k].Dimensions) > 0 {
			op.graph.Outputs[i].Shape = slices.Clone(outs[k].Dimensions)
		}
	}
}
