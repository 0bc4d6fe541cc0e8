package visual

import (
	"fmt"
	"strings"

	"perch/pipeline/draw"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

// painter is what the blocks here share: the image, and what draws on it.
type painter struct {
	image workflow.In
	*draw.Drawer
}

func newPainter(p *workflow.Params) (painter, error) {
	b := painter{image: p.In("image")}
	if p.Checking() {
		return b, nil
	}
	var err error
	b.Drawer, err = draw.New()
	return b, err
}

// canvas returns the image to draw on, which is also the step's output.
func (b *painter) canvas(r *reader) *workflow.Image {
	if r.err != nil {
		return nil
	}
	var img *workflow.Image
	if img, r.err = r.c.Canvas(b.image); r.err == nil {
		r.c.Set(0, workflow.ImageOf(img))
	}
	return img
}

// colourist chooses a colour for each detection.
type colourist struct {
	painter
	predictions workflow.In
	name        workflow.In
	size        workflow.In
	custom      workflow.In
	axis        workflow.In

	fixed   bool // palette is for the whole run
	made    bool // palette is what ofName and ofSize mean
	ofName  string
	ofSize  int
	palette draw.Palette
}

func newColourist(p *workflow.Params) (colourist, error) {
	base, err := newPainter(p)
	if err != nil {
		return colourist{}, err
	}
	b := colourist{
		painter: base, predictions: p.In("predictions"), name: p.In("color_palette"), size: p.In("palette_size"),
		custom: p.In("custom_colors"), axis: p.In("color_axis"),
	}
	if v, ok := p.Const("color_axis"); ok {
		if s, _ := v.Str(); s != "INDEX" && s != "CLASS" && s != "TRACK" {
			return b, p.Fault("color_axis", "it is "+v.Describe(), "one of INDEX, CLASS, TRACK")
		}
	}
	name, ok1 := p.Const("color_palette")
	size, ok2 := p.Const("palette_size")
	custom, ok3 := p.Const("custom_colors")
	if !ok1 || !ok2 || !ok3 {
		return b, nil
	}
	n, _ := size.Int()
	s, _ := name.Str()
	if err := b.mix(s, int(n), custom); err != nil {
		field := "color_palette"
		if s == "CUSTOM" {
			field = "custom_colors"
		}
		return b, fault(p, field, err)
	}
	b.fixed = true
	return b, nil
}

// mix makes the palette, unless it is the one there is. Custom colours may have
// changed in place, so they always make a new one.
func (b *colourist) mix(name string, size int, custom workflow.Value) error {
	if b.made && b.ofName == name && b.ofSize == size && !strings.EqualFold(name, "CUSTOM") {
		return nil
	}
	items, ok := custom.Items()
	if !ok && !custom.IsNull() {
		return fmt.Errorf("custom_colors is %s and must be a list of colours", custom.Describe())
	}
	colours := make([]string, len(items))
	for i, item := range items {
		colours[i], _ = item.Str() // what is no string is no colour either
	}
	palette, err := draw.NewPalette(name, size, colours)
	if err != nil {
		return err
	}
	b.palette, b.ofName, b.ofSize, b.made = palette, name, size, true
	return nil
}

// A scene is what a colourist draws on one image.
type scene struct {
	*workflow.Image
	found   []workflow.Detection
	palette draw.Palette
	axis    string
}

// scene reads what all coloured blocks read, to draw what was found.
func (b *colourist) scene(r *reader, found []workflow.Detection) scene {
	s := scene{found: found, axis: r.str(b.axis)}
	if name, size := r.str(b.name), r.int(b.size); r.err == nil && !b.fixed {
		r.err = b.mix(name, size, r.c.Value(b.custom))
	}
	s.palette = b.palette
	s.Image = b.canvas(r)
	return s
}

// colour is the colour of detection i.
func (s *scene) colour(i int) draw.Colour {
	d := &s.found[i]
	switch s.axis {
	case "INDEX":
		return s.palette.Colour(i)
	case "TRACK":
		if d.Track == 0 {
			return draw.Colour{R: 128, G: 128, B: 128}
		}
		return s.palette.Colour(int(d.Track))
	}
	return s.palette.Colour(d.Class)
}

// area is what detection i covers.
func (s *scene) area(i int) draw.Area {
	d := &s.found[i]
	return draw.Area{Box: d.Box, Mask: d.Mask, Colour: s.colour(i)}
}

// anchor is a setting that names a place on a detection.
type anchor = setting[track.Anchor]

func newAnchor(p *workflow.Params, field string) (anchor, error) {
	return newSetting(p, field, parseAnchor)
}

// tint is a setting that names a colour.
type tint = setting[draw.Colour]

func newTint(p *workflow.Params, field string) (tint, error) {
	return newSetting(p, field, parseColour)
}
