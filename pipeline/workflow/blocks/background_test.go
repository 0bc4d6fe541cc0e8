package blocks

import (
	"encoding/json"
	"os"
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
		opening(pic, make([]bool, len(pic)), w, kernel)
		if got := text(pic); got != c.After {
			t.Errorf("size %d:\n%s, want\n%s", c.Size, got, c.After)
		}
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
