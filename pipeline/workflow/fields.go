package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// readUses reads what a step writes into the fields of its block.
func (s *step) readUses(fs *faults) {
	if s.m == nil {
		return
	}
	s.uses = make([]use, len(s.m.Fields))
	for i := range s.m.Fields {
		f := &s.m.Fields[i]
		name, v, ok := s.property(f)
		if !ok || v.IsNull() && !f.Required {
			if f.Required {
				fs.add(s.fault(f.Name, "it is missing", "it takes "+f.takes()))
			}
			s.uses[i].refs = defaultRefs(f)
			continue
		}
		s.uses[i].given = true
		s.uses[i].refs = s.readField(f, name, v, fs)
	}
}

func defaultRefs(f *Field) []ref {
	if f.Form != One {
		return nil
	}
	return []ref{{val: f.Default}}
}

// property finds a field's value by its name or another name for it.
func (s *step) property(f *Field) (string, Value, bool) {
	names := append([]string{f.Name}, f.Aliases...)
	switch f.Name { // the editor writes either
	case "image":
		names = append(names, "images")
	case "images":
		names = append(names, "image")
	}
	for _, n := range names {
		if v, ok := s.fields.Get(n); ok {
			return n, v, true
		}
	}
	return f.Name, Value{}, false
}

func (s *step) fault(property, text, hint string) Fault {
	return Fault{Step: s.name, Type: s.typ, Property: property, Text: text, Hint: hint}
}

func (s *step) readField(f *Field, name string, v Value, fs *faults) []ref {
	switch f.Form {
	case Many, Steps:
		items, ok := v.Items()
		if !ok {
			if str, isStr := v.Str(); isStr && f.Form == Steps {
				items = []Value{StringOf(str)} // a single step without brackets
			} else {
				fs.add(s.fault(name, "it is "+v.Describe()+" and must be a list", ""))
				return nil
			}
		}
		if s.tooMany(name, len(items), fs) {
			return nil
		}
		var refs []ref
		for i, item := range items {
			if r, ok := s.readRef(f, fmt.Sprintf("%s[%d]", name, i), item, fs); ok {
				refs = append(refs, r)
			}
		}
		if len(items) < f.MinItems {
			fs.add(s.fault(name, fmt.Sprintf("it has %d entries", len(items)), fmt.Sprintf("at least %d are needed", f.MinItems)))
		}
		return refs
	case Named, Cases:
		o, ok := v.Fields()
		if !ok {
			fs.add(s.fault(name, "it is "+v.Describe()+" and must be an object", ""))
			return nil
		}
		if s.tooMany(name, len(o.Keys), fs) {
			return nil
		}
		var refs []ref
		for i, key := range o.Keys {
			if len(key) > maxName {
				fs.add(s.fault(name, fmt.Sprintf("one of its keys is %d bytes long", len(key)), fmt.Sprintf("at most %d are taken", maxName)))
				continue
			}
			if r, ok := s.readRef(f, name+"."+key, o.Values[i], fs); ok {
				r.key = key
				refs = append(refs, r)
			}
		}
		if len(o.Keys) < f.MinItems {
			fs.add(s.fault(name, "it is empty", ""))
		}
		return refs
	}
	if r, ok := s.readRef(f, name, v, fs); ok {
		return []ref{r}
	}
	return nil
}

// tooMany reports whether a field has so many entries that they are not looked
// at.
func (s *step) tooMany(name string, n int, fs *faults) bool {
	if n > MaxEntries {
		fs.add(s.fault(name, fmt.Sprintf("it has %d entries", n), fmt.Sprintf("at most %d are taken", MaxEntries)))
	}
	return n > MaxEntries
}

// readRef reads one selector or literal.
func (s *step) readRef(f *Field, name string, v Value, fs *faults) (ref, bool) {
	if str, ok := v.Str(); ok {
		if sel, ok := parseSelector(str); ok {
			return s.readSelector(f, name, sel, fs)
		}
	}
	if f.Form == Steps || f.Form == Cases {
		fs.add(s.fault(name, fmt.Sprintf("it is %s and must name a step", v.Describe()), "for example $steps.counter"))
		return ref{}, false
	}
	if problem := f.check(v); problem != "" {
		fs.add(s.fault(name, problem, "it takes "+f.takes()))
		return ref{}, false
	}
	return ref{val: v}, true
}

func (s *step) readSelector(f *Field, name string, sel selector, fs *faults) (ref, bool) {
	wantsStep := f.Form == Steps || f.Form == Cases
	switch {
	case wantsStep && (sel.step == "" || sel.port != ""):
		fs.add(s.fault(name, fmt.Sprintf("%s is a value and a step is needed", sel.text), "for example $steps.counter"))
	case !wantsStep && len(f.Kinds) == 0:
		fs.add(s.fault(name, fmt.Sprintf("it is %s and no selector can stand here", sel.text), "it takes "+f.takes()))
	case !wantsStep && sel.step != "" && sel.port == "":
		fs.add(s.fault(name, fmt.Sprintf("%s is a step and one of its outputs is needed", sel.text), sel.text+".<output>"))
	case sel.port == "*":
		fs.add(s.fault(name, fmt.Sprintf("%s means all outputs of a step, which only the workflow's outputs can have", sel.text), "name one"))
	default:
		return ref{sel: sel}, true
	}
	return ref{}, false
}

// takes says what a field accepts.
func (f *Field) takes() string {
	var parts []string
	if f.Form == Steps {
		return "a list of steps, $steps.<step>"
	}
	if f.Form == Cases {
		return "an object of steps, {case: $steps.<step>}"
	}
	switch f.Literal {
	case NoLiteral:
	case EnumLiteral:
		parts = append(parts, "one of "+strings.Join(f.Enum, ", "))
	default:
		parts = append(parts, f.Literal.String()+f.limits())
	}
	if len(f.Kinds) > 0 {
		var kinds []string
		for _, k := range f.Kinds {
			kinds = append(kinds, string(k))
		}
		parts = append(parts, "a selector of "+strings.Join(kinds, ", "))
	}
	return strings.Join(parts, " or ")
}

func (f *Field) limits() string {
	if f.Min == 0 && f.Max == 0 && !f.MinOpen {
		return ""
	}
	low := "from"
	if f.MinOpen {
		low = "above"
	}
	if f.Max == 0 {
		return fmt.Sprintf(" %s %s", low, plain(f.Min))
	}
	return fmt.Sprintf(" %s %s to %s", low, plain(f.Min), plain(f.Max))
}

// plain writes a number without an exponent.
func plain(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// check says what is wrong with a literal, or "".
func (f *Field) check(v Value) string {
	_, isNum := v.Float()
	_, isInt := v.Int()
	str, isStr := v.Str()
	ok := true
	switch f.Literal {
	case NoLiteral:
		return v.Describe() + " is written there and a selector is needed"
	case AnyLiteral:
	case NumberLiteral:
		ok = isNum
	case IntegerLiteral:
		ok = isInt
	case StringLiteral:
		ok = isStr
	case BoolLiteral:
		ok = v.Type() == Bool
	case EnumLiteral:
		ok = isStr && slices.Contains(f.Enum, str)
	case ColourLiteral:
		ok = isStr || v.Type() == List
	case PointsLiteral:
		if _, err := PointsOf(v); err != nil {
			return err.Error()
		}
		if items, _ := v.Items(); len(items) < f.MinItems {
			return fmt.Sprintf("it has %d points", len(items))
		}
	case StringsLiteral:
		ok = allItems(v, func(w Value) bool { return w.Type() == String })
	case NumbersLiteral:
		ok = allItems(v, func(w Value) bool { _, ok := w.Float(); return ok })
	case ObjectLiteral:
		ok = v.Type() == Object
	case OperationsLiteral:
		ok = v.Type() == List
	}
	if !ok {
		return "it is " + v.Describe()
	}
	if isNum && !f.inRange(v) {
		return "it is " + v.Describe() + ", out of range"
	}
	return ""
}

// inRange reports whether a number is within the field's bounds.
func (f *Field) inRange(v Value) bool {
	n, _ := v.Float()
	if f.Min == 0 && f.Max == 0 && !f.MinOpen {
		return true
	}
	return (n > f.Min || n == f.Min && !f.MinOpen) && (f.Max == 0 || n <= f.Max)
}

func allItems(v Value, ok func(Value) bool) bool {
	items, isList := v.Items()
	return isList && !slices.ContainsFunc(items, func(w Value) bool { return !ok(w) })
}
