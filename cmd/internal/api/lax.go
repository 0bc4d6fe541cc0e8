package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A detail is one mistake in a body, in FastAPI's form.
type detail struct {
	Type  string         `json:"type"`
	Loc   []any          `json:"loc"` // "body", then keys and indexes
	Msg   string         `json:"msg"`
	Input any            `json:"input"`
	Ctx   map[string]any `json:"ctx,omitempty"`
}

// maxDetails bounds what a hopeless body can say.
const maxDetails = 50

// A lax reader takes values out of JSON as Pydantic does in its lax mode
// (numbers and truths may be text) and collects what cannot be taken.
type lax struct {
	body    []byte
	details []detail
}

// bad reports the value in at loc. The value is shown only if it is short and
// plain: bodies hold keys and passwords.
func (l *lax) bad(loc []any, kind, msg string, in any) {
	if len(l.details) < maxDetails {
		l.details = append(l.details, detail{Type: kind, Loc: loc, Msg: msg, Input: showable(in)})
	}
}

func showable(in any) any {
	switch v := in.(type) {
	case nil, bool, json.Number:
		return v
	case string:
		if len(v) <= 64 && !strings.Contains(v, "://") {
			return v
		}
		return "..."
	case []any:
		return []any{}
	}
	return struct{}{}
}

// parseJSON reads one JSON value, numbers unchanged.
func (l *lax) parseJSON() (any, bool) {
	loc := []any{"body"}
	if len(bytes.TrimSpace(l.body)) == 0 {
		l.bad(loc, "missing", "Field required", nil)
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(l.body))
	dec.UseNumber()
	var v any
	why := "Extra data"
	err := dec.Decode(&v)
	if err != nil {
		why = err.Error()
	} else if _, err = dec.Token(); errors.Is(err, io.EOF) {
		return v, true
	}
	at := dec.InputOffset()
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = e.Offset - 1 // of the character, from 0
	}
	l.bad(append(loc, at), "json_invalid", "JSON decode error", struct{}{})
	l.details[len(l.details)-1].Ctx = map[string]any{"error": why}
	return nil, false
}

// A fields is a JSON object that is being read, and where it stands.
type fields struct {
	lax    *lax
	loc    []any
	values map[string]any
}

// object reads v as an object.
func (l *lax) object(v any, loc []any) (fields, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		l.bad(loc, "model_attributes_type", "Input should be a valid dictionary or object to extract fields from", v)
	}
	return fields{l, loc, m}, ok
}

func (f fields) at(name string) []any { return append(append([]any{}, f.loc...), name) }

// get returns a field; null counts as absent where nullable.
func (f fields) get(name string, nullable bool) (any, bool) {
	v, ok := f.values[name]
	return v, ok && (v != nil || !nullable)
}

// need returns a field that must be there.
func (f fields) need(name string) (any, bool) {
	v, ok := f.values[name]
	if !ok {
		f.lax.bad(f.at(name), "missing", "Field required", f.values)
	}
	return v, ok
}

// text reads an optional string.
func (f fields) text(name, otherwise string, nullable bool) string {
	v, ok := f.get(name, nullable)
	if !ok {
		return otherwise
	}
	return f.lax.text(v, f.at(name), math.MaxInt)
}

func (l *lax) text(v any, loc []any, limit int) string {
	s, ok := v.(string)
	switch {
	case !ok:
		l.bad(loc, "string_type", "Input should be a valid string", v)
	case len(s) > limit:
		l.bad(loc, "string_too_long", "String should have at most "+strconv.Itoa(limit)+" characters", s)
		s = ""
	}
	return s
}

// list reads an optional list of strings; nil means absent.
func (f fields) list(name string) []string {
	v, ok := f.get(name, true)
	if !ok {
		return nil
	}
	return f.lax.list(v, f.at(name))
}

func (l *lax) list(v any, loc []any) []string {
	items, ok := v.([]any)
	switch {
	case !ok:
		l.bad(loc, "list_type", "Input should be a valid list", v)
		return nil
	case len(items) > maxListed:
		l.bad(loc, "too_long", "List should have at most "+strconv.Itoa(maxListed)+" items after validation, not "+strconv.Itoa(len(items)), v)
		return nil
	}
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = l.text(item, append(append([]any{}, loc...), i), math.MaxInt)
	}
	return out
}

// raw reads an optional object and returns it as the client wrote it: the order
// of its keys may mean something.
func (f fields) raw(name string) json.RawMessage {
	v, ok := f.get(name, true)
	if !ok {
		return nil
	}
	if _, ok := v.(map[string]any); !ok {
		f.lax.bad(f.at(name), "dict_type", "Input should be a valid dictionary", v)
		return nil
	}
	text := json.RawMessage(f.lax.body)
	for _, key := range f.at(name)[1:] {
		var values map[string]json.RawMessage
		if err := json.Unmarshal(text, &values); err != nil {
			panic("api: " + err.Error()) // it has been read once
		}
		text = values[key.(string)]
	}
	return text
}

// truth reads an optional boolean that may not be null.
func (f fields) truth(name string, otherwise bool) bool {
	v, ok := f.get(name, false)
	if !ok {
		return otherwise
	}
	text := ""
	switch x := v.(type) {
	case bool:
		return x
	case string:
		text = strings.ToLower(x)
	case json.Number:
		if n, err := x.Float64(); err == nil {
			text = strconv.FormatFloat(n, 'f', -1, 64)
		}
	default:
		f.lax.bad(f.at(name), "bool_type", "Input should be a valid boolean", v)
		return otherwise
	}
	switch text {
	case "1", "true", "t", "yes", "y", "on":
		return true
	case "0", "false", "f", "no", "n", "off":
		return false
	}
	f.lax.bad(f.at(name), "bool_parsing", "Input should be a valid boolean, unable to interpret input", v)
	return otherwise
}

// number reads an optional number; nil means absent.
func (f fields) number(name string) *float64 {
	v, ok := f.get(name, true)
	if !ok {
		return nil
	}
	var text string
	switch x := v.(type) {
	case json.Number:
		text = x.String()
	case string:
		text = strings.TrimSpace(x)
	case bool:
		text = map[bool]string{true: "1", false: "0"}[x]
	default:
		f.lax.bad(f.at(name), "float_type", "Input should be a valid number", v)
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange) || strings.ContainsAny(text, "xX_"):
		f.lax.bad(f.at(name), "float_parsing", "Input should be a valid number, unable to parse string as a number", v)
		return nil
	case math.IsNaN(n) || math.IsInf(n, 0):
		f.lax.bad(f.at(name), "finite_number", "Input should be a finite number", v)
		return nil
	}
	return &n
}

// integer reads an optional whole number of at most 2^53; nil means absent.
func (f fields) integer(name string) *int64 {
	before := len(f.lax.details)
	n := f.number(name)
	switch {
	case n == nil && len(f.lax.details) > before:
		d := &f.lax.details[before]
		d.Type = strings.Replace(d.Type, "float", "int", 1)
		d.Msg = strings.Replace(strings.Replace(d.Msg, "valid number", "valid integer", 1), "as a number", "as an integer", 1)
		return nil
	case n == nil:
		return nil
	case *n != math.Trunc(*n):
		f.lax.bad(f.at(name), "int_from_float", "Input should be a valid integer, got a number with a fractional part", f.values[name])
		return nil
	case math.Abs(*n) > 1<<53:
		f.lax.bad(f.at(name), "int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size", f.values[name])
		return nil
	}
	i := int64(*n)
	return &i
}

// moment reads an optional time: ISO 8601, local where it names no zone, or
// seconds since 1970. Zero means absent.
func (f fields) moment(name string) time.Time {
	v, ok := f.get(name, true)
	if !ok {
		return time.Time{}
	}
	if n, ok := v.(json.Number); ok {
		s, err := n.Float64()
		if err == nil && math.Abs(s) > 2e10 { // milliseconds, as Pydantic guesses
			s /= 1e3
		}
		if err == nil && math.Abs(s) < 2e11 {
			return time.UnixMicro(int64(s * 1e6))
		}
	}
	if s, ok := v.(string); ok && utf8.ValidString(s) {
		for _, form := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02"} {
			if t, err := time.ParseInLocation(form, strings.Replace(s, " ", "T", 1), time.Local); err == nil {
				return t
			}
		}
	}
	f.lax.bad(f.at(name), "datetime_from_date_parsing", "Input should be a valid datetime or date", v)
	return time.Time{}
}
