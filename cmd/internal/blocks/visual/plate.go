package visual

import (
	"math"

	"perch/pipeline"
	"perch/pipeline/draw"
	"perch/pipeline/track"
	"perch/pipeline/workflow"
)

// plateFields are the fields of blocks that write on coloured plates.
func plateFields() []workflow.Field {
	return []workflow.Field{
		colourField("text_color", "WHITE", "colour of the text"),
		scale("text_scale", 1),
		bold("text_thickness", 1),
		pixels("text_padding", 10, "space between the text and the sides of its plate"),
		pixels("border_radius", 0, "how round the corners of the plate are"),
	}
}

// plate reads those fields.
type plate struct {
	colour                           tint
	scale, thickness, padding, round workflow.In
}

func newPlate(p *workflow.Params, round string) (plate, error) {
	colour, err := newTint(p, "text_color")
	return plate{colour, p.In("text_scale"), p.In("text_thickness"), p.In("text_padding"), p.In(round)}, err
}

func (b *plate) style(r *reader) draw.TextStyle {
	return draw.TextStyle{
		Colour: b.colour.of(r), Scale: r.float(b.scale), Bold: r.int(b.thickness) > 1, PlateOpacity: 1,
		Padding: r.int(b.padding), Radius: r.int(b.round),
	}
}

// beside returns the upper left corner of a w by h plate for an anchor at
// point p: outside of the box if the anchor is on its border, over it
// otherwise.
func beside(a track.Anchor, p pipeline.Point, w, h int) (x, y int) {
	x, y = near(p.X), near(p.Y)
	switch a {
	case track.CentreLeft, track.TopRight, track.BottomRight:
		x -= w
	case track.Centre, track.CentreOfMass, track.TopCentre, track.BottomCentre:
		x -= w / 2
	}
	switch a {
	case track.TopLeft, track.TopCentre, track.TopRight:
		y -= h
	case track.Centre, track.CentreOfMass, track.CentreLeft, track.CentreRight:
		y -= h / 2
	}
	return x, y
}

// near is the nearest whole number; far away and what is no number is where no
// picture reaches.
func near(x float32) int {
	const reach = 1 << 24
	if !(x > -reach && x < reach) {
		return -reach
	}
	return int(math.Round(float64(x)))
}

// inside moves a w by h plate into the picture, its beginning first.
func inside(pic pipeline.Picture, x, y, w, h int) (int, int) {
	return max(min(x, pic.Width-w), 0), max(min(y, pic.Height-h), 0)
}
