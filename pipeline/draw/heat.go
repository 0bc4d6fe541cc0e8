package draw

import (
	"math"
	"math/bits"

	"perch/pipeline"
)

// heatCell is the side of a cell of a heat map in luma samples; its colours
// are far smoother than that.
const heatCell = 4

// A Heat counts for each place of a picture in how many frames something was
// there. It starts anew when the picture's size changes.
type Heat struct {
	w, h   int // cells
	count  []uint32
	most   uint32
	now    region // this frame's cells
	levels []uint8

	colours [256]yuv // by level
	of      heatKey
}

type heatKey struct {
	coding
	top, low float32
}

// Add counts one frame with something within radius of each of the points.
func (t *Heat) Add(pic pipeline.Picture, points []pipeline.Point, radius float32) {
	t.fit(pic)
	t.now.reset(t.w, t.h)
	for _, q := range points {
		t.disc(q, radius)
	}
	for y := t.now.y0; y < t.now.y1; y++ {
		for i, word := range t.now.row(y) {
			for ; word != 0; word &= word - 1 {
				c := &t.count[y*t.w+64*i+bits.TrailingZeros64(word)]
				if *c < math.MaxUint32 {
					*c++
				}
				t.most = max(t.most, *c)
			}
		}
	}
}

func (t *Heat) fit(pic pipeline.Picture) {
	w, h := (pic.Width+heatCell-1)/heatCell, (pic.Height+heatCell-1)/heatCell
	if w != t.w || h != t.h {
		t.w, t.h, t.most = w, h, 0
		t.count, t.levels = make([]uint32, w*h), make([]uint8, w*h)
	}
}

// disc marks the cells whose middles are within radius of q.
func (t *Heat) disc(q pipeline.Point, radius float32) {
	x, y, r := q.X/heatCell, q.Y/heatCell, radius/heatCell
	// The comparisons also leave out what is not a number.
	if !(r > 0 && x+r > 0 && y+r > 0 && x-r < float32(t.w) && y-r < float32(t.h)) {
		return
	}
	y0, y1 := max(near(y-r, t.h), 0), min(far(y+r, t.h), t.h)
	for cy := y0; cy < y1; cy++ {
		dy := float32(cy) + 0.5 - y
		if dy*dy > r*r {
			continue
		}
		half := root(r*r - dy*dy)
		t.now.span(cy, max(round(x-half, t.w), 0), min(round(x+half, t.w), t.w))
	}
	if y0 < y1 {
		t.now.touch(y0, y1)
	}
}

// Heat tints the places of t: those with the most frames in hue top, those
// with the fewest in hue low (degrees; 0 is red, 240 blue), evened out over
// kernel samples.
func (d *Drawer) Heat(pic pipeline.Picture, t *Heat, opacity float32, kernel int, top, low float32) {
	if !d.begin(pic) {
		return
	}
	t.fit(pic)
	if t.most == 0 {
		return
	}
	t.colour(codingOf(pic), top, low)
	for i, c := range t.count {
		t.levels[i] = uint8((uint64(c)*255 + uint64(t.most)/2) / uint64(t.most))
	}
	if k := min(kernel, maxKernel) / heatCell; k > 1 {
		d.blurPlane(plane{t.levels, t.w, 1}, rect{0, 0, t.w, t.h}, k, 0, nil)
	}
	part := parts(opacity)
	for y := range t.h {
		counts, levels := t.count[y*t.w:][:t.w], t.levels[y*t.w:][:t.w]
		for x := 0; x < t.w; {
			x0 := x
			for x++; x < t.w && levels[x] == levels[x0] && (counts[x] > 0) == (counts[x0] > 0); x++ {
			}
			if counts[x0] > 0 {
				washRect(pic, rect{heatCell * x0, heatCell * y, heatCell * x, heatCell * (y + 1)}, t.colours[levels[x0]], part)
			}
		}
	}
}

// colour fills the table of colours.
func (t *Heat) colour(k coding, top, low float32) {
	key := heatKey{k, top, low}
	if t.of == key {
		return
	}
	t.of = key
	for i := range t.colours {
		t.colours[i] = k.encode(hue(low + (top-low)*float32(i)/255))
	}
}

// hue is the full colour of an angle in degrees (HSV with S and V of 1).
func hue(degrees float32) Colour {
	at := math.Mod(float64(degrees), 360)
	if !(at >= 0) {
		at += 360
	}
	one := func(shift float64) uint8 {
		k := math.Mod(shift+at/60, 6)
		return quantise(255 * (1 - max(0, min(k, 4-k, 1))))
	}
	return Colour{one(5), one(3), one(1)}
}
