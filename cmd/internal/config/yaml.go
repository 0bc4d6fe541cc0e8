package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The bounds of a YAML document. A file within them is read in seconds at the
// worst: the parser recurses and is quadratic in the nesting, so that is checked
// on its tokens first, and the scanner is quadratic in the lines of some
// documents (100,000 empty lines in a block of text took it half a minute).
const (
	MaxFileSize = 1 << 20
	maxLines    = 25_000
	maxNesting  = 32
)

// A node is one value of a YAML document.
type node struct {
	kind    nodeKind
	text    string // of a scalar
	plain   bool   // a scalar that is not quoted, so that 1 may be a number
	at      origin
	entries []entry // of a mapping, in order, repeated keys included
	items   []*node // of a list
}

type entry struct {
	key   string
	at    origin
	value *node
}

type nodeKind uint8

const (
	null nodeKind = iota
	scalar
	mapping
	list
)

func (k nodeKind) String() string {
	return [...]string{"nothing", "a single value", "a group of keys", "a list"}[k]
}

// parseYAML reads one document. Mistakes go to r, and the result is then nil.
func parseYAML(r *report, data []byte) (n *node) {
	if len(data) > MaxFileSize {
		r.add(origin{}, "", "is larger than %d KiB; a configuration is not", MaxFileSize>>10)
		return nil
	}
	if lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")); lines > maxLines {
		r.add(origin{}, "", "has more than %d lines; a configuration has not", maxLines)
		return nil
	}
	// The parser is foreign code fed with a file that anybody may have edited:
	// one that it cannot cope with is a mistake in the file, not a crash.
	defer func() {
		if p := recover(); p != nil {
			r.add(origin{}, "", "cannot be read as YAML, and the parser cannot say why; look for stray brackets, quotes and colons")
			n = nil
		}
	}()
	src := strings.TrimPrefix(string(data), "\ufeff")
	tokens := lexer.Tokenize(src)
	if !checkTokens(r, tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		syntaxError(r, src, err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			r.add(position(doc.Body), "", "a second document begins here; only one is read, so remove the --- before it")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		return &node{kind: null}
	}
	before := len(r.problems)
	n = convert(r, body, 0)
	if len(r.problems) > before {
		return nil
	}
	return n
}

// checkTokens refuses what could make a small file expensive, and what a
// configuration has no use for.
func checkTokens(r *report, tokens token.Tokens) bool {
	depth, line, inLine := 0, 0, 0
	for _, tk := range tokens {
		at := origin{line: tk.Position.Line, column: tk.Position.Column}
		if at.line != line {
			line, inLine = at.line, 0
		}
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType:
			inLine++
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			r.add(at, "", "anchors and aliases (&, * and <<) are not read; write the value out, and put a value that begins with one of these in quotes")
			return false
		case token.TagType, token.DirectiveType:
			r.add(at, "", "tags and directives (! and %%) are not read; remove it, and put a value that begins with one of these in quotes")
			return false
		}
		if depth > maxNesting || inLine > maxNesting || tk.Position.IndentNum > 8*maxNesting {
			r.add(at, "", "is nested more than %d deep", maxNesting)
			return false
		}
	}
	return true
}

// syntaxError reports what the parser said, without the lines that it quotes:
// they may hold a password.
func syntaxError(r *report, src string, err error) {
	at, what := origin{}, "is not YAML"
	if e, ok := errors.AsType[yaml.Error](err); ok {
		what = e.GetMessage()
		if tk := e.GetToken(); tk != nil && tk.Position != nil {
			at = origin{line: tk.Position.Line, column: tk.Position.Column}
		}
	}
	// The parser notices a tab where the next token should be, if at all.
	for i, line := range strings.Split(src, "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 && strings.TrimSpace(line) != "" {
			r.add(origin{line: i + 1, column: tab + 1}, "", "there is a tab in the indentation; YAML wants blanks, two for each level")
			return
		}
	}
	switch what {
	case "mapping value is not allowed in this context":
		what = "there is a colon that does not belong here; check the indentation, and put a value with a colon and a blank in it in quotes"
	case "non-map value is specified", "unexpected key name":
		what = "this is neither a key nor a value; write key: value, with a blank after the colon"
	}
	r.add(at, "", "%s", what)
}

func position(n ast.Node) origin {
	// A mapping's token is its first colon; its first key is what people look for.
	switch v := n.(type) {
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return position(v.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return position(v.Key)
	}
	tk := n.GetToken()
	if tk == nil || tk.Position == nil {
		return origin{}
	}
	return origin{line: tk.Position.Line, column: tk.Position.Column}
}

// convert turns the parser's tree into ours, and refuses what ours has no name for.
func convert(r *report, n ast.Node, depth int) *node {
	at := position(n)
	if depth > maxNesting {
		r.add(at, "", "is nested more than %d deep", maxNesting)
		return &node{at: at}
	}
	switch v := n.(type) {
	case nil:
		return &node{at: at}
	case *ast.NullNode:
		return &node{at: at}
	case *ast.MappingNode:
		m := &node{kind: mapping, at: at}
		for _, e := range v.Values {
			m.entries = append(m.entries, convertEntry(r, e, depth))
		}
		return m
	case *ast.MappingValueNode:
		return &node{kind: mapping, at: at, entries: []entry{convertEntry(r, v, depth)}}
	case *ast.SequenceNode:
		l := &node{kind: list, at: at}
		for _, item := range v.Values {
			l.items = append(l.items, convert(r, item, depth+1))
		}
		return l
	case *ast.LiteralNode:
		return &node{kind: scalar, text: v.Value.Value, at: at}
	case *ast.StringNode:
		plain := v.Token.Type != token.DoubleQuoteType && v.Token.Type != token.SingleQuoteType
		return &node{kind: scalar, text: v.Value, plain: plain, at: at}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		// The text, not the number: a password may be 0123.
		return &node{kind: scalar, text: n.GetToken().Value, plain: true, at: at}
	}
	r.add(at, "", "%s is not read here; write the value out", strings.ToLower(n.Type().String()))
	return &node{at: at}
}

func convertEntry(r *report, e *ast.MappingValueNode, depth int) entry {
	at := position(e.Key)
	tk := e.Key.GetToken()
	if tk == nil {
		r.add(at, "", "this key is not read; write a word")
		return entry{at: at, value: &node{at: at}}
	}
	return entry{key: tk.Value, at: at, value: convert(r, e.Value, depth+1)}
}

// DecodeYAML reads one YAML document into what into points at. It is as strict
// as the configuration: a key that the type does not have, a repeated key and
// a value of the wrong type are mistakes, and all of them are reported, in an
// [*Invalid] with lines and columns. Keys are named by yaml tags, else by json
// tags, else by the field's name in lower case. A type may read its own value
// by implementing [encoding.TextUnmarshaler] or UnmarshalYAML(func(any) error) error.
func DecodeYAML(data []byte, into any) error {
	r := &report{origin: map[string]origin{}}
	if n := parseYAML(r, data); n != nil {
		decodeInto(r, n, into)
	}
	return r.err()
}

// EncodeYAML writes v in the form that [DecodeYAML] reads.
func EncodeYAML(v any) ([]byte, error) {
	b, err := yaml.MarshalWithOptions(v, yaml.IndentSequence(true), yaml.UseLiteralStyleIfMultiline(true))
	if err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return b, nil
}
