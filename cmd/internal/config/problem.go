package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"perch/pipeline"
)

// A Problem is one mistake in the configuration.
type Problem struct {
	File     string `json:"file,omitempty"`     // "" for a value of the environment
	Line     int    `json:"line,omitempty"`     // from 1; 0 when nothing was written down
	Column   int    `json:"column,omitempty"`   // from 1, in characters
	Variable string `json:"variable,omitempty"` // name of the environment variable
	Path     string `json:"path,omitempty"`     // for example cameras.door.url
	What     string `json:"what"`               // what is wrong and what would do; no credentials
}

// String returns "perch.yaml:12:5: cameras.door.url: what".
func (p Problem) String() string {
	var parts []string
	switch {
	case p.Variable != "":
		parts = append(parts, p.Variable)
	case p.File != "" && p.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column))
	case p.File != "":
		parts = append(parts, p.File)
	case p.Line > 0:
		parts = append(parts, fmt.Sprintf("line %d, column %d", p.Line, p.Column))
	}
	if p.Path != "" {
		parts = append(parts, p.Path)
	}
	return strings.Join(append(parts, p.What), ": ")
}

// Invalid is every mistake of a configuration, in the order of the file.
type Invalid struct{ Problems []Problem }

func (e *Invalid) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	lines := []string{fmt.Sprintf("%d mistakes", len(e.Problems))}
	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}

// origin is where a value came from.
type origin struct {
	line, column int
	variable     string
}

// report collects problems and knows where each value came from.
type report struct {
	file     string
	origin   map[string]origin
	problems []Problem
}

// maxProblems bounds what a hopeless file can say.
const maxProblems = 100

func (r *report) add(at origin, path, format string, args ...any) {
	if len(r.problems) > maxProblems {
		return
	}
	p := Problem{Path: path, Variable: at.variable, Line: at.line, Column: at.column, What: fmt.Sprintf(format, args...)}
	if len(r.problems) == maxProblems {
		p = Problem{What: fmt.Sprintf("more than %d mistakes; the rest is not shown", maxProblems)}
	}
	if p.Variable == "" {
		p.File = r.file
	}
	r.problems = append(r.problems, p)
}

// bad reports a problem with the value at path, or with the nearest thing
// around it that was written down when the value itself was not.
func (r *report) bad(path, format string, args ...any) {
	at, ok := r.origin[path]
	for up := path; !ok && up != ""; {
		up = up[:max(0, strings.LastIndexAny(up, ".["))]
		at, ok = r.origin[up]
	}
	r.add(at, path, format, args...)
}

// err returns nil or an [*Invalid] in the order of the file, the environment last.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(
			strings.Compare(a.Variable, b.Variable),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			strings.Compare(a.Path, b.Path))
	})
	return &Invalid{Problems: slices.Compact(r.problems)}
}

// nearest returns the candidate that word was probably meant to be, or "".
func nearest(word string, candidates []string) string {
	most := max(2, len(word)/3)
	if len(word) < 4 {
		most = 1
	}
	return pipeline.Nearest(word, candidates, most)
}

// didYouMean is the tail of a message about an unknown word.
func didYouMean(word string, candidates []string) string {
	if n := nearest(word, candidates); n != "" {
		return "; did you mean " + n + "?"
	}
	return ""
}

// shown is how a value is quoted in a message: short and on one line.
func shown(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:57]) + "..."
	}
	return fmt.Sprintf("%q", s)
}
