package workflow

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"perch/pipeline"
)

// A Literal is what may be written into a field instead of a selector.
type Literal uint8

// The forms of literals.
const (
	NoLiteral      Literal = iota // a selector only
	AnyLiteral                    // any JSON value
	NumberLiteral                 // any number
	IntegerLiteral                // a whole number
	StringLiteral
	BoolLiteral
	EnumLiteral       // one of the field's Enum
	PointsLiteral     // [[x, y], ...]
	ColourLiteral     // "#rrggbb", "rgb(r, g, b)" or a name; the block reads it
	StringsLiteral    // a list of strings
	NumbersLiteral    // a list of numbers
	ObjectLiteral     // a JSON object
	OperationsLiteral // a list of operations of the query language
)

var literalNames = [...]string{
	"a selector", "any value", "a number", "a whole number", "a string", "true or false", "one of the listed words",
	"a list of points [x, y]", "a colour", "a list of strings", "a list of numbers", "an object", "a list of operations",
}

func (l Literal) String() string { return literalNames[l] }

// A Form says how a field holds its values.
type Form uint8

// The forms of fields.
const (
	One   Form = iota // a selector or a literal
	Many              // a list of selectors or literals
	Named             // an object: name to selector or literal
	Steps             // a list of selectors of steps, for flow control
	Cases             // an object: case to selector of a step
)

// A Field is one property of a step.
type Field struct {
	Name    string
	Aliases []string
	Doc     string
	Form    Form
	// Kinds are what a selector may refer to; without any, no selector is
	// accepted.
	Kinds   []Kind
	Literal Literal
	Enum    []string // for EnumLiteral
	// Min and Max bound a number when either is not zero; MinOpen excludes Min.
	Min, Max float64
	MinOpen  bool
	MinItems int   // for lists
	Default  Value // when the property is absent or null and not Required
	Required bool
	Tracked  bool // detections must carry track ids
	Pixels   Pixels
}

// Pixels say how closely a step looks at an image that is the frame, which
// decides whether the source may shrink it.
type Pixels uint8

// How closely.
const (
	AllPixels     Pixels = iota // it reads or copies the frame's own pixels
	SampledPixels               // the block is a [Sampler]
	NoPixels                    // which frame it is, its time and its size are all that matters
)

// An Output is one port of a block.
type Output struct {
	Name  string
	Doc   string
	Kinds []Kind
	// Like names a field: the port has the kinds of what is selected there,
	// and its detections carry track ids if those do.
	Like    string
	Tracked bool // its detections carry track ids
}

// A Manifest describes a block: what the editor, the checks and the
// documentation know of it.
type Manifest struct {
	Type    string   // "roboflow_core/line_counter@v2"
	Aliases []string // older type names
	Title   string
	Group   string // "model", "tracking", "detections", "image", "drawing", "formatting", "flow", "sink"
	Doc     string // what it does, in a sentence or two
	Fields  []Field
	Outputs []Output
	// Ports, if set, gives further outputs that depend on how the step is
	// written.
	Ports func(p *Params) []Output
	// Delta is 1 for a block that makes a list of its element (crops), -1 for
	// one that gathers a list into one value.
	Delta        int
	Flow         bool // it decides which steps run
	AcceptsEmpty bool // it runs although an input is null
	Sink         bool // it has an effect outside; disable_sinks turns it off
	// New makes the block of one step of one run. While the graph is only
	// being checked ([Params.Checking]) it must look at everything that can be
	// wrong and touch nothing outside.
	New func(p *Params) (Block, error)
}

func (m *Manifest) field(name string) int {
	return slices.IndexFunc(m.Fields, func(f Field) bool { return f.Name == name })
}

// A Library is a set of blocks.
type Library struct {
	blocks []*Manifest
	byType map[string]*Manifest
}

// NewLibrary returns a library of the given blocks. It panics if two have the
// same type: that is a mistake in the program.
func NewLibrary(sets ...[]*Manifest) *Library {
	l := &Library{byType: map[string]*Manifest{}}
	for _, set := range sets {
		for _, m := range set {
			l.blocks = append(l.blocks, m)
			for _, name := range append([]string{m.Type}, m.Aliases...) {
				if l.byType[name] != nil {
					panic(fmt.Sprintf("two blocks have the type %q", name))
				}
				l.byType[name] = m
			}
		}
	}
	slices.SortFunc(l.blocks, func(a, b *Manifest) int { return strings.Compare(a.Type, b.Type) })
	return l
}

// Blocks returns all blocks, by type.
func (l *Library) Blocks() []*Manifest { return slices.Clone(l.blocks) }

// Find returns a block by its type or one of its aliases.
func (l *Library) Find(name string) (*Manifest, bool) {
	m, ok := l.byType[name]
	return m, ok
}

// Nearest returns the type whose name is most like name's, or "" if none is.
// Prefixes and versions do not count: of a block's versions it is the newest.
func (l *Library) Nearest(name string) string {
	newest := map[string]string{}
	for typ := range l.byType {
		family, best := familyOf(typ), newest[familyOf(typ)]
		if len(typ) > len(best) || len(typ) == len(best) && typ > best { // @v10 is longer than @v9
			newest[family] = typ
		}
	}
	return newest[nearest(familyOf(name), slices.Collect(maps.Keys(newest)))]
}

// familyOf is the name of a type without its prefix and version.
func familyOf(typ string) string {
	if i := strings.LastIndexByte(typ, '/'); i >= 0 {
		typ = typ[i+1:]
	}
	family, _, _ := strings.Cut(typ, "@")
	return family
}

// nearest returns the candidate that a mistyped name was probably meant to be, or
// "" if even that differs in more than a third.
func nearest(name string, candidates []string) string {
	return pipeline.Nearest(name, candidates, max(len(name)/3, 2))
}
