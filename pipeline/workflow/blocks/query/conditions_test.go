package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

func group(operator string, statements ...string) string {
	return fmt.Sprintf(`{"type": "StatementGroup", "operator": %q, "statements": [%s]}`, operator, strings.Join(statements, ", "))
}

func binary(left, comparator, right string) string {
	return fmt.Sprintf(`{"type": "BinaryStatement", "left_operand": %s, "comparator": {"type": %q}, "right_operand": %s}`, left, comparator, right)
}

func unary(operand, operator string) string {
	return fmt.Sprintf(`{"type": "UnaryStatement", "operand": %s, "operator": {"type": %q}}`, operand, operator)
}

func static(v string) string { return fmt.Sprintf(`{"type": "StaticOperand", "value": %s}`, v) }

func named(name string) string {
	return fmt.Sprintf(`{"type": "DynamicOperand", "operand_name": %q}`, name)
}

func prop(name string) string {
	return fmt.Sprintf(`{"type": "DynamicOperand", "operations": [{"type": "ExtractDetectionProperty", "property_name": %q}]}`, name)
}

// TestComparators has what Python answers for the same comparison.
func TestComparators(t *testing.T) {
	for _, c := range []struct {
		a, comparator, b string
		want             bool
	}{
		{`1`, "==", `1.0`, true}, {`1`, "==", `true`, true}, {`0`, "==", `false`, true}, {`"1"`, "==", `1`, false}, {`null`, "==", `null`, true},
		{`null`, "==", `0`, false}, {`[1, [true]]`, "==", `[1.0, [1]]`, true}, {`[1]`, "==", `[1, 2]`, false}, {`{"a": 1, "b": 2}`, "==", `{"b": 2, "a": 1}`, true},
		{`{"a": 1}`, "==", `{"b": 1}`, false}, {`"a"`, "!=", `"b"`, true}, {`2`, "(Number) ==", `2`, true}, {`2`, "(Number) !=", `2`, false},
		{`2`, "(Number) >", `1.5`, true}, {`2`, "(Number) >", `2`, false}, {`2`, "(Number) >=", `2`, true}, {`1`, "(Number) <", `2`, true},
		{`2`, "(Number) <=", `1`, false}, {`true`, "(Number) >", `0`, true},
		{`5`, "(Number) in range", `[5, 7]`, true}, {`7`, "(Number) in range", `[5, 7]`, true}, {`7.1`, "(Number) in range", `[5, 7]`, false},
		{`"abc"`, "(String) startsWith", `"ab"`, true}, {`"abc"`, "(String) startsWith", `"bc"`, false}, {`"abc"`, "(String) endsWith", `"bc"`, true},
		{`"abc"`, "(String) contains", `"b"`, true}, {`"abc"`, "(String) contains", `"ac"`, false}, {`"abc"`, "(String) contains", `""`, true},
		{`["x"]`, "(String) contains", `"x"`, true},
		{`"a"`, "in (Sequence)", `["b", "a"]`, true}, {`"A"`, "in (Sequence)", `["b", "a"]`, false}, {`1`, "in (Sequence)", `[true]`, true},
		{`"a"`, "in (Sequence)", `{"a": null}`, true}, {`1`, "in (Sequence)", `{"1": null}`, false}, {`"a"`, "in (Sequence)", `"car"`, true}, {`1`, "in (Sequence)", `[]`, false},
		{`["a", "b"]`, "all in (Sequence)", `["b", "c", "a"]`, true}, {`["a", "x"]`, "all in (Sequence)", `["b", "c", "a"]`, false}, {`[]`, "all in (Sequence)", `["a"]`, true},
		{`["x", "b"]`, "any in (Sequence)", `["b"]`, true}, {`["x"]`, "any in (Sequence)", `["b"]`, false}, {`[]`, "any in (Sequence)", `["b"]`, false},
		{`[5, 5]`, "(Detection) in zone", `[[0, 0], [10, 0], [10, 10], [0, 10]]`, true}, {`[15, 5]`, "(Detection) in zone", `[[0, 0], [10, 0], [10, 10], [0, 10]]`, false},
		{`[10, 5]`, "(Detection) in zone", `[[0, 0], [10, 0], [10, 10], [0, 10]]`, true}, {`[0, 0]`, "(Detection) in zone", `[[0, 0], [10, 0], [10, 10], [0, 10]]`, true},
		// A U: its gap is not inside. Lines through corners count once.
		{`[5, 2]`, "(Detection) in zone", `[[0, 0], [3, 0], [3, 8], [7, 8], [7, 0], [10, 0], [10, 10], [0, 10]]`, false},
		{`[5, 9]`, "(Detection) in zone", `[[0, 0], [3, 0], [3, 8], [7, 8], [7, 0], [10, 0], [10, 10], [0, 10]]`, true},
		{`[-1, 5]`, "(Detection) in zone", `[[0, 5], [5, 0], [10, 5], [5, 10]]`, false}, {`[1, 5]`, "(Detection) in zone", `[[0, 5], [5, 0], [10, 5], [5, 10]]`, true},
	} {
		for _, form := range []string{"named", "static", "negate"} {
			def := group("and", binary(named("a"), c.comparator, named("b")))
			names, values := []string{"a", "b"}, []workflow.Value{parse(t, c.a), parse(t, c.b)}
			want := c.want
			switch form {
			case "static":
				def, names, values = group("and", binary(static(c.a), c.comparator, static(c.b))), nil, nil
			case "negate":
				def, want = strings.Replace(def, `"BinaryStatement"`, `"BinaryStatement", "negate": true`, 1), !want
			}
			cond, err := query.CompileGroup(parse(t, def), names...)
			if err != nil {
				t.Errorf("%s %s %s (%s): %v", c.a, c.comparator, c.b, form, err)
				continue
			}
			if got, err := cond.Eval(newHost(), values...); err != nil || got != want {
				t.Errorf("%s %s %s (%s): %v, %v; want %v", c.a, c.comparator, c.b, form, got, err, want)
			}
		}
	}
}

func TestUnaryOperators(t *testing.T) {
	for _, c := range []struct {
		v, operator string
		want        bool
	}{
		{`null`, "Exists", false}, {`0`, "Exists", true}, {`null`, "DoesNotExist", true}, {`""`, "DoesNotExist", false},
		{`true`, "(Boolean) is True", true}, {`1`, "(Boolean) is True", false}, {`false`, "(Boolean) is False", true}, {`0`, "(Boolean) is False", false}, {`null`, "(Boolean) is False", false},
		{`[]`, "(Sequence) is empty", true}, {`""`, "(Sequence) is empty", true}, {`{"a": 1}`, "(Sequence) is empty", false}, {`[0]`, "(Sequence) is not empty", true}, {`[]`, "(Sequence) is not empty", false},
	} {
		cond, err := query.CompileGroup(parse(t, group("or", unary(named("v"), c.operator))), "v")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := cond.Eval(newHost(), parse(t, c.v)); err != nil || got != c.want {
			t.Errorf("%s %s: %v, %v; want %v", c.v, c.operator, got, err, c.want)
		}
	}
}

func TestGroups(t *testing.T) {
	yes, no := binary(static("1"), "==", static("1")), binary(static("1"), "==", static("2"))
	fails := binary(named("text"), "(Number) >", static("1"))
	for _, c := range []struct {
		def  string
		want bool
	}{
		{group("and", yes, yes), true}, {group("and", yes, no), false}, {group("or", no, yes), true}, {group("or", no, no), false},
		{`{"type": "StatementGroup", "statements": [` + no + `, ` + yes + `]}`, true}, // "or" unless it is written
		{group("and", yes, group("or", no, yes)), true}, {group("and", group("or", no, no), yes), false},
		{group("or", yes, fails), true}, {group("and", no, fails), false}, // the rest is not asked
	} {
		cond, err := query.CompileGroup(parse(t, c.def), "text")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := cond.Eval(newHost(), workflow.StringOf("2")); err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.def, got, err, c.want)
		}
	}
	cond, err := query.CompileGroup(parse(t, group("and", yes, fails)), "text")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cond.Eval(newHost(), workflow.StringOf("2")); err == nil || !strings.Contains(err.Error(), `(Number) > compares numbers and is given "2" and 1`) {
		t.Errorf("a text compared with a number: %v", err)
	}
}

func TestFilters(t *testing.T) {
	zone := static(`[[0, 0], [40, 0], [40, 40], [0, 40]]`)
	for _, c := range []struct{ def, want string }{
		{group("and", binary(prop("class_name"), "in (Sequence)", static(`["car", "dog"]`))), `<car dog>`},
		{group("and", binary(prop("confidence"), "(Number) >=", static(`0.75`))), `<car person dog>`},
		{group("and", binary(prop("confidence"), "(Number) >", static(`0.75`))), `<car dog>`},
		{group("and", binary(prop("size"), "(Number) <", static(`300`)), binary(prop("class_id"), "(Number) ==", static(`5`))), `<wheel>`},
		{group("or", binary(prop("class_name"), "==", static(`"dog"`)), binary(prop("x_min"), "(Number) >=", static(`60`))), `<person dog>`},
		{group("and", binary(prop("center"), "(Detection) in zone", zone)), `<car wheel dog>`},
		{group("and", binary(prop("bottom_right"), "(Detection) in zone", zone)), `<wheel dog>`},
		{group("and", binary(`{"type": "DynamicOperand", "operand_name": "_"}`, "(Detection) in zone", zone)), `<car wheel dog>`},
		{group("and", binary(prop("center"), "(Detection) in zone", named("zone"))), `<person>`},
		{group("and", binary(prop("class_name"), "in (Sequence)", named("classes"))), `<wheel>`},
		{group("and", unary(prop("tracker_id"), "Exists")), `<car dog>`},
		{group("and", unary(prop("time_in_zone"), "DoesNotExist")), `<person wheel dog>`},
		{group("and", binary(`{"type": "DynamicOperand", "operations": [{"type": "ExtractDetectionProperty", "property_name": "class_name"}, {"type": "StringToUpperCase"}]}`, "==", static(`"DOG"`))), `<dog>`},
		{group("and", binary(`{"type": "DynamicOperand", "operations": [{"type": "RandomNumber"}]}`, "(Number) >=", static(`0`))), `<car person wheel dog>`},
		{group("and", binary(static(`"abc"`), "(String) contains", prop("class_name"))), `<>`},
	} {
		o, err := query.Compile(parse(t, `[{"type": "DetectionsFilter", "filter_operation": `+c.def+`}]`), "zone", "classes")
		if err != nil {
			t.Errorf("%s: %v", c.def, err)
			continue
		}
		for range 2 {
			got, err := o.Apply(newHost(), workflow.DetectionsOf(scene()), parse(t, `[[60, 20], [70, 20], [70, 30], [60, 30]]`), parse(t, `["wheel"]`))
			if err != nil || show(t, got) != c.want {
				t.Errorf("%s: %s, %v; want %s", c.def, show(t, got), err, c.want)
			}
		}
	}
}

// TestZonesMayChange looks at a zone anew on each frame, even if it is changed
// in its place.
func TestZonesMayChange(t *testing.T) {
	cond, err := query.CompileGroup(parse(t, group("and", binary(static(`[5, 5]`), "(Detection) in zone", named("zone")))), "zone")
	if err != nil {
		t.Fatal(err)
	}
	zone := parse(t, `[[0, 0], [10, 0], [10, 10], [0, 10]]`)
	for i, want := range []bool{true, false} {
		if got, err := cond.Eval(newHost(), zone); err != nil || got != want {
			t.Errorf("zone %d: %v, %v", i, got, err)
		}
		items, _ := zone.Items()
		items[1], items[2] = parse(t, `[4, 0]`), parse(t, `[4, 10]`)
	}
	if _, err := cond.Eval(newHost(), parse(t, `[[0, 0], [1, 1]]`)); err == nil || !strings.Contains(err.Error(), "a zone of 2 points has no inside") {
		t.Errorf("a zone of two points: %v", err)
	}
	if _, err := cond.Eval(newHost(), parse(t, `5`)); err == nil || !strings.Contains(err.Error(), "list of points") {
		t.Errorf("a number for a zone: %v", err)
	}
}

func TestMistakesInConditions(t *testing.T) {
	ok := binary(static("1"), "==", static("1"))
	for _, c := range []struct{ def, path, text string }{
		{`{"type": "StatementGroup", "statements": []}`, "statements", "one or more statements"},
		{`{"type": "StatementGruop", "statements": [` + ok + `]}`, "type", `did you mean "StatementGroup"?`},
		{group("nor", ok), "operator", `did you mean "or"?`},
		{group("and", ok, `{"type": "BinaryStatement"}`), "statements[1].left_operand", "a StaticOperand or a DynamicOperand"},
		{group("and", binary(static("1"), "(Number) =>", static("1"))), "statements[0].comparator.type", `is not known`},
		{group("and", binary(named("valeu"), "==", static("1"))), "statements[0].left_operand.operand_name", `did you mean "value"?`},
		{group("and", binary(prop("size"), "==", static("1"))), "statements[0].left_operand.operand_name", `there is no value "_" here`},
		{group("and", binary(named("value"), "(Number) >", static(`"1"`))), "statements[0].right_operand", `it is a string, and (Number) > compares a number or a boolean there`},
		{group("and", binary(named("value"), "in (Sequence)", static(`5`))), "statements[0].right_operand", `compares a list or an object or a string`},
		{group("and", binary(named("value"), "(Detection) in zone", static(`[[1, 1], [2, 2]]`))), "statements[0].right_operand", `3 points or more`},
		{group("and", unary(named("value"), "Exist")), "statements[0].operator.type", `did you mean "Exists"?`},
		{group("and", strings.Replace(ok, `"BinaryStatement"`, `"BinaryStatement", "negate": 1`, 1)), "statements[0].negate", `true or false`},
		{group("and", `{"type": "BinaryStatement", "left_operand": {"type": "StaticOperand"}, "comparator": {"type": "=="}, "right_operand": `+static("1")+`}`), "statements[0].left_operand.value", "it is missing"},
		{`null`, "", "a StatementGroup, an object"},
	} {
		_, err := query.CompileGroup(parse(t, c.def), "value")
		var e *query.Error
		if !errors.As(err, &e) || e.Path != c.path || !strings.Contains(e.Error(), c.text) {
			t.Errorf("%s: %v\nwant the path %s and %q", c.def, err, c.path, c.text)
		}
	}
}

// TestFilteringAllocatesNothing is about a filter as most workflows have it, by
// class, score and zone, on 100 detections.
func TestFilteringAllocatesNothing(t *testing.T) {
	def := group("and", binary(prop("class_name"), "in (Sequence)", named("classes")), binary(prop("confidence"), "(Number) >=", static("0.5")),
		binary(prop("center"), "(Detection) in zone", static(`[[0, 0], [100, 0], [100, 80], [0, 80]]`)), unary(prop("time_in_zone"), "Exists"))
	o, err := query.Compile(parse(t, `[{"type": "DetectionsFilter", "filter_operation": `+def+`}, {"type": "SortDetections", "mode": "confidence"}, {"type": "SequenceLength"}]`), "classes")
	if err != nil {
		t.Fatal(err)
	}
	d := &workflow.Detections{}
	for range 25 {
		d.Items = append(d.Items, scene().Items...)
	}
	h, in, params := newHost(), workflow.DetectionsOf(d), []workflow.Value{parse(t, `["car", "dog"]`)}
	frame := func() {
		h.used = 0
		v, err := o.Apply(h, in, params...)
		if n, _ := v.Int(); err != nil || n != 25 {
			t.Fatalf("%v, %v; want the 25 cars", v, err)
		}
	}
	frame()
	if n := testing.AllocsPerRun(100, frame); n != 0 {
		t.Errorf("%v allocations a frame, want none", n)
	}
}

func BenchmarkFilter(b *testing.B) {
	def := group("and", binary(prop("class_name"), "in (Sequence)", static(`["car", "dog"]`)), binary(prop("confidence"), "(Number) >=", static("0.5")))
	o, err := query.Compile(parse(b, `[{"type": "DetectionsFilter", "filter_operation": `+def+`}]`))
	if err != nil {
		b.Fatal(err)
	}
	d := &workflow.Detections{}
	for range 25 {
		d.Items = append(d.Items, scene().Items...)
	}
	h, in := newHost(), workflow.DetectionsOf(d)
	b.ReportAllocs()
	for b.Loop() {
		h.used = 0
		if _, err := o.Apply(h, in); err != nil {
			b.Fatal(err)
		}
	}
}
