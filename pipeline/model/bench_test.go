package model

import (
	"math/rand/v2"
	"testing"

	"perch/pipeline"
)

// noise fills a picture with reproducible values.
func noise(pic pipeline.Picture, seed uint64) pipeline.Picture {
	r := rand.New(rand.NewPCG(seed, 1))
	for _, p := range pic.Planes {
		for i := range p {
			p[i] = byte(r.Uint32())
		}
	}
	return pic
}

// shade fills a picture with gradients and a little noise, as a camera's are.
func shade(pic pipeline.Picture) pipeline.Picture {
	r := rand.New(rand.NewPCG(1, 2))
	for k, p := range pic.Planes {
		for i := range p {
			p[i] = byte(40*(k+1) + i%pic.Strides[k]*100/pic.Strides[k] + int(r.Uint32()%6))
		}
	}
	return pic
}

// newNV12 allocates an NV12 picture.
func newNV12(w, h int) pipeline.Picture {
	cw, ch := (w+1)/2, (h+1)/2
	return pipeline.Picture{
		Format: pipeline.NV12, Width: w, Height: h,
		Planes:  [3][]byte{make([]byte, w*h), make([]byte, 2*cw*ch)},
		Strides: [3]int{w, 2 * cw},
	}
}

func testManifest(family string, w, h int) Manifest {
	return Manifest{
		ID: "test", Input: Input{Name: "images", Width: w, Height: h, Scale: 1.0 / 255},
		Head: Head{Family: family},
	}
}

func BenchmarkFill(b *testing.B) {
	for _, c := range []struct {
		name string
		pic  pipeline.Picture
	}{
		{"1080p-I420", pipeline.NewPicture(1920, 1080)},
		{"1080p-NV12", newNV12(1920, 1080)},
		{"720p-I420", pipeline.NewPicture(1280, 720)},
		{"768x576-I420", pipeline.NewPicture(768, 576)},
		{"4K-I420", pipeline.NewPicture(3840, 2160)},
	} {
		b.Run(c.name, func(b *testing.B) {
			shade(c.pic)
			m, err := Open(testManifest("yolov8", 416, 416))
			if err != nil {
				b.Fatal(err)
			}
			p := m.NewPreprocessor()
			dst := make([]float32, p.Len())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Fill(dst, c.pic); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeYOLOv8(b *testing.B) {
	manifest := testManifest("yolov8", 416, 416)
	manifest.Labels = coco80()
	m, err := Open(manifest)
	if err != nil {
		b.Fatal(err)
	}
	data := make([]float32, 84*3549)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range data {
		data[i] = r.Float32() * 0.1
	}
	for k := range 20 { // twenty objects of five overlapping candidates
		for j := range 5 {
			i := k*150 + j
			data[i], data[3549+i], data[2*3549+i], data[3*3549+i] = float32(20*k), float32(20*k+j), 40, 40
			data[(4+k%80)*3549+i] = 0.6 + 0.05*float32(j)
		}
	}
	outs := []Tensor{{Name: "output0", Shape: []int64{1, 84, 3549}, Data: data}}
	d, p := m.NewDecoder(), m.Params()
	t := newTransform(&Input{Width: 416, Height: 416, Resize: Letterbox, Position: Centre}, 1920, 1080)
	b.ReportAllocs()
	for b.Loop() {
		if dets, err := d.Decode(outs, t, p); err != nil || len(dets) == 0 {
			b.Fatal(len(dets), err)
		}
	}
}
