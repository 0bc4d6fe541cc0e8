package pipeline

import (
	"math/bits"
	"time"
)

// Buckets grow by a 32nd of an octave: a quantile is off by at most 3.2 %.
const (
	subBits    = 5
	subBuckets = 1 << subBits
	numBuckets = (40 - subBits + 1) * subBuckets // 2^40 µs is twelve days
)

// A Histogram counts durations in buckets of constant relative width (as HDR
// histograms do), so that its memory does not depend on how many it has seen.
// The zero value is empty and ready.
type Histogram struct {
	counts [numBuckets]uint64
	n      uint64
	sum    time.Duration
}

// Add counts d; a negative d counts as zero.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d/time.Microsecond))]++
	h.n++
	h.sum += d
}

// Count returns how many durations were added.
func (h *Histogram) Count() uint64 { return h.n }

// Figure returns the mean and the quantiles, in milliseconds.
func (h *Histogram) Figure() LatencyFigure {
	if h.n == 0 {
		return LatencyFigure{}
	}
	return LatencyFigure{
		Mean: round3(h.sum.Seconds() * 1000 / float64(h.n)),
		P50:  round3(h.quantile(0.50)),
		P99:  round3(h.quantile(0.99)),
	}
}

// quantile returns the middle of the bucket in which the q-quantile lies, by
// the nearest-rank definition, in milliseconds.
func (h *Histogram) quantile(q float64) float64 {
	rank := max(1, uint64(q*float64(h.n)+0.999999))
	var seen uint64
	for b, c := range h.counts {
		if seen += c; seen >= rank {
			lo, hi := bucketRange(b)
			return float64(lo+hi) / 2 / 1000
		}
	}
	return 0
}

func bucketOf(us uint64) int {
	if us < subBuckets {
		return int(us)
	}
	shift := bits.Len64(us) - 1 - subBits
	return min((shift+1)*subBuckets+int(us>>shift)-subBuckets, numBuckets-1)
}

// bucketRange returns the first and the last microsecond of bucket b.
func bucketRange(b int) (lo, hi uint64) {
	if b < subBuckets {
		return uint64(b), uint64(b)
	}
	shift := b/subBuckets - 1
	lo = uint64(subBuckets+b%subBuckets) << shift
	return lo, lo + 1<<shift - 1
}

func round3(v float64) float64 { return float64(int64(v*1000+0.5)) / 1000 }
