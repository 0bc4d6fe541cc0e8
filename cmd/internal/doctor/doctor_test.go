package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"perch/pipeline"
)

// look does one check and returns its findings.
func look(t *testing.T, c Check) []Finding {
	t.Helper()
	r := Run(t.Context(), c)
	if len(r.Findings) == 0 {
		t.Fatalf("%s found nothing", c.Name)
	}
	for _, f := range r.Findings {
		if f.Name == "" || f.Found == "" || (f.Status != Good) != (f.Hint != "") {
			t.Errorf("a finding needs a name, what was found, and a hint unless it is good: %+v", f)
		}
	}
	return r.Findings
}

// expect does one check that has one finding.
func expect(t *testing.T, c Check, status Status, words ...string) {
	t.Helper()
	f := look(t, c)
	if len(f) != 1 || f[0].Status != status {
		t.Errorf("%s: %+v, want %s", c.Name, f, status)
	}
	for _, w := range words {
		if !strings.Contains(f[0].Found+" -> "+f[0].Hint, w) {
			t.Errorf("%s: %q -> %q does not say %q", c.Name, f[0].Found, f[0].Hint, w)
		}
	}
}

func says(name string, f ...Finding) Check {
	return Check{Name: name, Do: func(context.Context) []Finding { return f }}
}

func TestReport(t *testing.T) {
	r := Run(t.Context(),
		says("disk", Finding{Status: Good, Found: "1 GiB <free>"}),
		says("models", Finding{Name: "model å", Status: Warning, Found: "runs on\nthe CPU", Hint: "type this"}, Finding{Status: Missing, Found: "b", Hint: "or that"}),
	)
	if r.Worst != Missing {
		t.Errorf("worst is %s", r.Worst)
	}
	var text, js bytes.Buffer
	if err := errors.Join(r.WriteText(&text), r.WriteJSON(&js)); err != nil {
		t.Fatal(err)
	}
	const want = `good     disk     1 GiB <free>
warning  model å  runs on the CPU
                  -> type this
missing  models   b
                  -> or that

1 good, 1 to look at, 1 missing
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	var back Report
	if err := json.Unmarshal(js.Bytes(), &back); err != nil || back.Schema != ReportSchema || len(back.Findings) != 3 || back.Findings[1] != r.Findings[1] || !strings.Contains(js.String(), "<free>") {
		t.Errorf("%s: %v", js.String(), err)
	}
	empty := Run(t.Context())
	js.Reset()
	if err := empty.WriteJSON(&js); err != nil || empty.Worst != Good || !strings.Contains(js.String(), `"findings": []`) {
		t.Errorf("%s, %v", js.String(), err)
	}
}

func TestChecksThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		start := time.Now()
		r := Run(t.Context(),
			Check{Name: "library", Limit: time.Minute, Do: func(context.Context) []Finding { <-release; return nil }},
			Check{Name: "polite", Do: func(ctx context.Context) []Finding { <-ctx.Done(); return good("gave up") }},
			says("next", Finding{Status: Good, Found: "x"}))
		if took := time.Since(start); took != 61*time.Second+usualLimit {
			t.Errorf("took %v", took)
		}
		close(release)
		if f := r.Findings; len(f) != 3 || f[0].Status != Missing || !strings.Contains(f[0].Found, "within 1m0s") || f[1].Found != "gave up" || f[2].Status != Good {
			t.Errorf("%+v", f)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := Run(ctx, says("a", Finding{Status: Good})); r.Findings[0].Status != Warning || !strings.Contains(r.Findings[0].Found, "not looked at") {
		t.Errorf("%+v", r)
	}
}

func TestFromError(t *testing.T) {
	err := &pipeline.Error{Op: "open camera", On: "door", Kind: pipeline.Refused, Err: errors.New("401"), Hint: "check the password"}
	if f := FromError("x", err, Missing); f.Found != "open camera door: 401" || f.Hint != "check the password" || f.Status != Missing {
		t.Errorf("%+v", f)
	}
	if f := FromError("x", nil, Missing); f != (Finding{Status: Good, Found: "x"}) {
		t.Errorf("%+v", f)
	}
	if f := FromError("x", errors.New("plain"), Warning); f.Found != "plain" || f.Status != Warning {
		t.Errorf("%+v", f)
	}
}
