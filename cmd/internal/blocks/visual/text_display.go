package visual

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"perch/pipeline"
	"perch/pipeline/draw"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

// corners are the places of a text on the image, as fractions of the room.
var corners = map[string][2]float64{
	"top_left": {0, 0}, "top_center": {0.5, 0}, "top_right": {1, 0},
	"center_left": {0, 0.5}, "center": {0.5, 0.5}, "center_right": {1, 0.5},
	"bottom_left": {0, 1}, "bottom_center": {0.5, 1}, "bottom_right": {1, 1},
}

func textDisplay() *workflow.Manifest {
	words := func(name, standard, doc string, enum ...string) workflow.Field {
		return workflow.Field{
			Name: name, Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.EnumLiteral, Enum: enum, Default: workflow.StringOf(standard), Doc: doc,
		}
	}
	place := func(name string, standard int, doc string) workflow.Field {
		return whole(name, standard, -100_000, 100_000, doc)
	}
	m := manifest("text_display@v1", "", "Text Display", "Writes a text on the image. A text that would leave the image is moved inside.",
		workflow.Field{Name: "text", Required: true, Literal: workflow.StringLiteral, Doc: "the text; {{ $parameters.name }} stands for a value of text_parameters, a newline begins a line"},
		workflow.Field{Name: "text_parameters", Form: workflow.Named, Kinds: workflow.Anything(), Literal: workflow.AnyLiteral, Doc: "values for the text, by name"},
		workflow.Field{Name: "text_parameters_operations", Literal: workflow.ObjectLiteral, Doc: "operations on those values, by name"},
		colourField("text_color", "WHITE", "colour of the text"),
		colourField("background_color", "BLACK", `colour of the plate, or "transparent" for none`),
		fraction("background_opacity", 1, "strength of the plate's colour, 0 to 1"),
		scale("font_scale", 1),
		bold("font_thickness", 2),
		pixels("padding", 10, "space between the text and the sides of its plate"),
		words("text_align", "left", "how lines of different length lie", "left", "center", "right"),
		pixels("border_radius", 0, "how round the corners of the plate are"),
		words("position_mode", "relative", "relative: by anchor and offset; absolute: by position", "absolute", "relative"),
		words("anchor", "top_left", "where on the image the text is", "center", "top_left", "top_center", "top_right", "bottom_left", "bottom_center", "bottom_right", "center_left", "center_right"),
		place("offset_x", 10, "how far right of the anchor"), place("offset_y", 10, "how far below the anchor"),
		place("position_x", 0, "left side of the plate"), place("position_y", 0, "upper side of the plate"))
	m.New = newTextDisplay
	return m
}

func newTextDisplay(p *workflow.Params) (workflow.Block, error) {
	base, err := newPainter(p)
	if err != nil {
		return nil, err
	}
	b := &textBlock{
		painter: base, opacity: p.In("background_opacity"), scale: p.In("font_scale"), bold: p.In("font_thickness"), padding: p.In("padding"), radius: p.In("border_radius"),
		offsetX: p.In("offset_x"), offsetY: p.In("offset_y"), x: p.In("position_x"), y: p.In("position_y"),
	}
	var errs [6]error
	b.words, b.values, errs[0] = newTemplate(p)
	b.colour, errs[1] = newTint(p, "text_color")
	b.plate, errs[2] = newSetting(p, "background_color", parsePlate)
	b.align, errs[3] = newSetting(p, "text_align", parseAlign)
	b.mode, errs[4] = newSetting(p, "position_mode", parseMode)
	b.anchor, errs[5] = newSetting(p, "anchor", parseCorner)
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

type textBlock struct {
	painter
	words                                 *query.Template
	values                                *query.Inputs
	colour                                tint
	plate                                 setting[background]
	align                                 setting[draw.Align]
	mode                                  setting[bool] // absolute
	anchor                                setting[[2]float64]
	opacity, scale, bold, padding, radius workflow.In
	offsetX, offsetY, x, y                workflow.In
	buf                                   []byte // reused
}

// Run implements [workflow.Block].
func (b *textBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	plate := b.plate.of(&r)
	style := draw.TextStyle{
		Scale: r.float(b.scale), Bold: r.int(b.bold) > 1, Colour: b.colour.of(&r), Plate: plate.colour, PlateOpacity: r.float(b.opacity) * plate.opacity,
		Padding: r.int(b.padding), Radius: r.int(b.radius), Align: b.align.of(&r),
	}
	absolute, anchor := b.mode.of(&r), b.anchor.of(&r)
	x, y := r.int(b.x), r.int(b.y)
	offsetX, offsetY := r.int(b.offsetX), r.int(b.offsetY)
	if r.err == nil {
		r.err = b.write(c)
	}
	img := b.canvas(&r)
	if r.err != nil {
		return r.err
	}
	w, h := b.Measure(b.buf, style)
	if !absolute {
		x, y = relative(img.Picture, anchor, offsetX, offsetY, w, h)
	}
	x, y = inside(img.Picture, x, y, w, h)
	b.Text(img.Picture, x, y, b.buf, style)
	return nil
}

// relative returns the upper left corner of a plate at a place on the image.
func relative(pic pipeline.Picture, anchor [2]float64, dx, dy, w, h int) (x, y int) {
	at := func(f float64, size, own, off int) int {
		return int(math.RoundToEven(f*float64(size))) - int(math.RoundToEven(f*float64(own))) + off
	}
	return at(anchor[0], pic.Width, w, dx), at(anchor[1], pic.Height, h, dy)
}

// newTemplate reads the text and what its places stand for.
func newTemplate(p *workflow.Params) (*query.Template, *query.Inputs, error) {
	values, err := query.CompileInputs(p, "text_parameters", "text_parameters_operations")
	if err != nil {
		return nil, nil, err
	}
	v, _ := p.Const("text")
	text, _ := v.Str()
	t, err := query.ParseTemplate(text, values.Names()...)
	return t, values, query.Fault(p, "text", err)
}

// write puts the text of this frame into b.buf.
func (b *textBlock) write(c *workflow.Call) error {
	values, err := b.values.Read(c)
	if err == nil {
		b.buf, err = b.words.Append(b.buf[:0], values...)
	}
	return err
}

type background struct {
	colour  draw.Colour
	opacity float32
}

func parsePlate(v workflow.Value) (background, error) {
	if s, ok := v.Str(); ok && strings.EqualFold(s, "transparent") {
		return background{}, nil
	}
	c, err := parseColour(v)
	return background{c, 1}, err
}

func parseAlign(v workflow.Value) (draw.Align, error) {
	s, _ := v.Str()
	if i := slices.Index([]string{"left", "center", "right"}, s); i >= 0 {
		return draw.Align(i), nil
	}
	return 0, fmt.Errorf("it is %s and must be left, center or right", v.Describe())
}

// parseMode reports whether a position is absolute.
func parseMode(v workflow.Value) (bool, error) {
	s, _ := v.Str()
	if s != "absolute" && s != "relative" {
		return false, fmt.Errorf("it is %s and must be absolute or relative", v.Describe())
	}
	return s == "absolute", nil
}

func parseCorner(v workflow.Value) ([2]float64, error) {
	s, _ := v.Str()
	at, ok := corners[strings.ToLower(s)]
	if !ok {
		return at, fmt.Errorf("%s is no place on an image", v.Describe())
	}
	return at, nil
}
