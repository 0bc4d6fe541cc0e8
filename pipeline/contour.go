package pipeline

import (
	"math/bits"
	"slices"
)

const directions = 8

// toNeighbour are the eight neighbours of a pixel by direction: right, then
// counter-clockwise on the screen, where y points down.
var toNeighbour = [directions]struct{ x, y int }{{1, 0}, {1, -1}, {0, -1}, {-1, -1}, {-1, 0}, {-1, 1}, {0, 1}, {1, 1}}

// What is known of a pixel while borders are followed; see Suzuki and Abe,
// "Topological structural analysis of digitized binary images by border
// following", CVGIP 30 (1985).
const (
	pixelEmpty = 0
	pixelPart  = 1  // belongs to the object; not on a border that was followed
	pixelLeft  = 2  // on a border
	pixelRight = -2 // on a border, and the pixel to the right is empty
)

// Contours returns the outlines of the object's parts, holes and what lies in
// them left out: for each part the centres of the pixels along its border, in
// pixels of the frame where the first pixel's centre is (0, 0), in the order of
// OpenCV's findContours with RETR_EXTERNAL and CHAIN_APPROX_SIMPLE: of pixels
// in a straight line only the ends. Pixels that touch at a corner are one part.
// Parts come in the order of their first pixel, row after row; a part of one
// pixel is one point.
func (m *Mask) Contours() [][]Point {
	var all [][]Point
	f := newFollower(m)
	for y := range m.Height {
		last := pixelEmpty // of the border that was met last in this row
		row := f.pixels[(y+1)*f.stride+1:][:m.Width]
		for from, to := m.run(y, 0); from < to; from, to = m.run(y, to) {
			// Behind the left side of a border one is inside what it goes around.
			if row[from] == pixelPart && last != pixelLeft {
				all = append(all, f.follow(from, y))
			}
			for x := to - 1; x >= from; x-- {
				if row[x] != pixelPart {
					last = int(row[x])
					break
				}
			}
		}
	}
	return all
}

// run finds the next pixels that are set in row y, from column x on: from one
// to just before the other; equal when there are none.
func (m *Mask) run(y, x int) (from, to int) {
	row := m.Bits[y*m.Stride():][:m.Stride()]
	from = nextBit(row, x, 0, m.Width)
	return from, nextBit(row, from, 0xff, m.Width)
}

// nextBit is the first bit from x on that differs from those of flip, which are
// all alike; width if there is none.
func nextBit(row []byte, x int, flip byte, width int) int {
	for x < width {
		if b := (row[x>>3] ^ flip) << (x & 7); b != 0 {
			return min(x+bits.LeadingZeros8(b), width)
		}
		x = x&^7 + 8
	}
	return width
}

// Polygon is the contour that encloses the largest area, the first of equal
// ones; nil if the mask is empty. One that has fewer than three points repeats
// its last.
func (m *Mask) Polygon() []Point {
	var best []Point
	most := -1.0
	for _, c := range m.Contours() {
		if a := PolygonArea(c); a > most {
			best, most = c, a
		}
	}
	for len(best) > 0 && len(best) < 3 {
		best = append(best, best[len(best)-1])
	}
	return best
}

// PolygonArea is the area that a polygon encloses, in whichever direction it
// goes.
func PolygonArea(polygon []Point) float64 {
	var twice float64
	for i, p := range polygon {
		q := polygon[(i+1)%len(polygon)]
		twice += float64(p.X)*float64(q.Y) - float64(q.X)*float64(p.Y)
	}
	return max(twice, -twice) / 2
}

// A follower walks along borders. Its pixels have an empty frame around them.
type follower struct {
	m      *Mask
	stride int
	pixels []int8
	deltas [2 * directions]int // twice, so that a search can begin anywhere
	points []Point             // scratch
}

func newFollower(m *Mask) *follower {
	f := &follower{m: m, stride: m.Width + 2}
	f.pixels = make([]int8, f.stride*(m.Height+2))
	for i, s := range toNeighbour {
		f.deltas[i] = s.y*f.stride + s.x
		f.deltas[i+directions] = f.deltas[i]
	}
	for y := range m.Height {
		row := f.pixels[(y+1)*f.stride+1:][:m.Width]
		for from, to := m.run(y, 0); from < to; from, to = m.run(y, to) {
			for x := from; x < to; x++ {
				row[x] = pixelPart
			}
		}
	}
	return f
}

// follow walks around the part whose first pixel is at (x, y) of the mask.
func (f *follower) follow(x, y int) []Point {
	start := (y+1)*f.stride + x + 1
	f.points = f.points[:0]
	put := func() { f.points = append(f.points, Point{float32(f.m.X + x), float32(f.m.Y + y)}) }

	// Clockwise from the empty pixel on the left: the last of the walk.
	d := 4
	last := -1
	for range directions - 1 {
		d = (d - 1) & (directions - 1)
		if f.pixels[start+f.deltas[d]] != pixelEmpty {
			last = start + f.deltas[d]
			break
		}
	}
	if last < 0 {
		f.pixels[start] = pixelRight
		put()
		return slices.Clone(f.points)
	}
	at, went := start, d^4 // the direction in which the last line went
	for {
		from := d
		for d++; d < 2*directions-1 && f.pixels[at+f.deltas[d]] == pixelEmpty; {
			d++
		}
		d &= directions - 1
		// The search has passed the pixel on the right, which is empty.
		if uint(d-1) < uint(from) {
			f.pixels[at] = pixelRight
		} else if f.pixels[at] == pixelPart {
			f.pixels[at] = pixelLeft
		}
		if d != went {
			put()
			went = d
		}
		next := at + f.deltas[d]
		x, y = x+toNeighbour[d].x, y+toNeighbour[d].y
		if next == start && at == last {
			return slices.Clone(f.points)
		}
		at = next
		d = (d + 4) & (directions - 1)
	}
}
