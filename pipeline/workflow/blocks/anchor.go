package blocks

import (
	"fmt"
	"math"

	"perch/pipeline"
)

// anchorNames are the places on a box by name, in the order of [anchorOf].
var anchorNames = [...]string{
	"CENTER", "CENTER_LEFT", "CENTER_RIGHT", "TOP_CENTER", "TOP_LEFT", "TOP_RIGHT", "BOTTOM_LEFT", "BOTTOM_CENTER", "BOTTOM_RIGHT", "CENTER_OF_MASS",
}

// anchorOf is a place on a detection: on its box, or in its mask, which
// CENTER_OF_MASS needs.
func anchorOf(d *pipeline.Detection, name string) (place, error) {
	b := d.Box
	x0, y0, x1, y1 := float64(b.X0), float64(b.Y0), float64(b.X1), float64(b.Y1)
	mx, my := (x0+x1)/2, (y0+y1)/2
	for i, at := range [...]place{{mx, my}, {x0, my}, {x1, my}, {mx, y0}, {x0, y0}, {x1, y0}, {x0, y1}, {mx, y1}, {x1, y1}} {
		if anchorNames[i] == name {
			return at, nil
		}
	}
	if name != "CENTER_OF_MASS" {
		return place{}, fmt.Errorf("there is no anchor %q", name)
	}
	if d.Mask == nil {
		return place{}, fmt.Errorf("the anchor CENTER_OF_MASS is the middle of a mask, and a detection (%s) has none", d.Label)
	}
	p, ok := d.Mask.Centroid()
	if !ok {
		return place{math.NaN(), math.NaN()}, nil
	}
	return place{float64(p.X), float64(p.Y)}, nil
}
