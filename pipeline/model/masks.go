package model

import (
	"math"

	"perch/pipeline"
)

// A maskHead is where one picture's masks are in the outputs: planes of logits,
// either one for each candidate, or prototypes of which each candidate has its
// own mixture (YOLACT, Bolya et al., arXiv:1904.02689).
type maskHead struct {
	planes []float32 // count planes of height rows of width values
	count  int
	width  int
	height int
	// coefs hold what candidate i takes of prototype k at first + i*row + k*step;
	// nil when plane i is candidate i's own.
	coefs            []float32
	first, row, step int
}

// prototypes finds the planes among the outputs: the first of four dimensions.
func (h *maskHead) prototypes(outs []Tensor) error {
	t, err := shaped(outs, 1, -1, -1, -1)
	if err != nil {
		return err
	}
	*h = maskHead{planes: t.Data, count: int(t.Shape[1]), height: int(t.Shape[2]), width: int(t.Shape[3])}
	if h.count < 1 || h.width < 1 || h.height < 1 {
		return mismatch(outs, "prototypes float32[1,P,H,W]")
	}
	return nil
}

// A masker makes masks of the frame. All its memory is scratch.
type masker struct {
	logits []float32 // of the part of the planes that a box needs
	sure   []byte    // one row of pixels, see divide
	mixed  []int32
	across axis
	down   axis
}

// An axis says where the pixels of a box lie in a plane, along one direction.
type axis struct {
	first, n int       // values of the plane that are needed
	at       []float32 // by pixel: its place, from value first on; 0 to n-1
	starts   []int32   // by value: the first pixel at or behind it; one more at the end
}

// place lays pixels lo to hi of a frame out on a plane's values. Frame and plane
// cover the input: pixel x has its centre at x + 1/2, value k at k + 1/2, and
// what lies beyond the outermost values takes theirs. With nearest set a pixel
// is at the value that is nearest.
func (a *axis) place(lo, hi, frame, content, margin, input, values int, nearest bool) {
	scale := float64(content) / float64(frame) * float64(values) / float64(input)
	origin := float64(margin)*float64(values)/float64(input) - 0.5
	if nearest {
		origin += 0.5
	}
	last := float64(values - 1)
	position := func(x int) float64 { return min(max((float64(x)+0.5)*scale+origin, 0), last) }
	a.first = int(position(lo))
	a.n = min(int(position(hi-1))+1, values-1) - a.first + 1
	a.at, a.starts = sized(a.at, hi-lo), sized(a.starts, a.n+1)
	next := 0
	for i := range a.at {
		v := position(lo+i) - float64(a.first)
		if nearest {
			v = math.Floor(v)
		}
		a.at[i] = float32(v)
		for next <= int(v) {
			a.starts[next] = int32(i)
			next++
		}
	}
	for ; next <= a.n; next++ {
		a.starts[next] = int32(len(a.at))
	}
}

// mask makes the mask of candidate i, whose box in the frame is b: it covers the
// smallest whole pixels around b.
//
// Accurate: a pixel belongs to the object where the logits, interpolated
// bilinearly at its centre, are above 0, which is where the probability is above
// one half. Fast: where the nearest logit is.
func (k *masker) mask(h *maskHead, i int, b pipeline.Box, t *Transform, mode MaskMode) *pipeline.Mask {
	x0, y0 := int(b.X0), int(b.Y0)
	x1, y1 := int(math.Ceil(float64(b.X1))), int(math.Ceil(float64(b.Y1)))
	fast := mode == MaskFast
	k.across.place(x0, x1, t.FrameWidth, t.Width, t.Left, t.InputWidth, h.width, fast)
	k.down.place(y0, y1, t.FrameHeight, t.Height, t.Top, t.InputHeight, h.height, fast)
	k.mix(h, i)
	m := pipeline.NewMask(x0, y0, x1-x0, y1-y0)
	if fast {
		k.drawNearest(m)
	} else {
		k.drawBilinear(m)
	}
	return m
}

// mix computes the logits that the box needs.
func (k *masker) mix(h *maskHead, i int) {
	w, rows := k.across.n, k.down.n
	k.logits = sized(k.logits, w*rows)
	corner := k.down.first*h.width + k.across.first
	if h.coefs == nil {
		plane := h.planes[i*h.width*h.height+corner:]
		for y := range rows {
			copy(k.logits[y*w:][:w], plane[y*h.width:])
		}
		return
	}
	clear(k.logits)
	area := h.width * h.height
	coef := func(p int) float32 {
		if p >= h.count {
			return 0
		}
		return h.coefs[h.first+i*h.row+p*h.step]
	}
	// Four prototypes at a time, so that sums are read and written a quarter as
	// often.
	for p := 0; p < h.count; p += 4 {
		c0, c1, c2, c3 := coef(p), coef(p+1), coef(p+2), coef(p+3)
		last := h.count - 1
		p0, p1 := h.planes[p*area+corner:], h.planes[min(p+1, last)*area+corner:]
		p2, p3 := h.planes[min(p+2, last)*area+corner:], h.planes[min(p+3, last)*area+corner:]
		for y := range rows {
			sum := k.logits[y*w:][:w]
			at := y * h.width
			a, b, c, d := p0[at:][:len(sum)], p1[at:][:len(sum)], p2[at:][:len(sum)], p3[at:][:len(sum)]
			for x := range sum {
				sum[x] += c0*a[x] + c1*b[x] + c2*c[x] + c3*d[x]
			}
		}
	}
}

// drawNearest sets pixels by the value that each is at: rows of pixels at the
// same row of values are alike.
func (k *masker) drawNearest(m *pipeline.Mask) {
	stride := m.Stride()
	for j := range k.down.n {
		from, to := int(k.down.starts[j]), int(k.down.starts[j+1])
		if from == to {
			continue
		}
		bits := m.Bits[from*stride:][:stride]
		for x, v := range k.logits[j*k.across.n:][:k.across.n] {
			if v > 0 {
				pipeline.SetBits(bits, int(k.across.starts[x]), int(k.across.starts[x+1]))
			}
		}
		for y := from + 1; y < to; y++ {
			copy(m.Bits[y*stride:][:stride], bits)
		}
	}
}

// drawBilinear goes from value to value of the plane. Between four of the same
// sign all pixels are alike, and all rows of pixels there; only where the sign
// changes is each row looked at, and each pixel only where it changes in the row.
func (k *masker) drawBilinear(m *pipeline.Mask) {
	w, stride := k.across.n, m.Stride()
	k.sure = sized(k.sure, stride)
	for j := range k.down.n {
		from, to := int(k.down.starts[j]), int(k.down.starts[j+1])
		if from == to {
			continue
		}
		upper, lower := k.logits[j*w:][:w], k.logits[min(j+1, k.down.n-1)*w:][:w]
		k.divide(upper, lower)
		for y := from; y < to; y++ {
			bits := m.Bits[y*stride:][:stride]
			copy(bits, k.sure)
			f := k.down.at[y] - float32(j)
			for _, x := range k.mixed {
				next := min(int(x)+1, w-1)
				k.edge(bits, int(x), upper[x]+f*(lower[x]-upper[x]), upper[next]+f*(lower[next]-upper[next]))
			}
		}
	}
}

// divide sets the pixels between values that are all above 0 and lists the
// places where some are and some are not.
func (k *masker) divide(upper, lower []float32) {
	clear(k.sure)
	k.mixed = k.mixed[:0]
	last := len(upper) - 1
	for x, a := range upper {
		next := min(x+1, last)
		b, c, d := upper[next], lower[x], lower[next]
		switch {
		case a > 0 && b > 0 && c > 0 && d > 0:
			pipeline.SetBits(k.sure, int(k.across.starts[x]), int(k.across.starts[x+1]))
		case a > 0 || b > 0 || c > 0 || d > 0:
			k.mixed = append(k.mixed, int32(x))
		}
	}
}

// edge sets the pixels between value x, which is a, and the next, which is b.
func (k *masker) edge(bits []byte, x int, a, b float32) {
	from, to := int(k.across.starts[x]), int(k.across.starts[x+1])
	if a > 0 && b > 0 {
		pipeline.SetBits(bits, from, to)
		return
	}
	if !(a > 0) && !(b > 0) {
		return
	}
	cut, slope, origin := from, b-a, float32(x)
	for cut < to && (a+slope*(k.across.at[cut]-origin) > 0) == (a > 0) {
		cut++
	}
	if a > 0 {
		pipeline.SetBits(bits, from, cut)
	} else {
		pipeline.SetBits(bits, cut, to)
	}
}
