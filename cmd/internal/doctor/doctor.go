// Package doctor looks at the machine: what is good, what is missing, and what
// to type to mend it. Checks that need a foreign library are given by the caller.
package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"perch/pipeline"
)

// A Status is a check's verdict.
type Status string

// The verdicts, from best to worst.
const (
	Good    Status = "good"
	Warning Status = "warning" // works, but not as well or as safely as it could
	Missing Status = "missing" // something will not work
)

// severity orders the verdicts.
func (s Status) severity() int {
	switch s {
	case Good:
		return 0
	case Warning:
		return 1
	}
	return 2
}

// A Finding is one line of the report.
type Finding struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Found  string `json:"found"`          // what is there; no credentials
	Hint   string `json:"hint,omitempty"` // what to do, with the command to type; "" when good
}

// A Check looks at one thing. Do may return several findings; those without a
// name get the check's.
type Check struct {
	Name  string
	Limit time.Duration // how long Do may take; 0 means 30 s
	Do    func(ctx context.Context) []Finding
}

const usualLimit = 30 * time.Second

// good, warning and missing make the finding of a check.
func good(format string, args ...any) []Finding {
	return []Finding{{Status: Good, Found: fmt.Sprintf(format, args...)}}
}

func warning(found, hint string) []Finding {
	return []Finding{{Status: Warning, Found: found, Hint: hint}}
}

func missing(found, hint string) []Finding {
	return []Finding{{Status: Missing, Found: found, Hint: hint}}
}

// FromError is the finding for something that was tried: good with what found
// says when err is nil, else status with the error and its hint.
func FromError(found string, err error, status Status) Finding {
	if err == nil {
		return Finding{Status: Good, Found: found}
	}
	f := Finding{Status: status, Found: err.Error()}
	if e, ok := errors.AsType[*pipeline.Error](err); ok && e.Hint != "" {
		plain := *e
		plain.Hint = "" // on a line of its own
		f.Found, f.Hint = plain.Error(), e.Hint
	}
	return f
}

// Run does the checks one after the other. One that does not return within its
// limit is reported as missing and left behind: it may hang in C code, which
// cannot be stopped, and the program that ran the doctor ends soon anyway.
// Checks that ctx leaves no time for are reported as warnings.
func Run(ctx context.Context, checks ...Check) Report {
	r := Report{Schema: ReportSchema, Worst: Good, Findings: []Finding{}}
	for _, c := range checks {
		for _, f := range c.run(ctx) {
			if f.Name == "" {
				f.Name = c.Name
			}
			f.Found, f.Hint = oneLine(f.Found), oneLine(f.Hint)
			if f.Status.severity() > r.Worst.severity() {
				r.Worst = f.Status
			}
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}

func (c Check) run(ctx context.Context) []Finding {
	if ctx.Err() != nil {
		return warning("was not looked at: "+context.Cause(ctx).Error(), "run perch doctor again")
	}
	limit := c.Limit
	if limit == 0 {
		limit = usualLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan []Finding, 1)
	go func() { done <- c.Do(ctx) }()
	// A check that obeys ctx says more than we can; give it a moment for that.
	grace := time.NewTimer(limit + time.Second)
	defer grace.Stop()
	select {
	case f := <-done:
		return f
	case <-grace.C:
		return missing(fmt.Sprintf("gave no answer within %v", limit), "restart the machine if this comes back; a driver or library hangs")
	}
}

// oneLine keeps what files and errors say from tearing the report apart.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
}

// ReportSchema is the version of the JSON form of [Report].
const ReportSchema = "perch.doctor/1"

// A Report is all findings, in the order of the checks.
type Report struct {
	Schema   string    `json:"schema"`
	About              // filled in by the caller
	Worst    Status    `json:"worst"`
	Findings []Finding `json:"findings"`
}

// WriteJSON writes the report as one JSON object.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// WriteText writes the report for people: verdict, name, what was found, and
// below it what to do.
func (r Report) WriteText(w io.Writer) error {
	width := 0
	count := map[Status]int{}
	for _, f := range r.Findings {
		width = max(width, utf8.RuneCountInString(f.Name))
		count[f.Status]++
	}
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%-7s  %s%s  %s\n", f.Status, f.Name, strings.Repeat(" ", width-utf8.RuneCountInString(f.Name)), f.Found)
		if f.Hint != "" {
			fmt.Fprintf(&b, "%-7s  %*s  -> %s\n", "", width, "", f.Hint)
		}
	}
	fmt.Fprintf(&b, "\n%d good, %d to look at, %d missing\n", count[Good], count[Warning], count[Missing])
	_, err := io.WriteString(w, b.String())
	return err
}
