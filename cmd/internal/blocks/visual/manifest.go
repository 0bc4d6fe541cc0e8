package visual

import (
	"slices"

	"perch/pipeline/draw"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

// manifest is what the blocks here have in common: an image in, an image out.
func manifest(name, alias, title, doc string, fields ...workflow.Field) *workflow.Manifest {
	m := &workflow.Manifest{
		Type: prefix + name, Title: title, Group: "drawing", Doc: doc,
		Fields: append([]workflow.Field{
			{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the image to draw on"},
			{
				Name: "copy_image", Kinds: []workflow.Kind{workflow.BooleanKind}, Literal: workflow.BoolLiteral, Default: workflow.BoolOf(true),
				Doc: "accepted and without effect: an image that something else sees is always copied, any other never",
			},
		}, fields...),
		Outputs: []workflow.Output{{Name: "image", Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the image with what was drawn"}},
	}
	if alias != "" {
		m.Aliases = []string{alias}
	}
	return m
}

// predictions is the field of the detections to draw.
func predictions(kinds ...workflow.Kind) workflow.Field {
	return workflow.Field{Name: "predictions", Required: true, Kinds: kinds, Doc: "what to draw"}
}

// coloured adds the fields of blocks that choose a colour for each detection.
func coloured(fields ...workflow.Field) []workflow.Field {
	words := []workflow.Kind{workflow.StringKind}
	return append([]workflow.Field{
		{
			Name: "color_palette", Kinds: words, Literal: workflow.EnumLiteral, Enum: draw.PaletteNames(), Default: workflow.StringOf("DEFAULT"),
			Doc: "the row of colours that detections take theirs from",
		},
		{
			Name: "palette_size", Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 1, Max: 4096, Default: workflow.IntOf(10),
			Doc: "how many colours are taken from a Matplotlib palette",
		},
		{
			Name: "custom_colors", Kinds: []workflow.Kind{workflow.ListKind}, Literal: workflow.StringsLiteral, Default: workflow.ListOf(nil),
			Doc: "the colours of the palette CUSTOM",
		},
		{
			Name: "color_axis", Kinds: words, Literal: workflow.EnumLiteral, Enum: []string{"INDEX", "CLASS", "TRACK"}, Default: workflow.StringOf("CLASS"),
			Doc: "whether detections have their colour by their place in the list, by class or by track; with TRACK what is not tracked is grey",
		},
	}, fields...)
}

// whole is a field of a whole number from min to max.
func whole(name string, standard, min, max int, doc string) workflow.Field {
	return workflow.Field{
		Name: name, Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: float64(min), Max: float64(max), Default: workflow.IntOf(int64(standard)), Doc: doc,
	}
}

// pixels is [whole] of a length that may be zero.
func pixels(name string, standard int, doc string) workflow.Field {
	return whole(name, standard, 0, 10_000, doc)
}

// thickness is the field of a line's width.
func thickness(name string, standard int, doc string) workflow.Field {
	return whole(name, standard, 1, 256, doc)
}

// fraction is a field of a number from 0 to 1.
func fraction(name string, standard float64, doc string) workflow.Field {
	return workflow.Field{
		Name: name, Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Max: 1, Default: workflow.FloatOf(standard), Doc: doc,
	}
}

// scale is the field of a text's size.
func scale(name string, standard float64) workflow.Field {
	return workflow.Field{
		Name: name, Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, MinOpen: true, Max: 20, Default: workflow.FloatOf(standard),
		Doc: "size of the text; 1 is a font of 18 pixels",
	}
}

// bold is the field of a text's strokes.
func bold(name string, standard int) workflow.Field {
	return thickness(name, standard, "strokes of the text: 1 is regular, more is bold")
}

// colourField is a field of one colour.
func colourField(name, standard, doc string) workflow.Field {
	return workflow.Field{
		Name: name, Kinds: []workflow.Kind{workflow.StringKind, workflow.ColourKind}, Literal: workflow.ColourLiteral, Default: workflow.StringOf(standard), Doc: doc,
	}
}

// position is the field of a place on a detection.
func position(name, standard, doc string) workflow.Field {
	return workflow.Field{
		Name: name, Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.EnumLiteral, Enum: track.AnchorNames(), Default: workflow.StringOf(standard), Doc: doc,
	}
}

// without returns names but for one.
func without(names []string, name string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return n == name })
}
