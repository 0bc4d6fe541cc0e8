package blocks_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

func TestCSV(t *testing.T) {
	c := &clock{now: time.Date(2026, 7, 1, 10, 0, 0, 250_000_000, time.FixedZone("", 7200))}
	h := trial{env: c.env(), blocks: []*workflow.Manifest{workflowtest.Values(workflow.StringOf("a,b"), strs("x", "it's"), workflow.IntOf(-5), workflow.StringOf("=1+1"),
		workflow.StringOf("two\nlines"), workflow.StringOf(`say "hi"`), workflow.FloatOf(2), workflow.BoolOf(true), workflow.StringOf("\tx"), workflow.StringOf(""))}}.start(t,
		spec("", []string{valueStep, `{"type": "roboflow_core/csv_formatter@v1", "name": "csv", "columns_data": {"b": "$steps.v.value", "a": "fixed", "@n": 7, "len": "$steps.v.value", "empty": null},
			"columns_operations": {"len": [{"type": "ToString"}, {"type": "SequenceLength"}]}}`}, "csv=$steps.csv.csv_content"))
	for i, row := range []string{
		`"a,b",fixed,7,3,`, `"['x', ""it's""]",fixed,7,13,`, `-5,fixed,7,2,`, `'=1+1,fixed,7,4,`, "\"two\nlines\",fixed,7,9,", `"say ""hi""",fixed,7,8,`, `2.0,fixed,7,3,`, `True,fixed,7,4,`, "'\tx,fixed,7,2,", `,fixed,7,0,`,
	} {
		h.Blank()
		got, _ := h.Value("csv").Str()
		if want := "b,a,'@n,len,empty,timestamp\n" + row + ",2026-07-01T08:00:00.250000+00:00\n"; got != want {
			t.Errorf("row %d: %q\nwant %q", i+1, got, want)
		}
	}
}

func TestCSVMistakes(t *testing.T) {
	r := trial{blocks: []*workflow.Manifest{workflowtest.Values(ints(1)...)}}
	for _, c := range []struct{ fields, want string }{
		{`"columns_data": {"timestamp": 1}`, `the column of that name is added by the block`},
		{`"columns_data": {}`, `it is empty`},
		{`"columns_data": {"a": 1}, "columns_operations": {"b": []}`, `there are operations for a value that there is not`},
		{`"columns_data": {"a": 1}, "columns_operations": {"a": [{"type": "ToText"}]}`, `property "columns_operations.a[0].type"`},
	} {
		if got := r.faults(t, spec("", []string{`{"type": "roboflow_core/csv_formatter@v1", "name": "csv", ` + c.fields + `}`})); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s\nwant %s", c.fields, got, c.want)
		}
	}
	h := trial{}.start(t, spec("", []string{`{"type": "roboflow_core/csv_formatter@v1", "name": "csv", "columns_data": {"a": "$inputs.image"}}`}))
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), `column "a": an image has no text`) {
		t.Errorf("an image in a cell: %v", err)
	}
}

func TestCurrentTime(t *testing.T) {
	c := &clock{now: time.Date(2026, 7, 1, 22, 30, 5, 0, time.UTC)}
	const outs = "all=$steps.now.*"
	for _, k := range []struct{ zone, want string }{
		{``, `{"timestamp":"2026-07-01T22:30:05+00:00","iso_string":"2026-07-01T22:30:05+00:00","date":"2026-07-01","time":"22:30:05"}`},
		{`, "timezone": "Europe/Berlin"`, `{"timestamp":"2026-07-02T00:30:05+02:00","iso_string":"2026-07-02T00:30:05+02:00","date":"2026-07-02","time":"00:30:05"}`},
		{`, "timezone": "$steps.v.value"`, `{"timestamp":"2026-07-02T04:15:05+05:45","iso_string":"2026-07-02T04:15:05+05:45","date":"2026-07-02","time":"04:15:05"}`},
	} {
		h := trial{env: c.env(), blocks: []*workflow.Manifest{workflowtest.Values(workflow.StringOf("Asia/Kathmandu"))}}.start(t, spec("", []string{valueStep, `{"type": "roboflow_core/current_time@v1", "name": "now"` + k.zone + `}`}, outs))
		h.Blank()
		if got := h.JSON("all"); got != k.want {
			t.Errorf("%s: %s\nwant %s", k.zone, got, k.want)
		}
	}
	for _, zone := range []string{"Europe/Atlantis", "Local", ""} {
		got := trial{}.faults(t, spec("", []string{fmt.Sprintf(`{"type": "roboflow_core/current_time@v1", "name": "now", "timezone": %q}`, zone)}))
		if want := fmt.Sprintf("there is no time zone %q", zone); !strings.Contains(got, want) {
			t.Errorf("%s: %s", want, got)
		}
	}
	h := trial{blocks: []*workflow.Manifest{workflowtest.Values(workflow.StringOf("nowhere"))}}.start(t, spec("", []string{valueStep, `{"type": "roboflow_core/current_time@v1", "name": "now", "timezone": "$steps.v.value"}`}))
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), `there is no time zone "nowhere"`) {
		t.Errorf("%v", err)
	}
}

func TestStringTemplate(t *testing.T) {
	for _, c := range []struct{ fields, want string }{
		{`"template": "{n} of {list}: {f:.1f} {{x}}", "data": {"n": "$steps.v.value", "list": ["a", "b"], "f": 2.25}, "data_operations": {"list": [{"type": "SequenceJoin"}]}`, `"3 of a, b: 2.2 {x}"`},
		{`"template": "$inputs.text", "data": {"n": "$steps.v.value"}`, `"n=3"`},
		{`"template": "plain"`, `"plain"`},
	} {
		h := trial{blocks: []*workflow.Manifest{workflowtest.Values(ints(3)...)}}.start(t, spec(`{"type": "WorkflowParameter", "name": "text", "default_value": "n={n}"}`,
			[]string{valueStep, `{"type": "roboflow_core/string_template@v1", "name": "s", ` + c.fields + `}`}, "s=$steps.s.output"))
		h.Blank()
		if got := h.JSON("s"); got != c.want {
			t.Errorf("%s: %s, want %s", c.fields, got, c.want)
		}
	}
	got := trial{}.faults(t, spec("", []string{`{"type": "roboflow_core/string_template@v1", "name": "s", "template": "{nmae}", "data": {"name": 1}}`}))
	if want := `property "template": there is no value "nmae" for the text (did you mean "name"?)`; !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	h := trial{blocks: []*workflow.Manifest{workflowtest.Values(workflow.StringOf("{open"))}}.start(t, spec("", []string{valueStep, `{"type": "roboflow_core/string_template@v1", "name": "s", "template": "$steps.v.value"}`}))
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), "is not closed") {
		t.Errorf("%v", err)
	}
}
