package blocks

import (
	"context"
	"fmt"
	"math"
)

// A blurrer blurs planes. Beyond a plane's edge it goes on as in a mirror
// whose edge sample is not repeated, as OpenCV's filters have it.
type blurrer struct {
	rows   []float32 // a plane blurred along its rows
	kernel []float32
	wide   []byte // a plane with what lies beyond its edges
}

// run blurs a plane. It ends between two rows when ctx does: a large kernel
// takes its time.
func (b *blurrer) run(ctx context.Context, kind string, dst, src []byte, w, h, size int) error {
	switch kind {
	case "average":
		b.kernel = append(b.kernel[:0], make([]float32, size)...)
		for i := range b.kernel {
			b.kernel[i] = 1 / float32(size)
		}
		return b.separable(ctx, dst, src, w, h)
	case "gaussian":
		b.kernel = gaussian(b.kernel[:0], size)
		return b.separable(ctx, dst, src, w, h)
	case "median":
		return median(ctx, dst, src, w, h, size)
	case "bilateral":
		return b.bilateral(ctx, dst, src, w, h, size)
	}
	return fmt.Errorf("there is no blur %q", kind)
}

// eachRow does something for h rows, unless ctx ends.
func eachRow(ctx context.Context, h int, do func(y int)) error {
	for y := range h {
		if err := ctx.Err(); err != nil {
			return err
		}
		do(y)
	}
	return nil
}

// gaussian appends the weights of a bell whose width OpenCV derives from the
// kernel's size; for small ones it has these instead.
func gaussian(k []float32, size int) []float32 {
	switch size {
	case 3:
		return append(k, 1./4, 1./2, 1./4)
	case 5:
		return append(k, 1./16, 1./4, 3./8, 1./4, 1./16)
	case 7:
		return append(k, 1./32, 7./64, 7./32, 9./32, 7./32, 7./64, 1./32)
	}
	sigma := 0.3*(float64(size-1)*0.5-1) + 0.8
	sum := 0.0
	for i := range size {
		d := float64(i) - float64(size-1)/2
		sum += math.Exp(-d * d / (2 * sigma * sigma))
	}
	for i := range size {
		d := float64(i) - float64(size-1)/2
		k = append(k, float32(math.Exp(-d*d/(2*sigma*sigma))/sum))
	}
	return k
}

// mirrored is a place on a line of n samples.
func mirrored(i, n int) int {
	if n == 1 {
		return 0
	}
	i = ((i % (2*n - 2)) + 2*n - 2) % (2*n - 2)
	return min(i, 2*n-2-i)
}

// separable applies the kernel along rows and then along columns.
func (b *blurrer) separable(ctx context.Context, dst, src []byte, w, h int) error {
	n := len(b.kernel)
	if cap(b.rows) < w*h {
		b.rows = make([]float32, w*h)
	}
	b.rows = b.rows[:w*h]
	err := eachRow(ctx, h, func(y int) {
		row, out := src[y*w:][:w], b.rows[y*w:][:w]
		for x := range row {
			var sum float32
			if from := x - n/2; from >= 0 && from+n <= w {
				for k, weight := range b.kernel {
					sum += weight * float32(row[from+k])
				}
			} else {
				for k, weight := range b.kernel {
					sum += weight * float32(row[mirrored(from+k, w)])
				}
			}
			out[x] = sum
		}
	})
	if err != nil {
		return err
	}
	sums := make([]float32, w)
	return eachRow(ctx, h, func(y int) {
		clear(sums)
		for k, weight := range b.kernel {
			for x, v := range b.rows[mirrored(y-n/2+k, h)*w:][:w] {
				sums[x] += weight * v
			}
		}
		for x, v := range sums {
			dst[y*w+x] = byte(min(v+0.5, 255))
		}
	})
}

// median takes the middle of all samples under the kernel, from counts that
// move along with it (Huang, Yang and Tang, "A fast two-dimensional median
// filtering algorithm", 1979). Beyond the edge the edge sample goes on.
func median(ctx context.Context, dst, src []byte, w, h, size int) error {
	r := size / 2
	return eachRow(ctx, h, func(y int) {
		var counts [256]int
		column := func(x, by int) {
			x = min(max(x, 0), w-1)
			for k := y - r; k <= y+r; k++ {
				counts[src[min(max(k, 0), h-1)*w+x]] += by
			}
		}
		for x := -r; x <= r; x++ {
			column(x, 1)
		}
		for x := range w {
			left := size*size/2 + 1
			for v, n := range counts {
				if left -= n; left <= 0 {
					dst[y*w+x] = byte(v)
					break
				}
			}
			column(x-r, -1)
			column(x+r+1, 1)
		}
	})
}
