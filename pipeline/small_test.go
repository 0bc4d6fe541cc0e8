package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHistogramQuantiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var all []float64
	for range 20000 {
		ms := math.Exp(r.NormFloat64()*1.5 + 2)
		all = append(all, ms)
		h.Add(time.Duration(ms * float64(time.Millisecond)))
	}
	slices.Sort(all)
	f := h.Figure()
	for _, q := range []struct{ got, want float64 }{{f.P50, all[9999]}, {f.P99, all[19799]}} {
		if math.Abs(q.got/q.want-1) > 0.033 {
			t.Errorf("quantile %v, want %v", q.got, q.want)
		}
	}
	for us := uint64(0); us < 1<<20; us = us*5/4 + 1 {
		if lo, hi := bucketRange(bucketOf(us)); us < lo || us > hi {
			t.Fatalf("%d µs is put into bucket %d..%d", us, lo, hi)
		}
	}
	if b := bucketOf(math.MaxUint64); b != numBuckets-1 {
		t.Errorf("an endless wait is put into bucket %d of %d", b, numBuckets)
	}
}

func TestCopyPicture(t *testing.T) {
	// An NV12 picture of odd size with padded rows must become packed I420.
	src := Picture{Format: NV12, Width: 5, Height: 3, Strides: [3]int{8, 8}, FullRange: true, Matrix: BT709}
	src.Planes[0] = bytes.Repeat([]byte{1, 2, 3, 4, 5, 99, 99, 99}, 3)
	src.Planes[1] = bytes.Repeat([]byte{10, 20, 11, 21, 12, 22, 99, 99}, 2)
	if err := src.Check(); err != nil {
		t.Fatal(err)
	}
	dst := CopyPicture(Picture{}, src, 1)
	if err := dst.Check(); err != nil || !dst.FullRange || dst.Matrix != BT709 {
		t.Fatalf("%+v: %v", dst, err)
	}
	for i, want := range [][]byte{{1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5}, {10, 11, 12, 10, 11, 12}, {20, 21, 22, 20, 21, 22}} {
		if !bytes.Equal(dst.Planes[i], want) {
			t.Errorf("plane %d: %v, want %v", i, dst.Planes[i], want)
		}
	}
	again := CopyPicture(dst, src, 1)
	if &again.Planes[0][0] != &dst.Planes[0][0] {
		t.Error("memory was not reused")
	}
	half := CopyPicture(Picture{}, src, 2) // 5x3 shrunk by 2: too flat, so it is copied
	if half.Width != 5 {
		t.Errorf("%dx%d", half.Width, half.Height)
	}
	big := NewPicture(8, 8)
	for i := range big.Planes[0] {
		big.Planes[0][i] = byte(i % 8 * 10)
	}
	if got := CopyPicture(Picture{}, big, 2).Planes[0][:4]; !bytes.Equal(got, []byte{5, 25, 45, 65}) {
		t.Errorf("means %v", got)
	}
}

func TestPictureCheckRefusesShortPlanes(t *testing.T) {
	ok := NewPicture(5, 5)
	for name, spoil := range map[string]func(*Picture){
		"short luma":   func(p *Picture) { p.Planes[0] = p.Planes[0][:24] },
		"short chroma": func(p *Picture) { p.Planes[2] = p.Planes[2][:8] },
		"thin stride":  func(p *Picture) { p.Strides[1] = 2 },
		"no format":    func(p *Picture) { p.Format = 0 },
		"no size":      func(p *Picture) { p.Width = 0 },
	} {
		p := ok
		spoil(&p)
		if p.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := ok.Check(); err != nil {
		t.Error(err)
	}
}

func TestErrorSaysWhatWasTriedAndWhatToDo(t *testing.T) {
	inner := &Error{Op: "open", On: "/dev/video0", Kind: NotFound, Err: io.EOF, Hint: "is it plugged in?"}
	outer := error(&Error{Op: "start camera", On: "door", Err: inner})
	if got, want := outer.Error(), "start camera door: open /dev/video0: EOF (is it plugged in?)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if KindOf(outer) != NotFound || KindOf(errors.Join(io.EOF, outer)) != NotFound || KindOf(io.EOF) != Other || KindOf(nil) != Other {
		t.Error("kinds are lost on the way out")
	}
	if s := Kind(200).String(); !strings.Contains(s, "unknown") {
		t.Error(s)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"confidence", "classes", "class", "iou", "zones", "Über"}
	for _, tt := range []struct {
		word string
		most int
		want string
	}{
		{"confidence", 2, "confidence"},
		{"confidnece", 2, "confidence"}, // swapped: one mistake
		{"confidnece", 0, ""},
		{"CLASSEZ", 2, "classes"},
		{"clas", 1, "class"},
		{"clss", 3, "class"}, // one away; classes is three
		{"zone", 1, "zones"},
		{"über", 1, "Über"},
		{"ubre", 2, "Über"},
		{"", 2, ""},
		{"", 3, "iou"},
		{"lines", 1, ""},
		{strings.Repeat("x", 129), 200, ""},
	} {
		if got := Nearest(tt.word, known, tt.most); got != tt.want {
			t.Errorf("%q within %d: %q, want %q", tt.word, tt.most, got, tt.want)
		}
	}
	if got := Nearest("b", []string{"c", "a"}, 1); got != "a" {
		t.Errorf("of two equally near %q", got)
	}
}

// What is compared is bounded: however many candidates there are, those beyond
// the first hundred thousand pairs of letters are not looked at.
func TestNearestOfVeryMany(t *testing.T) {
	word := strings.Repeat("z", 100)
	var known []string
	for i := range 1000 {
		known = append(known, fmt.Sprintf("%0100d", i))
	}
	if got := Nearest(word+"y", append(known[:10:10], word), 33); got != word {
		t.Errorf("of a few %q", got)
	}
	if got := Nearest(word+"y", append(known, word), 33); got != "" {
		t.Errorf("the last of a thousand was compared: %q", got)
	}
	if got := Nearest(word+"yyyy", append(known, strings.Repeat("a", 1<<20), word+"yyyx"), 2); got != word+"yyyx" {
		t.Errorf("of few that are as long, among many that are not: %q", got)
	}
}

func TestDistance(t *testing.T) {
	for pair, want := range map[[2]string]int{
		{"", ""}: 0, {"a", ""}: 1, {"", "ab"}: 2, {"kitten", "sitting"}: 3, {"flaw", "lawn"}: 2, {"abc", "abc"}: 0, {"abc", "acb"}: 1, {"ca", "abc"}: 3,
	} {
		if got := distance([]rune(pair[0]), []rune(pair[1])); got != want {
			t.Errorf("%q: %d, want %d", pair, got, want)
		}
	}
}
