package blocks

import (
	"errors"
	"math"

	"perch/pipeline"
)

// A homography maps one plane to another: (x, y, 1) times it, divided by the
// third coordinate.
type homography [9]float64

// errFlat is why four points make no homography.
var errFlat = errors.New("the four points make no area: three of them lie on one line, or two are the same")

// homographyOf is the one that maps four points to four others, found by
// solving for its eight unknowns (its last number is 1).
func homographyOf(from, to [4]place) (h homography, err error) {
	for i, p := range from {
		u, v := from[(i+1)%4].minus(p), from[(i+2)%4].minus(p)
		if math.Abs(u.cross(v)) <= 1e-9*u.length()*v.length() {
			return h, errFlat
		}
	}
	var m [8][9]float64
	for i := range 4 {
		f, t := from[i], to[i]
		m[2*i] = [9]float64{f.x, f.y, 1, 0, 0, 0, -f.x * t.x, -f.y * t.x, t.x}
		m[2*i+1] = [9]float64{0, 0, 0, f.x, f.y, 1, -f.x * t.y, -f.y * t.y, t.y}
	}
	for c := range 8 {
		best := c
		for r := c + 1; r < 8; r++ {
			if math.Abs(m[r][c]) > math.Abs(m[best][c]) {
				best = r
			}
		}
		m[c], m[best] = m[best], m[c]
		if m[c][c] == 0 {
			return h, errFlat
		}
		for r := range 8 {
			if r == c {
				continue
			}
			k := m[r][c] / m[c][c]
			for j := c; j < 9; j++ {
				m[r][j] -= k * m[c][j]
			}
		}
	}
	for c := range 8 {
		h[c] = m[c][8] / m[c][c]
	}
	h[8] = 1
	return h, nil
}

// apply maps a point. One that goes to infinity comes out as not a number.
func (h *homography) apply(p place) place {
	w := h[6]*p.x + h[7]*p.y + h[8]
	if w == 0 {
		return place{math.NaN(), math.NaN()}
	}
	return place{(h[0]*p.x + h[1]*p.y + h[2]) / w, (h[3]*p.x + h[4]*p.y + h[5]) / w}
}

// inverse maps back.
func (h *homography) inverse() (inv homography) {
	a, b, c, d, e, f, g, k, l := h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8]
	return homography{
		e*l - f*k, c*k - b*l, b*f - c*e,
		f*g - d*l, a*l - c*g, c*d - a*f,
		d*k - e*g, b*g - a*k, a*e - b*d,
	}
}

// warp fills dst, I420, with what h maps there from src; what comes from
// outside of it is black. Samples between others are mixed of their four
// neighbours.
func (h *homography) warp(dst, src pipeline.Picture) {
	inv := h.inverse()
	black := byte(16)
	if src.FullRange {
		black = 0
	}
	inv.warpPlane(dst.Planes[0], dst.Strides[0], dst.Width, dst.Height, plane{src.Planes[0], src.Strides[0], 1, src.Width, src.Height}, 1, black)
	cw, ch := (src.Width+1)/2, (src.Height+1)/2
	u, v := plane{src.Planes[1], src.Strides[1], 1, cw, ch}, plane{src.Planes[2], src.Strides[2], 1, cw, ch}
	if src.Format == pipeline.NV12 {
		u.step, v = 2, plane{src.Planes[1][1:], src.Strides[1], 2, cw, ch}
	}
	for i, p := range []plane{u, v} {
		inv.warpPlane(dst.Planes[i+1], dst.Strides[i+1], (dst.Width+1)/2, (dst.Height+1)/2, p, 2, 128)
	}
}

// plane is one plane of a picture, step bytes from sample to sample.
type plane struct {
	data          []byte
	stride, step  int
	width, height int
}

// warpPlane fills one plane whose samples stand for squares of size by size
// pixels. Their middles are mapped.
func (h *homography) warpPlane(dst []byte, stride, width, height int, src plane, size float64, outside byte) {
	mid := (size - 1) / 2
	right, bottom := (src.width-1)<<5, (src.height-1)<<5
	for y := range height {
		row := dst[y*stride:][:width]
		py := float64(y)*size + mid
		for x := range row {
			px := float64(x)*size + mid
			w := 1 / (h[6]*px + h[7]*py + h[8])
			sx := ((h[0]*px+h[1]*py+h[2])*w - mid) / size
			sy := ((h[3]*px+h[4]*py+h[5])*w - mid) / size
			if !(sx >= 0 && sy >= 0 && sx < float64(src.width) && sy < float64(src.height)) {
				row[x] = src.between(sx, sy, outside)
				continue
			}
			fx, fy := int(sx*32+0.5), int(sy*32+0.5)
			if fx >= right || fy >= bottom {
				row[x] = src.between(sx, sy, outside)
				continue
			}
			at := fy>>5*src.stride + fx>>5*src.step
			top, low := src.data[at:], src.data[at+src.stride:]
			fx, fy = fx&31, fy&31
			up := int(top[0])*(32-fx) + int(top[src.step])*fx
			down := int(low[0])*(32-fx) + int(low[src.step])*fx
			row[x] = byte((up*(32-fy) + down*fy + 512) >> 10)
		}
	}
}

// between is the sample at a place between others.
func (p *plane) between(x, y float64, outside byte) byte {
	if !(x > -1 && y > -1 && x < float64(p.width) && y < float64(p.height)) {
		return outside
	}
	// In steps of 1/32, as OpenCV does.
	fx, fy := int(math.Floor(x*32+0.5)), int(math.Floor(y*32+0.5))
	x0, y0 := fx>>5, fy>>5
	fx, fy = fx&31, fy&31
	at := func(x, y int) int {
		if x < 0 || y < 0 || x >= p.width || y >= p.height {
			return int(outside)
		}
		return int(p.data[y*p.stride+x*p.step])
	}
	top := at(x0, y0)*(32-fx) + at(x0+1, y0)*fx
	low := at(x0, y0+1)*(32-fx) + at(x0+1, y0+1)*fx
	return byte((top*(32-fy) + low*fy + 512) >> 10)
}
