package api

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"strconv"
	"time"

	"perch/pipeline"
)

// snapshot answers with a camera's newest picture.
func (s *Server) snapshot(w http.ResponseWriter, r *http.Request) {
	select {
	case s.snapshots <- struct{}{}:
		defer func() { <-s.snapshots }()
	case <-r.Context().Done():
		return
	}
	pic, taken, err := s.Cameras.Snapshot(r.Context(), r.PathValue("name"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	body, err := encodeJPEG(pic)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Last-Modified", taken.UTC().Format(http.TimeFormat))
	w.Header().Set("X-Perch-Taken-At", taken.UTC().Format(time.RFC3339Nano))
	_, _ = w.Write(body)
}

// encodeJPEG writes pic as JFIF, whose samples are BT.601 in full range
// (ITU-T T.871, 7).
func encodeJPEG(pic pipeline.Picture) ([]byte, error) {
	if err := pic.Check(); err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	img := image.NewYCbCr(image.Rect(0, 0, pic.Width, pic.Height), image.YCbCrSubsampleRatio420)
	to := conversionOf(pic)
	for y := range pic.Height {
		src, dst := pic.Planes[0][y*pic.Strides[0]:], img.Y[y*img.YStride:]
		for x := range pic.Width {
			u, v := chromaAt(pic, x/2, y/2)
			dst[x] = clamp(to.luma(float32(src[x]), u, v))
		}
	}
	for y := range (pic.Height + 1) / 2 {
		for x := range (pic.Width + 1) / 2 {
			u, v := chromaAt(pic, x, y)
			i := y*img.CStride + x
			img.Cb[i], img.Cr[i] = clamp(128+to.uu*u+to.uv*v), clamp(128+to.vu*u+to.vv*v)
		}
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 88}); err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	return buf.Bytes(), nil
}

func chromaAt(p pipeline.Picture, x, y int) (u, v float32) {
	if p.Format == pipeline.NV12 {
		i := y*p.Strides[1] + 2*x
		return float32(p.Planes[1][i]) - 128, float32(p.Planes[1][i+1]) - 128
	}
	return float32(p.Planes[1][y*p.Strides[1]+x]) - 128, float32(p.Planes[2][y*p.Strides[2]+x]) - 128
}

// conversion takes samples to full-range BT.601, without going through RGB.
type conversion struct {
	black, gain    float32 // luma
	yu, yv         float32 // what chroma adds to luma
	uu, uv, vu, vv float32
}

func (c conversion) luma(y, u, v float32) float32 { return (y-c.black)*c.gain + c.yu*u + c.yv*v }

func conversionOf(p pipeline.Picture) conversion {
	gain, cgain, black := float32(1), float32(1), float32(0)
	if !p.FullRange {
		gain, cgain, black = 255./219, 255./224, 16
	}
	if p.Matrix == pipeline.BT601 {
		return conversion{black: black, gain: gain, uu: cgain, vv: cgain}
	}
	// BT.709 to RGB to BT.601, multiplied out: with R = Y+1.5748V,
	// B = Y+1.8556U and G = Y-0.1873U-0.4681V, luma of BT.601 is
	// Y+0.1016U+0.1961V, and its chroma is (B-Y')/1.772 and (R-Y')/1.402.
	return conversion{
		black: black, gain: gain, yu: 0.1016 * cgain, yv: 0.1961 * cgain,
		uu: 0.9899 * cgain, uv: -0.1107 * cgain, vu: -0.0725 * cgain, vv: 0.9834 * cgain,
	}
}

func clamp(v float32) uint8 { return uint8(min(max(v+0.5, 0), 255)) }
