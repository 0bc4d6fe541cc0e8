package infer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

func TestReadGraph(t *testing.T) {
	n := network{
		nodes: []node{{op: "Mul", in: []string{"x", "w"}, out: []string{"y"}}},
		ins: []value{
			{"w", tFloat, []int64{1}}, // an initialiser, listed as an input as old exporters do
			{"x", tFloat, []int64{-1, 3, 416, -2}}, {"sizes", tInt64, []int64{1, 2}},
		},
		outs:      []value{{"y", tHalf, nil}, {"text", tText, []int64{}}},
		constants: []constant{{name: "w", f: make([]float32, 300_000)}},
		meta:      map[string]string{"names": "{0: 'a'}", "stride": "32"},
		opset:     17,
	}
	data := n.bytes()
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	for _, m := range []Model{{Path: path}, {Data: data}} {
		g, err := readGraph(m, 0)
		if err != nil {
			t.Fatal(err)
		}
		if g.Digest != "sha256:"+hex.EncodeToString(sum[:]) || g.Size != int64(len(data)) {
			t.Errorf("digest %s of %d bytes", g.Digest, g.Size)
		}
		if g.Opset != 17 || g.Producer != "perch-test 1" || g.Metadata["stride"] != "32" || len(g.Metadata) != 2 {
			t.Errorf("opset %d, producer %q, metadata %v", g.Opset, g.Producer, g.Metadata)
		}
		if got := describe(g.Inputs); got != "x float32[-1 3 416 -1], sizes int64[1 2]" {
			t.Errorf("inputs: %s", got)
		}
		if got := describe(g.Outputs); got != "y float16[], text ONNX type 8[]" || g.Outputs[0].Shape != nil {
			t.Errorf("outputs: %s", got)
		}
	}
}

// Our reader and ONNX Runtime must agree on every model that there is.
func TestReadGraphAgreesWithONNXRuntime(t *testing.T) {
	testRuntime(t)
	data := os.Getenv("PERCH_TEST_DATA")
	if data == "" {
		t.Skip("PERCH_TEST_DATA does not name the folder with test models")
	}
	paths, err := filepath.Glob(filepath.Join(data, "models", "*", "model.onnx"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no models in %s: %v", data, err)
	}
	for _, path := range paths {
		g, err := readGraph(Model{Path: path}, 0)
		if err != nil {
			t.Error(err)
			continue
		}
		ins, outs, err := ort.GetInputOutputInfo(path)
		if err != nil {
			t.Error(err)
			continue
		}
		agree(t, path, g.Inputs, ins)
		agree(t, path, g.Outputs, outs)
	}
}

func agree(t *testing.T, path string, ours []pipeline.TensorInfo, theirs []ort.InputOutputInfo) {
	t.Helper()
	if len(ours) != len(theirs) {
		t.Errorf("%s: %d tensors, ONNX Runtime has %d", path, len(ours), len(theirs))
		return
	}
	for i, o := range ours {
		their := theirs[i]
		if o.Name != their.Name || o.Type != typeName(int64(their.DataType)) ||
			o.Shape != nil && !slices.Equal(o.Shape, their.Dimensions) {
			t.Errorf("%s: %s, ONNX Runtime has %v", path, describe(ours[i:i+1]), &their)
		}
	}
}

func TestFilesThatAreNoModel(t *testing.T) {
	whole := doubled(1, 4)
	var noGraph proto
	noGraph.num(1, 8)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":      {nil, "empty"},
		"cut":        {whole[:len(whole)/2], "not a whole ONNX model"},
		"one byte":   {whole[:1], "not a whole"},
		"text":       {[]byte("hello, this is a text file\n"), "not a whole"},
		"no graph":   {noGraph.b, "not a whole"},
		"no outputs": {network{ins: []value{{"x", tFloat, []int64{1}}}}.bytes(), "1 inputs and 0 outputs"},
		"pytorch":    {[]byte("PK\x03\x04 and so on, a checkpoint"), "PyTorch"},
		"lfs":        {[]byte("version https://git-lfs.github.com/spec/v1\n"), "Git LFS"},
		"tflite":     {[]byte("\x1c\x00\x00\x00TFL3 and so on"), "TensorFlow Lite"},
		"page":       {[]byte("<!DOCTYPE html><title>404</title>"), "web page"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m.onnx")
			if err := os.WriteFile(path, c.data, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := readGraph(Model{Path: path}, 0)
			wantKind(t, err, pipeline.BadInput)
			if err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path)) {
				t.Errorf("%v does not say %q and the path", err, c.want)
			}
			if e, ok := errors.AsType[*pipeline.Error](err); ok && e.Hint == "" {
				t.Errorf("%v gives no hint", err)
			}
		})
	}
	_, err := readGraph(Model{Path: filepath.Join(t.TempDir(), "absent.onnx")}, 0)
	wantKind(t, err, pipeline.NotFound)
	_, err = readGraph(Model{Path: t.TempDir()}, 0)
	wantKind(t, err, pipeline.BadInput)
	_, err = readGraph(Model{Data: whole}, int64(len(whole)-1))
	wantKind(t, err, pipeline.BadInput)
}

// Whatever the bytes are, the reader ends with an answer, and what it lets
// through does not bring ONNX Runtime down.
func TestDamagedModels(t *testing.T) {
	rt := testRuntime(t)
	whole := doubled(-1, 4)
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 300 {
		data := slices.Clone(whole)
		for range 1 + rng.IntN(3) {
			data[rng.IntN(len(data))] = byte(rng.IntN(256))
		}
		if _, err := rt.Inspect(t.Context(), Model{Data: data}, 0); err != nil {
			refused++
			if k := pipeline.KindOf(err); k != pipeline.BadInput && k != pipeline.Unsupported {
				t.Fatalf("%x: kind %v: %v", data, k, err)
			}
		}
	}
	if refused == 0 {
		t.Error("no damage was noticed")
	}
}

func TestInspect(t *testing.T) {
	rt := testRuntime(t)
	g, err := rt.Inspect(t.Context(), Model{Data: doubled(-1, 4)}, 0)
	if err != nil || describe(g.Inputs) != "x float32[-1 3 4 4]" {
		t.Errorf("%s, %v", describe(g.Inputs), err)
	}
	alien := network{
		nodes: []node{{op: "Telepathy", in: []string{"x"}, out: []string{"y"}}},
		ins:   []value{{"x", tFloat, []int64{1}}}, outs: []value{{"y", tFloat, []int64{1}}},
	}
	_, err = rt.Inspect(t.Context(), Model{Data: alien.bytes()}, 0)
	wantKind(t, err, pipeline.Unsupported)
	if err != nil && !strings.Contains(err.Error(), "Telepathy") {
		t.Errorf("%v does not name the operator", err)
	}
	alien.nodes[0].op, alien.opset = "Identity", 99
	_, err = rt.Inspect(t.Context(), Model{Data: alien.bytes()}, 0)
	wantKind(t, err, pipeline.Unsupported)
}

// A graph whose wires do not meet parses and cannot be loaded.
func TestOpenDamaged(t *testing.T) {
	loose := network{
		nodes: []node{{op: "Identity", in: []string{"nobody"}, out: []string{"y"}}},
		ins:   []value{{"x", tFloat, []int64{1}}}, outs: []value{{"y", tFloat, []int64{1}}},
	}.bytes()
	_, err := testRuntime(t).Open(t.Context(), Model{Name: "loose", Data: loose}, Options{})
	wantKind(t, err, pipeline.BadInput)
	if err != nil && !strings.Contains(err.Error(), "loose") {
		t.Errorf("%v does not name the model", err)
	}
}
