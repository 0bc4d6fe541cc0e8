package blocks

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"perch/cmd/internal/models"
	"perch/pipeline/model"
	"perch/pipeline/workflow"
)

var update = flag.Bool("update", false, "write BLOCKS.md anew")

// noModels is a device without models: blocks can be described all the same.
type noModels struct{}

func (noModels) Manifest(string) (model.Manifest, error) {
	return model.Manifest{}, errors.New("there are none")
}
func (noModels) Ready(string) (*models.Loaded, error) { return nil, errors.New("there are none") }

func library() *workflow.Library { return Library(Options{Models: noModels{}}) }

func TestReferenceIsUpToDate(t *testing.T) {
	got, err := Reference(library())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("BLOCKS.md", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("BLOCKS.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("BLOCKS.md is not what the blocks say: run go test ./cmd/internal/blocks -update")
	}
}

func TestEachBlockIsDescribed(t *testing.T) {
	blocks := library().Blocks()
	if len(blocks) < 80 {
		t.Errorf("only %d blocks", len(blocks))
	}
	for _, m := range blocks {
		if m.Title == "" || m.Doc == "" || m.Group == "" || m.New == nil {
			t.Errorf("%s: title %q, group %q, documentation %q", m.Type, m.Title, m.Group, m.Doc)
		}
		seen := map[string]bool{}
		for _, f := range m.Fields {
			if f.Doc == "" || f.Takes() == "" || seen[f.Name] {
				t.Errorf("%s: field %q: documentation %q, takes %q, twice %v", m.Type, f.Name, f.Doc, f.Takes(), seen[f.Name])
			}
			seen[f.Name] = true
		}
		for _, o := range m.Outputs {
			if o.Doc == "" || len(o.Kinds) == 0 && o.Like == "" {
				t.Errorf("%s: output %q: documentation %q, kinds %v", m.Type, o.Name, o.Doc, o.Kinds)
			}
		}
	}
}

// The schema is for editors: it takes what compiles and refuses plain mistakes.
func TestSchemaTakesTheExamples(t *testing.T) {
	text, err := library().Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("workflow.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("workflow.json")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../perch/testdata/workflows/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("examples: %d, %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		bad, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(string(b), `"steps": [`, `"steps": [{"type": "nothing", "name": "x"},`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(bad) == nil {
			t.Errorf("%s: an unknown block is taken", file)
		}
	}
}
