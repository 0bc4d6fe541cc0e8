package draw

import (
	"math"

	"perch/pipeline"
)

// maxThickness bounds lines; no picture is improved by thicker ones.
const maxThickness = 256

func lineWidth(thickness int) int { return min(max(thickness, 1), maxThickness) }

// Box draws the border of b, thickness samples wide, half of them (rounded
// down) outside. Roundness 0 to 1 rounds the corners, 1 as much as fits. A box
// without area is drawn as a line or a dot.
func (d *Drawer) Box(pic pipeline.Picture, b pipeline.Box, c Colour, thickness int, roundness float32) {
	if !d.begin(pic) {
		return
	}
	ink, t := d.tint(codingOf(pic), c).plate, lineWidth(thickness)
	o := border(pic, b, t)
	radius := int(float32(min(o.x1-o.x0, o.y1-o.y0)-t) / 2 * min(max(roundness, 0), 1))
	if !(roundness > 0) || radius < 1 {
		hollow(pic, o, t, ink)
		return
	}
	half := float32(t) / 2
	reach := radius + (t+1)/2 // of a corner
	washRect(pic, rect{o.x0 + reach, o.y0, o.x1 - reach, o.y0 + t}, ink, opaque)
	washRect(pic, rect{o.x0 + reach, o.y1 - t, o.x1 - reach, o.y1}, ink, opaque)
	washRect(pic, rect{o.x0, o.y0 + reach, o.x0 + t, o.y1 - reach}, ink, opaque)
	washRect(pic, rect{o.x1 - t, o.y0 + reach, o.x1, o.y1 - reach}, ink, opaque)
	in := half + float32(radius) // from the outer side to a corner's centre
	x0, y0, x1, y1 := float32(o.x0)+in, float32(o.y0)+in, float32(o.x1)-in, float32(o.y1)-in
	for _, k := range [4]struct {
		r      rect
		centre pipeline.Point
	}{
		{rect{o.x0, o.y0, o.x0 + reach, o.y0 + reach}, pipeline.Point{X: x0, Y: y0}},
		{rect{o.x1 - reach, o.y0, o.x1, o.y0 + reach}, pipeline.Point{X: x1, Y: y0}},
		{rect{o.x0, o.y1 - reach, o.x0 + reach, o.y1}, pipeline.Point{X: x0, Y: y1}},
		{rect{o.x1 - reach, o.y1 - reach, o.x1, o.y1}, pipeline.Point{X: x1, Y: y1}},
	} {
		if s, ok := d.within(pic, k.r); ok {
			s.ring(k.centre, float32(radius), half)
			s.blend(pic, ink, opaque)
		}
	}
}

// border is b's outer rectangle when its lines are t wide.
func border(pic pipeline.Picture, b pipeline.Box, t int) rect {
	r := whole(pic, b)
	return rect{min(r.x0, r.x1) - t/2, min(r.y0, r.y1) - t/2, max(r.x0, r.x1) + t/2, max(r.y0, r.y1) + t/2}.atLeast(t)
}

func (r rect) atLeast(t int) rect {
	r.x1, r.y1 = max(r.x1, r.x0+t), max(r.y1, r.y0+t)
	return r
}

// hollow fills what lies within t of r's sides, inside.
func hollow(pic pipeline.Picture, r rect, t int, ink yuv) {
	if r.x1-r.x0 <= 2*t || r.y1-r.y0 <= 2*t {
		washRect(pic, r, ink, opaque)
		return
	}
	washRect(pic, rect{r.x0, r.y0, r.x1, r.y0 + t}, ink, opaque)
	washRect(pic, rect{r.x0, r.y1 - t, r.x1, r.y1}, ink, opaque)
	washRect(pic, rect{r.x0, r.y0 + t, r.x0 + t, r.y1 - t}, ink, opaque)
	washRect(pic, rect{r.x1 - t, r.y0 + t, r.x1, r.y1 - t}, ink, opaque)
}

// Corners draws the corners of b's border, each leg length samples long at
// most and never longer than its side.
func (d *Drawer) Corners(pic pipeline.Picture, b pipeline.Box, c Colour, thickness, length int) {
	if !d.begin(pic) {
		return
	}
	ink, t := d.tint(codingOf(pic), c).plate, lineWidth(thickness)
	o := border(pic, b, t)
	leg := t/2 + max(length, 0)
	lx, ly := min(leg, o.x1-o.x0), min(leg, o.y1-o.y0)
	for _, y := range [2]int{o.y0, o.y1 - t} {
		washRect(pic, rect{o.x0, y, o.x0 + lx, y + t}, ink, opaque)
		washRect(pic, rect{o.x1 - lx, y, o.x1, y + t}, ink, opaque)
	}
	for _, x := range [2]int{o.x0, o.x1 - t} {
		washRect(pic, rect{x, o.y0, x + t, o.y0 + ly}, ink, opaque)
		washRect(pic, rect{x, o.y1 - ly, x + t, o.y1}, ink, opaque)
	}
}

// Polyline draws connected lines with round joints and soft edges; closed also
// joins the last point to the first.
func (d *Drawer) Polyline(pic pipeline.Picture, points []pipeline.Point, closed bool, c Colour, thickness int) {
	if !d.begin(pic) {
		return
	}
	ink, radius := d.tint(codingOf(pic), c).plate, float32(lineWidth(thickness))/2
	for i := 1; i < len(points); i++ {
		stroke(pic, points[i-1], points[i], radius, ink)
	}
	if n := len(points); closed && n > 2 {
		stroke(pic, points[n-1], points[0], radius, ink)
	}
}

// Line draws a line with the given opacity, 0 to 1.
func (d *Drawer) Line(pic pipeline.Picture, a, b pipeline.Point, c Colour, thickness int, opacity float32) {
	if !d.begin(pic) {
		return
	}
	radius := float32(lineWidth(thickness)) / 2
	a, b, ok := clip(pic, a, b, radius+1)
	if !ok {
		return
	}
	r, ok := around([]pipeline.Point{a, b}, radius+1)
	if !ok {
		return
	}
	if s, ok := d.within(pic, r); ok {
		s.line(a, b, radius)
		s.blend(pic, d.tint(codingOf(pic), c).plate, parts(opacity))
	}
}

// Polygon fills a polygon (even-odd rule) with the given opacity, 0 to 1.
// Fewer than three points have no inside.
func (d *Drawer) Polygon(pic pipeline.Picture, points []pipeline.Point, c Colour, opacity float32) {
	if !d.begin(pic) {
		return
	}
	d.shape.reset(pic.Width, pic.Height)
	d.addPolygon(&d.shape, points)
	d.shape.paint(pic, d.tint(codingOf(pic), c).plate, parts(opacity))
}

// Circle draws a circle.
func (d *Drawer) Circle(pic pipeline.Picture, centre pipeline.Point, radius float32, c Colour, thickness int) {
	if d.begin(pic) && radius >= 0 {
		d.ring(pic, centre, radius, float32(lineWidth(thickness))/2, c)
	}
}

// Dot draws a disc. An outline of more than 0 samples is drawn around it, half
// of it on the disc.
func (d *Drawer) Dot(pic pipeline.Picture, centre pipeline.Point, radius float32, c Colour, outline int, oc Colour) {
	if !d.begin(pic) || !(radius >= 0) {
		return
	}
	d.ring(pic, centre, 0, radius, c)
	if outline > 0 {
		d.ring(pic, centre, radius, float32(lineWidth(outline))/2, oc)
	}
}

func (d *Drawer) ring(pic pipeline.Picture, centre pipeline.Point, radius, half float32, c Colour) {
	r, ok := around([]pipeline.Point{centre}, radius+half+1)
	if !ok {
		return
	}
	if s, ok := d.within(pic, r); ok {
		s.ring(centre, radius, half)
		s.blend(pic, d.tint(codingOf(pic), c).plate, opaque)
	}
}

// Arc draws part of an ellipse with half axes rx and ry, clockwise from one
// angle to another in degrees; 0 points right and 90 down.
func (d *Drawer) Arc(pic pipeline.Picture, centre pipeline.Point, rx, ry, from, to float32, c Colour, thickness int) {
	if !d.begin(pic) || !(rx >= 0 && ry >= 0 && to > from) {
		return
	}
	half := float32(lineWidth(thickness)) / 2
	r, ok := around([]pipeline.Point{{X: centre.X - rx, Y: centre.Y - ry}, {X: centre.X + rx, Y: centre.Y + ry}}, half+1)
	if !ok {
		return
	}
	s, ok := d.within(pic, r)
	if !ok {
		return
	}
	at := func(degrees float64) pipeline.Point {
		sin, cos := math.Sincos(degrees * math.Pi / 180)
		return pipeline.Point{X: centre.X + rx*float32(cos), Y: centre.Y + ry*float32(sin)}
	}
	// 5 degrees leave the true curve by a thousandth of the radius.
	sweep := float64(min(to-from, 360))
	steps := max(int(math.Ceil(sweep/5)), 1)
	last := at(float64(from))
	for i := 1; i <= steps; i++ {
		next := at(float64(from) + sweep*float64(i)/float64(steps))
		s.line(last, next, half)
		last = next
	}
	s.blend(pic, d.tint(codingOf(pic), c).plate, opaque)
}

// Triangle draws a filled triangle that stands on its tip, width wide and
// height high. An outline of more than 0 samples is drawn around it.
func (d *Drawer) Triangle(pic pipeline.Picture, tip pipeline.Point, width, height float32, c Colour, outline int, oc Colour) {
	d.tri = [3]pipeline.Point{
		{X: tip.X - width/2, Y: tip.Y - height}, {X: tip.X + width/2, Y: tip.Y - height}, tip,
	}
	d.Polygon(pic, d.tri[:], c, 1)
	if outline > 0 {
		d.Polyline(pic, d.tri[:], true, oc, outline)
	}
}
