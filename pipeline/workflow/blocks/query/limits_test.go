package query_test

import (
	"strings"
	"testing"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
	"perch/pipeline/workflow/workflowtest"
)

func TestResultsAreBounded(t *testing.T) {
	long := workflow.StringOf(strings.Repeat("ä", 200_000))
	many := make([]workflow.Value, 60_000)
	for i := range many {
		many[i] = workflow.StringOf("0123456789abcdefg")
	}
	// Each round writes every letter as a quoted element: five times longer.
	grow := strings.TrimSuffix(strings.Repeat(`{"type": "SequenceApply", "operations": []}, {"type": "ToString"}, `, 12), ", ")
	distinct := make([]workflow.Value, 10_000)
	for i := range distinct {
		distinct[i] = workflow.IntOf(int64(i))
	}
	for _, c := range []struct {
		name string
		in   workflow.Value
		ops  string
		want string
	}{
		{"letters", long, `{"type": "SequenceApply", "operations": []}`, "at most 100000 are gone through"},
		{"join", workflow.ListOf(many), `{"type": "SequenceJoin"}`, "at most 1000000 are made"},
		{"text", workflow.ListOf(many), `{"type": "ToString"}`, "at most 1000000 are made"},
		{"bytes", workflow.BytesOf(make([]byte, 300_000)), `{"type": "ToString"}`, "at most 1000000 are made"},
		{"growth", workflow.StringOf("abcdefgh"), grow, "at most"},
		{"work", workflow.ListOf(distinct), `{"type": "SequenceAggregate", "mode": "most_common"}`, "too much work"},
		{"images", images(80), `{"type": "SequenceApply", "operations": [{"type": "ConvertImageToJPEG"}]}`, "too much work"},
	} {
		_, err := apply(t, c.ops, c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func images(n int) workflow.Value {
	list := make([]workflow.Value, n)
	for i := range list {
		list[i] = workflow.ImageOf(&workflow.Image{Picture: workflowtest.Picture(2, 2, 0)})
	}
	return workflow.ListOf(list)
}

func TestParametersMustBeComplete(t *testing.T) {
	o, err := query.Compile(parse(t, `[{"type": "ToString"}]`), "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Apply(newHost(), workflow.Value{}); err == nil {
		t.Error("a parameter that is not given is not noticed")
	}
}

// FuzzQuery compiles anything, and applies what compiles to values of all
// kinds. Nothing may panic, and every result has a bounded text.
func FuzzQuery(f *testing.F) {
	for _, d := range query.Reference() {
		f.Add(`[{"type": "` + d.Name + `", "property_name": "class_name", "mode": "first", "cast_to": "int", "other": 2, "decimal_digits": 1,
			"regex": "a+", "lookup_table": {"car": 1}, "function": "sum", "operations": [], "class_map": {"car": "a"}, "strict": false, "offset_x": 1,
			"offset_y": 1, "shift_x": 1, "shift_y": 1, "parent_class": "car"}, {"type": "ToString"}]`)
	}
	f.Add(`[{"type": "DetectionsFilter", "filter_operation": ` + group("and", binary(prop("center"), "(Detection) in zone", named("p")), unary(prop("speed"), "Exists")) + `}]`)
	f.Add(group("or", binary(named("p"), "any in (Sequence)", static(`[1, [2], "x"]`)), binary(named("p"), "(Number) in range", static(`[1, 2]`))))
	f.Add(`[{"type": "SequenceApply", "operations": [{"type": "SequenceApply", "operations": [{"type": "ToString"}]}]}]`)
	f.Fuzz(func(t *testing.T, def string) {
		if len(def) > 1<<16 {
			return
		}
		v, err := workflow.ParseJSON([]byte(def))
		if err != nil {
			return
		}
		list := workflow.ListOf([]workflow.Value{workflow.IntOf(1), workflow.StringOf("car"), workflow.Value{}, workflow.ListOf(nil)})
		values := []workflow.Value{
			{}, workflow.BoolOf(true), workflow.IntOf(-3), workflow.FloatOf(2.5), workflow.StringOf("car it's"), list,
			workflow.ObjectOf(&workflow.Fields{Keys: []string{"a"}, Values: []workflow.Value{list}}), workflow.BytesOf([]byte("b")),
			workflow.TimeOf(workflowtest.Start()), workflow.ImageOf(&workflow.Image{Picture: workflowtest.Picture(4, 2, 0)}),
			workflow.DetectionsOf(scene()), workflow.DetectionsOf(&workflow.Detections{}), workflow.ClassesOf(&workflow.Classes{}),
			workflow.ClassesOf(&workflow.Classes{Multi: true, Items: []workflow.Class{{Label: "a"}}}),
		}
		o, errOps := query.Compile(v, "p")
		cond, errCond := query.CompileGroup(v, "p")
		for _, in := range values {
			if errOps == nil {
				if out, err := o.Apply(newHost(), in, in); err == nil {
					if s, err := query.Text(out); err == nil && len(s) > 1_000_000 {
						t.Errorf("a text of %d bytes", len(s))
					}
				}
			}
			if errCond == nil {
				if _, err := cond.Eval(newHost(), in); err != nil && err.Error() == "" {
					t.Error("an error without a text")
				}
			}
		}
	})
}

func FuzzTemplates(f *testing.F) {
	for _, s := range []string{"{{ $parameters.a }}", "{a:>+08,.2f}{{}}", "{{$", "{b:*^12s}", "{a:%}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values := []workflow.Value{workflow.FloatOf(1234.5), workflow.StringOf("x")}
		for _, parse := range []func(string, ...string) (*query.Template, error){query.ParseTemplate, query.ParseFormat} {
			tpl, err := parse(text, "a", "b")
			if err != nil {
				continue
			}
			if b, err := tpl.Append(nil, values...); err == nil && len(b) > 1_000_000 {
				t.Errorf("a text of %d bytes", len(b))
			}
		}
	})
}
