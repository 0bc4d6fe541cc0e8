package draw

import (
	"perch/pipeline"
)

// maxKernel bounds blurring and pixelating; it also keeps mean exact.
const maxKernel = 1023

// plane is one component of a picture, or any other 8-bit samples.
type plane struct {
	pix          []byte
	stride, step int // bytes from row to row and from sample to sample
}

// component returns plane i of a picture: Y, U or V.
func component(p pipeline.Picture, i int) plane {
	if i == 0 {
		return plane{p.Planes[0], p.Strides[0], 1}
	}
	if p.Format == pipeline.NV12 {
		return plane{p.Planes[1][i-1:], p.Strides[1], 2}
	}
	return plane{p.Planes[i], p.Strides[i], 1}
}

// Blur replaces each sample of an area by the mean of the kernel by kernel
// square around it, of which only what lies in the area's rectangle counts.
func (d *Drawer) Blur(pic pipeline.Picture, a Area, kernel int) {
	kernel = min(max(kernel, 1), maxKernel)
	d.rework(pic, a, func(pl plane, r rect, half int, keep *region) {
		d.blurPlane(pl, r, (kernel+half)>>half, half, keep)
	})
}

// Pixelate replaces the samples of an area by means of size by size squares,
// counted from the upper left of the area's rectangle.
func (d *Drawer) Pixelate(pic pipeline.Picture, a Area, size int) {
	size = min(max(size, 1), maxKernel)
	d.rework(pic, a, func(pl plane, r rect, half int, keep *region) {
		pixelatePlane(pl, r, (size+half)>>half, half, keep)
	})
}

// rework calls do for each component with the area's rectangle in its samples;
// half is 1 where those are chroma's. keep is nil when the area is its rectangle.
func (d *Drawer) rework(pic pipeline.Picture, a Area, do func(pl plane, r rect, half int, keep *region)) {
	if !d.begin(pic) {
		return
	}
	r := whole(pic, a.Box)
	var keep *region
	if m := a.Mask; m != nil {
		d.shape.reset(pic.Width, pic.Height)
		d.shape.addMask(m)
		keep = &d.shape
		r = rect{m.X, m.Y, m.X + m.Width, m.Y + m.Height}
	}
	r = r.clip(pic)
	if r.x0 >= r.x1 || r.y0 >= r.y1 {
		return
	}
	do(component(pic, 0), r, 0, keep)
	r = rect{r.x0 / 2, r.y0 / 2, (r.x1 + 1) / 2, (r.y1 + 1) / 2}
	do(component(pic, 1), r, 1, keep)
	do(component(pic, 2), r, 1, keep)
}

// mean divides without dividing, and is exact for up to maxKernel bytes:
// sum times n stays below 2^32.
type mean struct{ n, inverse uint64 }

func meanOf(n int) mean { return mean{uint64(n), 1<<32/uint64(n) + 1} }

func (m mean) of(sum uint32) uint8 { return uint8((uint64(sum) + m.n/2) * m.inverse >> 32) }

// blurPlane blurs a rectangle of a plane: rows into scratch, then columns back.
func (d *Drawer) blurPlane(pl plane, r rect, kernel, half int, keep *region) {
	w, h := r.x1-r.x0, r.y1-r.y0
	if n := w * h; cap(d.rows) < n {
		d.rows = make([]uint8, n)
	}
	if cap(d.sums) < w {
		d.sums = make([]uint32, w)
	}
	rows, sums := d.rows[:w*h], d.sums[:w]
	back, ahead := kernel/2, kernel-kernel/2 // the window is [i-back, i+ahead)
	for y := range h {
		src := pl.pix[(r.y0+y)*pl.stride+r.x0*pl.step:]
		if pl.step != 1 {
			src = d.packed(src, w, pl.step)
		}
		slide(rows[y*w:][:w], src[:w], back, ahead)
	}
	clear(sums)
	for y := range min(ahead-1, h) {
		addRow(sums, rows[y*w:])
	}
	for y := range h {
		if in := y + ahead - 1; in < h {
			addRow(sums, rows[in*w:])
		}
		if out := y - back - 1; out >= 0 {
			takeRow(sums, rows[out*w:])
		}
		m := meanOf(min(y+ahead, h) - max(y-back, 0))
		dst := pl.pix[(r.y0+y)*pl.stride+r.x0*pl.step:]
		if keep == nil && pl.step == 1 {
			dst = dst[:w]
			for x, sum := range sums {
				dst[x] = m.of(sum)
			}
			continue
		}
		for x, sum := range sums {
			if keep == nil || keep.has((r.x0+x)<<half, (r.y0+y)<<half) {
				dst[x*pl.step] = m.of(sum)
			}
		}
	}
}

// packed copies every step-th byte of a row.
func (d *Drawer) packed(src []uint8, w, step int) []uint8 {
	if cap(d.line) < w {
		d.line = make([]uint8, w)
	}
	out := d.line[:w]
	for x := range out {
		out[x] = src[x*step]
	}
	return out
}

// slide writes the means of a row's windows.
func slide(dst, src []uint8, back, ahead int) {
	w := len(dst)
	var sum uint32
	for _, v := range src[:min(ahead-1, w)] {
		sum += uint32(v)
	}
	// Where the window is cut its size changes from sample to sample.
	edge := func(x0, x1 int) {
		for x := x0; x < x1; x++ {
			if in := x + ahead - 1; in < w {
				sum += uint32(src[in])
			}
			if out := x - back - 1; out >= 0 {
				sum -= uint32(src[out])
			}
			dst[x] = meanOf(min(x+ahead, w) - max(x-back, 0)).of(sum)
		}
	}
	x0 := min(back+1, w)
	x1 := max(w-ahead+1, x0)
	edge(0, x0)
	m := meanOf(back + ahead)
	for i, out := range src[:x1-x0] { // out is at x-back-1, and x begins at back+1
		sum += uint32(src[x0+ahead-1+i]) - uint32(out)
		dst[x0+i] = m.of(sum)
	}
	edge(x1, w)
}

func addRow(sums []uint32, row []uint8) {
	row = row[:len(sums)]
	for i, v := range row {
		sums[i] += uint32(v)
	}
}

func takeRow(sums []uint32, row []uint8) {
	row = row[:len(sums)]
	for i, v := range row {
		sums[i] -= uint32(v)
	}
}

func pixelatePlane(pl plane, r rect, size, half int, keep *region) {
	for y := r.y0; y < r.y1; y += size {
		for x := r.x0; x < r.x1; x += size {
			pixelateCell(pl, rect{x, y, min(x+size, r.x1), min(y+size, r.y1)}, half, keep)
		}
	}
}

func pixelateCell(pl plane, r rect, half int, keep *region) {
	sum := 0
	for y := r.y0; y < r.y1; y++ {
		row := pl.pix[y*pl.stride:]
		for x := r.x0; x < r.x1; x++ {
			sum += int(row[x*pl.step])
		}
	}
	n := (r.x1 - r.x0) * (r.y1 - r.y0)
	v := uint8((sum + n/2) / n)
	for y := r.y0; y < r.y1; y++ {
		row := pl.pix[y*pl.stride:]
		for x := r.x0; x < r.x1; x++ {
			if keep == nil || keep.has(x<<half, y<<half) {
				row[x*pl.step] = v
			}
		}
	}
}
