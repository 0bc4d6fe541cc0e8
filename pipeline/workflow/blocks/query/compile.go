package query

import (
	"fmt"
	"slices"
	"strings"

	"perch/pipeline/workflow"
)

// An Error is what is wrong with a definition.
type Error struct {
	Path string // inside the definition: "[0].filter_operation.operator"
	Text string // what was found and why it will not do
	Hint string // what would do; may be empty
}

func (e *Error) Error() string {
	s := e.Text
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Compile compiles a list of operations. Names are those under which
// conditions inside of it may refer to further values. A null v is an empty
// list.
func Compile(v workflow.Value, names ...string) (*Operations, error) {
	c := newCompiler(names)
	ops, out, err := c.chain("", v, kAny)
	if err != nil {
		return nil, err
	}
	return &Operations{names: len(names), ops: ops, out: out}, nil
}

// CompileGroup compiles a StatementGroup. Names are those under which it may
// refer to values.
func CompileGroup(v workflow.Value, names ...string) (*Condition, error) {
	c := newCompiler(names)
	t, err := c.group("", v)
	if err != nil {
		return nil, err
	}
	return &Condition{names: len(names), test: t}, nil
}

// compiler compiles one definition.
type compiler struct {
	names  []string
	table  []entry
	depth  int
	parts  int
	filter bool // inside a filter: "_" is the detection at hand
}

func newCompiler(names []string) *compiler { return &compiler{names: names, table: table()} }

// enter is called for each operation and statement.
func (c *compiler) enter(path string) error {
	c.depth++
	if c.parts++; c.parts > maxParts {
		return &Error{path, fmt.Sprintf("there are more than %d operations and statements", maxParts), "split them over several steps"}
	}
	if c.depth > maxDepth {
		return &Error{path, fmt.Sprintf("operations and statements are nested deeper than %d levels", maxDepth), ""}
	}
	return nil
}

func (c *compiler) leave() { c.depth-- }

// chain compiles a list of operations that is given values of the kinds in. It
// returns the kinds that may come out.
func (c *compiler) chain(path string, v workflow.Value, in kinds) ([]op, kinds, error) {
	if v.IsNull() {
		return nil, in, nil
	}
	items, ok := v.Items()
	if !ok {
		return nil, 0, &Error{path, "it is " + v.Describe(), "it takes a list of operations"}
	}
	var ops []op
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		f, e, err := c.operation(at, item)
		if err != nil {
			return nil, 0, err
		}
		if in&e.in == 0 {
			return nil, 0, &Error{at, fmt.Sprintf("%s works on %s and is given %s", e.name, e.in, in), "put an operation between that turns one into the other"}
		}
		ops, in = append(ops, f), e.out
	}
	return fuse(items, ops), in, nil
}

// operation compiles one operation.
func (c *compiler) operation(path string, v workflow.Value) (op, *entry, error) {
	if err := c.enter(path); err != nil {
		return nil, nil, err
	}
	defer c.leave()
	n, err := c.object(path, v, "an operation")
	if err != nil {
		return nil, nil, err
	}
	typ, err := n.str("type")
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(c.table, func(e entry) bool { return e.name == typ })
	if i < 0 {
		return nil, nil, &Error{n.at("type"), fmt.Sprintf("there is no operation %q", typ), workflow.Suggest("operations", typ, c.operationNames())}
	}
	f, err := c.table[i].build(c, n)
	return f, &c.table[i], err
}

func (c *compiler) operationNames() []string {
	var all []string
	for _, e := range c.table {
		all = append(all, e.name)
	}
	return all
}

// node is an object of the definition that is being read.
type node struct {
	path string
	f    *workflow.Fields
}

func (c *compiler) object(path string, v workflow.Value, what string) (node, error) {
	f, ok := v.Fields()
	if !ok {
		return node{}, &Error{path, "it is " + v.Describe(), fmt.Sprintf("it takes %s, an object", what)}
	}
	return node{path, f}, nil
}

// at is the path of a property.
func (n node) at(key string) string { return strings.TrimPrefix(n.path+"."+key, ".") }

// get returns a property; null if it is missing.
func (n node) get(key string) workflow.Value {
	v, _ := n.f.Get(key)
	return v
}

func (n node) wrong(key, want string) error {
	v, ok := n.f.Get(key)
	if !ok {
		return &Error{n.at(key), "it is missing", "it takes " + want}
	}
	return &Error{n.at(key), "it is " + v.Describe(), "it takes " + want}
}

func (n node) str(key string) (string, error) {
	if s, ok := n.get(key).Str(); ok {
		return s, nil
	}
	return "", n.wrong(key, "a string")
}

// strOr is a string that may be missing.
func (n node) strOr(key, missing string) (string, error) {
	if n.get(key).IsNull() {
		return missing, nil
	}
	return n.str(key)
}

// word is one of a list of words; its place among them is returned.
func (n node) word(key string, words []string) (int, error) {
	s, err := n.str(key)
	if err != nil {
		return 0, n.wrong(key, "one of "+strings.Join(words, ", "))
	}
	i := slices.Index(words, s)
	if i < 0 {
		return 0, &Error{n.at(key), fmt.Sprintf("%q is not known", s), workflow.Suggest("words", s, words)}
	}
	return i, nil
}

func (n node) number(key string) (workflow.Value, error) {
	v := n.get(key)
	if _, ok := v.Float(); ok {
		return v, nil
	}
	return v, n.wrong(key, "a number")
}

func (n node) float(key string, missing float64) (float64, error) {
	if n.get(key).IsNull() {
		return missing, nil
	}
	v, err := n.number(key)
	f, _ := v.Float()
	return f, err
}

// integer is a whole number within limits.
func (n node) integer(key string, low, high int64) (int64, error) {
	if i, ok := n.get(key).Int(); ok && low <= i && i <= high {
		return i, nil
	}
	return 0, n.wrong(key, fmt.Sprintf("a whole number from %d to %d", low, high))
}

func (n node) integerOr(key string, missing, low, high int64) (int64, error) {
	if n.get(key).IsNull() {
		return missing, nil
	}
	return n.integer(key, low, high)
}

func (n node) boolOr(key string, missing bool) (bool, error) {
	v := n.get(key)
	if v.IsNull() {
		return missing, nil
	}
	if b, ok := v.Bool(); ok {
		return b, nil
	}
	return false, n.wrong(key, "true or false")
}

func (n node) objectOf(key string) (*workflow.Fields, error) {
	if f, ok := n.get(key).Fields(); ok {
		return f, nil
	}
	return nil, n.wrong(key, "an object")
}
