package draw

import (
	"encoding/binary"
	"math"

	"perch/pipeline"
)

// opaque is full opacity in the 256ths that blending counts in.
const opaque = 256

// parts turns an opacity of 0 to 1 into 256ths; what is not a number is 0.
func parts(opacity float32) uint32 {
	if opacity != opacity {
		return 0
	}
	return uint32(math.Round(float64(min(max(opacity, 0), 1)) * opaque))
}

// toward blends b over a: (a*(256-part) + b*part) / 256, rounded.
func toward(a, b uint8, part uint32) uint8 {
	return uint8((uint32(a)*(opaque-part) + uint32(b)*part + opaque/2) >> 8)
}

// wash blends a row toward two values in turn: even bytes toward even, odd
// ones toward odd, so that NV12's pairs are one row like any other. It works
// on eight bytes at a time: a product of a byte and 256ths fits 16 bits.
func wash(row []byte, even, odd uint8, part uint32) {
	const lanes, ones = 0x00ff00ff00ff00ff, 0x0001000100010001
	keep := uint64(opaque - part)
	e := (uint64(even)*uint64(part) + opaque/2) * ones
	o := (uint64(odd)*uint64(part) + opaque/2) * ones
	for ; len(row) >= 8; row = row[8:] {
		x := binary.LittleEndian.Uint64(row)
		low := ((x&lanes)*keep + e) >> 8 & lanes
		high := ((x>>8&lanes)*keep + o) &^ lanes
		binary.LittleEndian.PutUint64(row, low|high)
	}
	for i := range row {
		if i&1 == 0 {
			row[i] = toward(row[i], even, part)
		} else {
			row[i] = toward(row[i], odd, part)
		}
	}
}

// washChroma blends chroma samples cx0 to cx1 of row cy.
func washChroma(p pipeline.Picture, cy, cx0, cx1 int, c yuv, part uint32) {
	if cx0 >= cx1 {
		return
	}
	if p.Format == pipeline.NV12 {
		wash(p.Planes[1][cy*p.Strides[1]+2*cx0:cy*p.Strides[1]+2*cx1], c.u, c.v, part)
		return
	}
	wash(p.Planes[1][cy*p.Strides[1]+cx0:cy*p.Strides[1]+cx1], c.u, c.u, part)
	wash(p.Planes[2][cy*p.Strides[2]+cx0:cy*p.Strides[2]+cx1], c.v, c.v, part)
}

// washRect blends a rectangle, whose sides need not be even: a chroma sample
// takes as much of the colour as the rectangle covers of its luma samples.
func washRect(p pipeline.Picture, r rect, c yuv, part uint32) {
	r = r.clip(p)
	if r.x0 >= r.x1 || r.y0 >= r.y1 || part == 0 {
		return
	}
	for y := r.y0; y < r.y1; y++ {
		wash(p.Planes[0][y*p.Strides[0]+r.x0:y*p.Strides[0]+r.x1], c.y, c.y, part)
	}
	// A chroma sample at an odd edge of the picture has one luma sample in
	// that direction, which covers it whole.
	right, low := r.x1&1 == 1 && r.x1 < p.Width, r.y1&1 == 1 && r.y1 < p.Height
	cx0, cx1 := (r.x0+1)/2, (r.x1+1)/2
	if right {
		cx1--
	}
	for cy := r.y0 / 2; cy < (r.y1+1)/2; cy++ {
		row := part
		if (r.y0&1 == 1 && cy == r.y0/2) || (low && cy == r.y1/2) {
			row = part / 2
		}
		if r.x0&1 == 1 {
			washChroma(p, cy, r.x0/2, r.x0/2+1, c, row/2)
		}
		washChroma(p, cy, cx0, cx1, c, row)
		if right {
			washChroma(p, cy, r.x1/2, r.x1/2+1, c, row/2)
		}
	}
}

// whole rounds b to the samples whose middles it contains.
func whole(p pipeline.Picture, b pipeline.Box) rect {
	return rect{round(b.X0, p.Width), round(b.Y0, p.Height), round(b.X1, p.Width), round(b.Y1, p.Height)}
}

func round(x float32, size int) int { return int(math.Floor(float64(bound(x, size)) + 0.5)) }
