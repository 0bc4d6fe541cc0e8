package query_test

import (
	"math"
	"strings"
	"testing"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

func TestTemplates(t *testing.T) {
	values := []workflow.Value{workflow.IntOf(3), workflow.FloatOf(0.5), workflow.StringOf("car")}
	for _, c := range []struct{ text, want, fault string }{
		{text: "n: {{ $parameters.n }}, f: {{$parameters.f}} {{  $parameters.name  }}!", want: "n: 3, f: 0.5 car!"},
		{text: "{{ $parameters.n }}{{ $parameters.n }}", want: "33"},
		{text: "no place, {{ braces }} {x} }}", want: "no place, {{ braces }} {x} }}"},
		{text: "{{ {{ $parameters.n }}", want: "{{ 3"},
		{text: "", want: ""},
		{text: "{{ $parameters.nmae }}", fault: `did you mean "name"?`},
		{text: "{{ $inputs.n }}", fault: "none of a parameter"},
		{text: "x {{ $parameters.n }", fault: "has no end"},
	} {
		tpl, err := query.ParseTemplate(c.text, "n", "f", "name")
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%q: %v, want %q", c.text, err, c.fault)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got, err := tpl.Append(nil, values...); err != nil || string(got) != c.want {
			t.Errorf("%q: %q, %v; want %q", c.text, got, err, c.want)
		}
	}
}

// TestFormats has what Python's str.format makes of the same text.
func TestFormats(t *testing.T) {
	values := []workflow.Value{workflow.IntOf(1234567), workflow.FloatOf(-3.14159), workflow.StringOf("car"), {}, workflow.BoolOf(true), workflow.FloatOf(1e20), workflow.IntOf(math.MaxInt64)}
	for _, c := range []struct{ text, want string }{
		{"{n} {f} {s} {none} {b}", "1234567 -3.14159 car None True"},
		{"{{{s}}}", "{car}"},
		{"{f:.2f}", "-3.14"}, {"{f:8.2f}|", "   -3.14|"}, {"{f:<8.2f}|", "-3.14   |"}, {"{f:08.2f}", "-0003.14"}, {"{f:.0f}", "-3"}, {"{f:+.1f} {n:+d}", "-3.1 +1234567"},
		{"{n:,}", "1,234,567"}, {"{n:,.1f}", "1,234,567.0"}, {"{n:d}", "1234567"}, {"{n:.3e}", "1.235e+06"}, {"{n:g}", "1.23457e+06"}, {"{f:.3g}", "-3.14"}, {"{f:.1%}", "-314.2%"},
		{"{s:>6}|{s:<6}|{s:^6}|{s:*^7}|{s:.2}", "   car|car   | car  |**car**|ca"}, {"{s:s}", "car"},
		{"{f:.3}", "-3.14"}, {"{big}", "1e+20"}, {"{big:f}", "100000000000000000000.000000"}, {"{big:G}", "1E+20"}, {"{b:d}", "1"}, {"{b:>6}", "     1"},
		{"{n:=+10d}", "+  1234567"}, {"{n:}", "1234567"},
		{"{most} {most:d} {most:>20}", "9223372036854775807 9223372036854775807  9223372036854775807"},
	} {
		tpl, err := query.ParseFormat(c.text, "n", "f", "s", "none", "b", "big", "most")
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got, err := tpl.Append(nil, values...); err != nil || string(got) != c.want {
			t.Errorf("%q: %q, %v; want %q", c.text, got, err, c.want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"{x}", `there is no value "x"`}, {"{}", "no plain name"}, {"{0}", "no plain name"}, {"{s.x}", "no plain name"}, {"{s[0]}", "no plain name"}, {"{s!r}", "no plain name"},
		{"{s", "not closed"}, {"a } b", "stands alone"}, {"{n:x}", "no format that is known"}, {"{n:99999}", "more than 1000"}, {"{f:.f}", "precision is missing"},
	} {
		if _, err := query.ParseFormat(c.text, "n", "f", "s"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
	for _, text := range []string{"{s:d}", "{f:d}", "{n:s}", "{s:.2f}", "{n:.2}"} {
		tpl, err := query.ParseFormat(text, "n", "f", "s")
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got, err := tpl.Append(nil, values[:3]...); err == nil {
			t.Errorf("%q: %q, want an error as Python raises", text, got)
		}
	}
}
