package track

import (
	"math"
	"strings"

	"perch/pipeline"
)

// An Anchor is the place on a detection that stands for the whole of it.
type Anchor uint8

// The anchors. Their names, as String gives and [ParseAnchor] takes them, are
// those of workflows: CENTER, BOTTOM_CENTER and so on.
const (
	Centre Anchor = iota
	CentreLeft
	CentreRight
	TopCentre
	TopLeft
	TopRight
	BottomLeft
	BottomCentre
	BottomRight
	// CentreOfMass is the middle of the detection's mask, which it must have.
	CentreOfMass
	numAnchors
)

var anchorNames = [numAnchors]string{
	"CENTER", "CENTER_LEFT", "CENTER_RIGHT", "TOP_CENTER", "TOP_LEFT", "TOP_RIGHT", "BOTTOM_LEFT", "BOTTOM_CENTER", "BOTTOM_RIGHT",
	"CENTER_OF_MASS",
}

func (a Anchor) String() string {
	if a < numAnchors {
		return anchorNames[a]
	}
	return "unknown"
}

// Corners are the anchors of a line that none were given for: all of the box
// must have crossed.
func Corners() []Anchor { return []Anchor{TopLeft, TopRight, BottomLeft, BottomRight} }

// AnchorNames are the names of all anchors.
func AnchorNames() []string { return append([]string(nil), anchorNames[:]...) }

// ParseAnchor returns the anchor of that name.
func ParseAnchor(name string) (Anchor, error) {
	for a, n := range anchorNames {
		if n == name {
			return Anchor(a), nil
		}
	}
	return 0, refuse("read anchor", name, "it is one of "+strings.Join(anchorNames[:], ", "), "there is no such anchor")
}

// Of returns where the anchor is on a detection, not a number if that is the
// centre of mass of a mask without a pixel.
func (a Anchor) Of(d *pipeline.Detection) pipeline.Point {
	if a == CentreOfMass && d.Mask != nil {
		if p, ok := d.Mask.Centroid(); ok {
			return p
		}
		nan := float32(math.NaN())
		return pipeline.Point{X: nan, Y: nan}
	}
	return a.At(d.Box)
}

// At returns where the anchor is on a box; the centre of mass of a box is its
// centre.
func (a Anchor) At(b pipeline.Box) pipeline.Point {
	p := pipeline.Point{X: b.X0 + (b.X1-b.X0)/2, Y: b.Y0 + (b.Y1-b.Y0)/2}
	switch a {
	case CentreLeft, TopLeft, BottomLeft:
		p.X = b.X0
	case CentreRight, TopRight, BottomRight:
		p.X = b.X1
	}
	switch a {
	case TopLeft, TopCentre, TopRight:
		p.Y = b.Y0
	case BottomLeft, BottomCentre, BottomRight:
		p.Y = b.Y1
	}
	return p
}

func checkAnchors(op string, anchors []Anchor) error {
	for _, a := range anchors {
		if a >= numAnchors {
			return refuse(op, "anchor", "ParseAnchor knows them by name", "there is no anchor %d", a)
		}
	}
	return nil
}
