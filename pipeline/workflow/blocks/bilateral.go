package blocks

import (
	"context"
	"math"
)

const (
	// bilateralSigma is how far brightness and places may differ, as upstream
	// sets it.
	bilateralSigma = 75
	// mostTaps bounds how many samples are weighed for one: all that a kernel of
	// 21 pixels has. With all those of the largest kernel a picture would take
	// half a minute.
	mostTaps = 317
)

// bilateral weighs samples in a circle by how near and how alike they are
// (Tomasi and Manduchi, "Bilateral filtering for gray and color images", ICCV
// 1998).
func (b *blurrer) bilateral(ctx context.Context, dst, src []byte, w, h, size int) error {
	r := max(size/2, 1)
	var alike [511]float32 // by how much brighter a sample is, from -255
	for i := range alike {
		alike[i] = bell((i - 255) * (i - 255))
	}
	b.widen(src, w, h, r)
	stride := w + 2*r
	type weighed struct {
		at   int // from the sample in the middle
		near float32
	}
	var all []weighed
	for _, t := range taps(r) {
		all = append(all, weighed{t.y*stride + t.x, bell(t.x*t.x + t.y*t.y)})
	}
	return eachRow(ctx, h, func(y int) {
		for x := range w {
			middle := (y+r)*stride + x + r
			here := 255 - int(b.wide[middle])
			var sum, weights float32
			for _, t := range all {
				v := int(b.wide[middle+t.at])
				weight := t.near * alike[v+here]
				sum += weight * float32(v)
				weights += weight
			}
			dst[y*w+x] = byte(sum/weights + 0.5)
		}
	})
}

func bell(squared int) float32 {
	return float32(math.Exp(-float64(squared) / (2 * bilateralSigma * bilateralSigma)))
}

// widen copies a plane and puts r samples around it.
func (b *blurrer) widen(src []byte, w, h, r int) {
	stride, n := w+2*r, (w+2*r)*(h+2*r)
	if cap(b.wide) < n {
		b.wide = make([]byte, n)
	}
	b.wide = b.wide[:n]
	for y := range h + 2*r {
		from, to := src[mirrored(y-r, h)*w:][:w], b.wide[y*stride:][:stride]
		copy(to[r:], from)
		for x := range r {
			to[x], to[r+w+x] = from[mirrored(x-r, w)], from[mirrored(w+x, w)]
		}
	}
}

// A tap is the place of a sample, from the one in the middle.
type tap struct{ x, y int }

// taps are the places in a circle: all of them, or so many as may be weighed,
// spread evenly as the seeds of a sunflower are (Vogel, "A better way to
// construct the sunflower head", Mathematical Biosciences 44, 1979) and so that
// each has its opposite. A grid would miss patterns that repeat as it does.
func taps(r int) []tap {
	var all []tap
	for y := -r; y <= r; y++ {
		for x := -r; x <= r; x++ {
			if x*x+y*y <= r*r {
				all = append(all, tap{x, y})
			}
		}
	}
	if len(all) <= mostTaps {
		return all
	}
	all = append(all[:0], tap{})
	golden := math.Pi * (3 - math.Sqrt(5))
	for i := range mostTaps / 2 {
		away, angle := float64(r)*math.Sqrt((float64(i)+0.5)/(mostTaps/2)), float64(i)*golden
		t := tap{int(math.Round(away * math.Cos(angle))), int(math.Round(away * math.Sin(angle)))}
		all = append(all, t, tap{-t.x, -t.y})
	}
	return all
}
