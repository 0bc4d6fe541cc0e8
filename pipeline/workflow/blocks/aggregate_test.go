package blocks_test

import (
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

func aggregator(fields string, outputs ...string) string {
	for i, o := range outputs {
		outputs[i] = o + "=$steps.agg." + o
	}
	return spec("", []string{valueStep, `{"type": "roboflow_core/data_aggregator@v1", "name": "agg", "data": {"x": "$steps.v.value"}, ` + fields + `}`}, outputs...)
}

// TestAggregates has figures that were worked out by hand.
func TestAggregates(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   string
		values []workflow.Value
		want   string
	}{
		{"integers", "sum", ints(3, 1, 2), `6`},
		{"a fraction among integers", "sum", []workflow.Value{workflow.IntOf(1), workflow.FloatOf(0.5)}, `1.5`},
		{"booleans", "sum", []workflow.Value{workflow.BoolOf(true), workflow.BoolOf(true)}, `2`},
		{"integers", "avg", ints(3, 1, 2), `2.0`},
		{"thirds", "avg", ints(1, 1, 2), `1.3333333333333333`},
		{"integers", "max", ints(3, 1, 2), `3`},
		{"below zero", "max", ints(-3, -1, -2), `-1`},
		{"integers", "min", ints(3, 1, 2), `1`},
		{"equal numbers, the first", "min", []workflow.Value{workflow.IntOf(1), workflow.FloatOf(1)}, `1`},
		{"equal numbers, the first", "max", []workflow.Value{workflow.IntOf(1), workflow.FloatOf(1)}, `1`},
		{"falling", "values_difference", ints(5, 3, 4), `2`},
		{"one value", "values_difference", ints(5), `0`},
		{"fractions", "values_difference", []workflow.Value{workflow.FloatOf(0.5), workflow.IntOf(2)}, `1.5`},
		{"values", "count", ints(3, 1, 2), `3`},
		{"lists", "count", []workflow.Value{strs("a", "b"), strs(), strs("c")}, `3`},
		{"texts", "count", []workflow.Value{workflow.StringOf("car")}, `1`},
		{"texts", "distinct", []workflow.Value{workflow.StringOf("b"), workflow.StringOf("a"), workflow.StringOf("b")}, `["b","a"]`},
		{"lists", "distinct", []workflow.Value{strs("a", "b"), strs("b", "c")}, `["a","b","c"]`},
		{"numbers that are equal", "distinct", []workflow.Value{workflow.IntOf(1), workflow.FloatOf(1), workflow.BoolOf(true), workflow.StringOf("1")}, `[1,"1"]`},
		{"lists", "count_distinct", []workflow.Value{strs("a", "b"), strs("b", "c")}, `3`},
		{"nothing", "count_distinct", []workflow.Value{strs()}, `0`},
		{"lists", "values_counts", []workflow.Value{strs("a", "b"), strs("b", "b")}, `{"a":1,"b":3}`},
		{"numbers", "values_counts", ints(7, 7, 8), `{"7":2,"8":1}`},
	} {
		h := trial{blocks: []*workflow.Manifest{workflowtest.Values(c.values...)}}.start(t,
			aggregator(`"aggregation_mode": {"x": ["`+c.mode+`"]}, "interval_unit": "runs", "interval": `+string('0'+rune(len(c.values))), "x_"+c.mode))
		for i := range c.values {
			h.Blank()
			want := `null`
			if i == len(c.values)-1 {
				want = c.want
			}
			if got := h.JSON("x_" + c.mode); got != want {
				t.Errorf("%s of %s, frame %d: %s, want %s", c.mode, c.name, i+1, got, want)
			}
		}
	}
}

func TestAggregatorBeginsAnew(t *testing.T) {
	h := trial{blocks: []*workflow.Manifest{workflowtest.Values(ints(1, 2, 10, 20, 100)...)}}.start(t,
		aggregator(`"aggregation_mode": {"x": ["sum", "distinct", "sum"]}, "interval_unit": "runs", "interval": 2`, "x_sum", "x_distinct"))
	for i, want := range []string{"null null", "3 [1,2]", "null null", "30 [10,20]", "null null", "200 [100]"} {
		h.Blank()
		if got := h.JSON("x_sum") + " " + h.JSON("x_distinct"); got != want {
			t.Errorf("frame %d: %s, want %s", i+1, got, want)
		}
	}
}

// TestAggregatorMeasuresTime runs at 30 frames a second: the interval of one
// second that begins with frame 1 (at 1/30 s) is over at frame 31, the next one
// at frame 61.
func TestAggregatorMeasuresTime(t *testing.T) {
	for _, live := range []bool{false, true} {
		h := trial{info: &pipeline.StreamInfo{FPS: 30, Live: live}, blocks: []*workflow.Manifest{workflowtest.Values(ints(1)...)}}.start(t,
			aggregator(`"aggregation_mode": {"x": ["count"]}, "interval": 1`, "x_count"))
		got := map[int]string{}
		for i := 1; i <= 65; i++ {
			h.Blank()
			if s := h.JSON("x_count"); s != "null" {
				got[i] = s
			}
		}
		if len(got) != 2 || got[31] != "31" || got[61] != "30" {
			t.Errorf("live %v: counts at frames %v, want 31 at 31 and 30 at 61", live, got)
		}
	}
}

func TestAggregatorOfDetections(t *testing.T) {
	car, dog := workflowtest.Det(0, 0, 5, 5, 2, "car", 0.9, 1), workflowtest.Det(5, 5, 9, 9, 16, "dog", 0.8, 2)
	h := trial{blocks: []*workflow.Manifest{workflowtest.Detections([]workflow.Detection{car, car}, nil, []workflow.Detection{dog})}}.start(t, spec("",
		[]string{detectionsStep, `{"type": "roboflow_core/data_aggregator@v1", "name": "agg", "data": {"n": "$steps.d.predictions", "c": "$steps.d.predictions", "raw": "$steps.d.predictions"},
			"data_operations": {"n": [{"type": "SequenceLength"}], "c": [{"type": "DetectionsPropertyExtract", "property_name": "class_name"}]},
			"aggregation_mode": {"n": ["min", "max", "avg"], "c": ["values_counts"], "raw": ["count"]}, "interval": 3, "interval_unit": "runs"}`}, "all=$steps.agg.*"))
	for range 3 {
		h.Blank()
	}
	if got, want := h.JSON("all"), `{"n_min":0,"n_max":2,"n_avg":1.0,"c_values_counts":{"car":2,"dog":1},"raw_count":3}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAggregatorMistakes(t *testing.T) {
	r := trial{blocks: []*workflow.Manifest{workflowtest.Values(ints(1)...)}}
	for _, c := range []struct{ fields, want string }{
		{`"aggregation_mode": {"x": ["total"]}, "interval": 1`, `there is no mode "total"`},
		{`"aggregation_mode": {"y": ["sum"]}, "interval": 1`, `property "aggregation_mode.y": there is no such value in data`},
		{`"aggregation_mode": {"x": "sum"}, "interval": 1`, `it takes a list of modes`},
		{`"aggregation_mode": {}, "interval": 1`, `it asks for nothing`},
		{`"aggregation_mode": {"x": ["sum"]}, "interval": 0`, `above 0`},
		{`"aggregation_mode": {"x": ["sum"]}, "interval": 1, "interval_unit": "days"`, `one of seconds, minutes, hours, runs`},
		{`"aggregation_mode": {"x": ["sum"]}, "interval": 1, "data_operations": {"x": [{"type": "SequenceLenght"}]}`, `property "data_operations.x[0].type": there is no operation "SequenceLenght" (did you mean "SequenceLength"?)`},
	} {
		if got := r.faults(t, aggregator(c.fields)); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s\nwant %s", c.fields, got, c.want)
		}
	}
	twice := spec("", []string{valueStep, `{"type": "roboflow_core/data_aggregator@v1", "name": "agg", "data": {"a": "$steps.v.value", "a_count": "$steps.v.value"},
		"aggregation_mode": {"a": ["count_distinct"], "a_count": ["distinct"]}, "interval": 1}`})
	if got := r.faults(t, twice); !strings.Contains(got, `two outputs would be called "a_count_distinct"`) {
		t.Error(got)
	}
}

func TestAggregatorRecovers(t *testing.T) {
	h := trial{blocks: []*workflow.Manifest{workflowtest.Values(workflow.IntOf(5), workflow.StringOf("x"), workflow.IntOf(1), workflow.IntOf(2))}}.start(t,
		aggregator(`"aggregation_mode": {"x": ["sum"]}, "interval_unit": "runs", "interval": 2`, "x_sum"))
	h.Blank()
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), `x_sum: it is given "x" and needs a number`) {
		t.Errorf("a text summed up: %v", err)
	}
	h.Blank()
	h.Blank()
	if got := h.JSON("x_sum"); got != "3" {
		t.Errorf("after the error: %s, want 3, of the interval that began after it", got)
	}
}
