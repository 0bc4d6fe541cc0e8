package query

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"perch/pipeline/workflow"
)

func buildToNumber(_ *compiler, n node) (op, error) {
	mode, err := n.word("cast_to", []string{"int", "float"})
	if err != nil {
		return nil, err
	}
	return func(_ *state, v workflow.Value) (workflow.Value, error) {
		f, ok := Number(v)
		if s, isStr := v.Str(); isStr {
			f, ok = parseNumber(s)
		}
		switch {
		case !ok:
			return v, fmt.Errorf("ToNumber is given %s, which is no number", v.Describe())
		case mode == 1:
			return workflow.FloatOf(f), nil
		case math.IsNaN(f) || math.IsInf(f, 0):
			return v, fmt.Errorf("ToNumber is given %s, which is no whole number", v.Describe())
		}
		return NumberOf(math.Trunc(f), true), nil
	}, nil
}

// parseNumber reads a number as Python's float() does, but for underscores.
func parseNumber(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "xXpP_") { // Go's own notations
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) { // too large is infinite
		return 0, false
	}
	return f, true
}

func buildRound(_ *compiler, n node) (op, error) {
	digits, err := n.integer("decimal_digits", -300, 300)
	if err != nil {
		return nil, err
	}
	return func(_ *state, v workflow.Value) (workflow.Value, error) {
		f, ok := Number(v)
		if !ok {
			return v, fmt.Errorf("NumberRound is given %s, which is no number", v.Describe())
		}
		return NumberOf(round(f, int(digits)), whole(v)), nil
	}, nil
}

// round rounds to a number of decimal digits. Which of two decimals is nearer
// is decided by the exact value: 2.675 is a little less than it looks, and
// becomes 2.67.
func round(f float64, digits int) float64 {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return f
	case digits < 0:
		p := math.Pow10(-digits)
		return math.RoundToEven(f/p) * p
	}
	var buf [64]byte
	r, err := strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], f, 'f', digits, 64)), 64)
	if err != nil {
		return f
	}
	return r
}

func buildMultiply(_ *compiler, n node) (op, error) {
	other, err := n.number("other")
	if err != nil {
		return nil, err
	}
	by, _ := other.Float()
	return func(_ *state, v workflow.Value) (workflow.Value, error) {
		f, ok := Number(v)
		if !ok {
			return v, fmt.Errorf("operation Multiply is given %s, which is no number", v.Describe())
		}
		return NumberOf(f*by, whole(v) && whole(other)), nil
	}, nil
}

func buildDivide(_ *compiler, n node) (op, error) {
	other, err := n.number("other")
	if err != nil {
		return nil, err
	}
	by, _ := other.Float()
	if by == 0 {
		return nil, &Error{n.at("other"), "it is 0, and nothing can be divided by that", "it takes any other number"}
	}
	return func(_ *state, v workflow.Value) (workflow.Value, error) {
		f, ok := Number(v)
		if !ok {
			return v, fmt.Errorf("operation Divide is given %s, which is no number", v.Describe())
		}
		return workflow.FloatOf(f / by), nil
	}, nil
}

func buildToString(*compiler, node) (op, error) {
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		s, err := Text(v)
		if err != nil {
			return v, fmt.Errorf("ToString: %w", err)
		}
		return workflow.StringOf(s), st.read(len(s))
	}, nil
}

func buildToBoolean(*compiler, node) (op, error) {
	return func(_ *state, v workflow.Value) (workflow.Value, error) { return workflow.BoolOf(truth(v)), nil }, nil
}

// text compiles an operation on texts.
func text(what string, f func(s string) workflow.Value) op {
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		s, ok := v.Str()
		if !ok {
			return v, fmt.Errorf("%s is given %s and needs a string", what, v.Describe())
		}
		return f(s), st.read(len(s))
	}
}

func buildLower(*compiler, node) (op, error) {
	return text("StringToLowerCase", func(s string) workflow.Value { return workflow.StringOf(strings.ToLower(s)) }), nil
}

func buildUpper(*compiler, node) (op, error) {
	return text("StringToUpperCase", func(s string) workflow.Value { return workflow.StringOf(strings.ToUpper(s)) }), nil
}

func buildSubstring(_ *compiler, n node) (op, error) {
	start, errS := n.integerOr("start", 0, -maxText, maxText)
	end, errE := n.integerOr("end", -1, -maxText, maxText)
	if err := first(errS, errE); err != nil {
		return nil, err
	}
	return text("StringSubSequence", func(s string) workflow.Value { return workflow.StringOf(slice(s, int(start), int(end))) }), nil
}

// slice is Python's s[start:end], counted in letters.
func slice(s string, start, end int) string {
	n := utf8.RuneCountInString(s)
	clip := func(i int) int {
		if i < 0 {
			i += n
		}
		return min(max(i, 0), n)
	}
	start, end = clip(start), clip(end)
	if start >= end {
		return ""
	}
	from, to, at := len(s), len(s), 0
	for i := range s {
		if at == start {
			from = i
		}
		if at == end {
			to = i
		}
		at++
	}
	return s[from:to]
}

func buildMatches(_ *compiler, n node) (op, error) {
	expr, err := n.str("regex")
	if err != nil {
		return nil, err
	}
	if len(expr) > maxRegex {
		return nil, &Error{n.at("regex"), fmt.Sprintf("it is %d bytes long", len(expr)), fmt.Sprintf("at most %d are read", maxRegex)}
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, &Error{n.at("regex"), err.Error(), "the syntax is RE2's: no look-around (?=…), no back-references \\1"}
	}
	return text("StringMatches", func(s string) workflow.Value { return workflow.BoolOf(re.MatchString(s)) }), nil
}

func buildRandom(_ *compiler, n node) (op, error) {
	low, errL := n.float("min_value", 0)
	high, errH := n.float("max_value", 1)
	if err := first(errL, errH); err != nil {
		return nil, err
	}
	return func(*state, workflow.Value) (workflow.Value, error) {
		return workflow.FloatOf(low + rand.Float64()*math.Abs(high-low)), nil
	}, nil
}

func buildLookup(_ *compiler, n node) (op, error) {
	find, err := lookup(n, "LookupTable")
	if err != nil {
		return nil, err
	}
	return func(_ *state, v workflow.Value) (workflow.Value, error) { return find(v) }, nil
}

// lookup reads a lookup_table.
func lookup(n node, what string) (func(v workflow.Value) (workflow.Value, error), error) {
	f, err := n.objectOf("lookup_table")
	if err != nil {
		return nil, err
	}
	table := make(map[string]workflow.Value, len(f.Keys))
	for i, k := range f.Keys {
		table[k] = f.Values[i]
	}
	return func(v workflow.Value) (workflow.Value, error) {
		s, ok := v.Str()
		if !ok {
			return v, fmt.Errorf("%s is given %s, and the keys of its table are strings (ToString makes one)", what, v.Describe())
		}
		to, ok := table[s]
		if !ok {
			return v, fmt.Errorf("%s: %s is not in its table (%s)", what, v.Describe(), workflow.Suggest("keys", s, f.Keys))
		}
		return to, nil
	}, nil
}

func buildISO(*compiler, node) (op, error) {
	return func(_ *state, v workflow.Value) (workflow.Value, error) {
		t, ok := v.Time()
		if !ok {
			return v, fmt.Errorf("TimestampToISOFormat is given %s and needs a time", v.Describe())
		}
		return workflow.StringOf(workflow.ISOTime(t)), nil
	}, nil
}
