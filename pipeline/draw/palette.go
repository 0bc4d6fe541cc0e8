package draw

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"perch/pipeline"
)

// maxPalette bounds a palette's size: a picture has no use for more colours.
const maxPalette = 4096

// A Palette is a row of colours, used again from the start when it ends.
type Palette struct{ colours []Colour }

// Colour returns the i-th colour; negative numbers count from the end.
func (p Palette) Colour(i int) Colour {
	n := len(p.colours)
	if n == 0 {
		return Colour{}
	}
	return p.colours[((i%n)+n)%n]
}

// Len is the number of different places in the palette.
func (p Palette) Len() int { return len(p.colours) }

// NewPalette returns a palette by its name: DEFAULT, ROBOFLOW or LEGACY (those
// of Roboflow's supervision library), CUSTOM (then custom holds at least one
// colour as [ParseColour] reads it), or "Matplotlib " and a colour map, of
// which size colours are taken at equal distances (the qualitative maps at
// equal steps, as matplotlib resamples them). Case does not matter.
func NewPalette(name string, size int, custom []string) (Palette, error) {
	key := strings.ToLower(strings.TrimSpace(name))
	if key == "custom" {
		return customPalette(custom)
	}
	if i := slices.IndexFunc(fixedPalettes[:], func(m colourMap) bool { return m.name == key }); i >= 0 {
		return Palette{fixedPalettes[i].all()}, nil
	}
	key = strings.TrimPrefix(key, "matplotlib ")
	i := slices.IndexFunc(colourMaps[:], func(m colourMap) bool { return m.name == key })
	if i < 0 {
		return Palette{}, &pipeline.Error{
			Op: "choose palette", On: shorten(name), Kind: pipeline.BadConfig,
			Err: errors.New("there is no such palette"), Hint: "one of " + strings.Join(PaletteNames(), ", "),
		}
	}
	if size < 1 || size > maxPalette {
		return Palette{}, &pipeline.Error{
			Op: "choose palette", On: name, Kind: pipeline.BadConfig,
			Err: fmt.Errorf("a palette of %d colours", size), Hint: fmt.Sprintf("palette_size is between 1 and %d", maxPalette),
		}
	}
	colours := make([]Colour, size)
	for k := range colours {
		colours[k] = colourMaps[i].sample(k, size)
	}
	return Palette{colours}, nil
}

func customPalette(custom []string) (Palette, error) {
	if len(custom) == 0 || len(custom) > maxPalette {
		return Palette{}, &pipeline.Error{
			Op: "choose palette", On: "CUSTOM", Kind: pipeline.BadConfig,
			Err: fmt.Errorf("custom_colors has %d colours", len(custom)), Hint: fmt.Sprintf("give between 1 and %d", maxPalette),
		}
	}
	p := Palette{make([]Colour, len(custom))}
	for i, s := range custom {
		var err error
		if p.colours[i], err = ParseColour(s); err != nil {
			return Palette{}, err
		}
	}
	return p, nil
}

// PaletteNames lists what [NewPalette] knows.
func PaletteNames() []string {
	out := []string{"CUSTOM"}
	for _, m := range fixedPalettes {
		out = append(out, strings.ToUpper(m.name))
	}
	for _, m := range colourMaps {
		out = append(out, "Matplotlib "+strings.ToUpper(m.name[:1])+m.name[1:])
	}
	return out
}
