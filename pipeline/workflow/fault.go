package workflow

import (
	"fmt"
	"strings"
)

// A Fault is one thing that is wrong with a specification.
type Fault struct {
	Step     string // name of the step; "" when it is not about one
	Type     string // the step's block type, as written
	Property string // of the step, input or output; "" when it is about the whole
	Text     string // what was found and why it will not do
	Hint     string // what would do
}

func (f Fault) String() string {
	var b strings.Builder
	if f.Step != "" {
		fmt.Fprintf(&b, "step %q", f.Step)
		if f.Type != "" {
			fmt.Fprintf(&b, " (%s)", f.Type)
		}
		if f.Property != "" {
			fmt.Fprintf(&b, ", property %q", f.Property)
		}
		b.WriteString(": ")
	} else if f.Property != "" {
		b.WriteString(f.Property + ": ")
	}
	b.WriteString(f.Text)
	if f.Hint != "" {
		b.WriteString(" (" + f.Hint + ")")
	}
	return b.String()
}

// A SpecError is everything that is wrong with a specification.
type SpecError struct{ Faults []Fault }

func (e *SpecError) Error() string {
	if len(e.Faults) == 1 {
		return "workflow: " + e.Faults[0].String()
	}
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = "  " + f.String()
	}
	return fmt.Sprintf("workflow: %d things are wrong with it:\n%s", len(e.Faults), strings.Join(lines, "\n"))
}

// maxFaults bounds how much is said about one document.
const maxFaults = 100

type faults struct{ list []Fault }

func (f *faults) add(fault Fault) {
	if !f.full() {
		f.list = append(f.list, fault)
	}
}

// full reports whether nothing more will be said: then it is not worth looking
// for, and a hint, which compares names, still less.
func (f *faults) full() bool { return len(f.list) >= maxFaults }

func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	return &SpecError{f.list}
}
