package draw

import (
	"errors"
	"strings"
	"testing"

	"perch/pipeline"
)

func TestParseColour(t *testing.T) {
	for s, want := range map[string]Colour{
		"#a351FB": {0xa3, 0x51, 0xfb}, "#f0a": {0xff, 0x00, 0xaa}, " WHITE ": {255, 255, 255}, "black": {}, "Grey": {128, 128, 128},
		"GREEN": {0, 255, 0}, "roboflow": {0xa3, 0x51, 0xfb}, "rgb(255, 128,0)": {255, 128, 0}, "rgb(1,2,3)": {1, 2, 3}, "bgr(1, 2, 3)": {3, 2, 1},
	} {
		if got, err := ParseColour(s); err != nil || got != want {
			t.Errorf("%q is %v (%v), want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "#", "#12", "#1234567", "#+12345", "#-1", "#gggggg", "0xff0000", "rgb(256, 0, 0)", "rgb(1, 2)", "rgb(1, 2, 3", "rgb(-1, 0, 0)", "beautiful", strings.Repeat("x", 999)} {
		_, err := ParseColour(s)
		if pipeline.KindOf(err) != pipeline.BadConfig || len(err.Error()) > 300 {
			t.Errorf("%.20q gives %v", s, err)
		}
	}
}

func FuzzParseColour(f *testing.F) {
	for _, s := range []string{"#fff", "rgb(1,2,3)", "bgr(", "RED", "#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := ParseColour(s); err != nil && pipeline.KindOf(err) != pipeline.BadConfig {
			t.Errorf("%q: %v", s, err)
		}
	})
}

// The values are those that matplotlib 3.6 and supervision give.
func TestPalettes(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		len  int
		at   map[int]Colour
	}{
		{"DEFAULT", 10, 21, map[int]Colour{0: {0xa3, 0x51, 0xfb}, 20: {0xff, 0x39, 0xc9}, 21: {0xa3, 0x51, 0xfb}, -1: {0xff, 0x39, 0xc9}}},
		{"roboflow", 10, 6, map[int]Colour{5: {0x4d, 0x04, 0x9a}}},
		{"LEGACY", 10, 17, map[int]Colour{1: {0xe6, 0x19, 0x4b}}},
		{"Matplotlib Viridis", 5, 5, map[int]Colour{0: {68, 1, 84}, 1: {58, 82, 139}, 2: {32, 144, 140}, 3: {94, 201, 97}, 4: {253, 231, 36}}},
		{"Matplotlib Plasma", 2, 2, map[int]Colour{0: {12, 7, 134}, 1: {239, 248, 33}}},
		{"Matplotlib Tab10", 10, 10, map[int]Colour{0: {31, 119, 180}, 9: {23, 190, 207}}},
		{"Matplotlib Set1", 3, 3, map[int]Colour{0: {228, 26, 28}, 1: {255, 127, 0}, 2: {153, 153, 153}}},
		{"Matplotlib Magma", 1, 1, map[int]Colour{0: {0, 0, 3}}},
	} {
		p, err := NewPalette(c.name, c.size, nil)
		if err != nil || p.Len() != c.len {
			t.Errorf("%s: %d colours (%v), want %d", c.name, p.Len(), err, c.len)
			continue
		}
		for i, want := range c.at {
			if got := p.Colour(i); diff(got.R, want.R) > 3 || diff(got.G, want.G) > 3 || diff(got.B, want.B) > 3 {
				t.Errorf("%s: colour %d is %v, want %v", c.name, i, got, want)
			}
		}
	}
	p, err := NewPalette("CUSTOM", 0, []string{"#ff0000", "BLUE"})
	if err != nil || p.Colour(3) != (Colour{0, 0, 255}) {
		t.Errorf("custom palette: %v (%v)", p, err)
	}
	if (Palette{}).Colour(3) != (Colour{}) {
		t.Error("an empty palette has a colour")
	}
}

func TestEveryPaletteThatIsNamedExists(t *testing.T) {
	for _, name := range PaletteNames()[1:] {
		p, err := NewPalette(name, 40, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if p.Len() < 6 {
			t.Errorf("%s has %d colours", name, p.Len())
		}
	}
	for _, m := range append(fixedPalettes[:], colourMaps[:]...) {
		if len(m.hex)%6 != 0 || m.smooth && m.len() != 33 {
			t.Errorf("%s has %d digits", m.name, len(m.hex))
		}
		for i := range m.len() {
			if _, ok := parseHex(m.hex[6*i : 6*i+6]); !ok {
				t.Errorf("%s: colour %d is %q", m.name, i, m.hex[6*i:6*i+6])
			}
		}
	}
}

func TestWrongPalettes(t *testing.T) {
	for _, c := range []struct {
		name   string
		size   int
		custom []string
		hint   string
	}{
		{"Matplotlib Beauty", 10, nil, "Matplotlib Viridis"},
		{"Matplotlib Viridis", 0, nil, "between 1 and"},
		{"Matplotlib Viridis", 1 << 30, nil, "between 1 and"},
		{"CUSTOM", 10, nil, "between 1 and"},
		{"CUSTOM", 10, []string{"RED", "reddish"}, "#rrggbb"},
	} {
		_, err := NewPalette(c.name, c.size, c.custom)
		e, ok := errors.AsType[*pipeline.Error](err)
		if !ok || e.Kind != pipeline.BadConfig || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s, %d, %v: %v", c.name, c.size, c.custom, err)
		}
	}
}
