package workflow

import (
	"fmt"
	"slices"
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

	// The same by their names.
	inputNamed  map[string]*input
	stepNamed   map[string]*step
	outputNamed map[string]*output
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

// isParameter reports whether its value comes with a run and not with a frame.
func (in *input) isParameter() bool { return in.class == parameterInput || in.class == batchInput }

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
	d := &document{inputNamed: map[string]*input{}, stepNamed: map[string]*step{}, outputNamed: map[string]*output{}}
	d.readVersion(f, fs)
	inputs, ok1 := listOf(f, "inputs", MaxEntries, fs)
	steps, ok2 := listOf(f, "steps", MaxSteps, fs)
	outputs, ok3 := listOf(f, "outputs", MaxEntries, fs)
	if !ok1 || !ok2 || !ok3 {
		return nil
	}
	for i, v := range inputs {
		d.readInput(fmt.Sprintf("inputs[%d]", i), v, fs)
	}
	for i, v := range steps {
		d.readStep(i, v, lib, fs)
	}
	for i, v := range outputs {
		d.readOutput(fmt.Sprintf("outputs[%d]", i), v, fs)
	}
	return d
}

// listOf reads a list of the document. It reports false for one that is so long
// that nothing in it is looked at.
func listOf(f *Fields, key string, most int, fs *faults) ([]Value, bool) {
	v, ok := f.Get(key)
	items, isList := v.Items()
	switch {
	case !ok:
		fs.add(Fault{Property: key, Text: "it is missing", Hint: "it must be a list, which may be empty"})
	case !isList:
		fs.add(Fault{Property: key, Text: fmt.Sprintf("it is %s and must be a list", v.Describe())})
	case len(items) > most:
		fs.add(Fault{Property: key, Text: fmt.Sprintf("there are %d %s", len(items), key), Hint: fmt.Sprintf("at most %d are taken", most)})
		return nil, false
	}
	return items, true
}

// nameOf reads the name of an input, a step or an output. It reports false for
// one that will not do.
func nameOf(f *Fields, where string, fs *faults) (string, bool) {
	name := text(f, "name")
	switch {
	case name == "":
		fs.add(Fault{Property: where, Text: `it has no "name"`})
	case len(name) > maxName:
		fs.add(Fault{Property: where, Text: fmt.Sprintf("its name is %d bytes long", len(name)), Hint: fmt.Sprintf("at most %d are taken", maxName)})
	default:
		return name, true
	}
	return "", false
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
	in := &input{kinds: Anything()}
	if in.name, ok = nameOf(f, where, fs); !ok {
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
	if !in.readKinds(f) {
		fs.add(Fault{Property: where, Text: fmt.Sprintf("input %q has more than %d kinds, or one whose name is longer than %d bytes", in.name, maxKinds, maxName)})
		return
	}
	d.inputs, d.inputNamed[in.name] = append(d.inputs, in), in
}

// readKinds reads the kinds that a parameter is declared to have: names, or
// objects with a name. It reports false if they are too much.
func (in *input) readKinds(f *Fields) bool {
	if !in.isParameter() {
		return true
	}
	v, _ := f.Get("kind")
	items, _ := v.Items()
	if len(items) > maxKinds {
		return false
	}
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
	return !slices.ContainsFunc(kinds, func(k Kind) bool { return len(k) > maxName })
}

func (d *document) readStep(i int, v Value, lib *Library, fs *faults) {
	where := fmt.Sprintf("steps[%d]", i)
	f, ok := v.Fields()
	if !ok {
		fs.add(Fault{Property: where, Text: fmt.Sprintf("it is %s and must be an object", v.Describe())})
		return
	}
	s := &step{typ: text(f, "type"), fields: f, index: i}
	if s.name, ok = nameOf(f, where, fs); !ok {
		return
	}
	switch {
	case strings.Contains(s.name, "."):
		fs.add(Fault{Step: s.name, Text: "its name contains a dot", Hint: "selectors could not refer to it"})
		return
	case d.step(s.name) != nil:
		fs.add(Fault{Step: s.name, Text: "two steps have this name", Hint: "selectors could not tell them apart: rename one"})
		return
	case s.typ == "":
		fs.add(Fault{Step: s.name, Text: `it has no "type"`, Hint: `for example "roboflow_core/detections_filter@v1"`})
	default:
		if s.m, ok = lib.Find(s.typ); !ok && !fs.full() {
			fault := Fault{Step: s.name, Type: s.typ, Text: "there is no such block here", Hint: "perch workflow blocks lists those there are"}
			if near := lib.Nearest(s.typ); near != "" {
				fault.Hint = "the nearest is " + near + "; " + fault.Hint
			}
			fs.add(fault)
		}
	}
	d.steps, d.stepNamed[s.name] = append(d.steps, s), s
}

func (d *document) readOutput(where string, v Value, fs *faults) {
	f, ok := v.Fields()
	if !ok {
		fs.add(Fault{Property: where, Text: fmt.Sprintf("it is %s and must be an object", v.Describe())})
		return
	}
	o := &output{}
	if o.name, ok = nameOf(f, where, fs); !ok {
		return
	}
	if d.outputNamed[o.name] != nil {
		fs.add(Fault{Property: where, Text: fmt.Sprintf("two outputs are called %q", o.name)})
		return
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
	d.outputs, d.outputNamed[o.name] = append(d.outputs, o), o
}

func (d *document) input(name string) *input { return d.inputNamed[name] }

func (d *document) step(name string) *step { return d.stepNamed[name] }
