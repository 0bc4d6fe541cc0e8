package gst

import (
	"context"
	"errors"
	"fmt"
	"time"

	"perch/pipeline"
)

const jpegTimeout = 10 * time.Second

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

// EncodeJPEG returns pic as a JPEG file of quality 85.
func (m *Media) EncodeJPEG(pic pipeline.Picture) ([]byte, error) {
	fail := func(kind pipeline.Kind, err error) ([]byte, error) {
		return nil, &pipeline.Error{Op: "encode JPEG", Kind: kind, Err: err}
	}
	if err := pic.Check(); err != nil {
		return fail(pipeline.BadInput, err)
	}
	launch := "appsrc name=in format=time ! videoconvert ! video/x-raw,format=I420,colorimetry=1:4:0:0 ! jpegenc quality=85 ! appsink name=out sync=false enable-last-sample=false"
	f, err := startFeed(encoding{width: pic.Width, height: pic.Height, fullRange: true}, launch, nil)
	if err != nil {
		return fail(pipeline.Unsupported, err)
	}
	data, err := f.one(pic)
	if err = errors.Join(f.player.close(), err); err != nil {
		return fail(pipeline.KindOf(err), err)
	}
	return data, nil
}

// one encodes a single picture.
func (f *feed) one(pic pipeline.Picture) ([]byte, error) {
	if err := f.push(pic, 0); err != nil {
		return nil, err
	}
	f.end()
	for began := time.Now(); time.Since(began) < jpegTimeout; {
		au, ok, end := f.units().pull(pollInterval)
		if ok {
			return au.Data, nil
		}
		if err := f.trouble(); err != nil || end {
			return nil, errors.Join(err, errors.New("the encoder made nothing"))
		}
	}
	return nil, fmt.Errorf("the encoder did not finish within %v", jpegTimeout)
}
