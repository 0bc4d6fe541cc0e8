package blocks

import "math"

// An opener removes what is smaller than an ellipse from a picture, and rounds
// off the rest: it erodes and then dilates (Serra, "Image Analysis and
// Mathematical Morphology", 1982). What lies outside of the picture counts for
// neither. It takes as long for a large ellipse as for a small one.
type opener struct {
	tall   []int32 // of the ellipse's columns, from its middle one: how far they reach up and down
	near   []bool  // scratch, as large as the picture
	reach  []int32 // scratch, as large as the picture
	column []int32 // scratch, as wide as the picture
}

// nowhere is the reach of what reaches nothing, not even itself.
const nowhere = -1

// newOpener returns what opens pictures of n pixels and width w with an ellipse
// of a size, which is made odd.
func newOpener(size, n, w int) *opener {
	return &opener{tall: columns(ellipse(size)), near: make([]bool, n), reach: make([]int32, n), column: make([]int32, w)}
}

// open opens a picture.
func (o *opener) open(pic []bool) {
	if len(o.tall) < 2 {
		return
	}
	o.spread(o.near, pic, false)
	for i, near := range o.near {
		pic[i] = !near // all under the ellipse is on
	}
	o.spread(o.near, pic, true)
	copy(pic, o.near)
}

// spread notes which pixels have one that is on, or off, under the ellipse.
// First each pixel is told how far the nearest of its row reaches up and down
// in its column, then that is carried along the columns.
func (o *opener) spread(dst, pic []bool, on bool) {
	w := len(o.column)
	for y := 0; y < len(pic); y += w {
		o.along(o.reach[y:][:w], pic[y:][:w], on)
	}
	clear(dst)
	carry := func(y int) {
		for x, r := range o.reach[y:][:w] {
			o.column[x] = max(o.column[x]-1, r)
			dst[y+x] = dst[y+x] || o.column[x] > nowhere
		}
	}
	o.forget()
	for y := 0; y < len(pic); y += w {
		carry(y)
	}
	o.forget()
	for y := len(pic) - w; y >= 0; y -= w {
		carry(y)
	}
}

func (o *opener) forget() {
	for x := range o.column {
		o.column[x] = nowhere
	}
}

// along says for each pixel of a row how far the nearest one that is on, or
// off, reaches up and down there.
func (o *opener) along(reach []int32, row []bool, on bool) {
	tall := func(away int) int32 {
		if away < len(o.tall) {
			return o.tall[away]
		}
		return nowhere
	}
	away := len(o.tall)
	for x, is := range row {
		if away++; is == on {
			away = 0
		}
		reach[x] = tall(away)
	}
	away = len(o.tall)
	for x := len(row) - 1; x >= 0; x-- {
		if away++; row[x] == on {
			away = 0
		}
		reach[x] = max(reach[x], tall(away))
	}
}

// ellipse is the kernel of a size, which is made odd: for each of its rows how
// far it reaches to each side.
func ellipse(size int) []int {
	r := size / 2
	rows := make([]int, 2*r+1)
	for i := range rows {
		dy := float64(i - r)
		if r > 0 {
			rows[i] = int(math.RoundToEven(float64(r) * math.Sqrt(1-dy*dy/float64(r*r))))
		}
	}
	return rows
}

// columns says of an ellipse's columns, from the middle one to the right, how
// far they reach up and down.
func columns(rows []int) []int32 {
	r := len(rows) / 2
	tall := make([]int32, rows[r]+1)
	for dy := range r + 1 {
		for dx := range rows[r+dy] + 1 {
			tall[dx] = int32(dy)
		}
	}
	return tall
}
