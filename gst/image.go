package gst

import (
	"context"

	"perch/pipeline"
)

// DecodeImage reads a still picture (JPEG, PNG and what else GStreamer knows)
// as I420. A 4:2:0 JPEG is full-range BT.601 inside and its samples come out
// untouched; RGB is converted to the same. The picture is the caller's.
func (m *Media) DecodeImage(ctx context.Context, path string) (pipeline.Picture, error) {
	src, err := m.NewSource(SourceSpec{Kind: pipeline.SourceFile, Path: path, Pace: pipeline.Lossless, Decoder: software})
	if err != nil {
		return pipeline.Picture{}, err
	}
	src.(*source).format = "video/x-raw,format=I420,colorimetry=(string){1:4:0:0,bt601,bt709}"
	var pic pipeline.Picture
	first := firstFrame{take: func(p pipeline.Picture) { pic = clone(p) }}
	if err := first.of(ctx, src); err != nil {
		return pipeline.Picture{}, err
	}
	return pic, nil
}

// clone copies an I420 picture into memory of its own.
func clone(p pipeline.Picture) pipeline.Picture {
	out := pipeline.NewPicture(p.Width, p.Height)
	out.FullRange, out.Matrix = p.FullRange, p.Matrix
	for i := range out.Planes {
		n := out.Strides[i]
		for y := range len(out.Planes[i]) / n {
			copy(out.Planes[i][y*n:(y+1)*n], p.Planes[i][y*p.Strides[i]:])
		}
	}
	return out
}
