package workflow

import (
	"fmt"
	"strconv"
	"strings"
)

// EngineVersion is the version of the language that is understood: documents
// of the same major version that are not newer run.
const EngineVersion = "1.15.0"

// document is a specification as it was written.
type document struct {
	version string
	inputs  []*input
	steps   []*step
	outputs []*output
}

type inputClass uint8

const (
	imageInput inputClass = iota
	metadataInput
	parameterInput
	batchInput // one value for each frame, given like a parameter
)

type input struct {
	name   string
	class  inputClass
	kinds  []Kind
	def    Value
	hasDef bool
}

type step struct {
	name   string
	typ    string
	fields *Fields
	m      *Manifest // nil when the type is unknown
	uses   []use     // by the manifest's fields
	index  int       // in the document
}

// use is how a step fills one field.
type use struct {
	given bool
	refs  []ref
}

// ref is one selector or literal in a field.
type ref struct {
	key string // in a Named or Cases field
	sel selector
	val Value // when sel is not set
}

type output struct {
	name string
	sel  selector
	own  bool
}

// selector is a parsed "$inputs.x", "$steps.x", "$steps.x.y" or "$steps.x.*".
type selector struct {
	text  string // "" for a literal
	step  string // "" for an input
	input string
	port  string // "*" for all; "" for the step itself
}

func parseSelector(s string) (selector, bool) {
	if name, ok := strings.CutPrefix(s, "$inputs."); ok && name != "" {
		return selector{text: s, input: name}, true
	}
	rest, ok := strings.CutPrefix(s, "$steps.")
	if !ok || rest == "" {
		return selector{}, false
	}
	step, port, _ := strings.Cut(rest, ".")
	return selector{text: s, step: step, port: port}, true
}

func readDocument(data []byte, lib *Library, fs *faults) *document {
	root, err := ParseJSON(data)
	if err != nil {
		fs.add(Fault{Text: "the document cannot be read: " + err.Error()})
		return nil
	}
	f, ok := root.Fields()
	if !ok {
		fs.add(Fault{Text: fmt.Sprintf("the document is %s", root.Describe()), Hint: `it must be an object with "version", "inputs", "steps" and "outputs"`})
		return nil
	}
	d := &document{}
	d.readVersion(f, fs)
	for i, v := range listOf(f, "inputs", fs) {
		d.readInput(fmt.Sprintf("inputs[%d]", i), v, fs)
	}
	steps := listOf(f, "steps", fs)
	if len(steps) > MaxSteps {
		fs.add(Fault{Property: "steps", Text: fmt.Sprintf("there are %d steps", len(steps)), Hint: fmt.Sprintf("at most %d are run", MaxSteps)})
		return nil
	}
	for i, v := range steps {
		d.readStep(i, v, lib, fs)
	}
	for i, v := range listOf(f, "outputs", fs) {
		d.readOutput(fmt.Sprintf("outputs[%d]", i), v, fs)
	}
	return d
}

func listOf(f *Fields, key string, fs *faults) []Value {
	v, ok := f.Get(key)
	items, isList := v.Items()
	switch {
	case !ok:
		fs.add(Fault{Property: key, Text: "it is missing", Hint: "it must be a list, which may be empty"})
	case !isList:
		fs.add(Fault{Property: key, Text: fmt.Sprintf("it is %s and must be a list", v.Describe())})
	}
	return items
}

func (d *document) readVersion(f *Fields, fs *faults) {
	v, _ := f.Get("version")
	s, ok := v.Str()
	if !ok {
		fs.add(Fault{Property: "version", Text: fmt.Sprintf("it is %s and must be a string", v.Describe()), Hint: `for example "1.0"`})
		return
	}
	d.version = s
	want, err := parseVersion(s)
	have, _ := parseVersion(EngineVersion) // a constant
	switch {
	case err != nil:
		fs.add(Fault{Property: "version", Text: fmt.Sprintf("%q is no version", s), Hint: `for example "1.0"`})
	case want[0] != have[0]:
		fs.add(Fault{Property: "version", Text: fmt.Sprintf("the workflow was written for version %s of the execution engine; this one understands %d.x", s, have[0])})
	case want[1] > have[1] || want[1] == have[1] && want[2] > have[2]:
		fs.add(Fault{Property: "version", Text: fmt.Sprintf("the workflow asks for version %s of the execution engine; this one is %s", s, EngineVersion), Hint: "update Perch, or lower the version if the blocks allow it"})
	}
}

func parseVersion(s string) (v [3]int, err error) {
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return v, fmt.Errorf("too many parts")
	}
	for i, p := range parts {
		if v[i], err = strconv.Atoi(p); err != nil || v[i] < 0 {
			return v, fmt.Errorf("%q is no number", p)
		}
	}
	return v, nil
}

// text returns a string property of an object.
func text(f *Fields, key string) string {
	v, _ := f.Get(key)
	s, _ := v.Str()
	return s
}

func (d *document) readInput(where string, v Value, fs *faults) {
	f, ok := v.Fields()
	if !ok {
		fs.add(Fault{Property: where, Text: fmt.Sprintf("it is %s and must be an object", v.Describe())})
		return
	}
	in := &input{name: text(f, "name"), kinds: Anything()}
	if in.name == "" {
		fs.add(Fault{Property: where, Text: `it has no "name"`})
		return
	}
	if d.input(in.name) != nil {
		fs.add(Fault{Property: where, Text: fmt.Sprintf("two inputs are called %q", in.name)})
		return
	}
	switch typ := text(f, "type"); typ {
	case "WorkflowImage", "InferenceImage":
		in.class, in.kinds = imageInput, []Kind{ImageKind}
	case "WorkflowVideoMetadata":
		in.class, in.kinds = metadataInput, []Kind{VideoMetadata}
	case "WorkflowParameter", "InferenceParameter":
		in.class = parameterInput
		in.def, in.hasDef = f.Get("default_value")
		in.hasDef = in.hasDef && !in.def.IsNull()
	case "WorkflowBatchInput":
		in.class = batchInput
		if dims, ok := f.Get("dimensionality"); ok {
			if n, isInt := dims.Int(); !isInt || n != 1 {
				fs.add(Fault{Property: where, Text: fmt.Sprintf("batch input %q has dimensionality %s", in.name, dims.Describe()), Hint: "one frame at a time is processed, so 1 is what can be given"})
			}
		}
	default:
		fs.add(Fault{Property: where, Text: fmt.Sprintf("input %q has the unknown type %q", in.name, typ), Hint: "WorkflowImage, WorkflowVideoMetadata, WorkflowParameter or WorkflowBatchInput"})
		return
	}
	in.readKinds(f)
	d.inputs = append(d.inputs, in)
}

// readKinds reads the kinds that a parameter is declared to have: names, or
// objects with a name.
func (in *input) readKinds(f *Fields) {
	if in.class != parameterInput && in.class != batchInput {
		return
	}
	v, _ := f.Get("kind")
	items, _ := v.Items()
	var kinds []Kind
	for _, item := range items {
		if s, ok := item.Str(); ok {
			kinds = append(kinds, Kind(s))
		} else if o, ok := item.Fields(); ok {
			kinds = append(kinds, Kind(text(o, "name")))
		}
	}
	if len(kinds) > 0 {
		in.kinds = kinds
	}
}

func (d *document) readStep(i int, v Value, lib *Library, fs *faults) {
	f, ok := v.Fields()
	if !ok {
		fs.add(Fault{Property: fmt.Sprintf("steps[%d]", i), Text: fmt.Sprintf("it is %s and must be an object", v.Describe())})
		return
	}
	s := &step{name: text(f, "name"), typ: text(f, "type"), fields: f, index: i}
	switch {
	case s.name == "":
		fs.add(Fault{Property: fmt.Sprintf("steps[%d]", i), Text: `it has no "name"`})
		return
	case strings.Contains(s.name, "."):
		fs.add(Fault{Step: s.name, Text: "its name contains a dot", Hint: "selectors could not refer to it"})
		return
	case d.step(s.name) != nil:
		fs.add(Fault{Step: s.name, Text: "two steps have this name", Hint: "selectors could not tell them apart: rename one"})
		return
	case s.typ == "":
		fs.add(Fault{Step: s.name, Text: `it has no "type"`, Hint: `for example "roboflow_core/detections_filter@v1"`})
	default:
		if s.m, ok = lib.Find(s.typ); !ok {
			fault := Fault{Step: s.name, Type: s.typ, Text: "there is no such block here", Hint: "perch workflow blocks lists those there are"}
			if near := lib.Nearest(s.typ); near != "" {
				fault.Hint = "the nearest is " + near + "; " + fault.Hint
			}
			fs.add(fault)
		}
	}
	d.steps = append(d.steps, s)
}

func (d *document) readOutput(where string, v Value, fs *faults) {
	f, ok := v.Fields()
	if !ok {
		fs.add(Fault{Property: where, Text: fmt.Sprintf("it is %s and must be an object", v.Describe())})
		return
	}
	o := &output{name: text(f, "name")}
	if o.name == "" {
		fs.add(Fault{Property: where, Text: `it has no "name"`})
		return
	}
	for _, other := range d.outputs {
		if other.name == o.name {
			fs.add(Fault{Property: where, Text: fmt.Sprintf("two outputs are called %q", o.name)})
			return
		}
	}
	sel := text(f, "selector")
	if o.sel, ok = parseSelector(sel); !ok || o.sel.step != "" && o.sel.port == "" {
		fs.add(Fault{Property: where, Text: fmt.Sprintf("output %q selects %q", o.name, sel), Hint: "write $steps.<step>.<output> or $inputs.<name>"})
		return
	}
	switch c := text(f, "coordinates_system"); c {
	case "", "parent":
	case "own":
		o.own = true
	default:
		fs.add(Fault{Property: where, Text: fmt.Sprintf("output %q has the coordinates_system %q", o.name, c), Hint: `"parent" or "own"`})
	}
	d.outputs = append(d.outputs, o)
}

func (d *document) input(name string) *input {
	for _, in := range d.inputs {
		if in.name == name {
			return in
		}
	}
	return nil
}

func (d *document) step(name string) *step {
	for _, s := range d.steps {
		if s.name == name {
			return s
		}
	}
	return nil
}
