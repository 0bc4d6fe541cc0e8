package draw

import (
	"fmt"
	"strconv"
	"strings"

	"perch/pipeline"
)

// names are the colours that Roboflow's visualisers know by name, after the
// constants of its supervision library (its GREEN is full green).
var names = map[string]Colour{
	"WHITE":    {0xff, 0xff, 0xff},
	"BLACK":    {0x00, 0x00, 0x00},
	"GREY":     {0x80, 0x80, 0x80},
	"GRAY":     {0x80, 0x80, 0x80},
	"RED":      {0xff, 0x00, 0x00},
	"GREEN":    {0x00, 0xff, 0x00},
	"BLUE":     {0x00, 0x00, 0xff},
	"YELLOW":   {0xff, 0xff, 0x00},
	"ROBOFLOW": {0xa3, 0x51, 0xfb},
}

// ParseColour reads "#rrggbb", "#rgb", "rgb(r, g, b)", "bgr(b, g, r)" or a
// name: WHITE, BLACK, GREY, RED, GREEN, BLUE, YELLOW or ROBOFLOW, in any case.
// Anything else is an error of Kind BadConfig.
func ParseColour(s string) (Colour, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	c, ok := names[strings.ToUpper(text)]
	switch {
	case ok:
	case strings.HasPrefix(text, "#"):
		c, ok = parseHex(text[1:])
	case strings.HasPrefix(text, "rgb("):
		c, ok = parseTriple(text[len("rgb("):])
	case strings.HasPrefix(text, "bgr("):
		c, ok = parseTriple(text[len("bgr("):])
		c.R, c.B = c.B, c.R
	}
	if !ok {
		return Colour{}, &pipeline.Error{
			Op: "read colour", Kind: pipeline.BadConfig, Err: fmt.Errorf("%q is no colour", shorten(s)),
			Hint: `write "#rrggbb", "#rgb", "rgb(r, g, b)" or one of WHITE, BLACK, GREY, RED, GREEN, BLUE, YELLOW, ROBOFLOW`,
		}
	}
	return c, nil
}

func parseHex(s string) (Colour, bool) {
	v, err := strconv.ParseUint(s, 16, 32)
	if err != nil || s[0] == '+' {
		return Colour{}, false
	}
	switch len(s) {
	case 3:
		r, g, b := uint8(v>>8), uint8(v>>4&15), uint8(v&15)
		return Colour{r * 17, g * 17, b * 17}, true
	case 6:
		return Colour{uint8(v >> 16), uint8(v >> 8), uint8(v)}, true
	}
	return Colour{}, false
}

func parseTriple(s string) (Colour, bool) {
	s, closed := strings.CutSuffix(s, ")")
	parts := strings.Split(s, ",")
	if !closed || len(parts) != 3 {
		return Colour{}, false
	}
	var v [3]uint8
	for i, p := range parts {
		n, err := strconv.ParseUint(strings.TrimSpace(p), 10, 8)
		if err != nil {
			return Colour{}, false
		}
		v[i] = uint8(n)
	}
	return Colour{v[0], v[1], v[2]}, true
}

// shorten keeps what a user wrote from filling the log.
func shorten(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
