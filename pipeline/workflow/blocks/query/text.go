package query

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"perch/pipeline/workflow"
)

// AppendText appends v as Python's str() writes it: True, None, 1.0, ['a', 1].
// Detections and classifications are written as JSON. It fails on an image and
// beyond a million bytes.
func AppendText(dst []byte, v workflow.Value) ([]byte, error) {
	start := len(dst)
	if s, ok := v.Str(); ok {
		dst = append(dst, s...)
	} else {
		var err error
		if dst, err = appendRepr(dst, v, start); err != nil {
			return dst, err
		}
	}
	return dst, tooLong(len(dst) - start)
}

// Text is [AppendText] as a string.
func Text(v workflow.Value) (string, error) {
	if s, ok := v.Str(); ok {
		return s, tooLong(len(s))
	}
	b, err := AppendText(nil, v)
	return string(b), err
}

func tooLong(n int) error {
	if n > maxText {
		return fmt.Errorf("the text is %d bytes, and at most %d are made", n, maxText)
	}
	return nil
}

// appendRepr appends v as Python's repr() writes it.
func appendRepr(dst []byte, v workflow.Value, start int) (_ []byte, err error) {
	if err := tooLong(len(dst) - start); err != nil {
		return dst, err
	}
	switch v.Type() {
	case workflow.Null:
		return append(dst, "None"...), nil
	case workflow.Bool:
		if truth(v) {
			return append(dst, "True"...), nil
		}
		return append(dst, "False"...), nil
	case workflow.Integer:
		n, _ := v.Int()
		return strconv.AppendInt(dst, n, 10), nil
	case workflow.Float:
		f, _ := v.Float()
		return appendFloat(dst, f), nil
	case workflow.String:
		s, _ := v.Str()
		return appendQuoted(dst, s), nil
	case workflow.Bytes:
		b, _ := v.Bytes()
		if len(b) > maxText/4 {
			return dst, tooLong(4 * len(b))
		}
		return appendBytes(dst, b), nil
	case workflow.Time:
		t, _ := v.Time()
		return append(dst, textTime(t)...), nil
	case workflow.ImageType:
		return dst, fmt.Errorf("an image has no text (ConvertImageToBase64 makes one)")
	case workflow.List:
		items, _ := v.Items()
		dst = append(dst, '[')
		for i, item := range items {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			if dst, err = appendRepr(dst, item, start); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case workflow.Object:
		f, _ := v.Fields()
		dst = append(dst, '{')
		for i, k := range f.Keys {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			if dst, err = appendRepr(append(appendQuoted(dst, k), ": "...), f.Values[i], start); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}
	return (&workflow.Encoder{Own: true}).Append(dst, v)
}

// appendFloat appends a number as Python's repr does: the shortest digits that
// read back as the same number, a point or an exponent in any case.
func appendFloat(dst []byte, f float64) []byte {
	switch a := math.Abs(f); {
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case a != 0 && (a < 1e-4 || a >= 1e16):
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	case f == math.Trunc(f):
		return append(strconv.AppendFloat(dst, f, 'f', -1, 64), ".0"...)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// appendQuoted appends a text in quotes: single ones, unless it has those and
// no double ones.
func appendQuoted(dst []byte, s string) []byte {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	dst = append(dst, quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r >= ' ' && r != 0x7f && strconv.IsPrint(r):
			dst = utf8.AppendRune(dst, r)
		default:
			dst = appendEscape(dst, r)
		}
	}
	return append(dst, quote)
}

// appendEscape appends a letter that cannot be shown.
func appendEscape(dst []byte, r rune) []byte {
	switch {
	case r == '\n':
		return append(dst, `\n`...)
	case r == '\r':
		return append(dst, `\r`...)
	case r == '\t':
		return append(dst, `\t`...)
	case r < 0x100:
		return fmt.Appendf(dst, `\x%02x`, r)
	case r < 0x10000:
		return fmt.Appendf(dst, `\u%04x`, r)
	}
	return fmt.Appendf(dst, `\U%08x`, r)
}

func appendBytes(dst, b []byte) []byte {
	dst = append(dst, "b'"...)
	for _, c := range b {
		switch {
		case c == '\'' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ' && c < 0x7f:
			dst = append(dst, c)
		default:
			dst = appendEscape(dst, rune(c))
		}
	}
	return append(dst, '\'')
}

// textTime is a time as Python's str() writes it: [workflow.ISOTime] with a
// space.
func textTime(t time.Time) string { return strings.Replace(workflow.ISOTime(t), "T", " ", 1) }
