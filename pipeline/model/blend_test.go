package model

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// plane makes a small plane of random bytes, some of them extreme: lanes that
// overflow would show.
func plane(r *rand.Rand, width, rows int) []byte {
	p := make([]byte, width*rows)
	for i := range p {
		if p[i] = byte(r.Uint32()); r.IntN(3) == 0 {
			p[i] = 255
		}
	}
	return p
}

// TestBlends holds every way of blending rows against the plain definition, for
// widths that do and do not fill words and for all weights.
func TestBlends(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for width := 1; width <= 41; width++ {
		p := plane(r, width, 10)
		row := func(i int) []byte { return p[i*width : (i+1)*width] }
		for _, b := range []struct {
			name           string
			fx, fy, one    int
			offset         func(int) int
			blend          func(dst []byte, w uint64)
			first0, first1 int // rows of the two nodes
			tolerance      float64
		}{
			{"blend2", 1, 1, 256, splitOffset, func(d []byte, w uint64) { blend2(d, row(3), row(4), w) }, 3, 4, 0},
			{"blend4", 1, 2, 128, splitOffset, func(d []byte, w uint64) { blend4(d, row(2), row(3), row(4), row(5), w) }, 2, 4, 0},
			{"blendPairs2", 2, 1, 128, plainOffset, func(d []byte, w uint64) { blendPairs2(d, row(0), row(1), w) }, 0, 1, 0},
			{"blendPairs4", 2, 2, 64, plainOffset, func(d []byte, w uint64) { blendPairs4(d, row(6), row(7), row(8), row(9), w) }, 6, 8, 0},
			{"blendBoxes", 3, 5, 256, plainOffset, func(d []byte, w uint64) {
				blendBoxes(d, p, width, width/3, 3, 5, 0, 5, uint32(w), make([]uint32, width+8))
			}, 0, 5, 0.5},
		} {
			w := r.IntN(b.one + 1)
			dst := make([]byte, rowBytes(width))
			b.blend(dst, uint64(w))
			for k := range width / b.fx {
				want := 0.0
				for y := range b.fy {
					for x := range b.fx {
						want += float64(row(b.first0 + y)[k*b.fx+x])*float64(b.one-w) + float64(row(b.first1 + y)[k*b.fx+x])*float64(w)
					}
				}
				want *= 256 / float64(b.one*b.fx*b.fy)
				if got := float64(binary.LittleEndian.Uint16(dst[b.offset(k):])); math.Abs(got-want) > b.tolerance {
					t.Fatalf("%s, width %d, weight %d/%d: node %d is %v, want %v", b.name, width, w, b.one, k, got, want)
				}
			}
		}
	}
}

// TestInterleaved finds U and V of NV12 where sampling looks for them.
func TestInterleaved(t *testing.T) {
	for pairs := 1; pairs < 20; pairs++ {
		uv := make([]byte, 2*pairs)
		for i := range uv {
			uv[i] = byte(i)
		}
		dst := make([]byte, rowBytes(len(uv)))
		blend2(dst, uv, uv, 100)
		for k := range pairs {
			u, v := binary.LittleEndian.Uint16(dst[evenOffset(k):]), binary.LittleEndian.Uint16(dst[evenOffset(k)+oddOffset:])
			if u != uint16(2*k)<<8 || v != uint16(2*k+1)<<8 {
				t.Fatalf("%d pairs: pair %d is %d %d", pairs, k, u>>8, v>>8)
			}
		}
	}
}

// TestNodes: what is sampled lies inside the plane, rises with the output, and
// an untouched size samples each node alone.
func TestNodes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 3000 {
		n, src := 1+r.IntN(500), 1+r.IntN(4000)
		f := min(boxFactor(float64(src)/float64(n)), src)
		count, last := src/f, -1.0
		for i := range n {
			a, frac := nodes(i, 1, n, src, count, f, sited{step: 1})
			at := float64(a) + frac
			if a < 0 || a > max(count-2, 0) || frac < 0 || frac > 1 || at > float64(count-1) || at < last {
				t.Fatalf("output %d of %d from %d: node %d + %v of %d after %v", i, n, src, a, frac, count, last)
			}
			last = at
		}
	}
	for i := range 100 {
		if a, frac := nodes(i, 1, 100, 100, 100, 1, sited{step: 1}); float64(a)+frac != float64(i) {
			t.Errorf("sample %d of an untouched row is taken at %d + %v", i, a, frac)
		}
	}
	for scale, want := range map[float64]int{0.5: 1, 1: 1, 2.9: 1, 3: 2, 4.9: 2, 5: 3, 9.2: 5, 1e6: maxBox} {
		if got := boxFactor(scale); got != want {
			t.Errorf("a reduction by %v averages %d, want %d", scale, got, want)
		}
	}
}

func TestTapPacks(t *testing.T) {
	a, b := 1<<24-1, 12345
	if p := newTap(a, b, 256); int(p&tapMask) != a || int(p>>24&tapMask) != b || p>>48 != 256 {
		t.Errorf("%x", uint64(p))
	}
}
