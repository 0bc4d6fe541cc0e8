package draw

import "perch/pipeline"

// Enlarge shows the box src of another picture in the box dst of pic,
// interpolated linearly. Both pictures have the same colours; what src has
// outside of its picture is as the nearest sample inside.
func (d *Drawer) Enlarge(pic pipeline.Picture, dst pipeline.Box, from pipeline.Picture, src pipeline.Box) {
	if !d.begin(pic) || from.Check() != nil {
		return
	}
	to := whole(pic, dst)
	if to.x0 >= to.x1 || to.y0 >= to.y1 || !(src.X0 < src.X1 && src.Y0 < src.Y1) {
		return
	}
	if _, ok := around([]pipeline.Point{{X: dst.X0, Y: dst.Y0}, {X: dst.X1, Y: dst.Y1}, {X: src.X0, Y: src.Y0}, {X: src.X1, Y: src.Y1}}, 0); !ok {
		return
	}
	r := to.clip(pic)
	if r.x0 >= r.x1 || r.y0 >= r.y1 {
		return
	}
	for i := range 3 {
		half := min(i, 1) // chroma has half the samples
		x0, x1 := r.x0>>half, (r.x1+half)>>half
		d.steps = d.steps[:0]
		for x := x0; x < x1; x++ {
			d.steps = append(d.steps, stepAt(x, half, dst.X0, dst.X1, src.X0, src.X1, from.Width))
		}
		for y := r.y0 >> half; y < (r.y1+half)>>half; y++ {
			v := stepAt(y, half, dst.Y0, dst.Y1, src.Y0, src.Y1, from.Height)
			blendRow(component(pic, i), component(from, i), x0, y, d.steps, v)
		}
	}
}

// step is where a sample comes from: two neighbours, and how many 256ths of
// the second.
type step struct{ a, b, part int32 }

// stepAt returns where sample i of dst comes from when d0..d1 shows s0..s1 of
// a picture with n luma samples.
func stepAt(i, half int, d0, d1, s0, s1 float32, n int) step {
	n = (n + half) >> half
	unit := float32(int(1) << half)
	at := (s0+(unit*(float32(i)+0.5)-d0)*(s1-s0)/(d1-d0))/unit - 0.5
	at = min(max(at, 0), float32(n-1))
	first := int32(at)
	return step{first, min(first+1, int32(n-1)), int32((at-float32(first))*opaque + 0.5)}
}

// blendRow writes samples of row y of dst from x0 on.
func blendRow(dst, src plane, x0, y int, columns []step, row step) {
	upper, lower := src.pix[int(row.a)*src.stride:], src.pix[int(row.b)*src.stride:]
	out := dst.pix[y*dst.stride+x0*dst.step:]
	for i, s := range columns {
		a, b := int(s.a)*src.step, int(s.b)*src.step
		top := int32(upper[a])*(opaque-s.part) + int32(upper[b])*s.part
		low := int32(lower[a])*(opaque-s.part) + int32(lower[b])*s.part
		out[i*dst.step] = uint8((top*(opaque-row.part) + low*row.part + 1<<15) >> 16)
	}
}
