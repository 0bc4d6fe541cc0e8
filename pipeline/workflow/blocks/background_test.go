package blocks

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// videos are what OpenCV makes of small videos; see testdata/motion.cjs.
type videos struct {
	Width, Height int
	Videos        []struct {
		History, Threshold int
		Frames             [][]byte
		Masks              []string
	}
	Openings []struct {
		Size                  int
		Kernel, Before, After string
	}
}

func readVideos(t *testing.T) (v videos) {
	t.Helper()
	b, err := os.ReadFile("testdata/motion.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func text(on []bool) string {
	b := make([]byte, len(on))
	for i := range on {
		if b[i] = '0'; on[i] {
			b[i] = '1'
		}
	}
	return string(b)
}

func TestBackgroundIsOpenCVs(t *testing.T) {
	v := readVideos(t)
	seen := map[rune]int{}
	for i, c := range v.Videos {
		b, fore := newBackground(v.Width*v.Height, c.History, float32(c.Threshold), 1), make([]bool, v.Width*v.Height)
		for f, frame := range c.Frames {
			b.learn(frame, fore)
			if got := text(fore); got != c.Masks[f] {
				t.Fatalf("video %d, frame %d:\n%s, want\n%s", i, f, got, c.Masks[f])
			}
			for _, r := range c.Masks[f] {
				seen[r]++
			}
		}
	}
	if seen['1'] < 800 || seen['0'] < 10000 {
		t.Errorf("%v proves little", seen)
	}
}

func TestOpeningIsOpenCVs(t *testing.T) {
	const w = 24
	for _, c := range readVideos(t).Openings {
		kernel := ellipse(c.Size)
		var rows []bool
		for _, reach := range kernel {
			for x := -(c.Size / 2); x <= c.Size/2; x++ {
				rows = append(rows, max(x, -x) <= reach)
			}
		}
		if got := text(rows); got != c.Kernel {
			t.Errorf("kernel %d: %s, want %s", c.Size, got, c.Kernel)
		}
		pic := make([]bool, len(c.Before))
		for i := range pic {
			pic[i] = c.Before[i] == '1'
		}
		newOpener(c.Size, len(pic), w).open(pic)
		if got := text(pic); got != c.After {
			t.Errorf("size %d:\n%s, want\n%s", c.Size, got, c.After)
		}
	}
}

// TestOpeningByDefinition compares with what the definition says, place by place
// under the ellipse: also of ellipses that are larger than the picture.
func TestOpeningByDefinition(t *testing.T) {
	const w, h = 37, 23
	rnd := rand.New(rand.NewPCG(1, 2))
	left := 0
	for _, size := range []int{0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 14, 21, 29, 45, 63} {
		kernel, r := ellipse(size), size/2
		// under reports whether a pixel under the ellipse at a place is like on.
		under := func(pic []bool, at int, on bool) bool {
			for k, reach := range kernel {
				for dx := -reach; dx <= reach; dx++ {
					x, y := at%w+dx, at/w+k-r
					if x >= 0 && x < w && y >= 0 && y < h && pic[y*w+x] == on {
						return true
					}
				}
			}
			return false
		}
		o := newOpener(size, w*h, w)
		for _, holes := range []float64{0, 0.001, 0.01, 0.1} {
			pic, eroded, want := make([]bool, w*h), make([]bool, w*h), make([]bool, w*h)
			for i := range pic {
				pic[i] = rnd.Float64() >= holes
			}
			for i := range pic {
				eroded[i] = !under(pic, i, false)
			}
			for i := range pic {
				if want[i] = under(eroded, i, true); want[i] && holes > 0 {
					left++
				}
			}
			if o.open(pic); !slices.Equal(pic, want) {
				t.Fatalf("size %d:\n%s, want\n%s", size, text(pic), text(want))
			}
		}
	}
	if left < 5000 {
		t.Errorf("%d pixels are left of what had holes: that proves little", left)
	}
}

// BenchmarkOpening shows that a kernel's size does not matter.
func BenchmarkOpening(b *testing.B) {
	const w, h = 512, 288
	for _, size := range []int{3, 101, 2 * motionSide} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			o, pic := newOpener(size, w*h, w), make([]bool, w*h)
			for b.Loop() {
				for i := range pic {
					pic[i] = true // all moves, which is the most work
				}
				o.open(pic)
			}
		})
	}
}

func BenchmarkBackground(b *testing.B) {
	const w, h = 480, 270 // 1080p, shrunk
	back, fore := newBackground(w*h, 30, 16, 3), make([]bool, w*h)
	pic := make([]byte, w*h)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		for i := range pic {
			pic[i] = byte(100 + (i*7+n*13)%5)
		}
		back.learn(pic, fore)
	}
}
