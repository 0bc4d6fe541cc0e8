package pipeline

// CopyPicture copies src into dst as packed I420, shrunk by the whole factor k
// (each sample the mean of a k by k square; 1 copies). It reuses dst's memory
// when the size fits and returns the picture to use next time.
func CopyPicture(dst, src Picture, k int) Picture {
	k = max(k, 1)
	w, h := src.Width/k, src.Height/k
	if w < 2 || h < 2 {
		k, w, h = 1, src.Width, src.Height
	}
	if dst.Format != I420 || dst.Width != w || dst.Height != h {
		dst = NewPicture(w, h)
	}
	dst.FullRange, dst.Matrix = src.FullRange, src.Matrix
	shrink(dst.Planes[0], dst.Strides[0], w, h, src.Planes[0], src.Strides[0], 1, src.Width, src.Height, k)
	cw, ch := (w+1)/2, (h+1)/2
	scw, sch := (src.Width+1)/2, (src.Height+1)/2
	u, v, us, vs, step := src.Planes[1], src.Planes[2], src.Strides[1], src.Strides[2], 1
	if src.Format == NV12 {
		v, vs, step = u[1:], us, 2
	}
	shrink(dst.Planes[1], dst.Strides[1], cw, ch, u, us, step, scw, sch, k)
	shrink(dst.Planes[2], dst.Strides[2], cw, ch, v, vs, step, scw, sch, k)
	return dst
}

// shrink writes a w by h plane whose samples are means of k by k squares of an
// sw by sh plane with step bytes from sample to sample. At the right and lower
// edge the last sample is repeated.
func shrink(dst []byte, dstride, w, h int, src []byte, sstride, step, sw, sh, k int) {
	if k == 1 {
		for y := range h {
			pick(dst[y*dstride:y*dstride+w], src[y*sstride:], step)
		}
		return
	}
	area := k * k
	for y := range h {
		row := dst[y*dstride : y*dstride+w]
		for x := range row {
			sum := area / 2
			for j := range k {
				line := src[min(y*k+j, sh-1)*sstride:]
				for i := range k {
					sum += int(line[min(x*k+i, sw-1)*step])
				}
			}
			row[x] = byte(sum / area)
		}
	}
}

// pick copies every step-th byte.
func pick(dst, src []byte, step int) {
	if step == 1 {
		copy(dst, src)
		return
	}
	src = src[:(len(dst)-1)*step+1] // one check of bounds for the row
	for x := range dst {
		dst[x] = src[x*step]
	}
}

// scaled returns d with its coordinates multiplied by s.
func (d Detection) scaled(s float32) Detection {
	if s == 1 {
		return d
	}
	d.Box = Box{d.Box.X0 * s, d.Box.Y0 * s, d.Box.X1 * s, d.Box.Y1 * s}
	points := make([]Keypoint, len(d.Keypoints))
	for i, p := range d.Keypoints {
		points[i] = Keypoint{Point{p.X * s, p.Y * s}, p.Score}
	}
	d.Keypoints = points
	return d
}
