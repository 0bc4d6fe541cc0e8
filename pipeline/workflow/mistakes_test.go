package workflow_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks"
	"perch/pipeline/workflow/workflowtest"
)

// untracked is a block whose detections carry no track ids.
func untracked() *workflow.Manifest {
	m := workflowtest.Detections()
	m.Type = "test/model@v1"
	m.Outputs = []workflow.Output{{Name: "predictions", Kinds: []workflow.Kind{workflow.ObjectDetections}}}
	return m
}

// follower is a block that needs tracked detections.
func follower() *workflow.Manifest {
	return &workflow.Manifest{
		Type: "test/follower@v1",
		Fields: []workflow.Field{
			{Name: "detections", Required: true, Kinds: workflow.AnyDetections(), Tracked: true},
			{Name: "size", Literal: workflow.IntegerLiteral, Kinds: workflow.Numbers(), Min: 1, Max: 9, Default: workflow.IntOf(3)},
			{Name: "mode", Literal: workflow.EnumLiteral, Enum: []string{"fast", "slow"}, Default: workflow.StringOf("fast")},
		},
		Outputs: []workflow.Output{{Name: "detections", Like: "detections"}},
		New:     func(*workflow.Params) (workflow.Block, error) { return nothing{}, nil },
	}
}

type nothing struct{}

func (nothing) Run(*workflow.Call) error { return nil }

// cropper makes a list of its image.
func cropper() *workflow.Manifest {
	return &workflow.Manifest{
		Type:   "test/cropper@v1",
		Fields: []workflow.Field{{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}}, {Name: "n", Literal: workflow.IntegerLiteral, Kinds: workflow.Anything(), Default: workflow.IntOf(2)}},
		Outputs: []workflow.Output{
			{Name: "crops", Kinds: []workflow.Kind{workflow.ImageKind}}, {Name: "index", Kinds: []workflow.Kind{workflow.IntegerKind}},
		},
		Delta: 1,
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &cropBlock{p.In("image"), p.In("n")}, nil
		},
	}
}

type cropBlock struct{ image, n workflow.In }

func (b *cropBlock) Run(c *workflow.Call) error {
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	n, err := c.Int(b.n)
	for i := range n {
		if err := c.Add(workflow.ImageOf(img), workflow.IntOf(int64(10*c.Index()+i))); err != nil {
			return err
		}
	}
	return err
}

// gather makes one value of a list.
func gather() *workflow.Manifest {
	return &workflow.Manifest{
		Type:    "test/gather@v1",
		Fields:  []workflow.Field{{Name: "data", Required: true, Kinds: workflow.Anything()}},
		Outputs: []workflow.Output{{Name: "list", Kinds: []workflow.Kind{workflow.ListKind}}},
		Delta:   -1,
		New: func(p *workflow.Params) (workflow.Block, error) {
			return gatherBlock{p.In("data")}, nil
		},
	}
}

type gatherBlock struct{ data workflow.In }

func (b gatherBlock) Run(c *workflow.Call) error {
	c.Set(0, c.Value(b.data))
	return nil
}

// pass lets its next steps run for values above a limit.
func pass() *workflow.Manifest {
	return &workflow.Manifest{
		Type: "test/pass@v1", Flow: true,
		Fields: []workflow.Field{
			{Name: "value", Required: true, Kinds: workflow.Anything()}, {Name: "above", Literal: workflow.NumberLiteral},
			{Name: "next_steps", Required: true, Form: workflow.Steps},
		},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return passBlock{p.In("value"), p.In("above"), p.Targets("next_steps")}, nil
		},
	}
}

type passBlock struct {
	value, above workflow.In
	next         []workflow.Target
}

func (b passBlock) Run(c *workflow.Call) error {
	v, err := c.Float(b.value)
	if err != nil {
		return err
	}
	if limit, _ := c.Value(b.above).Float(); v > limit {
		for _, t := range b.next {
			c.Allow(t)
		}
	}
	return nil
}

// echo hands its input on, or says "empty" when there is none.
func echo(acceptsEmpty bool) *workflow.Manifest {
	name := "test/echo@v1"
	if acceptsEmpty {
		name = "test/or_empty@v1"
	}
	return &workflow.Manifest{
		Type: name, AcceptsEmpty: acceptsEmpty,
		Fields:  []workflow.Field{{Name: "value", Required: true, Kinds: workflow.Anything()}},
		Outputs: []workflow.Output{{Name: "value", Like: "value"}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return echoBlock{p.In("value")}, nil
		},
	}
}

type echoBlock struct{ value workflow.In }

func (b echoBlock) Run(c *workflow.Call) error {
	v := c.Value(b.value)
	if v.IsNull() {
		v = workflow.StringOf("empty")
	}
	c.Set(0, v)
	return nil
}

func testBlocks() []*workflow.Manifest {
	return []*workflow.Manifest{untracked(), follower(), cropper(), gather(), pass(), echo(false), echo(true)}
}

func library() *workflow.Library { return workflow.NewLibrary(blocks.All(), testBlocks()) }

const image = `{"type": "WorkflowImage", "name": "image"}`

// spec makes a document of one image input and the given steps.
func spec(steps ...string) string {
	return fmt.Sprintf(`{"version": "1.0", "inputs": [%s], "steps": [%s], "outputs": []}`, image, strings.Join(steps, ","))
}

func TestMistakesAreExplained(t *testing.T) {
	crop := `{"type": "AbsoluteStaticCrop", "name": "crop", "images": "$inputs.image", "x_center": 1, "y_center": 2, "width": 3, "height": 4}`
	model := `{"type": "test/model@v1", "name": "model", "image": "$inputs.image"}`
	for name, c := range map[string]struct {
		spec string
		want []string // each a whole line of what is said
	}{
		"not JSON":       {"{\n\"version\": oops}", []string{"the document cannot be read: line 2: invalid character 'o' looking for beginning of value"}},
		"cut off":        {`{"version": "1.0", "inputs": [`, []string{"the document cannot be read: line 1: it ends in the middle"}},
		"two documents":  {spec() + "{}", []string{"the document cannot be read: line 1: something follows after the end of the value"}},
		"a list":         {"[]", []string{`the document is a list of 0 (it must be an object with "version", "inputs", "steps" and "outputs")`}},
		"nothing in it":  {"{}", []string{`version: it is null and must be a string (for example "1.0")`, "inputs: it is missing (it must be a list, which may be empty)", "steps: it is missing (it must be a list, which may be empty)", "outputs: it is missing (it must be a list, which may be empty)"}},
		"newer engine":   {strings.Replace(spec(), "1.0", "1.99.0", 1), []string{"version: the workflow asks for version 1.99.0 of the execution engine; this one is 1.15.0 (update Perch, or lower the version if the blocks allow it)"}},
		"next language":  {strings.Replace(spec(), "1.0", "2.0", 1), []string{"version: the workflow was written for version 2.0 of the execution engine; this one understands 1.x"}},
		"no version":     {strings.Replace(spec(), "1.0", "one", 1), []string{`version: "one" is no version (for example "1.0")`}},
		"unknown block":  {spec(`{"type": "roboflow_core/absolute_static_crop@v9", "name": "a"}`), []string{`step "a" (roboflow_core/absolute_static_crop@v9): there is no such block here (the nearest is roboflow_core/absolute_static_crop@v1; perch workflow blocks lists those there are)`}},
		"nothing near":   {spec(`{"type": "acme/teleport", "name": "a"}`), []string{`step "a" (acme/teleport): there is no such block here (perch workflow blocks lists those there are)`}},
		"no name":        {spec(`{"type": "AbsoluteStaticCrop"}`), []string{`steps[0]: it has no "name"`}},
		"no type":        {spec(`{"name": "a"}`), []string{`step "a": it has no "type" (for example "roboflow_core/detections_filter@v1")`}},
		"dot in name":    {spec(`{"type": "AbsoluteStaticCrop", "name": "a.b"}`), []string{`step "a.b": its name contains a dot (selectors could not refer to it)`}},
		"twice":          {spec(model, model), []string{`step "model": two steps have this name (selectors could not tell them apart: rename one)`}},
		"missing field":  {spec(`{"type": "test/model@v1", "name": "m"}`), []string{`step "m" (test/model@v1), property "image": it is missing (it takes a selector of image)`}},
		"no such input":  {spec(strings.Replace(model, "$inputs.image", "$inputs.imge", 1)), []string{`step "model" (test/model@v1), property "image": $inputs.imge: there is no input "imge" (did you mean "image"?)`}},
		"no such step":   {spec(model, `{"type": "test/echo@v1", "name": "e", "value": "$steps.modell.predictions"}`), []string{`step "e" (test/echo@v1), property "value": $steps.modell.predictions: there is no step "modell" (did you mean "model"?)`}},
		"no such output": {spec(model, `{"type": "test/echo@v1", "name": "e", "value": "$steps.model.boxes"}`), []string{`step "e" (test/echo@v1), property "value": $steps.model.boxes: step "model" (test/model@v1) has no output "boxes" (the outputs are predictions)`}},
		"a step as value": {spec(model, `{"type": "test/echo@v1", "name": "e", "value": "$steps.model"}`),
			[]string{`step "e" (test/echo@v1), property "value": $steps.model is a step and one of its outputs is needed ($steps.model.<output>)`}},
		"all as value": {spec(model, `{"type": "test/echo@v1", "name": "e", "value": "$steps.model.*"}`),
			[]string{`step "e" (test/echo@v1), property "value": $steps.model.* means all outputs of a step, which only the workflow's outputs can have (name one)`}},
		"value as step": {spec(model, `{"type": "test/pass@v1", "name": "p", "value": 1, "next_steps": ["$steps.model.predictions"]}`),
			[]string{`step "p" (test/pass@v1), property "value": 1 is written there and a selector is needed (it takes a selector of *)`, `step "p" (test/pass@v1), property "next_steps[0]": $steps.model.predictions is a value and a step is needed (for example $steps.counter)`}},
		"wrong kind": {spec(model, `{"type": "AbsoluteStaticCrop", "name": "c", "images": "$steps.model.predictions", "x_center": 1, "y_center": 2, "width": 3, "height": 4}`),
			[]string{`step "c" (AbsoluteStaticCrop), property "images": $steps.model.predictions is object_detection_prediction (it takes a selector of image)`}},
		"literal": {spec(`{"type": "AbsoluteStaticCrop", "name": "c", "images": "$inputs.image", "x_center": "left", "y_center": 2.5, "width": 0, "height": 4}`),
			[]string{
				`step "c" (AbsoluteStaticCrop), property "x_center": it is "left" (it takes a whole number or a selector of float, integer, float_zero_to_one)`,
				`step "c" (AbsoluteStaticCrop), property "y_center": it is 2.5 (it takes a whole number or a selector of float, integer, float_zero_to_one)`,
				`step "c" (AbsoluteStaticCrop), property "width": it is 0, out of range (it takes a whole number above 0 or a selector of float, integer, float_zero_to_one)`,
			}},
		"range and word": {spec(model, `{"type": "roboflow_core/delta_filter@v1", "name": "t", "image": "$inputs.image", "value": "$steps.model.predictions", "next_steps": ["$steps.f"]}`, `{"type": "test/follower@v1", "name": "f", "detections": "$steps.model.predictions", "size": 10, "mode": "quick"}`),
			[]string{
				`step "f" (test/follower@v1), property "size": it is 10, out of range (it takes a whole number from 1 to 9 or a selector of float, integer, float_zero_to_one)`,
				`step "f" (test/follower@v1), property "mode": it is "quick" (it takes one of fast, slow)`,
				`step "f" (test/follower@v1), property "detections": the detections of $steps.model.predictions carry no track ids, and this block follows objects from frame to frame (put a roboflow_core/byte_tracker@v3 step between and select its tracked_detections)`,
			}},
		"a circle": {spec(`{"type": "test/echo@v1", "name": "a", "value": "$steps.c.value"}`, `{"type": "test/echo@v1", "name": "b", "value": "$steps.a.value"}`, `{"type": "test/echo@v1", "name": "c", "value": "$steps.b.value"}`),
			[]string{`step "a" (test/echo@v1): the steps go round in a circle: a → c → b → a (each step must only use what comes before it)`}},
		"itself": {spec(`{"type": "test/echo@v1", "name": "a", "value": "$steps.a.value"}`),
			[]string{`step "a" (test/echo@v1): the steps go round in a circle: a → a (each step must only use what comes before it)`}},
		"two lists": {spec(`{"type": "test/cropper@v1", "name": "a", "image": "$inputs.image"}`, `{"type": "test/cropper@v1", "name": "b", "image": "$inputs.image"}`, `{"type": "AbsoluteStaticCrop", "name": "c", "images": "$steps.a.crops", "x_center": "$steps.b.index", "y_center": 2, "width": 3, "height": 4}`),
			[]string{`step "c" (AbsoluteStaticCrop), property "x_center": $steps.b.index is a list made by step "b", and another input is a list made by step "a" (the elements of two lists do not belong together: use inputs that come from the same one)`}},
		"nothing to gather": {spec(model, `{"type": "test/gather@v1", "name": "g", "data": "$steps.model.predictions"}`),
			[]string{`step "g" (test/gather@v1): it gathers a list into one value, and its input is no list (use the value itself, or put a crop before it)`}},
		"decides too late": {spec(crop, `{"type": "test/cropper@v1", "name": "a", "image": "$inputs.image"}`, `{"type": "test/pass@v1", "name": "p", "value": "$steps.a.index", "next_steps": ["$steps.crop"]}`),
			[]string{`step "p" (test/pass@v1), property "next_steps": it decides for each element of the list made by "a", and step "crop" runs once a frame (gather the list first, or let it lead to a step that works on the elements)`}},
		"input types": {`{"version": "1", "inputs": [{"type": "Image", "name": "a"}, {"type": "WorkflowImage"}, {"type": "WorkflowImage", "name": "b"}, {"type": "WorkflowImage", "name": "b"}, {"type": "WorkflowBatchInput", "name": "c", "dimensionality": 2}, 5], "steps": [], "outputs": []}`,
			[]string{
				`inputs[0]: input "a" has the unknown type "Image" (WorkflowImage, WorkflowVideoMetadata, WorkflowParameter or WorkflowBatchInput)`,
				`inputs[1]: it has no "name"`, `inputs[3]: two inputs are called "b"`,
				`inputs[4]: batch input "c" has dimensionality 2 (one frame at a time is processed, so 1 is what can be given)`,
				`inputs[5]: it is 5 and must be an object`,
			}},
		"outputs": {`{"version": "1.0", "inputs": [` + image + `], "steps": [` + model + `], "outputs": [{"name": "a"}, {"name": "b", "selector": "$steps.model.x"}, {"name": "b", "selector": "$inputs.image"}, {"name": "c", "selector": "$steps.m.x"}, {"name": "d", "selector": "$inputs.x"}, {"selector": "$inputs.image"}, {"name": "e", "selector": "$inputs.image", "coordinates_system": "mine"}]}`,
			[]string{
				`outputs[0]: output "a" selects "" (write $steps.<step>.<output> or $inputs.<name>)`, `outputs[2]: two outputs are called "b"`, `outputs[5]: it has no "name"`,
				`outputs[6]: output "e" has the coordinates_system "mine" ("parent" or "own")`, `output "b": $steps.model.x: step "model" (test/model@v1) has no output "x" (the outputs are predictions)`,
				`output "c": $steps.m.x: there is no step "m" (the steps are model)`, `output "d": $inputs.x: there is no input "x" (the inputs are image)`,
			}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := workflow.Compile([]byte(c.spec), library(), nil)
			var s *workflow.SpecError
			if !errors.As(err, &s) {
				t.Fatalf("got %v", err)
			}
			var got []string
			for _, f := range s.Faults {
				got = append(got, f.String())
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("said\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(c.want, "\n\t"))
			}
		})
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	var steps []string
	for i := range workflow.MaxSteps + 1 {
		steps = append(steps, fmt.Sprintf(`{"type": "test/model@v1", "name": "m%d", "image": "$inputs.image"}`, i))
	}
	for name, c := range map[string]struct{ spec, want string }{
		"steps": {spec(steps...), "steps: there are 1001 steps (at most 1000 are taken)"},
		"bytes": {spec(`{"type": "` + strings.Repeat("x", 10<<20) + `"}`), "at most 4194304 are read"},
		"depth": {strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "nested deeper than 100 levels"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := workflow.Compile([]byte(c.spec), library(), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 500 {
				t.Errorf("got %.600v, want %q in it", err, c.want)
			}
		})
	}
}

func TestALongChainCompiles(t *testing.T) {
	steps := []string{`{"type": "test/model@v1", "name": "s0", "image": "$inputs.image"}`}
	for i := 1; i < workflow.MaxSteps; i++ {
		steps = append([]string{fmt.Sprintf(`{"type": "test/echo@v1", "name": "s%d", "value": "$steps.s%d.%s"}`, i, i-1, map[bool]string{true: "predictions", false: "value"}[i == 1])}, steps...)
	}
	if _, err := workflow.Compile([]byte(spec(steps...)), library(), nil); err != nil {
		t.Fatal(err)
	}
}

func TestParametersAreCheckedTogether(t *testing.T) {
	const text = `{"version": "1.0", "inputs": [{"type": "WorkflowImage", "name": "image"}, {"type": "WorkflowParameter", "name": "x"}, {"type": "WorkflowParameter", "name": "width"},
		{"type": "WorkflowParameter", "name": "unused"}, {"type": "WorkflowParameter", "name": "height", "default_value": 4}],
	"steps": [{"type": "AbsoluteStaticCrop", "name": "crop", "images": "$inputs.image", "x_center": "$inputs.x", "y_center": 2, "width": "$inputs.width", "height": "$inputs.height"}], "outputs": []}`
	g, err := workflow.Compile([]byte(text), library(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		opt  workflow.Options
		want string
	}{
		"none":        {workflow.Options{}, "2 things are wrong"},
		"one missing": {workflow.Options{Parameters: map[string]workflow.Value{"x": workflow.IntOf(1)}}, `parameter "width": the workflow needs it, and it has no default`},
		"wrong type":  {workflow.Options{Parameters: map[string]workflow.Value{"x": workflow.IntOf(1), "width": workflow.StringOf("wide")}}, `property "width": parameter "width": it is "wide"`},
		"wrong image": {workflow.Options{ImageInput: "picture"}, `the image input "picture", which there is not`},
		"good":        {workflow.Options{Parameters: map[string]workflow.Value{"x": workflow.IntOf(1), "width": workflow.IntOf(2)}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := g.Bind(nil, c.opt)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := e.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
	// Before there is a run what is missing may still come.
	for name, c := range map[string]struct {
		values map[string]workflow.Value
		want   []string
	}{
		"none":          {nil, nil},
		"good":          {map[string]workflow.Value{"width": workflow.IntOf(2), "unused": workflow.StringOf("x")}, nil},
		"null":          {map[string]workflow.Value{"width": {}}, nil},
		"wrong type":    {map[string]workflow.Value{"width": workflow.StringOf("wide")}, []string{`property "width": parameter "width": it is "wide"`}},
		"unknown":       {map[string]workflow.Value{"hight": workflow.IntOf(1)}, []string{`parameter "hight": the workflow has none of that name (did you mean "height"?)`}},
		"two":           {map[string]workflow.Value{"a": {}, "x": workflow.BoolOf(true)}, []string{"2 things are wrong", `parameter "a"`, `property "x_center"`}},
		"not parameter": {map[string]workflow.Value{"image": workflow.IntOf(1)}, []string{`parameter "image": the workflow has none`}},
	} {
		t.Run("values/"+name, func(t *testing.T) {
			err := g.CheckParameters(c.values)
			if err == nil != (c.want == nil) {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

func TestTheNearestBlockIsItsNewestVersion(t *testing.T) {
	versions := func(types ...string) (all []*workflow.Manifest) {
		for _, typ := range types {
			all = append(all, &workflow.Manifest{Type: typ})
		}
		return all
	}
	lib := workflow.NewLibrary(versions("core/tracker@v9", "core/tracker@v10", "core/tracker@v2", "core/crop@v1", "buffer@v1"))
	for name, want := range map[string]string{
		"core/tracker@v11": "core/tracker@v10", "tracker": "core/tracker@v10", "other/traker@v1": "core/tracker@v10", "Crops": "core/crop@v1", "core/sam@v1": "", "": "",
	} {
		if got := lib.Nearest(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(spec())
	f.Add(spec(`{"type": "test/cropper@v1", "name": "a", "image": "$inputs.image"}`, `{"type": "test/gather@v1", "name": "g", "data": "$steps.a.index"}`))
	f.Add(spec(`{"type": "test/model@v1", "name": "m", "image": "$inputs.image"}`, `{"type": "test/pass@v1", "name": "p", "value": "$steps.m.predictions", "next_steps": "$steps.f"}`, `{"type": "test/follower@v1", "name": "f", "detections": "$steps.m.predictions"}`))
	f.Fuzz(func(t *testing.T, text string) {
		lib := workflow.NewLibrary(blocks.All(), testBlocks())
		g, err := workflow.Compile([]byte(text), lib, nil)
		if err != nil {
			return
		}
		e, err := g.Bind(nil, workflow.Options{})
		if err != nil {
			return
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
