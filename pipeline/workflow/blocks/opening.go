package blocks

import "math"

// opening removes what is smaller than an ellipse from a picture of width w,
// and rounds off the rest: it erodes and then dilates (Serra, "Image Analysis
// and Mathematical Morphology", 1982). What lies outside of the picture counts
// for neither. Kernel says for each row of the ellipse how far it reaches to each
// side; scratch has the picture's size.
func opening(pic, scratch []bool, w int, kernel []int) {
	if len(kernel) < 2 {
		return
	}
	h := len(pic) / w
	for i, on := range pic {
		scratch[i] = on && covered(pic, w, h, i%w, i/w, kernel)
	}
	clear(pic)
	for i, on := range scratch {
		if on {
			stamp(pic, w, h, i%w, i/w, kernel)
		}
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

// covered reports whether all under the ellipse at a place is on.
func covered(pic []bool, w, h, x, y int, kernel []int) bool {
	r := len(kernel) / 2
	for k, reach := range kernel {
		ty := y + k - r
		if ty < 0 || ty >= h {
			continue
		}
		for _, on := range pic[ty*w+max(x-reach, 0) : ty*w+min(x+reach, w-1)+1] {
			if !on {
				return false
			}
		}
	}
	return true
}

// stamp sets all under the ellipse at a place.
func stamp(pic []bool, w, h, x, y int, kernel []int) {
	r := len(kernel) / 2
	for k, reach := range kernel {
		if ty := y + k - r; ty >= 0 && ty < h {
			row := pic[ty*w:][:w]
			for tx := max(x-reach, 0); tx <= min(x+reach, w-1); tx++ {
				row[tx] = true
			}
		}
	}
}
