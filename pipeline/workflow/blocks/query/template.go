package query

import (
	"fmt"
	"strings"

	"perch/pipeline/workflow"
)

// A Template is a text with places that values are put into.
type Template struct {
	parts []part
	names int
	used  []bool // which of the names have a place
	index map[string]int
}

func newTemplate(names []string) *Template {
	t := &Template{names: len(names), used: make([]bool, len(names)), index: make(map[string]int, len(names))}
	for i, name := range names {
		t.index[name] = i
	}
	return t
}

// part is text, followed by the value of a name.
type part struct {
	text string
	name int // -1 at the end
	spec spec
}

// ParseTemplate reads a text with places {{ $parameters.name }}; names are
// those that there are. It serves the blocks that write on pictures and send
// messages.
func ParseTemplate(text string, names ...string) (*Template, error) {
	t := newTemplate(names)
	from := 0
	for {
		open := strings.Index(text[from:], "{{")
		if open < 0 {
			break
		}
		open += from
		inner := strings.TrimLeft(text[open+2:], " \t\n")
		if !strings.HasPrefix(inner, "$") {
			from = open + 2
			continue
		}
		end := strings.Index(text[open:], "}}")
		if end < 0 {
			return nil, &Error{Text: fmt.Sprintf("the place %q has no end", cut(text[open:])), Hint: "{{ $parameters.name }}"}
		}
		place := strings.TrimSpace(text[open+2 : open+end])
		name, ok := strings.CutPrefix(place, "$parameters.")
		if !ok {
			return nil, &Error{Text: fmt.Sprintf("the place {{ %s }} is none of a parameter", cut(place)), Hint: "{{ $parameters.name }}"}
		}
		if err := t.add(text[:open], name, spec{}, names); err != nil {
			return nil, err
		}
		text, from = text[open+end+2:], 0
	}
	t.parts = append(t.parts, part{text: text, name: -1})
	return t, nil
}

func cut(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

func (t *Template) add(text, name string, s spec, names []string) error {
	i, ok := t.index[name]
	if !ok {
		return &Error{Text: fmt.Sprintf("there is no value %q for the text", cut(name)), Hint: workflow.Suggest("names", name, names)}
	}
	t.parts, t.used[i] = append(t.parts, part{text, i, s}), true
	return nil
}

// Uses reports whether the text has a place for name i.
func (t *Template) Uses(i int) bool { return t.used[i] }

// Append appends the text with the values of the names put in, in the order of
// the names. It fails beyond a million bytes.
func (t *Template) Append(dst []byte, values ...workflow.Value) ([]byte, error) {
	if len(values) != t.names {
		return dst, fmt.Errorf("%d values are given to a text that has %d", len(values), t.names)
	}
	start := len(dst)
	for i := range t.parts {
		p := &t.parts[i]
		dst = append(dst, p.text...)
		if p.name < 0 {
			break
		}
		var err error
		if p.spec == (spec{}) {
			dst, err = AppendText(dst, values[p.name])
		} else {
			dst, err = p.spec.append(dst, values[p.name])
		}
		if err == nil {
			err = tooLong(len(dst) - start)
		}
		if err != nil {
			return dst, err
		}
	}
	return dst, tooLong(len(dst) - start)
}
