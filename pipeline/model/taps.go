package model

import "math"

// A tap is where one output column takes its value from: the byte offsets of two
// nodes in a blended row, 24 bits each, and the weight of the second in 256ths.
// It is one word because it is read for each pixel.
type tap uint64

const tapMask = 1<<24 - 1

func newTap(a, b int, w uint64) tap { return tap(uint64(a) | uint64(b)<<24 | w<<48) }

// A rowTap is where one output row takes its value from: the nodes a and b and
// the weight of the second, in units that depend on the blend.
type rowTap struct {
	a, b int
	w    uint64
}

// boxFactor is how many source samples one node averages: f = max(1,
// floor(scale/2 + 1/2)), so that a bilinear sample, which is made of two nodes,
// leaves no more than one source sample in scale unseen. (Beyond a reduction by
// 512 it does.)
func boxFactor(scale float64) int { return min(max(1, int(math.Floor(scale/2+0.5))), maxBox) }

// sited says how a plane's samples lie in the luma grid: sample k sits at luma
// position (k+0.5)*step - 0.5 + shift.
type sited struct {
	step  float64 // luma samples from one sample of the plane to the next
	shift float64
}

// nodes places sample i, the middle of block output samples of n, which cover
// src luma samples in all, among the nodes of a plane that has count of them,
// each the mean of f samples. It returns the first of two nodes and the fraction
// that belongs to the second.
func nodes(i, block, n, src, count, f int, s sited) (a int, frac float64) {
	x := (float64(i)+0.5)*float64(block)*float64(src)/float64(n) - s.shift
	x = x/(s.step*float64(f)) - 0.5
	x = math.Min(math.Max(x, 0), float64(count-1))
	a = max(min(int(x), count-2), 0)
	return a, x - float64(a)
}

// columns fills taps for every output column; offset says where a node is.
func columns(taps []tap, src, n, block, count, f int, s sited, offset func(int) int) {
	for i := range taps {
		a, frac := nodes(i, block, n, src, count, f, s)
		taps[i] = newTap(offset(a), offset(min(a+1, count-1)), uint64(math.Floor(frac*256+0.5)))
	}
}

// rows fills taps for every output row; weights are in units of 1/one.
func rows(taps []rowTap, src, n, block, count, f int, s sited, one float64) {
	for i := range taps {
		a, frac := nodes(i, block, n, src, count, f, s)
		taps[i] = rowTap{a, min(a+1, count-1), uint64(math.Floor(frac*one + 0.5))}
	}
}

// sized is s with n elements of any value, in the same memory if it has room.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
