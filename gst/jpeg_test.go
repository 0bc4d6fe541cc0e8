package gst

import (
	"image"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
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
