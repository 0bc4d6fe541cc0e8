package blocks

// How a background is learned, as OpenCV sets these numbers.
const (
	mostModes    = 5
	startSpread  = 15.0 // variance of a mode that is new
	leastSpread  = 4.0
	mostSpread   = 75.0
	sameMode     = 9.0  // squared distance, in variances, up to which a sample belongs to a mode
	backgroundOf = 0.9  // part of the time that the background is seen
	pruneBy      = 0.05 // how much evidence a mode must have not to be dropped
)

// A background tells for each sample of a video whether it is what was there
// before: a mixture of up to five normal distributions for each, whose number
// adapts (Zivkovic, "Improved adaptive Gaussian mixture model for background
// subtraction", ICPR 2004; Zivkovic and van der Heijden, "Efficient adaptive
// density estimation per image pixel for the task of background subtraction",
// Pattern Recognition Letters 27, 2006).
type background struct {
	history   int
	threshold float32 // squared distance, in variances, from which a sample is foreground
	channels  float32 // how many alike channels a sample stands for
	frames    int
	modes     []mode // of each sample mostModes, the heaviest first
	used      []uint8
}

// mode is one distribution.
type mode struct{ weight, mean, spread float32 }

func newBackground(samples, history int, threshold, channels float32) *background {
	return &background{history: history, threshold: threshold, channels: channels, modes: make([]mode, samples*mostModes), used: make([]uint8, samples)}
}

// learn takes in the next frame and says which samples are foreground.
func (b *background) learn(samples []byte, foreground []bool) {
	b.frames++
	rate := 1 / float32(min(2*b.frames, b.history))
	for i, s := range samples {
		foreground[i] = !b.sample(i, float32(s), rate)
	}
}

// sample takes one sample in and reports whether it is background.
func (b *background) sample(at int, x, rate float32) (known bool) {
	modes := b.modes[at*mostModes:][:mostModes]
	n := int(b.used[at])
	keep, prune := 1-rate, -rate*pruneBy
	found := false
	var total float32
	for i := 0; i < n; i++ {
		weight, to := keep*modes[i].weight+prune, i
		if !found {
			m := &modes[i]
			off := m.mean - x
			far := b.channels * off * off
			known = known || total < backgroundOf && far < b.threshold*m.spread
			if far < sameMode*m.spread {
				found = true
				weight += rate
				k := rate / weight
				m.mean -= k * off
				m.spread = min(max(m.spread+k*(far-m.spread), leastSpread), mostSpread)
				for ; to > 0 && weight >= modes[to-1].weight; to-- {
					modes[to], modes[to-1] = modes[to-1], modes[to]
				}
			}
		}
		if weight < -prune {
			weight = 0
			n--
		}
		modes[to].weight = weight
		total += weight
	}
	for i := range n {
		modes[i].weight /= total
	}
	if !found {
		n = addMode(modes, n, x, rate)
	}
	b.used[at] = uint8(n)
	return known
}

// addMode begins a mode at x; if there is no room it takes the place of the
// lightest.
func addMode(modes []mode, n int, x, rate float32) int {
	n = min(n+1, mostModes)
	last := n - 1
	modes[last] = mode{weight: rate, mean: x, spread: startSpread}
	if n == 1 {
		modes[0].weight = 1
		return n
	}
	for i := range last {
		modes[i].weight *= 1 - rate
	}
	for i := last; i > 0 && rate >= modes[i-1].weight; i-- {
		modes[i], modes[i-1] = modes[i-1], modes[i]
	}
	return n
}
