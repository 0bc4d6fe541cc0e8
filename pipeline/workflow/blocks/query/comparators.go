package query

import (
	"fmt"
	"strings"

	"perch/pipeline/workflow"
)

// comparators are the names of what can stand between two operands, in the
// order of compareFunc's cases.
var comparators = [...]string{
	"==", "!=", "(Number) ==", "(Number) !=", "(Number) >", "(Number) >=", "(Number) <", "(Number) <=", "(Number) in range",
	"(String) startsWith", "(String) endsWith", "(String) contains", "in (Sequence)", "all in (Sequence)", "any in (Sequence)", "(Detection) in zone",
}

// compare compares two values.
type compare func(st *state, a, b workflow.Value) (bool, error)

func (c *compiler) binary(n node) (test, error) {
	left, err := c.operand(n, "left_operand")
	if err != nil {
		return nil, err
	}
	right, err := c.operand(n, "right_operand")
	if err != nil {
		return nil, err
	}
	cmp, err := c.object(n.at("comparator"), n.get("comparator"), "a comparator, {\"type\": …}")
	if err != nil {
		return nil, err
	}
	i, err := cmp.word("type", comparators[:])
	if err != nil {
		return nil, err
	}
	name := comparators[i]
	if name == "(Detection) in zone" {
		return inZone(left, right)
	}
	takesLeft, takesRight := sides(name)
	for _, side := range []struct {
		o     *operand
		takes kinds
	}{{left, takesLeft}, {right, takesRight}} {
		if side.o.kinds&side.takes == 0 {
			return nil, &Error{side.o.path, fmt.Sprintf("it is %s, and %s compares %s there", side.o.kinds, name, side.takes), ""}
		}
	}
	f := compareFunc(name)
	return func(st *state) (bool, error) {
		a, err := left.get(st)
		if err != nil {
			return false, err
		}
		b, err := right.get(st)
		if err != nil {
			return false, err
		}
		return f(st, a, b)
	}, nil
}

// sides says what may stand to the left and right of a comparator.
func sides(name string) (left, right kinds) {
	switch {
	case strings.HasSuffix(name, "==") || strings.HasSuffix(name, "!="):
		return kAny, kAny
	case name == "(Number) in range":
		return kNumber | kBool, kList
	case strings.HasPrefix(name, "(Number)"):
		return kNumber | kBool, kNumber | kBool
	case name == "(String) contains":
		return kText | kList | kObject, kAny
	case strings.HasPrefix(name, "(String)"):
		return kText, kText
	case name == "in (Sequence)":
		return kAny, kText | kList | kObject
	}
	return kText | kList | kObject, kText | kList | kObject
}

func compareFunc(name string) compare {
	switch name {
	case "==", "(Number) ==":
		return func(st *state, a, b workflow.Value) (bool, error) { return st.equal(a, b) }
	case "!=", "(Number) !=":
		return func(st *state, a, b workflow.Value) (bool, error) {
			same, err := st.equal(a, b)
			return !same, err
		}
	case "(Number) >":
		return numbers(name, func(a, b float64) bool { return a > b })
	case "(Number) >=":
		return numbers(name, func(a, b float64) bool { return a >= b })
	case "(Number) <":
		return numbers(name, func(a, b float64) bool { return a < b })
	case "(Number) <=":
		return numbers(name, func(a, b float64) bool { return a <= b })
	case "(Number) in range":
		return inRange
	case "(String) startsWith":
		return texts(name, strings.HasPrefix)
	case "(String) endsWith":
		return texts(name, strings.HasSuffix)
	case "(String) contains":
		return func(st *state, a, b workflow.Value) (bool, error) { return st.in(name, b, a) }
	case "in (Sequence)":
		return func(st *state, a, b workflow.Value) (bool, error) { return st.in(name, a, b) }
	case "all in (Sequence)":
		return func(st *state, a, b workflow.Value) (bool, error) { return st.several(name, a, b, true) }
	}
	return func(st *state, a, b workflow.Value) (bool, error) { return st.several(name, a, b, false) }
}

func numbers(name string, f func(a, b float64) bool) compare {
	return func(_ *state, a, b workflow.Value) (bool, error) {
		x, okA := Number(a)
		y, okB := Number(b)
		if !okA || !okB {
			return false, fmt.Errorf("%s compares numbers and is given %s and %s", name, a.Describe(), b.Describe())
		}
		return f(x, y), nil
	}
}

// inRange reports whether a number is between two others, or equal to one.
func inRange(_ *state, a, b workflow.Value) (bool, error) {
	x, ok := Number(a)
	limits, isList := b.Items()
	if !ok || !isList || len(limits) != 2 {
		return false, fmt.Errorf("(Number) in range needs a number and a list of two, [lowest, highest], and is given %s and %s", a.Describe(), b.Describe())
	}
	low, okLow := Number(limits[0])
	high, okHigh := Number(limits[1])
	if !okLow || !okHigh {
		return false, fmt.Errorf("(Number) in range: the limits are %s and %s and must be numbers", limits[0].Describe(), limits[1].Describe())
	}
	return low <= x && x <= high, nil
}

func texts(name string, f func(a, b string) bool) compare {
	return func(st *state, a, b workflow.Value) (bool, error) {
		s, okA := a.Str()
		t, okB := b.Str()
		if !okA || !okB {
			return false, fmt.Errorf("%s compares strings and is given %s and %s", name, a.Describe(), b.Describe())
		}
		return f(s, t), st.read(len(t))
	}
}

// in reports whether an element is in a list, a key in an object or a part in a
// text.
func (st *state) in(name string, v, seq workflow.Value) (bool, error) {
	switch seq.Type() {
	case workflow.String:
		s, _ := seq.Str()
		part, ok := v.Str()
		if !ok {
			return false, fmt.Errorf("%s: %s cannot be part of a string", name, v.Describe())
		}
		return strings.Contains(s, part), st.read(len(s))
	case workflow.Object:
		f, _ := seq.Fields()
		key, ok := v.Str()
		if !ok {
			return false, nil
		}
		_, found := f.Get(key)
		return found, st.spend(len(f.Keys))
	case workflow.List:
		items, _ := seq.Items()
		for i := range items {
			if same, err := st.equal(items[i], v); same || err != nil {
				return same, err
			}
		}
		return false, nil
	}
	return false, fmt.Errorf("%s looks into a list, an object or a string and is given %s", name, seq.Describe())
}

// several reports whether all, or any, of the elements of a are in b.
func (st *state) several(name string, a, b workflow.Value, all bool) (bool, error) {
	items, err := st.items(a, name)
	if err != nil {
		return false, err
	}
	for _, item := range items {
		found, err := st.in(name, item, b)
		if err != nil {
			return false, err
		}
		if found != all {
			return found, nil
		}
	}
	return all, nil
}

// unaries are the names of the operators of one operand.
var unaries = [...]string{
	"Exists", "DoesNotExist", "(Boolean) is True", "(Boolean) is False", "(Sequence) is empty", "(Sequence) is not empty",
}

func (c *compiler) unary(n node) (test, error) {
	o, err := c.operand(n, "operand")
	if err != nil {
		return nil, err
	}
	operator, err := c.object(n.at("operator"), n.get("operator"), "an operator, {\"type\": …}")
	if err != nil {
		return nil, err
	}
	i, err := operator.word("type", unaries[:])
	if err != nil {
		return nil, err
	}
	f := [...]func(v workflow.Value) (bool, error){
		func(v workflow.Value) (bool, error) { return !v.IsNull(), nil },
		func(v workflow.Value) (bool, error) { return v.IsNull(), nil },
		func(v workflow.Value) (bool, error) { b, ok := v.Bool(); return ok && b, nil },
		func(v workflow.Value) (bool, error) { b, ok := v.Bool(); return ok && !b, nil },
		func(v workflow.Value) (bool, error) { n, err := lengthFor(unaries[i], v); return n == 0, err },
		func(v workflow.Value) (bool, error) { n, err := lengthFor(unaries[i], v); return n > 0, err },
	}[i]
	return func(st *state) (bool, error) {
		v, err := o.get(st)
		if err != nil {
			return false, err
		}
		return f(v)
	}, nil
}

func lengthFor(name string, v workflow.Value) (int, error) {
	n, ok := length(v)
	if !ok {
		return 0, fmt.Errorf("%s is given %s, which has no elements", name, v.Describe())
	}
	return n, nil
}
