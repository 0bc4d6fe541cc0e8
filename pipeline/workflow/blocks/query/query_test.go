package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
	"perch/pipeline/workflow/workflowtest"
)

// host lends what a step lends, and reuses its detections from frame to frame.
type host struct {
	env   *workflow.Env
	frame workflow.Frame
	pool  []*workflow.Detections
	used  int
}

func newHost() *host {
	return &host{
		env: &workflow.Env{JPEG: func(p pipeline.Picture, q int) ([]byte, error) {
			return fmt.Appendf(nil, "jpeg %dx%d q%d", p.Width, p.Height, q), nil
		}},
		frame: workflow.Frame{Number: 31, FPS: 30, FromFile: true, Time: workflowtest.Start(), PTS: 2 * time.Second},
	}
}

func (h *host) Env() *workflow.Env     { return h.env }
func (h *host) Frame() *workflow.Frame { return &h.frame }
func (h *host) NewDetections(o workflow.Origin) *workflow.Detections {
	if h.used == len(h.pool) {
		h.pool = append(h.pool, new(workflow.Detections))
	}
	d := h.pool[h.used]
	h.used++
	d.Reset(o)
	return d
}

// parse reads JSON of a test.
func parse(t testing.TB, s string) workflow.Value {
	t.Helper()
	v, err := workflow.ParseJSON([]byte(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

// show writes a value so that types can be told apart: detections as their
// labels, the rest as Python would.
func show(t testing.TB, v workflow.Value) string {
	t.Helper()
	if d, ok := v.Detections(); ok {
		var all []string
		for _, it := range d.Items {
			all = append(all, it.Label)
		}
		return "<" + strings.Join(all, " ") + ">"
	}
	if s, ok := v.Str(); ok {
		return fmt.Sprintf("%q", s)
	}
	s, err := query.Text(v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// apply compiles and applies operations, which are written without the
// brackets of their list.
func apply(t testing.TB, ops string, v workflow.Value) (workflow.Value, error) {
	t.Helper()
	o, err := query.Compile(parse(t, "["+ops+"]"))
	if err != nil {
		t.Fatalf("%s: %v", ops, err)
	}
	return o.Apply(newHost(), v)
}

// scene is four detections:
//
//	car    10,20 - 50,40   0.90  centre 30,30    area 800
//	person 60,10 - 70,40   0.75  centre 65,25    area 300
//	wheel  15,30 - 20,35   0.60  centre 17.5,32.5 area 25
//	dog    0,0 - 5,5       0.90  centre 2.5,2.5  area 25
func scene() *workflow.Detections {
	d := &workflow.Detections{Origin: workflow.Origin{Name: "image", Root: "image", Width: 100, Height: 80, RootWidth: 100, RootHeight: 80}}
	d.Items = []workflow.Detection{
		workflowtest.Det(10, 20, 50, 40, 2, "car", 0.9, 7),
		workflowtest.Det(60, 10, 70, 40, 0, "person", 0.75, 0),
		workflowtest.Det(15, 30, 20, 35, 5, "wheel", 0.6, 0),
		workflowtest.Det(0, 0, 5, 5, 16, "dog", 0.9, 9),
	}
	d.Items[0].Has, d.Items[0].TimeInZone = workflow.HasTimeInZone, 3.5
	return d
}

// TestOperationsOnValues has results that were worked out by hand, or with
// Python's own functions of the same names.
func TestOperationsOnValues(t *testing.T) {
	for _, c := range []struct{ in, ops, want string }{
		{`"3.7"`, `{"type": "ToNumber", "cast_to": "int"}`, `3`},
		{`"-3.7"`, `{"type": "ToNumber", "cast_to": "int"}`, `-3`},
		{`" 4 "`, `{"type": "ToNumber", "cast_to": "float"}`, `4.0`},
		{`"1e3"`, `{"type": "ToNumber", "cast_to": "float"}`, `1000.0`},
		{`true`, `{"type": "ToNumber", "cast_to": "int"}`, `1`},
		{`7`, `{"type": "ToNumber", "cast_to": "float"}`, `7.0`},
		{`2.5`, `{"type": "NumberRound", "decimal_digits": 0}`, `2.0`},
		{`3.5`, `{"type": "NumberRound", "decimal_digits": 0}`, `4.0`},
		{`-2.5`, `{"type": "NumberRound", "decimal_digits": 0}`, `-2.0`},
		{`2.675`, `{"type": "NumberRound", "decimal_digits": 2}`, `2.67`},
		{`0.125`, `{"type": "NumberRound", "decimal_digits": 2}`, `0.12`},
		{`5`, `{"type": "NumberRound", "decimal_digits": 2}`, `5`},
		{`25`, `{"type": "NumberRound", "decimal_digits": -1}`, `20`},
		{`35`, `{"type": "NumberRound", "decimal_digits": -1}`, `40`},
		{`1e22`, `{"type": "NumberRound", "decimal_digits": 3}`, `1e+22`},
		{`6`, `{"type": "Multiply", "other": 7}`, `42`},
		{`6`, `{"type": "Multiply", "other": 0.5}`, `3.0`},
		{`true`, `{"type": "Multiply", "other": 3}`, `3`},
		{`6`, `{"type": "Divide", "other": 3}`, `2.0`},
		{`1`, `{"type": "Divide", "other": 3}`, `0.3333333333333333`},
		{`1.0`, `{"type": "ToString"}`, `"1.0"`},
		{`0.00001`, `{"type": "ToString"}`, `"1e-05"`},
		{`0.0001`, `{"type": "ToString"}`, `"0.0001"`},
		{`1e16`, `{"type": "ToString"}`, `"1e+16"`},
		{`123456789012345.0`, `{"type": "ToString"}`, `"123456789012345.0"`},
		{`null`, `{"type": "ToString"}`, `"None"`},
		{`true`, `{"type": "ToString"}`, `"True"`},
		{`["a", 1, 2.50, null, [false], {"k": "it's"}]`, `{"type": "ToString"}`, `"['a', 1, 2.5, None, [False], {'k': \"it's\"}]"`},
		{`["a\n\\"]`, `{"type": "ToString"}`, `"['a\\n\\\\']"`},
		{`0`, `{"type": "ToBoolean"}`, `False`},
		{`0.1`, `{"type": "ToBoolean"}`, `True`},
		{`""`, `{"type": "ToBoolean"}`, `False`},
		{`"false"`, `{"type": "ToBoolean"}`, `True`},
		{`[]`, `{"type": "ToBoolean"}`, `False`},
		{`{}`, `{"type": "ToBoolean"}`, `False`},
		{`null`, `{"type": "ToBoolean"}`, `False`},
		{`"CaR"`, `{"type": "StringToLowerCase"}`, `"car"`},
		{`"CaR"`, `{"type": "StringToUpperCase"}`, `"CAR"`},
		{`"abcdef"`, `{"type": "StringSubSequence"}`, `"abcde"`},
		{`"äöüß"`, `{"type": "StringSubSequence", "start": 1, "end": 3}`, `"öü"`},
		{`"abc"`, `{"type": "StringSubSequence", "start": -2, "end": 100}`, `"bc"`},
		{`"abc"`, `{"type": "StringSubSequence", "start": 2, "end": 1}`, `""`},
		{`"plate AB-12"`, `{"type": "StringMatches", "regex": "[A-Z]{2}-\\d+$"}`, `True`},
		{`"plate"`, `{"type": "StringMatches", "regex": "^late"}`, `False`},
		{`"a"`, `{"type": "LookupTable", "lookup_table": {"a": 1.5, "b": 2}}`, `1.5`},
		{`["a", "b", "a"]`, `{"type": "SequenceMap", "lookup_table": {"a": "x", "b": null}}`, `['x', None, 'x']`},
		{`[1, 2.6, "3"]`, `{"type": "SequenceApply", "operations": [{"type": "ToNumber", "cast_to": "int"}, {"type": "Multiply", "other": 10}]}`, `[10, 20, 30]`},
		{`["a", 1, 2.0, null]`, `{"type": "SequenceJoin"}`, `"a, 1, 2.0, None"`},
		{`["a", "b"]`, `{"type": "SequenceJoin", "separator": ""}`, `"ab"`},
		{`[]`, `{"type": "SequenceJoin"}`, `""`},
		{`[1, 2, 3]`, `{"type": "SequenceLength"}`, `3`},
		{`{"a": 1}`, `{"type": "SequenceLength"}`, `1`},
		{`"äö"`, `{"type": "SequenceLength"}`, `2`},
		{`["b", "a", "b", 1]`, `{"type": "SequenceElementsCount"}`, `{'b': 2, 'a': 1, '1': 1}`},
		{`["b", "a", "b"]`, `{"type": "SequenceAggregate", "mode": "first"}`, `"b"`},
		{`["b", "a", "c"]`, `{"type": "SequenceAggregate", "mode": "last"}`, `"c"`},
		{`["x", "b", "a", "b", "a"]`, `{"type": "SequenceAggregate", "mode": "most_common"}`, `"b"`},
		{`["x", "b", "b", "a"]`, `{"type": "SequenceAggregate", "mode": "least_common"}`, `"a"`},
		{`[3, 1, 2.5]`, `{"type": "NumericSequenceAggregate", "function": "min"}`, `1`},
		{`[3, 1, 3.0]`, `{"type": "NumericSequenceAggregate", "function": "max"}`, `3`},
		{`[3, 1, true]`, `{"type": "NumericSequenceAggregate", "function": "sum"}`, `5`},
		{`[3, 1.5]`, `{"type": "NumericSequenceAggregate", "function": "sum"}`, `4.5`},
		{`[]`, `{"type": "NumericSequenceAggregate", "function": "sum", "neutral_value": 0}`, `0`},
		{`[]`, `{"type": "NumericSequenceAggregate", "function": "max"}`, `None`},
		{`{"a": [1, 2.0], "b": "ü"}`, `{"type": "ConvertDictionaryToJSON"}`, `"{\"a\":[1,2.0],\"b\":\"ü\"}"`},
		{`5`, `{"type": "RandomNumber", "min_value": 2, "max_value": 2}`, `2.0`},
		{`[1, 2]`, ``, `[1, 2]`},
		{`"7.49"`, `{"type": "ToNumber", "cast_to": "float"}, {"type": "NumberRound", "decimal_digits": 1}, {"type": "ToString"}`, `"7.5"`},
	} {
		got, err := apply(t, c.ops, parse(t, c.in))
		if err != nil {
			t.Errorf("%s of %s: %v", c.ops, c.in, err)
		} else if s := show(t, got); s != c.want {
			t.Errorf("%s of %s: %s, want %s", c.ops, c.in, s, c.want)
		}
	}
}

func TestOperationsOnDetections(t *testing.T) {
	for _, c := range []struct{ ops, want string }{
		{`{"type": "DetectionsPropertyExtract", "property_name": "class_name"}`, `['car', 'person', 'wheel', 'dog']`},
		{`{"type": "DetectionsPropertyExtract", "property_name": "confidence"}`, `[0.9, 0.75, 0.6, 0.9]`},
		{`{"type": "DetectionsPropertyExtract", "property_name": "class_id"}`, `[2, 0, 5, 16]`},
		{`{"type": "DetectionsPropertyExtract", "property_name": "x_min"}`, `[10.0, 60.0, 15.0, 0.0]`},
		{`{"type": "DetectionsPropertyExtract", "property_name": "y_max"}`, `[40.0, 40.0, 35.0, 5.0]`},
		{`{"type": "DetectionsPropertyExtract", "property_name": "size"}`, `[800.0, 300.0, 25.0, 25.0]`},
		// 17.5 and 2.5 lie halfway: to even.
		{`{"type": "DetectionsPropertyExtract", "property_name": "center"}`, `[[30, 30], [65, 25], [18, 32], [2, 2]]`},
		{`{"type": "DetectionsPropertyExtract", "property_name": "bottom_left"}`, `[[10, 40], [60, 40], [15, 35], [0, 5]]`},
		{`{"type": "DetectionsPropertyExtract", "property_name": "tracker_id"}`, `[7, None, None, 9]`},
		{`{"type": "DetectionsPropertyExtract", "property_name": "time_in_zone"}`, `[3.5, None, None, None]`},
		{`{"type": "DetectionsPropertyExtract", "property_name": "prediction_type"}, {"type": "SequenceAggregate", "mode": "first"}`, `"object-detection"`},
		{`{"type": "DetectionsPropertyExtract", "property_name": "image_dimensions"}, {"type": "SequenceAggregate", "mode": "first"}`, `[80, 100]`},
		{`{"type": "SequenceLength"}`, `4`},
		{`{"type": "ToBoolean"}`, `True`},
		{`{"type": "DetectionsSelection", "mode": "left_most"}`, `<dog>`},
		{`{"type": "DetectionsSelection", "mode": "right_most"}`, `<person>`},
		{`{"type": "DetectionsSelection", "mode": "top_confidence"}`, `<car>`},
		{`{"type": "DetectionsSelection", "mode": "first"}`, `<car>`},
		{`{"type": "DetectionsSelection", "mode": "last"}`, `<dog>`},
		{`{"type": "DetectionsSelection", "mode": "last"}, {"type": "ExtractDetectionProperty", "property_name": "center"}`, `[2.5, 2.5]`},
		{`{"type": "SortDetections", "mode": "confidence"}`, `<wheel person car dog>`},
		{`{"type": "SortDetections", "mode": "confidence", "ascending": false}`, `<dog car person wheel>`},
		{`{"type": "SortDetections", "mode": "size"}`, `<wheel dog person car>`},
		{`{"type": "SortDetections", "mode": "center_y", "ascending": false}`, `<wheel car person dog>`},
		{`{"type": "DetectionsOffset", "offset_x": 4, "offset_y": 3}, {"type": "DetectionsSelection", "mode": "first"}, {"type": "ExtractDetectionProperty", "property_name": "top_left"}`, `[8.0, 18.5]`},
		{`{"type": "DetectionsShift", "shift_x": -4, "shift_y": 3}, {"type": "DetectionsSelection", "mode": "first"}, {"type": "ExtractDetectionProperty", "property_name": "bottom_right"}`, `[46.0, 43.0]`},
		{`{"type": "PickDetectionsByParentClass", "parent_class": "car"}`, `<car wheel>`},
		{`{"type": "PickDetectionsByParentClass", "parent_class": "cat"}`, `<>`},
		{`{"type": "DetectionsRename", "class_map": {"car": "vehicle", "wheel": "part", "person": "human", "dog": "human"}}, {"type": "DetectionsPropertyExtract", "property_name": "class_name"}`, `['vehicle', 'human', 'part', 'human']`},
		// The new names in order: human 0, part 1, vehicle 2.
		{`{"type": "DetectionsRename", "class_map": {"car": "vehicle", "wheel": "part", "person": "human", "dog": "human"}}, {"type": "DetectionsPropertyExtract", "property_name": "class_id"}`, `[2, 0, 1, 0]`},
		// New names count from the offset, "dog" has an id of its own already.
		{`{"type": "DetectionsRename", "strict": false, "class_map": {"car": "vehicle", "wheel": "dog", "person": "human"}}, {"type": "DetectionsPropertyExtract", "property_name": "class_id"}`, `[1025, 1024, 16, 16]`},
		{`{"type": "SequenceApply", "operations": [{"type": "ExtractDetectionProperty", "property_name": "x_max"}]}`, `[50.0, 70.0, 20.0, 5.0]`},
	} {
		d := scene()
		got, err := apply(t, c.ops, workflow.DetectionsOf(d))
		if err != nil {
			t.Errorf("%s: %v", c.ops, err)
		} else if s := show(t, got); s != c.want {
			t.Errorf("%s: %s, want %s", c.ops, s, c.want)
		}
		if s := fmt.Sprint(d.Items); s != fmt.Sprint(scene().Items) {
			t.Errorf("%s changed what it was given", c.ops)
		}
	}
}

func TestNoDetections(t *testing.T) {
	empty := workflow.DetectionsOf(&workflow.Detections{})
	for _, c := range []struct{ ops, want string }{
		{`{"type": "DetectionsPropertyExtract", "property_name": "center"}`, `[]`},
		{`{"type": "DetectionsSelection", "mode": "top_confidence"}`, `<>`},
		{`{"type": "SortDetections", "mode": "size"}`, `<>`},
		{`{"type": "SequenceLength"}`, `0`},
		{`{"type": "DetectionsToDictionary"}, {"type": "ConvertDictionaryToJSON"}`, `"{\"image\":{\"width\":null,\"height\":null},\"predictions\":[]}"`},
	} {
		got, err := apply(t, c.ops, empty)
		if err != nil || show(t, got) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.ops, show(t, got), err, c.want)
		}
	}
}

func TestOperationsOnImagesAndTimes(t *testing.T) {
	img := workflow.ImageOf(&workflow.Image{Picture: workflowtest.Picture(64, 40, 0)})
	for _, c := range []struct {
		in        workflow.Value
		ops, want string
	}{
		{img, `{"type": "ExtractImageProperty", "property_name": "size"}`, `2560`},
		{img, `{"type": "ExtractImageProperty", "property_name": "width"}`, `64`},
		{img, `{"type": "ExtractImageProperty", "property_name": "height"}`, `40`},
		{img, `{"type": "ExtractImageProperty", "property_name": "aspect_ratio"}`, `1.6`},
		{img, `{"type": "ExtractFrameMetadata", "property_name": "frame_number"}`, `31`},
		{img, `{"type": "ExtractFrameMetadata", "property_name": "seconds_since_start"}`, `1.0`},
		{img, `{"type": "ExtractFrameMetadata", "property_name": "frame_timestamp"}`, `2026-01-02 03:04:05+00:00`},
		{img, `{"type": "ExtractFrameMetadata", "property_name": "frame_timestamp"}, {"type": "TimestampToISOFormat"}`, `"2026-01-02T03:04:05+00:00"`},
		{workflow.TimeOf(time.Date(2026, 7, 1, 8, 0, 0, 250000, time.FixedZone("", 7200))), `{"type": "TimestampToISOFormat"}`, `"2026-07-01T08:00:00.000250+02:00"`},
		{img, `{"type": "ConvertImageToJPEG"}`, `b'jpeg 64x40 q95'`},
		{img, `{"type": "ConvertImageToJPEG", "compression_level": 10}`, `b'jpeg 64x40 q10'`},
		{img, `{"type": "ConvertImageToBase64"}`, `"anBlZyA2NHg0MCBxOTU="`}, // base64 of "jpeg 64x40 q95"
	} {
		got, err := apply(t, c.ops, c.in)
		if err != nil || show(t, got) != c.want {
			t.Errorf("%s: %v; want %s", c.ops, err, c.want)
		}
	}
}

// TestSecondsSinceStart has frame 31 at 2 s of a stream. Of a camera of 30 frames
// a second only every other one was worked on.
func TestSecondsSinceStart(t *testing.T) {
	o, err := query.Compile(parse(t, `[{"type": "ExtractFrameMetadata", "property_name": "seconds_since_start"}]`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		fromFile bool
		fps      float64
		want     string
	}{
		{"a file", true, 30, "1.0"},
		{"a file of unknown rate", true, 0, "2.0"},
		{"a camera", false, 30, "2.0"},
		{"a camera of unknown rate", false, 0, "2.0"},
	} {
		h := newHost()
		h.frame.FromFile, h.frame.FPS = c.fromFile, c.fps
		got, err := o.Apply(h, workflow.ImageOf(&workflow.Image{}))
		if err != nil || show(t, got) != c.want {
			t.Errorf("%s: %v, %v; want %s", c.name, got, err, c.want)
		}
	}
}

func TestClassifications(t *testing.T) {
	single := &workflow.Classes{Items: []workflow.Class{{Class: 1, Label: "dog", Score: 0.7}, {Class: 0, Label: "cat", Score: 0.3}}}
	multi := &workflow.Classes{Multi: true, Items: []workflow.Class{{Class: 0, Label: "a", Score: 0.2}, {Class: 1, Label: "b", Score: 0.8}, {Class: 2, Label: "c", Score: 0.9}},
		Picked: []workflow.Class{{Class: 1, Label: "b", Score: 0.8}, {Class: 2, Label: "c", Score: 0.9}}}
	for _, c := range []struct {
		in         *workflow.Classes
		prop, want string
	}{
		{single, "top_class", `"dog"`}, {single, "top_class_confidence", `0.7`}, {single, "top_class_confidence_single", `0.7`},
		{single, "all_classes", `['dog', 'cat']`}, {single, "all_confidences", `[0.7, 0.3]`},
		{multi, "top_class", `['b', 'c']`}, {multi, "top_class_confidence", `[0.8, 0.9]`}, {multi, "top_class_confidence_single", `0.9`},
		{multi, "all_classes", `['a', 'b', 'c']`}, {multi, "all_confidences", `[0.2, 0.8, 0.9]`},
		{&workflow.Classes{}, "top_class", `""`}, {&workflow.Classes{Multi: true}, "top_class_confidence_single", `0.0`},
	} {
		got, err := apply(t, fmt.Sprintf(`{"type": "ClassificationPropertyExtract", "property_name": %q}`, c.prop), workflow.ClassesOf(c.in))
		if err != nil || show(t, got) != c.want {
			t.Errorf("%s: %v %v, want %s", c.prop, got, err, c.want)
		}
	}
}

func TestFailuresAtRunTime(t *testing.T) {
	for _, c := range []struct{ in, ops, want string }{
		{`"x"`, `{"type": "ToNumber", "cast_to": "int"}`, `"x", which is no number`},
		{`"0x10"`, `{"type": "ToNumber", "cast_to": "int"}`, `no number`},
		{`"nan"`, `{"type": "ToNumber", "cast_to": "int"}`, `no whole number`},
		{`5`, `{"type": "StringToLowerCase"}`, `needs a string`},
		{`5`, `{"type": "SequenceLength"}`, `has no length`},
		{`5`, `{"type": "SequenceApply", "operations": []}`, `needs a list`},
		{`"cra"`, `{"type": "LookupTable", "lookup_table": {"car": 1}}`, `did you mean "car"?`},
		{`1`, `{"type": "LookupTable", "lookup_table": {"1": 1}}`, `ToString makes one`},
		{`[]`, `{"type": "SequenceAggregate", "mode": "first"}`, `empty list`},
		{`["1"]`, `{"type": "NumericSequenceAggregate", "function": "max"}`, `element 1 is "1", which is no number`},
		{`[1, "x"]`, `{"type": "SequenceApply", "operations": [{"type": "ToNumber", "cast_to": "int"}]}`, `element 2: ToNumber`},
		{`5`, `{"type": "DetectionsToDictionary"}`, `needs detections`},
		{`5`, `{"type": "ConvertImageToJPEG"}`, `needs an image`},
		{`"now"`, `{"type": "TimestampToISOFormat"}`, `needs a time`},
	} {
		_, err := apply(t, c.ops, parse(t, c.in))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: %v, want something about %q", c.ops, c.in, err, c.want)
		}
	}
	_, err := apply(t, `{"type": "ExtractDetectionProperty", "property_name": "x_min"}`, workflow.DetectionsOf(scene()))
	if err == nil || !strings.Contains(err.Error(), "exactly one detection and is given 4") {
		t.Errorf("a property of four detections: %v", err)
	}
	_, err = apply(t, `{"type": "DetectionsRename", "class_map": {"car": "vehicle"}}`, workflow.DetectionsOf(scene()))
	if err == nil || !strings.Contains(err.Error(), `"person" is not in class_map`) {
		t.Errorf("an unknown class with strict: %v", err)
	}
}

func TestMistakesNameTheirPlace(t *testing.T) {
	deep := strings.Repeat(`{"type": "SequenceApply", "operations": [`, 21) + strings.Repeat(`]}`, 21)
	many := strings.Repeat(`{"type": "ToString"}, `, 500) + `{"type": "ToString"}`
	for _, c := range []struct{ ops, path, text string }{
		{`{"type": "SequenceLenght"}`, "[0].type", `did you mean "SequenceLength"?`},
		{`5`, "[0]", `it is 5 (it takes an operation, an object)`},
		{`{}`, "[0].type", `it is missing`},
		{`{"type": "ToString"}, {"type": "ToNumber"}`, "[1].cast_to", `one of int, float`},
		{`{"type": "ToNumber", "cast_to": "flaot"}`, "[0].cast_to", `did you mean "float"?`},
		{`{"type": "NumberRound", "decimal_digits": 1.5}`, "[0].decimal_digits", `a whole number`},
		{`{"type": "StringMatches", "regex": "(?=x)"}`, "[0].regex", `no look-around`},
		{`{"type": "Divide", "other": 0}`, "[0].other", `nothing can be divided`},
		{`{"type": "ConvertImageToJPEG", "compression_level": 0}`, "[0].compression_level", `from 1 to 100`},
		{`{"type": "DetectionsPropertyExtract", "property_name": "clas_name"}`, "[0].property_name", `did you mean "class_name"?`},
		{`{"type": "SequenceLength"}, {"type": "SequenceJoin"}`, "[1]", `works on detections or a detection or a list or an object or a string or bytes and is given a number`},
		{`{"type": "SequenceApply", "operations": [{"type": "ToString"}, {"type": "Tostring "}]}`, "[0].operations[1].type", `did you mean "ToString"?`},
		{`{"type": "DetectionsRename", "class_map": "names"}`, "[0].class_map", `there is no parameter "names"`},
		{`{"type": "DetectionsFilter"}`, "[0].filter_operation", `a StatementGroup`},
		{deep, strings.TrimSuffix("[0]"+strings.Repeat(".operations[0]", 20), ""), `deeper than 20 levels`},
		{many, "[500]", `more than 500`},
	} {
		_, err := query.Compile(parse(t, "["+c.ops+"]"))
		var e *query.Error
		if !errors.As(err, &e) {
			t.Errorf("%.80s: %v", c.ops, err)
		} else if e.Path != c.path || !strings.Contains(e.Error(), c.text) {
			t.Errorf("%.80s: %v\nwant the path %s and %q", c.ops, e, c.path, c.text)
		}
	}
	if _, err := query.Compile(parse(t, `{"type": "ToString"}`)); err == nil || !strings.Contains(err.Error(), "a list of operations") {
		t.Errorf("no list: %v", err)
	}
}
