package blocks

import (
	"encoding/json"
	"errors"
	"fmt"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// motionSide is the size that pictures are shrunk to before they are looked
// at: as many times as makes the longer side no longer than this.
const motionSide = 512

func motionDetection() *workflow.Manifest {
	number := func(name string, def int64, doc string) workflow.Field {
		return workflow.Field{Name: name, Default: workflow.IntOf(def), Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Min: 1, Max: 1_000_000, Doc: doc}
	}
	return &workflow.Manifest{
		Type: prefix + "motion_detection@v1", Title: "Motion Detection", Group: "image",
		Doc: "Finds what moves, by what each place of the picture usually looks like: a mixture of normal distributions, as OpenCV's MOG2 has it. " +
			"It differs from that in looking at brightness only, not at colour, and at a picture that was shrunk to at most 512 pixels; shadows count as motion. Areas and places are in pixels of the image all the same. " +
			"Its settings are read on the first frame.",
		Fields: []workflow.Field{
			{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}, Doc: "the image"},
			number("minimum_contour_area", 200, "what moves must be larger than this, square pixels"),
			number("morphological_kernel_size", 3, "what is narrower than this is taken for noise, pixels; it has no effect below the size of a shrunk picture's pixels"),
			number("threshold", 16, "how far brightness must be from what is usual: the square of the distance in standard deviations. Smaller is more sensitive; 8 to 32 are usual"),
			number("history", 30, "how many frames are remembered, more or less: with more, what stands still counts as motion for longer"),
			{Name: "detection_zone", Kinds: []workflow.Kind{workflow.ZoneKind, workflow.ListKind, workflow.StringKind}, Literal: workflow.AnyLiteral, Doc: "a polygon [[x, y], ...] of three points or more, also as a string of JSON: only what moves in it counts"},
			{Name: "suppress_first_detections", Default: workflow.BoolOf(true), Kinds: []workflow.Kind{workflow.BooleanKind}, Literal: workflow.BoolLiteral, Doc: "find nothing on the first frames, as many as history says, while the background is being learned"},
		},
		Outputs: []workflow.Output{
			{Name: "motion", Kinds: []workflow.Kind{workflow.BooleanKind}, Doc: "whether anything moves"},
			{Name: "alarm", Kinds: []workflow.Kind{workflow.BooleanKind}, Doc: "whether it began on this frame"},
			{Name: "detections", Kinds: []workflow.Kind{workflow.ObjectDetections}, Doc: `what moves: boxes of class "motion" with confidence 1`},
			{Name: "motion_zones", Kinds: []workflow.Kind{workflow.ListKind}, Doc: "the outlines of what moves, polygons in pixels"},
		},
		New: func(p *workflow.Params) (workflow.Block, error) {
			b := &motionBlock{
				image: p.In("image"), area: p.In("minimum_contour_area"), kernelSize: p.In("morphological_kernel_size"), threshold: p.In("threshold"),
				history: p.In("history"), zone: p.In("detection_zone"), suppress: p.In("suppress_first_detections"),
			}
			if v, known := p.Const("detection_zone"); known {
				if _, err := motionZone(v); err != nil {
					return nil, p.Fault("detection_zone", err.Error(), "give three points or more, [[x, y], ...]")
				}
			}
			return b, nil
		},
	}
}

type motionBlock struct {
	image, area, kernelSize, threshold, history, zone, suppress workflow.In

	eye   *eye
	quiet int  // frames that are still only learned from
	moved bool // on the frame before
}

// eye is what looks at the pictures of one size.
type eye struct {
	width, height, k int // of the image, and how many times it is shrunk
	small            pipeline.Picture
	back             *background
	fore             []bool
	opener           *opener
	zone             *pipeline.Mask // of the shrunk picture; nil is all of it
	zoned            bool
	least            float64 // square pixels of the image
}

// Run implements [workflow.Block].
func (b *motionBlock) Run(c *workflow.Call) error {
	if err := oncePerFrame(c); err != nil {
		return err
	}
	img, err := c.Image(b.image)
	if err != nil {
		return err
	}
	if b.eye == nil || b.eye.width != img.Picture.Width || b.eye.height != img.Picture.Height {
		if err := b.open(c, img.Picture); err != nil {
			return err
		}
	}
	b.eye.look(img.Picture)
	out := c.NewDetections(img.Origin)
	zones := []workflow.Value{}
	moved := false
	if b.quiet > 0 {
		b.quiet--
	} else {
		for _, shape := range b.eye.moving() {
			moved = true
			shape = approximate(shape, perimeter(shape)/100)
			if len(shape) < 3 {
				continue
			}
			d := workflow.Detection{ID: c.NewID()}
			d.Label, d.Score, d.Box = "motion", 1, b.eye.box(shape)
			out.Items = append(out.Items, d)
			zones = append(zones, valueOf(b.eye.full(shape)))
		}
	}
	c.Set(0, workflow.BoolOf(moved))
	c.Set(1, workflow.BoolOf(moved && !b.moved))
	c.Set(2, workflow.DetectionsOf(out))
	c.Set(3, workflow.ListOf(zones))
	b.moved = moved
	return nil
}

// open begins to learn a background, on the first frame and when the picture's
// size has changed.
func (b *motionBlock) open(c *workflow.Call, pic pipeline.Picture) error {
	var at [4]int
	for i, in := range []workflow.In{b.area, b.kernelSize, b.threshold, b.history} {
		n, err := c.Int(in)
		if err != nil {
			return err
		}
		at[i] = n
	}
	suppress, err := c.Bool(b.suppress)
	if err != nil {
		return err
	}
	zone, err := motionZone(c.Value(b.zone))
	if err != nil {
		return fmt.Errorf("property %q: %w", "detection_zone", err)
	}
	e := &eye{width: pic.Width, height: pic.Height, k: max(1, (max(pic.Width, pic.Height)+motionSide-1)/motionSide), least: float64(at[0])}
	e.small = pipeline.CopyPicture(e.small, pic, e.k)
	e.k = max(1, pic.Width/e.small.Width) // a tiny picture is not shrunk
	w, h := e.small.Width, e.small.Height
	// The mean of the three alike channels of a grey picture, which is what
	// OpenCV's distances add up, is three times that of brightness.
	e.back = newBackground(w*h, at[3], float32(at[2]), 3)
	e.fore = make([]bool, w*h)
	e.opener = newOpener(min((at[1]+e.k/2)/e.k, 2*motionSide), w*h, w)
	if zone != nil {
		e.zoned = true
		for i, p := range zone {
			zone[i] = e.down(p)
		}
		e.zone = pipeline.MaskFromPolygon(pointsOf(zone), w, h)
	}
	b.eye, b.quiet = e, 0
	if suppress {
		b.quiet = at[3]
	}
	return nil
}

// motionZone reads the zone; nil without one.
func motionZone(v workflow.Value) ([]place, error) {
	if s, ok := v.Str(); ok {
		var pts [][2]float64
		if err := json.Unmarshal([]byte(s), &pts); err != nil {
			return nil, fmt.Errorf("%s is no JSON of points: %w", v.Describe(), err)
		}
		var items []workflow.Value
		for _, p := range pts {
			items = append(items, workflow.ListOf([]workflow.Value{workflow.FloatOf(p[0]), workflow.FloatOf(p[1])}))
		}
		v = workflow.ListOf(items)
	}
	if items, ok := v.Items(); v.IsNull() || ok && len(items) == 0 {
		return nil, nil
	}
	pts, err := workflow.PointsOf(v)
	if err != nil {
		return nil, err
	}
	if len(pts) < 3 {
		return nil, errors.New("a zone has three points or more")
	}
	return placesOf(pts), nil
}

// look takes a picture in.
func (e *eye) look(pic pipeline.Picture) {
	e.small = pipeline.CopyPicture(e.small, pic, e.k)
	w, h := e.small.Width, e.small.Height
	e.back.learn(e.small.Planes[0][:w*h], e.fore)
}

// moving returns the outlines of what moves and counts, in pixels of the shrunk
// picture.
func (e *eye) moving() (shapes [][]place) {
	w := e.small.Width
	e.opener.open(e.fore)
	m := pipeline.NewMask(0, 0, w, e.small.Height)
	for i, on := range e.fore {
		if on {
			m.Set(i%w, i/w)
		}
	}
	for _, contour := range m.Contours() {
		if len(contour) < 3 || pipeline.PolygonArea(contour)*float64(e.k*e.k) <= e.least {
			continue
		}
		if !e.zoned {
			shapes = append(shapes, placesOf(contour))
			continue
		}
		for _, part := range e.within(contour) {
			if len(part) >= 3 {
				shapes = append(shapes, placesOf(part))
			}
		}
	}
	return shapes
}

// within returns the outlines of what of a contour lies in the zone.
func (e *eye) within(contour []pipeline.Point) [][]pipeline.Point {
	m := pipeline.MaskFromPolygon(contour, e.small.Width, e.small.Height)
	if m == nil || e.zone == nil {
		return nil
	}
	both := pipeline.NewMask(m.X, m.Y, m.Width, m.Height)
	for y := m.Y; y < m.Y+m.Height; y++ {
		for x := m.X; x < m.X+m.Width; x++ {
			if m.At(x, y) && e.zone.At(x, y) {
				both.Set(x, y)
			}
		}
	}
	return both.Contours()
}

// down is a place of the image on the shrunk picture, up the reverse; the
// middles of pixels are at whole numbers on both.
func (e *eye) down(p place) place {
	k := float64(e.k)
	return place{(p.x+0.5)/k - 0.5, (p.y+0.5)/k - 0.5}
}

func (e *eye) up(p place) place {
	k := float64(e.k)
	return place{(p.x+0.5)*k - 0.5, (p.y+0.5)*k - 0.5}
}

// full is a shape on the image.
func (e *eye) full(shape []place) []place {
	out := make([]place, len(shape))
	for i, p := range shape {
		out[i] = e.up(p).rounded()
	}
	return out
}

// box is the upright rectangle around a shape's pixels, on the image.
func (e *eye) box(shape []place) pipeline.Box {
	lo, hi := shape[0], shape[0]
	for _, p := range shape {
		lo, hi = place{min(lo.x, p.x), min(lo.y, p.y)}, place{max(hi.x, p.x), max(hi.y, p.y)}
	}
	k := float64(e.k)
	return pipeline.Box{X0: float32(lo.x * k), Y0: float32(lo.y * k), X1: float32(min((hi.x+1)*k, float64(e.width))), Y1: float32(min((hi.y+1)*k, float64(e.height)))}
}
