package workflow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks"
	"perch/pipeline/workflow/workflowtest"
)

// repeat joins what item says of 0 to n-1.
func repeat(n int, item func(i int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = item(i)
	}
	return strings.Join(all, ",")
}

// document is a specification of these lists.
func document(inputs, steps, outputs string) string {
	return `{"version": "1.0", "inputs": [` + inputs + `], "steps": [` + steps + `], "outputs": [` + outputs + `]}`
}

// faultsOf are those of a specification.
func faultsOf(t *testing.T, text string) []workflow.Fault {
	t.Helper()
	_, err := workflow.Compile([]byte(text), workflow.NewLibrary(blocks.All(), testBlocks(), []*workflow.Manifest{forms()}), nil)
	var s *workflow.SpecError
	if !errors.As(err, &s) {
		t.Fatalf("got %.300v", err)
	}
	return s.Faults
}

// forms is a block with a field of each form that holds several things.
func forms() *workflow.Manifest {
	return &workflow.Manifest{
		Type: "test/forms@v1", Flow: true,
		Fields: []workflow.Field{
			{Name: "next_steps", Form: workflow.Steps}, {Name: "cases", Form: workflow.Cases},
			{Name: "values", Form: workflow.Many, Kinds: workflow.Anything()}, {Name: "named", Form: workflow.Named, Kinds: workflow.Anything()},
		},
		New: func(*workflow.Params) (workflow.Block, error) { return nothing{}, nil },
	}
}

// Names that almost fit are compared with those there are, which must not take
// hours: a hint is made for what is said only, and looks at so many names only.
// Without these bounds the documents here take minutes each.
func TestManyMistakesAreFoundInNoTime(t *testing.T) {
	const n = 5000
	name := func(i int) string { return strings.Repeat("abcdef", 19) + fmt.Sprintf("%06d", i) } // 120 letters
	steps := repeat(workflow.MaxSteps-10, func(i int) string {
		return fmt.Sprintf(`{"type": "test/model@v1", "name": %q, "image": "$inputs.image"}`, name(i))
	})
	wrong := func(i int) string { return "z" + name(i)[1:] + "zz" }
	gates := func(field, open, end, form string) string {
		return "," + repeat(n/1000, func(k int) string {
			entries := repeat(1000, func(i int) string { return fmt.Sprintf(form, wrong(1000*k+i)) })
			return fmt.Sprintf(`{"type": "test/forms@v1", "name": "g%d", %q: %s%s%s}`, k, field, open, entries, end)
		})
	}
	outputs := repeat(workflow.MaxEntries, func(i int) string {
		return fmt.Sprintf(`{"type": "JsonField", "name": "o%d", "selector": "$steps.%s.predictions"}`, i, wrong(i))
	})
	inputs := image + "," + repeat(workflow.MaxEntries-10, func(i int) string { return fmt.Sprintf(`{"type": "WorkflowParameter", "name": %q}`, name(i)) })
	for what, c := range map[string]string{
		"next steps": document(image, steps+gates("next_steps", "[", "]", `"$steps.%s"`), ""),
		"values":     document(image, steps+gates("values", "[", "]", `"$steps.%s.x"`), ""),
		"outputs":    document(image, steps, outputs),
		"inputs":     document(inputs, strings.TrimPrefix(gates("values", "[", "]", `"$inputs.%s"`), ","), ""),
	} {
		t.Run(what, func(t *testing.T) {
			found := faultsOf(t, c)
			if len(found) != 100 {
				t.Fatalf("%d faults", len(found))
			}
			for _, f := range found {
				if !strings.Contains(f.Text, "there is no ") {
					t.Fatal(f)
				}
			}
		})
	}
}

func TestWhatIsTooManyIsRefused(t *testing.T) {
	long := strings.Repeat("n", 1001)
	all := func(form string) string {
		return repeat(workflow.MaxEntries+1, func(i int) string { return fmt.Sprintf(form, i) })
	}
	step := func(field, open, form, end string) string {
		return document(image, fmt.Sprintf(`{"type": "test/forms@v1", "name": "f", %q: %s%s%s}`, field, open, all(form), end), "")
	}
	const most = " (at most 1000 are taken)"
	for what, c := range map[string]struct{ text, want string }{
		"inputs":      {document(all(`{"type": "WorkflowParameter", "name": "p%d"}`), "", ""), "inputs: there are 1001 inputs" + most},
		"outputs":     {document(image, "", all(`{"name": "o%d", "selector": "$inputs.image"}`)), "outputs: there are 1001 outputs" + most},
		"next steps":  {step("next_steps", "[", `"$steps.s%d"`, "]"), `step "f" (test/forms@v1), property "next_steps": it has 1001 entries` + most},
		"cases":       {step("cases", "{", `"c%d": "$steps.f"`, "}"), `step "f" (test/forms@v1), property "cases": it has 1001 entries` + most},
		"values":      {step("values", "[", `"$inputs.p%d"`, "]"), `step "f" (test/forms@v1), property "values": it has 1001 entries` + most},
		"named":       {step("named", "{", `"n%d": "$inputs.image"`, "}"), `step "f" (test/forms@v1), property "named": it has 1001 entries` + most},
		"kinds":       {document(`{"type": "WorkflowParameter", "name": "p", "kind": [`+all(`"k%d"`)+`]}`, "", ""), `inputs[0]: input "p" has more than 100 kinds, or one whose name is longer than 1000 bytes`},
		"kind":        {document(`{"type": "WorkflowParameter", "name": "p", "kind": ["`+long+`"]}`, "", ""), `inputs[0]: input "p" has more than 100 kinds, or one whose name is longer than 1000 bytes`},
		"input name":  {document(`{"type": "WorkflowParameter", "name": "`+long+`"}`, "", ""), "inputs[0]: its name is 1001 bytes long" + most},
		"step name":   {document("", `{"type": "test/forms@v1", "name": "`+long+`"}`, ""), "steps[0]: its name is 1001 bytes long" + most},
		"output name": {document(image, "", `{"name": "`+long+`", "selector": "$inputs.image"}`), "outputs[0]: its name is 1001 bytes long" + most},
		"key":         {document(image, `{"type": "test/forms@v1", "name": "f", "named": {"`+long+`": "$inputs.image"}}`, ""), `step "f" (test/forms@v1), property "named": one of its keys is 1001 bytes long` + most},
	} {
		t.Run(what, func(t *testing.T) {
			if found := faultsOf(t, c.text); len(found) != 1 || found[0].String() != c.want {
				t.Errorf("got %.300v, want %s", found, c.want)
			}
		})
	}
}

// What is made of one frame is bounded in number and in bytes, and the frame
// after it is another one.
func TestWhatIsMadeOfAFrameIsBounded(t *testing.T) {
	cut := func(name, image string, n int) string {
		return fmt.Sprintf(`{"type": "test/cropper@v1", "name": %q, "image": %q, "n": %d}`, name, image, n)
	}
	// 508 times a text that is held once, but counted each time.
	const texts = `{"type": "FirstNonEmptyOrDefault", "name": "texts", "data": ["$inputs.text", "$steps.a.index"]}`
	text := map[string]workflow.Value{"text": workflow.StringOf(strings.Repeat("x", 1<<20))}
	for what, c := range map[string]struct {
		steps []string
		want  string
	}{
		"as many as there may be": {[]string{cut("a", "$inputs.image", 100), cut("b", "$steps.a.crops", 100)}, ""},
		"slices of slices": {[]string{`{"type": "roboflow_core/image_slicer@v1", "name": "a", "image": "$inputs.image", "slice_width": 40, "slice_height": 40}`,
			`{"type": "roboflow_core/image_slicer@v1", "name": "b", "image": "$steps.a.slices", "slice_width": 1, "slice_height": 1}`}, `step "b" (roboflow_core/image_slicer@v1): it makes more than 10000 crops of one frame`},
		"crops of crops":     {[]string{cut("a", "$inputs.image", 101), cut("b", "$steps.a.crops", 100)}, `step "b" (test/cropper@v1): it makes more than 10000 crops of one frame`},
		"less than too much": {[]string{cut("a", "$inputs.image", 508), texts}, ""},
		"too many texts":     {[]string{cut("a", "$inputs.image", 513), texts}, `step "texts" (roboflow_core/first_non_empty_or_default@v1): images and values of one frame take more than 512 MB`},
		"a picture too many": {[]string{cut("a", "$inputs.image", 508), texts, `{"type": "test/painter@v1", "name": "draw", "image": "$inputs.image"}`}, `step "draw" (test/painter@v1): images and values`},
	} {
		t.Run(what, func(t *testing.T) {
			h := harness(t, document(image+`, {"type": "WorkflowParameter", "name": "text"}`, strings.Join(c.steps, ","), ""), workflow.Options{Parameters: text}, painter())
			for range 2 {
				_, err := h.Try(workflowtest.Picture(2560, 1440, 9))
				if err == nil != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Fatalf("got %v, want %q", err, c.want)
				}
			}
		})
	}
}

// A small document that gives the same long list twenty times has results of a
// bounded size, which say what is missing.
func TestWhatIsWrittenOfAFrameIsBounded(t *testing.T) {
	var outs []string
	for i := range 20 {
		outs = append(outs, fmt.Sprintf(`{"type": "JsonField", "name": "o%d", "selector": "$inputs.texts"}`, i))
	}
	texts := map[string]workflow.Value{"texts": workflow.ListOf([]workflow.Value{workflow.StringOf(strings.Repeat("x", 1<<20)), workflow.StringOf("end")})}
	h := harness(t, document(image+`, {"type": "WorkflowParameter", "name": "texts"}`, "", strings.Join(outs, ",")), workflow.Options{Parameters: texts})
	r := h.Frame(workflowtest.Picture(64, 48, 1))
	data, err := r.Outputs.(pipeline.DataKeeper).AppendData(nil)
	if err != nil {
		t.Fatal(err)
	}
	var kept map[string]any
	if err := json.Unmarshal(data, &kept); err != nil || len(kept) != 20 || len(data) > 17<<20 {
		t.Errorf("%d bytes of %d outputs: %v", len(data), len(kept), err)
	}
	if list, ok := kept["o0"].([]any); !ok || len(list) != 2 {
		t.Errorf("the first is not whole: %.100v", kept["o0"])
	}
	if fault := fmt.Sprint(kept["o19"]); !strings.Contains(fault, "__serialization_error__:as JSON it is longer than there may be of one frame: 16 MB") {
		t.Errorf("the last is %.200s", fault)
	}
	enc := workflow.Encoder{Limit: 1000}
	if _, err := enc.Append(make([]byte, 900), workflow.ListOf([]workflow.Value{workflow.StringOf(strings.Repeat("x", 60)), workflow.StringOf(strings.Repeat("y", 60))})); err == nil {
		t.Error("a list beyond the limit is written")
	}
	if text, err := enc.Append(nil, workflow.StringOf("x")); err != nil || string(text) != `"x"` {
		t.Errorf("%s, %v", text, err)
	}
}

func TestAHintNamesADozenInShort(t *testing.T) {
	var keys []string
	for range 20 {
		keys = append(keys, strings.Repeat("k", 1<<16))
	}
	if got := workflow.Suggest("keys", "q", keys); len(got) > 2000 || !strings.HasSuffix(got, ", …") || strings.Count(got, ", ") != 12 {
		t.Errorf("%d bytes: %.300s", len(got), got)
	}
}
