package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decodeInto stores the document n in what into points at.
func decodeInto(r *report, n *node, into any) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		r.add(origin{}, "", "cannot be stored in a %T", into)
		return
	}
	if n.kind != null {
		decode(r, "", n, v.Elem())
	}
}

// A yamlUnmarshaler reads its own value from whatever it is written as.
type yamlUnmarshaler interface {
	UnmarshalYAML(unmarshal func(any) error) error
}

// decode stores n, which stands at path, in v. Nothing (an empty value or ~)
// leaves v as it is.
func decode(r *report, path string, n *node, v reflect.Value) {
	r.origin[path] = n.at
	if n.kind == null {
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		decode(r, path, n, v.Elem())
		return
	}
	if u, ok := v.Addr().Interface().(yamlUnmarshaler); ok {
		err := u.UnmarshalYAML(func(into any) error {
			sub := &report{file: r.file, origin: map[string]origin{}}
			decodeInto(sub, n, into)
			return sub.err()
		})
		if inner, ok := errors.AsType[*Invalid](err); ok {
			for _, p := range inner.Problems {
				r.add(origin{line: p.Line, column: p.Column}, join(path, p.Path), "%s", p.What)
			}
		} else if err != nil {
			r.bad(path, "%v", err)
		}
		return
	}
	if isScalar(v.Type()) && !isGroup(v.Type()) {
		decodeScalar(r, path, n, v)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		decodeStruct(r, path, n, v)
	case reflect.Map:
		decodeMap(r, path, n, v)
	case reflect.Slice, reflect.Array:
		decodeList(r, path, n, v)
	case reflect.Interface:
		if v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(plainValue(r, path, n)))
			return
		}
		fallthrough
	default:
		r.bad(path, "cannot be stored in a %v", v.Type())
	}
}

// isScalar reports whether values of type t are written as one value.
func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array, reflect.Interface, reflect.Pointer, reflect.Func, reflect.Chan:
		return false
	}
	return true
}

func decodeScalar(r *report, path string, n *node, v reflect.Value) {
	if n.kind != scalar {
		r.bad(path, "is %v, but must be %s", n.kind, typeName(v.Type()))
		return
	}
	if err := setText(v, n.text); err != nil {
		r.bad(path, "%s", valueProblem(v.Type(), n.text, err))
	}
}

// valueProblem says what is wrong with text without quoting what may be, or
// may hold, a credential.
func valueProblem(t reflect.Type, text string, err error) string {
	if t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[URL]() {
		return err.Error()
	}
	return shown(text) + " " + err.Error()
}

func decodeStruct(r *report, path string, n *node, v reflect.Value) {
	if n.kind != mapping {
		r.bad(path, "is %v, but must be a group of keys", n.kind)
		return
	}
	fields := structFields(v)
	seen := map[string]origin{}
	for _, e := range n.entries {
		if !once(r, path, e, seen) {
			continue
		}
		f, ok := fields[e.key]
		if !ok {
			r.add(e.at, join(path, e.key), "is not a known key%s", r.meant(path, e.key, fields))
			continue
		}
		decode(r, join(path, e.key), e.value, f)
		// Where the key stands, not its value: that is what a reader looks for.
		r.origin[join(path, e.key)] = valueAt(e)
	}
}

// meant is the tail of the message about an unknown key: a key of this group
// that is spelt alike, or the same key in another group of the configuration.
func (r *report) meant(path, key string, fields map[string]reflect.Value) string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	if s := didYouMean(key, names); s != "" {
		return s
	}
	if r.file != "" { // the configuration, not some other document
		for _, k := range schema() {
			if last := k.path[len(k.path)-1]; last == key && k.pattern() != join(path, key) {
				return "; " + key + " belongs under " + strings.Join(k.path[:len(k.path)-1], ".")
			}
		}
	}
	return "; known here are " + strings.Join(names, ", ")
}

// valueAt is where the value of e is, when it is on the line of its key, else
// where the key is.
func valueAt(e entry) origin {
	if e.value.kind == scalar && e.value.at.line == e.at.line {
		return e.value.at
	}
	return e.at
}

// once reports a key that was there before.
func once(r *report, path string, e entry, seen map[string]origin) bool {
	if first, dup := seen[e.key]; dup {
		r.add(e.at, join(path, e.key), "is here a second time; it was on line %d before, and only one may stay", first.line)
		return false
	}
	seen[e.key] = e.at
	return true
}

func decodeMap(r *report, path string, n *node, v reflect.Value) {
	if n.kind != mapping {
		r.bad(path, "is %v, but must be a group of keys", n.kind)
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	seen := map[string]origin{}
	for _, e := range n.entries {
		if !once(r, path, e, seen) {
			continue
		}
		key := reflect.New(v.Type().Key()).Elem()
		if err := setText(key, e.key); err != nil {
			r.add(e.at, join(path, e.key), "%s %v", shown(e.key), err)
			continue
		}
		elem := newElem(v.Type().Elem())
		decode(r, join(path, e.key), e.value, elem)
		r.origin[join(path, e.key)] = valueAt(e)
		v.SetMapIndex(key, elem)
	}
}

// newElem returns a settable value of type t with its defaults; a pointer
// points at one.
func newElem(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	if t.Kind() == reflect.Pointer {
		v.Set(reflect.New(t.Elem()))
		setDefaults(v.Elem())
		return v
	}
	setDefaults(v)
	return v
}

func decodeList(r *report, path string, n *node, v reflect.Value) {
	if n.kind != list {
		hint := ""
		if n.kind == scalar {
			hint = "; write [value]"
		}
		r.bad(path, "is %v, but must be a list%s", n.kind, hint)
		return
	}
	if v.Kind() == reflect.Array {
		if len(n.items) != v.Len() {
			r.bad(path, "has %d values, but must have %d", len(n.items), v.Len())
			return
		}
	} else {
		v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	}
	for i, item := range n.items {
		decode(r, path+"["+strconv.Itoa(i)+"]", item, v.Index(i))
	}
}

// plainValue is n as nil, bool, int64, float64, string, []any or map[string]any.
func plainValue(r *report, path string, n *node) any {
	switch n.kind {
	case mapping:
		m := map[string]any{}
		decodeMap(r, path, n, reflect.ValueOf(&m).Elem())
		return m
	case list:
		l := []any{}
		decodeList(r, path, n, reflect.ValueOf(&l).Elem())
		return l
	case scalar:
		if !n.plain {
			return n.text
		}
		if n.text == "true" || n.text == "false" {
			return n.text == "true"
		}
		if i, err := strconv.ParseInt(n.text, 10, 64); err == nil {
			return i
		}
		if f, err := strconv.ParseFloat(n.text, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	}
	return n.text
}

// setText stores text in the scalar v. The error is the end of a sentence that
// begins with the value.
func setText(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		if strings.ContainsRune(text, 0) {
			return errors.New("has a zero byte in it")
		}
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return errors.New("is neither true nor false")
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return numberProblem(err)
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return numberProblem(err)
		}
		v.SetUint(n)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return errors.New("is not a number")
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("cannot be stored in a %v", v.Type())
	}
	return nil
}

func numberProblem(err error) error {
	if errors.Is(err, strconv.ErrRange) {
		return errors.New("is too large")
	}
	return errors.New("is not a whole number")
}

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}
