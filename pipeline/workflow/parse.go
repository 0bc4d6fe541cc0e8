package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// The limits of a specification.
const (
	MaxBytes   = 4 << 20
	MaxSteps   = 1000
	MaxEntries = 1000 // inputs, outputs, and entries of a field that holds several selectors
	maxName    = 1000 // bytes; a message about one thing names a dozen others
	maxKinds   = 100  // of one input
	maxDepth   = 100  // of nested lists and objects
)

// ParseJSON reads one JSON value. It keeps the order of keys, and fails on
// anything larger than [MaxBytes] or nested deeper than 100 levels.
func ParseJSON(data []byte) (Value, error) {
	if len(data) > MaxBytes {
		return Value{}, fmt.Errorf("it is %d bytes; at most %d are read", len(data), MaxBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := parse(dec, 0)
	if err != nil {
		return Value{}, place(data, dec, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return Value{}, place(data, dec, errors.New("something follows after the end of the value"))
	}
	return v, nil
}

// place adds the line to what went wrong.
func place(data []byte, dec *json.Decoder, err error) error {
	at := dec.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at = syntax.Offset
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = errors.New("it ends in the middle")
	}
	line := 1 + bytes.Count(data[:min(int(at), len(data))], []byte("\n"))
	return fmt.Errorf("line %d: %w", line, err)
}

func parse(dec *json.Decoder, depth int) (Value, error) {
	if depth > maxDepth {
		return Value{}, fmt.Errorf("lists and objects are nested deeper than %d levels", maxDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return Value{}, err
	}
	switch t := tok.(type) {
	case nil:
		return Value{}, nil
	case bool:
		return BoolOf(t), nil
	case string:
		return StringOf(t), nil
	case json.Number:
		return parseNumber(string(t))
	case json.Delim:
		if t == '[' {
			return parseList(dec, depth)
		}
		return parseObject(dec, depth)
	}
	return Value{}, fmt.Errorf("unexpected %v", tok)
}

func parseNumber(s string) (Value, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return Value{}, fmt.Errorf("%s is no number that fits", s)
	}
	for _, c := range s {
		if c == '.' || c == 'e' || c == 'E' {
			return FloatOf(f), nil
		}
	}
	if math.Abs(f) >= 1<<53 {
		return FloatOf(f), nil
	}
	return IntOf(int64(f)), nil
}

func parseList(dec *json.Decoder, depth int) (Value, error) {
	items := []Value{}
	for dec.More() {
		v, err := parse(dec, depth+1)
		if err != nil {
			return Value{}, err
		}
		items = append(items, v)
	}
	_, err := dec.Token()
	return ListOf(items), err
}

func parseObject(dec *json.Decoder, depth int) (Value, error) {
	f := &Fields{}
	seen := map[string]int{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return Value{}, err
		}
		key, ok := tok.(string)
		if !ok {
			return Value{}, fmt.Errorf("a key is %v and must be a string", tok)
		}
		v, err := parse(dec, depth+1)
		if err != nil {
			return Value{}, err
		}
		if i, twice := seen[key]; twice {
			f.Values[i] = v // the last one counts, as with every JSON reader
			continue
		}
		seen[key] = len(f.Keys)
		f.Keys, f.Values = append(f.Keys, key), append(f.Values, v)
	}
	_, err := dec.Token()
	return ObjectOf(f), err
}
