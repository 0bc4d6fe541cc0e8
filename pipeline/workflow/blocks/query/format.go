package query

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"perch/pipeline/workflow"
)

// ParseFormat reads a text with places {name} and {name:spec}, as Python's
// str.format knows them; {{ and }} are braces. A spec is
// [[fill]align][sign][0][width][,][.precision][type] with the types s, d, f, e,
// g and %. Attributes, indexes, conversions and places inside a spec are not
// known.
func ParseFormat(text string, names ...string) (*Template, error) {
	t := newTemplate(names)
	var lit []byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case (c == '{' || c == '}') && i+1 < len(text) && text[i+1] == c:
			lit = append(lit, c)
			i++
		case c == '}':
			return nil, &Error{Text: fmt.Sprintf("a } stands alone at byte %d", i), Hint: "write }} for a brace"}
		case c == '{':
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, &Error{Text: fmt.Sprintf("the { at byte %d is not closed", i), Hint: "write {{ for a brace"}
			}
			name, specText, hasSpec := strings.Cut(text[i+1:i+end], ":")
			if strings.ContainsAny(name, ".[]!{") || strings.Trim(name, "0123456789") == "" {
				return nil, &Error{Text: fmt.Sprintf("{%s} is no plain name", cut(name)), Hint: "give the value a name in data, and take it apart with data_operations"}
			}
			s, err := parseSpec(specText)
			if hasSpec && err != nil {
				return nil, &Error{Text: fmt.Sprintf("{%s}: %v", cut(text[i+1:i+end]), err), Hint: "for example {confidence:.2f}"}
			}
			if err := t.add(string(lit), name, s, names); err != nil {
				return nil, err
			}
			lit = lit[:0]
			i += end
		default:
			lit = append(lit, c)
		}
	}
	t.parts = append(t.parts, part{text: string(lit), name: -1})
	return t, nil
}

// spec is how a value is written.
type spec struct {
	fill      rune
	align     byte // '<', '>', '^', '=' or 0
	sign      byte // '+', ' ' or 0
	width     int
	group     bool // commas between thousands
	hasPrec   bool
	precision int
	verb      byte
}

const maxWidth = 1000

func parseSpec(s string) (spec, error) {
	var p spec
	if r, n := utf8.DecodeRuneInString(s); n < len(s) && strings.IndexByte("<>^=", s[n]) >= 0 {
		p.fill, p.align, s = r, s[n], s[n+1:]
	} else if s != "" && strings.IndexByte("<>^=", s[0]) >= 0 {
		p.fill, p.align, s = ' ', s[0], s[1:]
	}
	if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		if s[0] != '-' {
			p.sign = s[0]
		}
		s = s[1:]
	}
	if strings.HasPrefix(s, "0") && p.align == 0 {
		p.fill, p.align, s = '0', '=', s[1:]
	}
	var err error
	if p.width, s, err = digits(s); err != nil {
		return p, err
	}
	s, p.group = strings.CutPrefix(s, ",")
	if s, p.hasPrec = strings.CutPrefix(s, "."); p.hasPrec {
		if s == "" || s[0] < '0' || s[0] > '9' {
			return p, fmt.Errorf("the precision is missing")
		}
		if p.precision, s, err = digits(s); err != nil {
			return p, err
		}
	}
	if len(s) > 1 || len(s) == 1 && strings.IndexByte("sdfFeEgG%", s[0]) < 0 {
		return p, fmt.Errorf("%q is no format that is known", s)
	}
	if s != "" {
		p.verb = s[0]
	}
	return p, nil
}

// digits reads a number at the start of s.
func digits(s string) (n int, rest string, err error) {
	for s != "" && s[0] >= '0' && s[0] <= '9' {
		if n = 10*n + int(s[0]-'0'); n > maxWidth {
			return 0, s, fmt.Errorf("a width or precision is more than %d", maxWidth)
		}
		s = s[1:]
	}
	return n, s, nil
}

// append appends a value in the form that is asked for.
func (p *spec) append(dst []byte, v workflow.Value) ([]byte, error) {
	f, isNumber := Number(v)
	if !isNumber || p.verb == 's' {
		s, err := Text(v)
		if err != nil {
			return dst, err
		}
		if p.verb != 0 && p.verb != 's' || p.align == '=' || isNumber {
			return dst, fmt.Errorf("%s cannot be written as %q", v.Describe(), p.form())
		}
		if p.hasPrec {
			s = slice(s, 0, p.precision)
		}
		return p.pad(dst, "", s, '<'), nil
	}
	sign := ""
	switch {
	case math.Signbit(f):
		sign = "-"
	case p.sign != 0:
		sign = string(p.sign)
	}
	text, err := p.digits(v, math.Abs(f))
	if err != nil {
		return dst, err
	}
	return p.pad(dst, sign, text, '>'), nil
}

// form is the type, as the user wrote it.
func (p *spec) form() string {
	if p.verb == 0 {
		return "="
	}
	return string(p.verb)
}

// integer writes a whole number that is not negative. The largest integer has
// been rounded up, to 2^63.
func integer(f float64) string { return strconv.FormatUint(min(uint64(f), math.MaxInt64), 10) }

// digits writes a number that is not negative.
func (p *spec) digits(v workflow.Value, f float64) (string, error) {
	prec := 6
	if p.hasPrec {
		prec = p.precision
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return string(appendFloat(nil, f)), nil
	}
	var s string
	switch p.verb {
	case 'd':
		if !whole(v) || p.hasPrec {
			return "", fmt.Errorf("%s cannot be written as \"d\", which is for whole numbers", v.Describe())
		}
		s = integer(f)
	case 'f', 'F':
		s = strconv.FormatFloat(f, 'f', prec, 64)
	case 'e', 'E':
		s = strconv.FormatFloat(f, p.verb, prec, 64)
	case '%':
		s = strconv.FormatFloat(f*100, 'f', prec, 64) + "%"
	case 'g', 'G':
		s = general(f, max(prec, 1), p.verb)
	default:
		switch {
		case p.hasPrec && whole(v):
			return "", fmt.Errorf("%s is a whole number, which has no precision", v.Describe())
		case p.hasPrec:
			s = general(f, max(prec, 1), 'g')
			if !strings.ContainsAny(s, ".e") {
				s += ".0"
			}
		default:
			if whole(v) {
				s = integer(f)
			} else {
				s = string(appendFloat(nil, f))
			}
		}
	}
	if p.group {
		s = commas(s)
	}
	return s, nil
}

// general is the form "g": digits significant digits, an exponent where that
// is shorter, no zeros at the end.
func general(f float64, digits int, verb byte) string {
	if f == 0 {
		return "0"
	}
	exp := strconv.FormatFloat(f, 'e', digits-1, 64)
	mantissa, power, _ := strings.Cut(exp, "e")
	n, err := strconv.Atoi(power)
	if err != nil || n < -4 || n >= digits {
		if strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		return mantissa + string(verb-'g'+'e') + power
	}
	s := strconv.FormatFloat(f, 'f', digits-1-n, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// commas puts commas between the thousands.
func commas(s string) string {
	n := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if n < 0 {
		n = len(s)
	}
	var b strings.Builder
	for i := range n {
		if i > 0 && (n-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(s[i])
	}
	b.WriteString(s[n:])
	return b.String()
}

// pad appends sign and text, filled up to the width.
func (p *spec) pad(dst []byte, sign, text string, align byte) []byte {
	if p.align != 0 {
		align = p.align
	}
	fill := p.fill
	if fill == 0 {
		fill = ' '
	}
	missing := max(p.width-len(sign)-utf8.RuneCountInString(text), 0)
	left := missing
	switch align {
	case '<':
		left = 0
	case '^':
		left = missing / 2
	case '=':
		dst, sign = append(dst, sign...), ""
	}
	for range left {
		dst = utf8.AppendRune(dst, fill)
	}
	dst = append(append(dst, sign...), text...)
	for range missing - left {
		dst = utf8.AppendRune(dst, fill)
	}
	return dst
}
