package blocks

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// See testdata/blur.cjs. OpenCV rounds its weights, so a sample may be off by
// one.
func TestBlursAreOpenCVs(t *testing.T) {
	var g struct {
		Width, Height int
		Before        []byte
		Blurred       []struct {
			Kind  string
			Size  int
			After []byte
		}
	}
	b, err := os.ReadFile("testdata/blur.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	var blur blurrer
	got := make([]byte, len(g.Before))
	for _, c := range g.Blurred {
		if err := blur.run(t.Context(), c.Kind, got, g.Before, g.Width, g.Height, c.Size); err != nil {
			t.Fatal(err)
		}
		most, changed := 0, 0
		for i := range got {
			most = max(most, max(int(got[i])-int(c.After[i]), int(c.After[i])-int(got[i])))
			if got[i] != g.Before[i] {
				changed++
			}
		}
		if limit := map[string]int{"average": 1, "gaussian": 1, "bilateral": 1}[c.Kind]; most > limit || c.Size > 1 && changed < len(got)/2 {
			t.Errorf("%s of %d: off by up to %d, %d samples changed", c.Kind, c.Size, most, changed)
		}
	}
	if err := blur.run(t.Context(), "motion", got, g.Before, g.Width, g.Height, 3); err == nil {
		t.Error("there is no such blur")
	}
	for n := range 4 { // pictures of one sample, or one row
		small := make([]byte, n+1)
		for _, kind := range []string{"average", "gaussian", "median", "bilateral"} {
			if err := blur.run(t.Context(), kind, small, []byte{7, 7, 7, 7}[:n+1], n+1, 1, 9); err != nil || small[0] != 7 || small[n] != 7 {
				t.Errorf("%s: %v, %v", kind, small, err)
			}
		}
	}
}

func TestBlursEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var blur blurrer
	for _, kind := range []string{"average", "gaussian", "median", "bilateral"} {
		if err := blur.run(ctx, kind, make([]byte, 12), make([]byte, 12), 4, 3, 3); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestTapsAreBounded(t *testing.T) {
	for size := range mostBlur + 1 {
		r, circle := max(size/2, 1), 0
		for i := range (2*r + 1) * (2*r + 1) {
			if x, y := i%(2*r+1)-r, i/(2*r+1)-r; x*x+y*y <= r*r {
				circle++
			}
		}
		all, sum := taps(r), tap{}
		for _, a := range all {
			sum.x, sum.y = sum.x+a.x, sum.y+a.y
			if max(a.x, -a.x, a.y, -a.y) > r {
				t.Errorf("size %d: %v lies outside", size, a)
			}
		}
		if size <= 21 && len(all) != circle || len(all) > mostTaps || len(all) < min(circle, mostTaps) || sum != (tap{}) {
			t.Errorf("size %d: %d of %d, on average at %v", size, len(all), circle, sum)
		}
	}
}

// TestLargeBilateral compares with a weighing of all samples, on a noisy
// picture with an edge and fine stripes.
func TestLargeBilateral(t *testing.T) {
	const w, h = 64, 48
	rnd := rand.New(rand.NewPCG(3, 4))
	src, got := make([]byte, w*h), make([]byte, w*h)
	for i := range src {
		src[i] = byte(40 + 30*(i%2) + rnd.IntN(20))
		if i%w > w/3 {
			src[i] += 120
		}
	}
	for _, size := range []int{23, 45, 99} {
		var blur blurrer
		if err := blur.run(t.Context(), "bilateral", got, src, w, h, size); err != nil {
			t.Fatal(err)
		}
		most, r := 0.0, size/2
		for i := 0; i < w*h; i += 7 {
			var sum, weights float64
			for k := range (2*r + 1) * (2*r + 1) {
				dx, dy := k%(2*r+1)-r, k/(2*r+1)-r
				if dx*dx+dy*dy > r*r {
					continue
				}
				v, here := float64(src[mirrored(i/w+dy, h)*w+mirrored(i%w+dx, w)]), float64(src[i])
				weight := math.Exp(-(float64(dx*dx+dy*dy) + (v-here)*(v-here)) / (2 * bilateralSigma * bilateralSigma))
				sum, weights = sum+weight*v, weights+weight
			}
			most = max(most, math.Abs(float64(got[i])-sum/weights))
		}
		if most > 3 {
			t.Errorf("size %d: off by up to %.1f", size, most)
		}
	}
}

func BenchmarkBilateral(b *testing.B) {
	const w, h = 1024, 576
	src, dst := make([]byte, w*h), make([]byte, w*h)
	var blur blurrer
	for b.Loop() {
		if err := blur.run(b.Context(), "bilateral", dst, src, w, h, mostBlur); err != nil {
			b.Fatal(err)
		}
	}
}
