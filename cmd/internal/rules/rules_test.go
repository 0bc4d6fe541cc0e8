// Package rules holds the test of the architecture's import rules.
package rules

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type pkg struct {
	ImportPath   string
	Imports      []string
	CgoFiles     []string
	TestImports  []string
	XTestImports []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,CgoFiles,TestImports,XTestImports", "perch/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func foreign(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".")
}

// module returns the part of an import path that names a library: two
// elements for a vanity host, three for a hosted one.
func module(path string) string {
	parts := strings.Split(path, "/")
	n := 2
	if slices.Contains([]string{"github.com", "golang.org"}, parts[0]) {
		n = 3
	}
	return strings.Join(parts[:min(n, len(parts))], "/")
}

// Rule 1: pipeline imports the standard library only, each other package knows
// pipeline and no sibling, cmd knows everyone.
func TestNobodyKnowsASibling(t *testing.T) {
	for _, p := range list(t) {
		for _, imp := range p.Imports {
			switch {
			case p.ImportPath == "perch/pipeline" && (foreign(imp) || strings.HasPrefix(imp, "perch/")):
				t.Errorf("%s imports %s: the domain imports the standard library only", p.ImportPath, imp)
			case !strings.HasPrefix(imp, "perch/") || imp == "perch/pipeline" || wires(p.ImportPath):
			case strings.HasPrefix(imp, p.ImportPath+"/"): // a part of itself
			case strings.HasPrefix(p.ImportPath, imp+"/"): // what it is a part of
			default:
				t.Errorf("%s imports its sibling %s", p.ImportPath, imp)
			}
		}
	}
}

// wires reports whether a package's work is to put others together: the
// program, and the programs of make bench.
func wires(path string) bool {
	return strings.HasPrefix(path, "perch/cmd/") || strings.HasPrefix(path, "perch/packaging/bench/")
}

// Rule 2: each foreign library is imported by exactly one package. Tests may
// use what they like; so may the go command's own extensions of the standard
// library.
func TestEachLibraryHasOneImporter(t *testing.T) {
	users := map[string][]string{}
	for _, p := range list(t) {
		for _, imp := range p.Imports {
			if m := module(imp); foreign(imp) && !slices.Contains(users[m], p.ImportPath) {
				users[m] = append(users[m], p.ImportPath)
			}
		}
	}
	if len(users) < 8 {
		t.Fatalf("only %d libraries found: the test looks in the wrong place", len(users))
	}
	for m, by := range users {
		if len(by) > 1 {
			t.Errorf("%s is imported by %s", m, strings.Join(by, " and "))
		}
	}
}

// Rule 3: only these use cgo themselves.
func TestCgoStaysWhereItBelongs(t *testing.T) {
	allowed := []string{"perch/gst", "perch/pipeline/infer", "perch/storage"}
	for _, p := range list(t) {
		if len(p.CgoFiles) > 0 && !slices.Contains(allowed, p.ImportPath) {
			t.Errorf("%s uses cgo", p.ImportPath)
		}
	}
}
