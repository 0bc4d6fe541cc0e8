package blocks_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// passes runs n frames and writes + for each on which the probe ran.
func passes(h *workflowtest.Harness, n int, each func(i int)) string {
	var b strings.Builder
	for i := range n {
		if each != nil {
			each(i)
		}
		h.Blank()
		if h.Value("probe").IsNull() {
			b.WriteByte('-')
		} else {
			b.WriteByte('+')
		}
	}
	return b.String()
}

func TestDeltaFilterCopies(t *testing.T) {
	det := workflowtest.Det(0, 0, 5, 5, 2, "car", 0.9, 1)
	moved := workflowtest.Det(1, 0, 6, 5, 2, "car", 0.9, 1)
	other := det
	other.ID[3]++
	frames := [][]workflow.Detection{nil, {det}, {other}, {moved}, {moved, det}, {det, moved}, nil, nil}
	h := trial{blocks: []*workflow.Manifest{workflowtest.Detections(frames...)}}.start(t, spec("", []string{detectionsStep,
		`{"type": "roboflow_core/delta_filter@v1", "name": "delta", "image": "$inputs.image", "value": "$steps.d.predictions", "next_steps": ["$steps.probe"]}`, probe("probe")}, "probe=$steps.probe.output"))
	// Another id is no change. The block before reuses its memory, so without a
	// copy nothing would ever change.
	if got, want := passes(h, 8, nil), "++-++++-"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDeltaFilterOfImages(t *testing.T) {
	h := trial{}.start(t, spec("", []string{`{"type": "roboflow_core/delta_filter@v1", "name": "delta", "image": "$inputs.image", "value": "$inputs.image", "next_steps": ["$steps.probe"]}`, probe("probe")}, "probe=$steps.probe.output"))
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), "an image, which is another one on each frame") {
		t.Errorf("%v", err)
	}
}

func TestRateLimiter(t *testing.T) {
	const rate = `{"type": "roboflow_core/rate_limiter@v1", "name": "rate", "depends_on": "$steps.v.value", "next_steps": ["$steps.probe"]%s}`
	c := &clock{now: workflowtest.Start()}
	for _, k := range []struct {
		name, fields string
		step         time.Duration // of the wall clock
		want         string
	}{
		{"the clock, ten frames a second", `, "cooldown_seconds": 0.3`, 100 * time.Millisecond, "+--+--+--+--"},
		{"one second unless it is written", ``, 500 * time.Millisecond, "+-+-+-+-+-+-"},
		{"no pause", `, "cooldown_seconds": 0`, 0, "++++++++++++"},
		{"the clock stands still", `, "cooldown_seconds": 1`, 0, "+-----------"},
		{"the clock goes back", `, "cooldown_seconds": 1`, -time.Hour, "++++++++++++"},
		// The video has 30 frames a second, so 0.1 s are three of them, whatever
		// the clock says.
		{"the video", `, "cooldown_seconds": 0.1, "video_reference_image": "$inputs.image"`, 0, "+--+--+--+--"},
	} {
		h := trial{env: c.env(), blocks: []*workflow.Manifest{workflowtest.Values(ints(1)...)}}.start(t, spec("", []string{valueStep, fmt.Sprintf(rate, k.fields), probe("probe")}, "probe=$steps.probe.output"))
		if got := passes(h, 12, func(int) { c.now = c.now.Add(k.step) }); got != k.want {
			t.Errorf("%s: %s, want %s", k.name, got, k.want)
		}
	}
	// The same 0.3 s of the video when the run works on every third frame.
	h := trial{info: &pipeline.StreamInfo{FPS: 30, MaxFPS: 10}, blocks: []*workflow.Manifest{workflowtest.Values(ints(1)...)}}.start(t,
		spec("", []string{valueStep, fmt.Sprintf(rate, `, "cooldown_seconds": 0.3, "video_reference_image": "$inputs.image"`), probe("probe")}, "probe=$steps.probe.output"))
	h.Every = 3
	if got, want := passes(h, 12, nil), "+--+--+--+--"; got != want {
		t.Errorf("frames left out: %s, want %s", got, want)
	}
	h = trial{blocks: []*workflow.Manifest{workflowtest.Values(workflow.Value{}, workflow.IntOf(1))}}.start(t, spec("", []string{valueStep, fmt.Sprintf(rate, ""), probe("probe")}, "probe=$steps.probe.output"))
	if got := passes(h, 2, nil); got != "-+" {
		t.Errorf("null before it: %s, want -+", got)
	}
}

const atLeast2 = `{"type": "StatementGroup", "statements": [{"type": "BinaryStatement", "left_operand": {"type": "DynamicOperand", "operand_name": "n"},
	"comparator": {"type": "(Number) >="}, "right_operand": {"type": "StaticOperand", "value": 2}}]}`

func continueStep(fields string) string {
	return `{"type": "ContinueIf", "name": "go", "condition_statement": ` + atLeast2 + `, "evaluation_parameters": {"n": "$steps.v.value"}, "next_steps": ["$steps.probe"]` + fields + `}`
}

func TestContinueIf(t *testing.T) {
	values := ints(0, 2, 1, 1, 1, 1, 3, 1, 1, 1, 1)
	for _, c := range []struct {
		fields string
		live   bool
		want   string
	}{
		{``, false, "-+----+----"},
		// 0.1 s are three frames of 1/30 s after the one on which it held.
		{`, "stop_delay": 0.1`, false, "-++++-++++-"},
		{`, "stop_delay": 0.1`, true, "-++++-++++-"},
		{`, "stop_delay": 0.05`, false, "-++---++---"},
	} {
		h := trial{info: &pipeline.StreamInfo{FPS: 30, Live: c.live}, blocks: []*workflow.Manifest{workflowtest.Values(values...)}}.start(t, spec("", []string{valueStep, continueStep(c.fields), probe("probe")}, "probe=$steps.probe.output"))
		if got := passes(h, len(values), nil); got != c.want {
			t.Errorf("%s live %v: %s, want %s", c.fields, c.live, got, c.want)
		}
	}
}

func TestContinueIfMistakes(t *testing.T) {
	r := trial{blocks: []*workflow.Manifest{workflowtest.Values(ints(1)...)}}
	step := strings.Replace(continueStep(""), `{"n": `, `{"count": `, 1)
	if got := r.faults(t, spec("", []string{valueStep, step, probe("probe")})); !strings.Contains(got, `property "condition_statement.statements[0].left_operand.operand_name": there is no value "n" here (the names are count)`) {
		t.Error(got)
	}
	h := trial{blocks: []*workflow.Manifest{workflowtest.Values(workflow.StringOf("many"))}}.start(t, spec("", []string{valueStep, continueStep(""), probe("probe")}, "probe=$steps.probe.output"))
	if _, err := h.Try(workflowtest.Picture(64, 48, 0)); err == nil || !strings.Contains(err.Error(), `step "go"`) || !strings.Contains(err.Error(), `compares numbers and is given "many" and 2`) {
		t.Errorf("%v", err)
	}
}

func TestSwitchCase(t *testing.T) {
	step := func(fields string) string {
		return `{"type": "SwitchCase", "name": "s", "value": "$steps.v.value", ` + fields + `}`
	}
	const cases = `"cases": {"red": "$steps.a", "1.0": "$steps.b", "True": "$steps.c"}, "default_next_steps": ["$steps.d", "$steps.e"]`
	const shared = `"cases": {"car": "$steps.a", "truck": "$steps.a", "bus": "$steps.b"}, "default_next_steps": ["$steps.b", "$steps.c", "$steps.d", "$steps.e"]`
	steps := func(fields string) []string {
		return []string{valueStep, step(fields), probe("a"), probe("b"), probe("c"), probe("d"), probe("e")}
	}
	outs := []string{"a=$steps.a.output", "b=$steps.b.output", "c=$steps.c.output", "d=$steps.d.output", "e=$steps.e.output"}
	for _, c := range []struct {
		fields string
		v      workflow.Value
		want   string
	}{
		{cases, workflow.StringOf("red"), "a"}, {cases, workflow.StringOf("RED"), "de"}, {cases + `, "case_insensitive": true`, workflow.StringOf("RED"), "a"},
		{cases, workflow.FloatOf(1), "b"}, {cases, workflow.IntOf(1), "de"}, {cases, workflow.BoolOf(true), "c"}, {cases, workflow.StringOf("blue"), "de"},
		{`"cases": {"x": "$steps.a", "y": "$steps.b"}`, workflow.StringOf("z"), "cde"}, // those that it does not name run anyway
		{shared, workflow.StringOf("car"), "a"}, {shared, workflow.StringOf("truck"), "a"}, {shared, workflow.StringOf("bus"), "b"}, {shared, workflow.StringOf("tram"), "bcde"},
	} {
		h := trial{blocks: []*workflow.Manifest{workflowtest.Values(c.v)}}.start(t, spec("", steps(c.fields), append([]string{}, outs...)...))
		h.Blank()
		got := ""
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			if !h.Value(name).IsNull() {
				got += name
			}
		}
		if got != c.want {
			t.Errorf("%s, %s: %s ran, want %s", c.fields, c.v.Describe(), got, c.want)
		}
	}
	r := trial{blocks: []*workflow.Manifest{workflowtest.Values(ints(1)...)}}
	for _, c := range []struct{ fields, want string }{
		{`"cases": {"x": "$steps.a", "X": "$steps.b"}, "case_insensitive": true`, `"X" is there twice`},
		{`"cases": {}`, `no step that could run`},
	} {
		if got := r.faults(t, spec("", steps(c.fields))); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.fields, got, c.want)
		}
	}
}

func TestFirstNonEmpty(t *testing.T) {
	h := trial{blocks: []*workflow.Manifest{workflowtest.Values(ints(2, 0)...)}}.start(t, spec("", []string{valueStep, continueStep(""), probe("probe"),
		`{"type": "FirstNonEmptyOrDefault", "name": "one", "data": ["$steps.probe.output", "$steps.v.value"]}`,
		`{"type": "FirstNonEmptyOrDefault", "name": "def", "data": ["$steps.probe.output"], "default": "none"}`,
		`{"type": "FirstNonEmptyOrDefault", "name": "null", "data": ["$steps.probe.output"]}`,
	}, "one=$steps.one.output", "def=$steps.def.output", "null=$steps.null.output"))
	for i, want := range []string{`64 64 64`, `0 "none" null`} {
		h.Blank()
		if got := h.JSON("one") + " " + h.JSON("def") + " " + h.JSON("null"); got != want {
			t.Errorf("frame %d: %s, want %s", i+1, got, want)
		}
	}
}
