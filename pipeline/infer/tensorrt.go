package infer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"perch/pipeline"
)

// tensorRTOptions are the provider's options without the cache.
// https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
func tensorRTOptions(o Options, p *plan) map[string]string {
	e := o.Engine
	opts := map[string]string{
		"trt_max_workspace_size": strconv.FormatInt(e.workspace(o.GPUMemLimit), 10),
		"trt_fp16_enable":        digit(e.FP16),
	}
	if e.INT8 {
		opts["trt_int8_enable"] = "1"
	}
	if e.DLA {
		opts["trt_dla_enable"], opts["trt_dla_core"] = "1", strconv.Itoa(e.DLACore)
	}
	// Without a profile each new shape rebuilds the engine in the middle of
	// the day (onnxruntime issues 16889 and 22822).
	var least, most []string
	for _, in := range p.inputs {
		if isFixed(in.given) {
			continue
		}
		least = append(least, in.name+":"+dims(in.shape))
		shape := in.shape
		if in.rows {
			shape = withRows(in.shape, p.batch)
		}
		most = append(most, in.name+":"+dims(shape))
	}
	if len(least) > 0 {
		opts["trt_profile_min_shapes"] = strings.Join(least, ",")
		opts["trt_profile_opt_shapes"] = strings.Join(most, ",")
		opts["trt_profile_max_shapes"] = strings.Join(most, ",")
	}
	return opts
}

func digit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// usualWorkspace is ONNX Runtime's own default: memory that TensorRT may use
// while it tries the layers' variants.
const usualWorkspace = 1 << 30

// Memory is how many bytes TensorRT may use to try variants.
func (e EngineOptions) Memory() int64 { return e.workspace(0) }

func (e EngineOptions) workspace(limit int64) int64 {
	w := cmp.Or(e.Workspace, usualWorkspace)
	if limit > 0 {
		w = min(w, limit)
	}
	return w
}

// maxCalibration is far above what a table of one number a tensor takes.
const maxCalibration = 16 << 20

// calibrationFile is what the table is called beside the engine, which is
// where ONNX Runtime looks for it.
const calibrationFile = "int8.calibration"

// calibration reads the table of INT8's ranges and adds what ONNX Runtime is to
// be told of it, its digest to what the engine depends on.
func (e EngineOptions) calibration(opts, facts map[string]string) ([]byte, error) {
	if !e.INT8 || e.Calibration == "" {
		return nil, nil // a model with ranges of its own (QDQ)
	}
	fail := func(err error) ([]byte, error) {
		return nil, &pipeline.Error{Op: "read calibration table", On: e.Calibration, Kind: pipeline.BadConfig, Err: err,
			Hint: "it is made by ONNX Runtime's quantization tools or by TensorRT (its file begins with TRT-)"}
	}
	f, err := os.Open(e.Calibration)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	table, err := io.ReadAll(io.LimitReader(f, maxCalibration+1))
	if err != nil {
		return fail(err)
	}
	if len(table) == 0 || len(table) > maxCalibration {
		return fail(fmt.Errorf("it has %d bytes; 1 to %d are expected", len(table), maxCalibration))
	}
	opts["trt_int8_calibration_table_name"] = calibrationFile
	opts["trt_int8_use_native_calibration_table"] = digit(bytes.HasPrefix(table, []byte("TRT-")))
	sum := sha256.Sum256(table)
	facts["calibration"] = "sha256:" + hex.EncodeToString(sum[:])
	return table, nil
}

func dims(shape []int64) string {
	s := make([]string, len(shape))
	for i, d := range shape {
		s[i] = strconv.FormatInt(d, 10)
	}
	return strings.Join(s, "x")
}

// engineFacts is everything that a built engine depends on. ONNX Runtime does
// not check it (onnxruntime issue 22244), so it names the folder.
func (m machine) engineFacts(provider, digest string, lib Library, opts map[string]string) map[string]string {
	facts := m.software()
	facts["for"] = provider
	facts["model"] = digest
	facts["onnxruntime"] = lib.Version
	so := filepath.Join(filepath.Dir(lib.Path), "libonnxruntime_providers_tensorrt.so")
	if st, err := os.Stat(so); err == nil {
		facts["provider library"] = fmt.Sprintf("%d bytes of %s", st.Size(), st.ModTime().UTC().Format(time.RFC3339))
	}
	for k, v := range opts {
		facts["option "+k] = v
	}
	return facts
}
