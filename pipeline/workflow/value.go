package workflow

import (
	"fmt"
	"math"
	"time"
)

// A Type is the form of a [Value] at run time.
type Type uint8

// The types of values.
const (
	Null Type = iota
	Bool
	Integer
	Float
	String
	List
	Object
	Bytes
	Time
	ImageType
	DetectionsType
	ClassesType
	MetadataType // what is known of the frame
)

var typeNames = [...]string{
	"null", "a boolean", "an integer", "a number", "a string", "a list", "an object", "bytes", "a time",
	"an image", "detections", "a classification", "video metadata",
}

func (t Type) String() string { return typeNames[t] }

// A Value is what flows from step to step. It is small and passed by value;
// what it refers to is shared and must not be changed by who receives it.
type Value struct {
	typ Type
	num float64
	str string
	ref any // *list, *Fields, *Image, *Detections, *Classes, []byte, time.Time, *Frame
}

type list struct{ items []Value }

// A Fields is an object: keys in the order in which they were written.
type Fields struct {
	Keys   []string
	Values []Value
}

// Get returns the value of a key.
func (f *Fields) Get(key string) (Value, bool) {
	for i, k := range f.Keys {
		if k == key {
			return f.Values[i], true
		}
	}
	return Value{}, false
}

// Set adds a key, or replaces its value.
func (f *Fields) Set(key string, v Value) {
	for i, k := range f.Keys {
		if k == key {
			f.Values[i] = v
			return
		}
	}
	f.Keys, f.Values = append(f.Keys, key), append(f.Values, v)
}

// BoolOf, IntOf, FloatOf and so on make values.
func BoolOf(b bool) Value {
	v := Value{typ: Bool}
	if b {
		v.num = 1
	}
	return v
}

// IntOf makes an integer, exact up to 2^53.
func IntOf(n int64) Value { return Value{typ: Integer, num: float64(n)} }

// FloatOf makes a number.
func FloatOf(f float64) Value { return Value{typ: Float, num: f} }

// StringOf makes a string.
func StringOf(s string) Value { return Value{typ: String, str: s} }

// ListOf makes a list of items, which it keeps.
func ListOf(items []Value) Value { return Value{typ: List, ref: &list{items}} }

// ObjectOf makes an object of f, which it keeps.
func ObjectOf(f *Fields) Value { return Value{typ: Object, ref: f} }

// BytesOf makes a value of b, which it keeps.
func BytesOf(b []byte) Value { return Value{typ: Bytes, ref: b} }

// TimeOf makes a time.
func TimeOf(t time.Time) Value { return Value{typ: Time, ref: t} }

// ImageOf makes a value of an image.
func ImageOf(i *Image) Value { return Value{typ: ImageType, ref: i} }

// DetectionsOf makes a value of detections.
func DetectionsOf(d *Detections) Value { return Value{typ: DetectionsType, ref: d} }

// ClassesOf makes a value of a classification.
func ClassesOf(c *Classes) Value { return Value{typ: ClassesType, ref: c} }

// Type says what the value is.
func (v Value) Type() Type { return v.typ }

// IsNull reports whether there is no value.
func (v Value) IsNull() bool { return v.typ == Null }

// Bool returns a boolean.
func (v Value) Bool() (value, ok bool) { return v.num != 0, v.typ == Bool }

// Float returns a number: an integer or a float.
func (v Value) Float() (float64, bool) { return v.num, v.typ == Float || v.typ == Integer }

// Int returns an integer, or a float that is whole.
func (v Value) Int() (int64, bool) {
	if v.typ == Integer || v.typ == Float && v.num == math.Trunc(v.num) && math.Abs(v.num) < 1<<53 {
		return v.integer(), true
	}
	return 0, false
}

// integer is the number as an integer. The largest there are, such as the class
// of what has none, are rounded up to 2^63, which fits in none: what comes of
// that would differ between processors.
func (v Value) integer() int64 {
	if v.num >= 1<<63 {
		return math.MaxInt64
	}
	return int64(v.num)
}

// Str returns a string.
func (v Value) Str() (string, bool) { return v.str, v.typ == String }

// Items returns a list's items.
func (v Value) Items() ([]Value, bool) {
	if l, ok := v.ref.(*list); ok {
		return l.items, true
	}
	return nil, false
}

// Fields returns an object's fields.
func (v Value) Fields() (*Fields, bool) { f, ok := v.ref.(*Fields); return f, ok }

// Bytes returns bytes.
func (v Value) Bytes() ([]byte, bool) { b, ok := v.ref.([]byte); return b, ok }

// Time returns a time.
func (v Value) Time() (time.Time, bool) { t, ok := v.ref.(time.Time); return t, ok }

// Image returns an image.
func (v Value) Image() (*Image, bool) { i, ok := v.ref.(*Image); return i, ok }

// Detections returns detections.
func (v Value) Detections() (*Detections, bool) { d, ok := v.ref.(*Detections); return d, ok }

// Classes returns a classification.
func (v Value) Classes() (*Classes, bool) { c, ok := v.ref.(*Classes); return c, ok }

// Equal reports whether two values are the same: numbers by value whatever
// their type, lists and objects element by element, the rest by what they
// refer to.
func (v Value) Equal(w Value) bool {
	a, an := v.Float()
	b, bn := w.Float()
	switch {
	case an && bn:
		return a == b
	case v.typ != w.typ:
		return false
	case v.typ == List:
		x, _ := v.Items()
		y, _ := w.Items()
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if !x[i].Equal(y[i]) {
				return false
			}
		}
		return true
	case v.typ == Object:
		x, _ := v.Fields()
		y, _ := w.Fields()
		if len(x.Keys) != len(y.Keys) {
			return false
		}
		for i, k := range x.Keys {
			if z, ok := y.Get(k); !ok || !x.Values[i].Equal(z) {
				return false
			}
		}
		return true
	case v.typ == Bytes:
		x, _ := v.Bytes()
		y, _ := w.Bytes()
		return string(x) == string(y)
	case v.typ == Time:
		x, _ := v.Time()
		y, _ := w.Time()
		return x.Equal(y)
	case v.ref != nil:
		return v.ref == w.ref
	}
	return v.num == w.num && v.str == w.str
}

// Describe says what v is in a few words, for error messages.
func (v Value) Describe() string {
	switch v.typ {
	case Bool:
		return fmt.Sprintf("%v", v.num != 0)
	case Integer, Float:
		return fmt.Sprintf("%v", v.num)
	case String:
		return fmt.Sprintf("%q", shorten(v.str, 60))
	case List:
		items, _ := v.Items()
		return fmt.Sprintf("a list of %d", len(items))
	}
	return v.typ.String()
}

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
