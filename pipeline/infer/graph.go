package infer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"perch/pipeline"
)

// A Model is an ONNX file, or its bytes.
type Model struct {
	Name string // for messages; "" is Path
	Path string
	Data []byte // used when Path is ""; not changed and not kept
}

func (m Model) name() string {
	if m.Name != "" {
		return m.Name
	}
	if m.Path != "" {
		return m.Path
	}
	return "built-in model"
}

// A Graph is what a model says of itself.
type Graph struct {
	Inputs   []pipeline.TensorInfo
	Outputs  []pipeline.TensorInfo // Shape is nil where the file does not say
	Metadata map[string]string     // the exporter's own keys, for example "names"
	Producer string                // "pytorch 2.4.0"
	Opset    int64                 // of the default operator set
	Digest   string                // "sha256:<hex>" of the whole file
	Size     int64                 // bytes
}

// What is read of a file before it is refused.
const (
	maxModelBytes = 2 << 30 // protobuf's own limit
	maxTensors    = 4096    // inputs, outputs, initialisers' names are bounded by maxNames
	maxNames      = 1 << 20
	maxText       = 1 << 20 // one metadata value; class lists are a few kB
)

const hintDamaged = "get the file again and compare its checksum, or export the model again"

// readGraph reads and hashes a model in one pass without ONNX Runtime.
func readGraph(m Model, limit int64) (Graph, error) {
	fail := func(kind pipeline.Kind, err error, hint string) (Graph, error) {
		return Graph{}, &pipeline.Error{Op: "read model", On: m.name(), Kind: kind, Err: err, Hint: hint}
	}
	if limit <= 0 || limit > maxModelBytes {
		limit = maxModelBytes
	}
	var r io.Reader = bytes.NewReader(m.Data)
	size := int64(len(m.Data))
	if m.Path != "" {
		f, err := os.Open(m.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fail(pipeline.NotFound, errors.New("no such file"), "")
		case errors.Is(err, fs.ErrPermission):
			return fail(pipeline.Refused, errors.New("permission denied"), "let the user that Perch runs as read it")
		case err != nil:
			return fail(pipeline.Other, err, "")
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return fail(pipeline.Other, err, "")
		}
		if !st.Mode().IsRegular() {
			return fail(pipeline.BadInput, errors.New("not a file"), "name the .onnx file itself")
		}
		r, size = f, st.Size()
	}
	if size == 0 {
		return fail(pipeline.BadInput, errors.New("the file is empty"), hintDamaged)
	}
	if size > limit {
		return fail(pipeline.BadInput, fmt.Errorf("%d bytes, more than the %d that are allowed", size, limit),
			"choose a smaller model; no network that suits this appliance is that large")
	}
	hash := sha256.New()
	br := bufio.NewReaderSize(io.TeeReader(r, hash), 1<<16)
	head, _ := br.Peek(16)
	if what := otherFormat(head); what != "" {
		return fail(pipeline.BadInput, errors.New("not an ONNX model but "+what), "export the model to ONNX")
	}
	g := graphReader{Graph: Graph{Metadata: map[string]string{}, Size: size}, weights: map[string]bool{}}
	if err := (&wire{r: br, left: size}).each(g.model); err != nil {
		return fail(pipeline.BadInput, err, hintDamaged)
	}
	if err := g.finish(); err != nil {
		return fail(pipeline.BadInput, err, hintDamaged)
	}
	g.Digest = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	return g.Graph, nil
}

// otherFormat recognises what people mistake for a model.
func otherFormat(head []byte) string {
	s := string(head)
	switch {
	case strings.HasPrefix(s, "PK\x03\x04"):
		return "a zip file or PyTorch checkpoint"
	case strings.HasPrefix(s, "version https:/"):
		return "a Git LFS pointer; the file itself was not fetched"
	case len(s) >= 8 && s[4:8] == "TFL3":
		return "a TensorFlow Lite model"
	case strings.HasPrefix(s, "\x89HDF"):
		return "a Keras (HDF5) model"
	case strings.HasPrefix(s, "ftrt"), strings.HasPrefix(s, "ptrt"):
		return "a TensorRT engine"
	case strings.HasPrefix(strings.ToLower(s), "<!doctype"), strings.HasPrefix(strings.ToLower(s), "<html"):
		return "a web page; the download went wrong"
	}
	return ""
}

// graphReader picks out of ModelProto (onnx/onnx.proto) what Perch needs.
type graphReader struct {
	Graph
	weights  map[string]bool // initialisers: some exporters list them as inputs too
	irSeen   bool
	hasGraph bool
	version  string
}

func (g *graphReader) model(m *wire, field int, delimited bool, n uint64) (err error) {
	switch {
	case field == 1 && !delimited: // ir_version
		g.irSeen = true
	case field == 2 && delimited: // producer_name
		g.Producer, err = m.text(n, maxText)
	case field == 3 && delimited: // producer_version
		g.version, err = m.text(n, maxText)
	case field == 7 && delimited: // graph
		g.hasGraph = true
		err = m.sub(n, g.graph)
	case field == 8 && delimited: // opset_import
		err = g.opset(m, n)
	case field == 14 && delimited: // metadata_props
		err = g.metadata(m, n)
	}
	return err
}

func (g *graphReader) opset(m *wire, n uint64) error {
	var domain string
	var version int64
	err := m.sub(n, func(m *wire, field int, delimited bool, n uint64) (err error) {
		switch {
		case field == 1 && delimited:
			domain, err = m.text(n, maxText)
		case field == 2 && !delimited:
			version = int64(n)
		}
		return err
	})
	if domain == "" || domain == "ai.onnx" {
		g.Opset = version
	}
	return err
}

func (g *graphReader) metadata(m *wire, n uint64) error {
	if len(g.Metadata) >= maxTensors {
		return fmt.Errorf("more than %d metadata entries", maxTensors)
	}
	var key, value string
	err := m.sub(n, func(m *wire, field int, delimited bool, n uint64) (err error) {
		switch {
		case field == 1 && delimited:
			key, err = m.text(n, maxText)
		case field == 2 && delimited:
			value, err = m.text(n, maxText)
		}
		return err
	})
	g.Metadata[key] = value
	return err
}

func (g *graphReader) graph(m *wire, field int, delimited bool, n uint64) error {
	switch {
	case field == 5 && delimited: // initializer: TensorProto, of which the name counts
		if len(g.weights) >= maxNames {
			return fmt.Errorf("more than %d weights", maxNames)
		}
		return m.sub(n, func(m *wire, field int, delimited bool, n uint64) error {
			if field != 8 || !delimited {
				return nil
			}
			name, err := m.text(n, maxText)
			g.weights[name] = true
			return err
		})
	case field == 11 && delimited:
		return appendTensor(&g.Inputs, m, n)
	case field == 12 && delimited:
		return appendTensor(&g.Outputs, m, n)
	}
	return nil
}

func (g *graphReader) finish() error {
	if !g.irSeen || !g.hasGraph {
		return errDamaged
	}
	var inputs []pipeline.TensorInfo
	for _, in := range g.Inputs {
		if !g.weights[in.Name] {
			inputs = append(inputs, in)
		}
	}
	g.Inputs = inputs
	if len(g.Inputs) == 0 || len(g.Outputs) == 0 {
		return fmt.Errorf("the graph has %d inputs and %d outputs", len(g.Inputs), len(g.Outputs))
	}
	g.Producer = strings.TrimSpace(g.Producer + " " + g.version)
	return nil
}

// appendTensor reads a ValueInfoProto.
func appendTensor(to *[]pipeline.TensorInfo, m *wire, n uint64) error {
	if len(*to) >= maxTensors {
		return fmt.Errorf("more than %d inputs or outputs", maxTensors)
	}
	info := pipeline.TensorInfo{Type: "not a tensor"}
	err := m.sub(n, func(m *wire, field int, delimited bool, n uint64) (err error) {
		switch {
		case field == 1 && delimited:
			info.Name, err = m.text(n, maxText)
		case field == 2 && delimited: // TypeProto
			err = m.sub(n, func(m *wire, field int, delimited bool, n uint64) error {
				if field != 1 || !delimited { // tensor_type
					return nil
				}
				return m.sub(n, tensorType(&info))
			})
		}
		return err
	})
	*to = append(*to, info)
	return err
}

// tensorType reads TypeProto.Tensor: element type and shape.
func tensorType(info *pipeline.TensorInfo) func(m *wire, field int, delimited bool, n uint64) error {
	dim := func(m *wire, field int, delimited bool, n uint64) error {
		if field != 1 || !delimited {
			return nil
		}
		d := int64(-1) // a name, or nothing: left open
		err := m.sub(n, func(_ *wire, field int, delimited bool, n uint64) error {
			if field == 1 && !delimited && int64(n) >= 0 {
				d = int64(n)
			}
			return nil
		})
		info.Shape = append(info.Shape, d)
		return err
	}
	return func(m *wire, field int, delimited bool, n uint64) error {
		switch {
		case field == 1 && !delimited:
			info.Type = typeName(int64(n))
		case field == 2 && delimited:
			info.Shape = []int64{}
			return m.sub(n, dim)
		}
		return nil
	}
}
