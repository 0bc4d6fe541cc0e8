package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
)

// FromGo makes a value of what a decoder of JSON or YAML gives for any: nil,
// booleans, numbers, strings, lists and maps with string keys, whose keys are
// sorted.
func FromGo(v any) (Value, error) { return fromGo(v, 0) }

func fromGo(v any, depth int) (Value, error) {
	if depth > maxDepth {
		return Value{}, fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		return Value{}, nil
	case bool:
		return BoolOf(v), nil
	case string:
		return StringOf(v), nil
	case int:
		return IntOf(int64(v)), nil
	case int64:
		return IntOf(v), nil
	case uint64:
		if v < 1<<53 {
			return IntOf(int64(v)), nil
		}
		return FloatOf(float64(v)), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return Value{}, fmt.Errorf("%v is no number that can be used", v)
		}
		return FloatOf(v), nil
	case json.Number:
		return parseNumber(string(v))
	case []any:
		items := make([]Value, len(v))
		for i := range v {
			item, err := fromGo(v[i], depth+1)
			if err != nil {
				return Value{}, fmt.Errorf("[%d]: %w", i, err)
			}
			items[i] = item
		}
		return ListOf(items), nil
	case map[string]any:
		f := &Fields{}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			item, err := fromGo(v[k], depth+1)
			if err != nil {
				return Value{}, fmt.Errorf("%s: %w", k, err)
			}
			f.Keys, f.Values = append(f.Keys, k), append(f.Values, item)
		}
		return ObjectOf(f), nil
	}
	return Value{}, fmt.Errorf("%T cannot be a parameter", v)
}

// FromGoMap is [FromGo] of each value.
func FromGoMap(m map[string]any) (map[string]Value, error) {
	out := map[string]Value{}
	for k, v := range m {
		value, err := FromGo(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		out[k] = value
	}
	return out, nil
}

// ParseParameters reads a JSON object of parameters; nothing is an empty one.
func ParseParameters(data []byte) (map[string]Value, error) {
	if len(data) == 0 {
		return nil, nil
	}
	v, err := ParseJSON(data)
	if err != nil {
		return nil, err
	}
	f, ok := v.Fields()
	if !ok {
		if v.IsNull() {
			return nil, nil
		}
		return nil, fmt.Errorf("parameters are %s and must be an object", v.Describe())
	}
	out := map[string]Value{}
	for i, k := range f.Keys {
		out[k] = f.Values[i]
	}
	return out, nil
}
