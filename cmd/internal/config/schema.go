package config

import (
	"reflect"
	"slices"
	"strings"
)

// structFields returns the settable fields of v by the key that names them.
// Embedded structs and those tagged inline lend their keys to v.
func structFields(v reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, inline := keyOf(f)
		if inline {
			for k, sub := range structFields(v.Field(i)) {
				fields[k] = sub
			}
		} else if name != "" {
			fields[name] = v.Field(i)
		}
	}
	return fields
}

// keyOf returns the key of a field, "" when it has none.
func keyOf(f reflect.StructField) (name string, inline bool) {
	tag, ok := f.Tag.Lookup("yaml")
	if !ok {
		tag = f.Tag.Get("json")
	}
	name, options, _ := strings.Cut(tag, ",")
	if tag != "-" && f.Type.Kind() == reflect.Struct && (f.Anonymous || f.IsExported()) &&
		(strings.Contains(options, "inline") || f.Anonymous && name == "") {
		return "", true
	}
	if tag == "-" || !f.IsExported() {
		return "", false
	}
	if name == "" {
		name = strings.ToLower(f.Name)
	}
	return name, false
}

// A key is one thing that can be set. In its path * stands for a name that the
// user chooses.
type key struct {
	path []string
	typ  reflect.Type
	tag  reflect.StructTag
}

func (k key) pattern() string { return strings.Join(k.path, ".") }

// schema returns every key of the configuration, in the order of the types.
func schema() []key {
	var keys []key
	var walk func(path []string, t reflect.Type, tag reflect.StructTag)
	walk = func(path []string, t reflect.Type, tag reflect.StructTag) {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case isScalar(t) || t.Kind() == reflect.Slice:
			keys = append(keys, key{path, t, tag})
		case t.Kind() == reflect.Map:
			walk(append(slices.Clone(path), "*"), t.Elem(), tag)
		case t.Kind() == reflect.Struct:
			for i := range t.NumField() {
				if name, _ := keyOf(t.Field(i)); name != "" {
					walk(append(slices.Clone(path), name), t.Field(i).Type, t.Field(i).Tag)
				}
			}
		}
	}
	walk(nil, reflect.TypeFor[Config](), "")
	return keys
}

// walkValues calls visit with every value below v: scalars, lists as a whole,
// and the values of maps in the order of their keys.
func walkValues(path string, v reflect.Value, tag reflect.StructTag, visit func(path string, v reflect.Value, tag reflect.StructTag)) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	switch {
	case isScalar(v.Type()) || v.Kind() == reflect.Slice:
		visit(path, v, tag)
	case v.Kind() == reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			walkValues(join(path, k.String()), v.MapIndex(k), tag, visit)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if name, _ := keyOf(f); name != "" {
				walkValues(join(path, name), v.Field(i), f.Tag, visit)
			}
		}
	}
}

// setDefaults stores the default tag of every field below v. The tags are
// constants of this package, checked by a test.
func setDefaults(v reflect.Value) {
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if d, ok := f.Tag.Lookup("default"); ok {
			if err := setAny(v.Field(i), d); err != nil {
				panic("config: default of " + f.Name + " " + err.Error())
			}
		} else if f.IsExported() && !isScalar(f.Type) {
			setDefaults(v.Field(i))
		}
	}
}

// setAny stores text in v, a scalar or a list written with commas.
func setAny(v reflect.Value, text string) error {
	if v.Kind() != reflect.Slice || isScalar(v.Type()) {
		return setText(v, text)
	}
	items := []string{}
	if strings.TrimSpace(text) != "" {
		items = strings.Split(text, ",")
	}
	l := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		if err := setText(l.Index(i), strings.TrimSpace(item)); err != nil {
			return err
		}
	}
	v.Set(l)
	return nil
}

// typeName is what a value of type t is called in messages and in the reference.
func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return "duration"
	case reflect.TypeFor[ByteSize]():
		return "size"
	case reflect.TypeFor[Secret]():
		return "secret"
	case reflect.TypeFor[URL]():
		return "URL"
	case reflect.TypeFor[Path]():
		return "path"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "whole number"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "group"
	}
	return "text"
}
