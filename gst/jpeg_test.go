package gst

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"perch/pipeline"
)

// A still must be decoded as Go's decoder does it, within rounding. libjpeg's
// fast transform is not.
func TestJPEGIsDecodedExactly(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	img := image.NewYCbCr(image.Rect(0, 0, 96, 64), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = byte(r.IntN(256))
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = byte(100+r.IntN(60)), byte(90+r.IntN(60))
	}
	path := filepath.Join(t.TempDir(), "still.jpg")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(f, img, &jpeg.Options{Quality: 98}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	decoded, err := jpeg.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	want := decoded.(*image.YCbCr)
	pic, err := openMedia(t).DecodeImage(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	worst := 0
	for y := range 64 {
		for x := range 96 {
			worst = max(worst, int(pic.Planes[0][y*pic.Strides[0]+x])-int(want.Y[y*want.YStride+x]), int(want.Y[y*want.YStride+x])-int(pic.Planes[0][y*pic.Strides[0]+x]))
		}
	}
	if worst > 2 {
		t.Errorf("luma is off by up to %d levels", worst)
	}
}

// textured is a picture of photographic detail, which is what costs an encoder
// time.
func textured(w, h int) pipeline.Picture {
	p := pipeline.NewPicture(w, h)
	r := rand.New(rand.NewPCG(1, 2))
	for y := range h {
		for x := range w {
			p.Planes[0][y*p.Strides[0]+x] = byte(100 + 40*math.Sin(float64(x)/9)*math.Cos(float64(y)/13) + float64(r.IntN(24)))
		}
	}
	for i := range p.Planes[1] {
		p.Planes[1][i], p.Planes[2][i] = byte(110+i%17), byte(140-i%13)
	}
	return p
}

func decodeJPEG(t testing.TB, data []byte) *image.YCbCr {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img.(*image.YCbCr)
}

// The quality asked for is the quality of each file, whatever was asked before,
// and sizes and layouts may follow each other in any order.
func TestJPEGQuality(t *testing.T) {
	m := openMedia(t)
	defer m.Close()
	var sizes []int
	for _, q := range []int{100, 50, 95, 1, 80, 50} {
		for _, size := range [][2]int{{320, 240}, {33, 17}, {1, 1}} {
			pic := textured(size[0], size[1])
			pic.FullRange = true
			data, err := m.EncodeJPEGQuality(pic, q)
			if err != nil {
				t.Fatal(err)
			}
			img := decodeJPEG(t, data)
			if b := img.Bounds(); b.Dx() != size[0] || b.Dy() != size[1] {
				t.Errorf("%v came out as %v", size, b)
			}
			if size[0] == 320 {
				sizes = append(sizes, len(data))
				worst := 0
				for i, y := range img.Y[:320] {
					worst = max(worst, abs(int(y)-int(pic.Planes[0][i])))
				}
				if q == 100 && worst > 3 {
					t.Errorf("quality 100 is off by %d levels", worst)
				}
			}
		}
	}
	if !(sizes[0] > sizes[2] && sizes[2] > sizes[4] && sizes[4] > sizes[1] && sizes[1] > sizes[3]) || sizes[1] != sizes[5] {
		t.Errorf("bytes at 100, 50, 95, 1, 80, 50: %v", sizes)
	}
	for _, q := range []int{0, 101, -1} {
		if _, err := m.EncodeJPEGQuality(textured(16, 16), q); pipeline.KindOf(err) != pipeline.BadInput {
			t.Errorf("quality %d: %v", q, err)
		}
	}
}

func abs(n int) int { return max(n, -n) }

// A picture of high definition has another matrix and range; JPEG has only one
// of each (ITU-T T.871). A red that is written so must be read as that red.
func TestJPEGConvertsColour(t *testing.T) {
	m := openMedia(t)
	defer m.Close()
	for _, nv12 := range []bool{false, true} {
		pic := pipeline.NewPicture(64, 64)
		pic.Matrix = pipeline.BT709
		for i := range pic.Planes[0] { // red 255 0 0 in limited range BT.709
			pic.Planes[0][i] = 63
		}
		for i := range pic.Planes[1] {
			pic.Planes[1][i], pic.Planes[2][i] = 102, 240
		}
		if nv12 {
			uv := make([]byte, 0, 2*len(pic.Planes[1]))
			for i := range pic.Planes[1] {
				uv = append(uv, pic.Planes[1][i], pic.Planes[2][i])
			}
			pic.Format, pic.Planes, pic.Strides = pipeline.NV12, [3][]byte{pic.Planes[0], uv}, [3]int{64, 64}
		}
		data, err := m.EncodeJPEGQuality(pic, 95)
		if err != nil {
			t.Fatal(err)
		}
		r, g, b, _ := decodeJPEG(t, data).At(32, 32).RGBA()
		if r>>8 < 245 || g>>8 > 10 || b>>8 > 10 {
			t.Errorf("NV12 %v: red came out as %d %d %d", nv12, r>>8, g>>8, b>>8)
		}
	}
}

// Many at once, of several sizes, each gets its own picture; and closing in
// between loses none.
func TestJPEGAtTheSameTime(t *testing.T) {
	m := openMedia(t)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 20 {
				w, h := 160+16*(n%3), 120
				data, err := m.EncodeJPEGQuality(numbered(n*20+i, w, h), 90)
				if err != nil {
					t.Error(err)
					return
				}
				img := decodeJPEG(t, data)
				got := pipeline.Picture{Format: pipeline.I420, Width: w, Height: h, Planes: [3][]byte{img.Y, img.Cb, img.Cr}, Strides: [3]int{img.YStride, img.CStride, img.CStride}}
				if number(got) != n*20+i {
					t.Errorf("picture %d came out as %d", n*20+i, number(got))
				}
				if i == 10 {
					m.Close()
				}
			}
		})
	}
	wg.Wait()
	if n := len(m.jpegs.idle); n != 0 {
		t.Errorf("%d encoders are left after Close", n)
	}
}

// A thousand stills take no more memory than some, and leave no thread behind.
func TestJPEGsLeaveNothing(t *testing.T) {
	m := openMedia(t)
	defer m.Close()
	some := func(n int) resources {
		for i := range n {
			if _, err := m.EncodeJPEGQuality(numbered(i, 320, 240+2*(i%5)), 80); err != nil {
				t.Fatal(err)
			}
		}
		return usage(t)
	}
	before := some(200)
	after := some(1000)
	if after.threads > before.threads+2 || after.fds > before.fds || after.rss > before.rss+(8<<20) {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func BenchmarkJPEG(b *testing.B) {
	for _, size := range [][2]int{{1920, 1080}, {1280, 720}, {160, 120}} {
		b.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(b *testing.B) {
			m := openMedia(b)
			defer m.Close()
			pic := textured(size[0], size[1])
			n := 0
			for b.Loop() {
				data, err := m.EncodeJPEGQuality(pic, 80)
				if err != nil {
					b.Fatal(err)
				}
				n = len(data)
			}
			b.ReportMetric(float64(n), "bytes/picture")
		})
	}
}
