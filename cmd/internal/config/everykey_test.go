package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// document writes value at the path of k, for a camera that is an RTSP one.
func document(k key, value string) string {
	var b strings.Builder
	for i, step := range k.path {
		if step == "*" {
			step = map[string]string{"cameras": "door", "platform": "h264"}[k.path[0]]
		}
		b.WriteString(strings.Repeat("  ", i) + step + ":")
		if i+1 < len(k.path) {
			b.WriteString("\n")
		}
	}
	return b.String() + " " + value + "\n"
}

// pathOf is the path that document writes at.
func pathOf(k key) string {
	p := strings.ReplaceAll(k.pattern(), "cameras.*", "cameras.door")
	return strings.ReplaceAll(p, "decoders.*", "decoders.h264")
}

// problemsAt returns what is said of path.
func problemsAt(err error, path string) []Problem {
	var found []Problem
	if invalid, ok := errors.AsType[*Invalid](err); ok {
		for _, p := range invalid.Problems {
			if p.Path == path || strings.HasPrefix(p.Path, path+"[") {
				found = append(found, p)
			}
		}
	}
	return found
}

// TestEveryKeyChecksItself gives every key what it cannot be, in the file and by
// the environment, and looks for the mistake at its place.
func TestEveryKeyChecksItself(t *testing.T) {
	for _, k := range schema() {
		path, line := pathOf(k), len(k.path)
		var wrong []string
		if _, ok := k.tag.Lookup("enum"); ok {
			wrong = append(wrong, "nonsense", "\"\\x07\"")
		}
		if low, ok := k.tag.Lookup("min"); ok {
			wrong = append(wrong, beyond(t, k, low, -1), beyond(t, k, k.tag.Get("max"), 1))
		}
		switch {
		case k.typ.Kind() == reflect.Bool:
			wrong = append(wrong, "yes", "1", "True")
		case k.typ.Kind() == reflect.Int, k.typ.Kind() == reflect.Float64, k.typ == reflect.TypeFor[Duration](), k.typ == reflect.TypeFor[ByteSize]():
			wrong = append(wrong, "nonsense", "''", "NaN", ".inf", "0x10")
		}
		structure := "{a: b}"
		if isGroup(k.typ) {
			structure = "[a]"
			wrong = append(wrong, "nonsense")
		}
		for _, w := range append(wrong, structure) {
			if k.typ.Kind() == reflect.Slice && !strings.HasPrefix(w, "{") {
				w = "[" + w + "]"
			}
			doc := document(k, w)
			_, err := Parse("perch.yaml", []byte(doc), nil)
			found := problemsAt(err, path)
			if len(found) == 0 {
				t.Errorf("%s\nis accepted at %s: %v", doc, path, err)
			}
			for _, p := range found {
				if p.File != "perch.yaml" || p.Line != line || p.Column == 0 {
					t.Errorf("%s\nis reported at %s", doc, p)
				}
			}
		}
		name := variable(strings.Split(path, ".")...)
		for _, w := range wrong {
			if strings.ContainsAny(w, "'\"") {
				continue // quoting is the file's
			}
			_, err := Parse("perch.yaml", nil, []string{name + "=" + w})
			found := problemsAt(err, path)
			if strings.HasPrefix(path, "cameras.") {
				_, err = Parse("perch.yaml", []byte("cameras: {door: {url: 'rtsp://h'}}\n"), []string{name + "=" + w})
				found = problemsAt(err, path)
			}
			if len(found) == 0 || found[0].Variable != name || found[0].File != "" {
				t.Errorf("%s=%s: %v", name, w, err)
			}
		}
	}
}

// beyond is one step out of the bound.
func beyond(t *testing.T, k key, bound string, step int64) string {
	t.Helper()
	v := reflect.New(k.typ).Elem()
	if err := setText(v, bound); err != nil {
		t.Fatal(err)
	}
	switch x := v.Interface().(type) {
	case Duration:
		return (x + Duration(step)).String()
	case ByteSize:
		return (x + ByteSize(step)).String()
	case float64:
		return fmt.Sprint(x + float64(step)/8)
	}
	return fmt.Sprint(v.Int() + step)
}

// TestEnvironmentWins sets every key by a variable over what the file says, and
// nothing else changes.
func TestEnvironmentWins(t *testing.T) {
	for _, k := range schema() {
		path := pathOf(k)
		name := variable(strings.Split(path, ".")...)
		value, file := other(t, k), ""
		if isGroup(k.typ) {
			file = document(k, "{gone: [[1, 2], [3, 4]]}")
		}
		if k.typ.Kind() == reflect.Bool || k.typ.Kind() == reflect.String && k.tag.Get("enum") == "" {
			file = document(k, "\"first\"")
		}
		if k.typ.Kind() == reflect.Bool {
			file = document(k, k.tag.Get("default")+map[bool]string{true: "false"}[k.tag.Get("default") == ""])
		}
		if k.path[0] == "cameras" && file == "" {
			file = "cameras:\n  door:\n    enabled: true\n"
		}
		before, _ := parse("perch.yaml", []byte(file), nil)
		after, r := parse("perch.yaml", []byte(file), []string{name + "=" + value})
		if got := values(after)[path]; got != value && !strings.HasSuffix(got, "/"+value) {
			t.Errorf("%s=%s over\n%sgives %q", name, value, file, got)
		}
		if r.origin[path] != (origin{variable: name}) {
			t.Errorf("%s is said to come from %+v", path, r.origin[path])
		}
		for p, v := range values(before) {
			if p != path && values(after)[p] != v {
				t.Errorf("%s=%s changes %s from %q to %q", name, value, p, v, values(after)[p])
			}
		}
	}
}
