package storage

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"perch/pipeline"
)

var fullHD = frameSize{1920, 1080}

// randomDetections makes n detections of the given kinds within a frame.
func randomDetections(r *rand.Rand, n int, tracks, points, outside bool) []pipeline.Detection {
	dets := make([]pipeline.Detection, n)
	for i := range dets {
		d := &dets[i]
		x, y := r.Float32()*1800, r.Float32()*1000
		if outside {
			x, y = x-300, y-300
		}
		d.Box = pipeline.Box{X0: x, Y0: y, X1: x + r.Float32()*300, Y1: y + r.Float32()*400}
		d.Class, d.Score = r.IntN(80), r.Float32()
		if tracks {
			d.Track = pipeline.TrackID(r.Uint64N(100_000))
		}
		for range r.IntN(4) {
			if points {
				d.Keypoints = append(d.Keypoints, pipeline.Keypoint{Point: pipeline.Point{X: x, Y: y}, Score: r.Float32()})
			}
		}
	}
	return dets
}

func TestPackedDetectionsComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 4000 {
		size := fullHD
		if i&1 != 0 {
			size = frameSize{r.IntN(5000), r.IntN(5000)}
		}
		in := randomDetections(r, r.IntN(30), i&2 != 0, i&4 != 0, i&8 != 0)
		b, err := pack(in, size, fullHD)
		if err != nil {
			t.Fatal(err)
		}
		out, gotSize, err := unpack(b, fullHD)
		if err != nil || gotSize != size || len(out) != len(in) {
			t.Fatalf("case %d: size %v, %d of %d detections, %v", i, gotSize, len(out), len(in), err)
		}
		for j := range in {
			if !close1(in[j], out[j]) {
				t.Fatalf("case %d: %+v became %+v", i, in[j], out[j])
			}
		}
	}
}

// close1 reports whether b is a as exactly as the packed form promises.
func close1(a, b pipeline.Detection) bool {
	near := func(a, b float32) bool { return math.Abs(float64(a)-float64(b)) <= 1.0/16+1e-4 }
	ok := near(a.Box.X0, b.Box.X0) && near(a.Box.Y0, b.Box.Y0) && near(a.Box.X1, b.Box.X1) && near(a.Box.Y1, b.Box.Y1) &&
		a.Class == b.Class && a.Track == b.Track && math.Abs(float64(a.Score-b.Score)) <= 0.51/65535 && len(a.Keypoints) == len(b.Keypoints)
	for i := range a.Keypoints {
		ok = ok && near(a.Keypoints[i].X, b.Keypoints[i].X) && near(a.Keypoints[i].Y, b.Keypoints[i].Y) &&
			math.Abs(float64(a.Keypoints[i].Score-b.Keypoints[i].Score)) <= 0.51/65535
	}
	return ok
}

// The layout that the README describes, byte by byte.
func TestPackedLayout(t *testing.T) {
	for _, c := range []struct {
		name string
		dets []pipeline.Detection
		size frameSize
		want []byte
	}{
		{"nothing", nil, fullHD, nil},
		{"nothing in a frame of another size", nil, frameSize{640, 480}, []byte{0x81, 0x80, 0x05, 0xe0, 0x03, 0x00}},
		{"one box", []pipeline.Detection{{Class: 2, Score: 1, Box: pipeline.Box{X0: 1, Y0: 2, X1: 3, Y1: 5.5}}}, fullHD,
			[]byte{0x01, 1, 2, 0xff, 0xff, 8, 16, 16, 28}},
		{"a tracked box that begins left of the frame", []pipeline.Detection{{Track: 300, Box: pipeline.Box{X0: -1, X1: 1, Y1: 1}}}, fullHD,
			[]byte{0x51, 1, 0, 0, 0, 15, 0, 32, 16, 0xac, 0x02}},
		{"a key point", []pipeline.Detection{{Box: pipeline.Box{X1: 1, Y1: 1}, Keypoints: []pipeline.Keypoint{{Point: pipeline.Point{X: 1, Y: 0.5}, Score: 0}}}}, fullHD,
			[]byte{0x21, 1, 0, 0, 0, 0, 0, 8, 8, 1, 8, 4, 0, 0}},
	} {
		got, err := pack(c.dets, c.size, fullHD)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: % x, %v, want % x", c.name, got, err, c.want)
		}
	}
}

func TestPackRefusesWhatItCannotKeep(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, d := range []pipeline.Detection{
		{Class: -1}, {Score: nan}, {Box: pipeline.Box{X0: nan}}, {Box: pipeline.Box{Y1: inf}}, {Box: pipeline.Box{X1: 2 << 20}},
		{Keypoints: []pipeline.Keypoint{{Point: pipeline.Point{X: nan}}}},
	} {
		if b, err := pack([]pipeline.Detection{d}, fullHD, fullHD); err == nil {
			t.Errorf("%+v was packed as % x", d, b)
		}
	}
	if _, err := pack(nil, frameSize{-1, 5}, fullHD); err == nil {
		t.Error("a frame of negative size was packed")
	}
}

func TestUnpackRefusesDamage(t *testing.T) {
	whole, err := pack(randomDetections(rand.New(rand.NewPCG(3, 4)), 5, true, true, true), frameSize{7, 9}, fullHD)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(whole); n++ {
		if _, _, err := unpack(whole[:n], fullHD); err == nil {
			t.Errorf("%d of %d bytes were taken for the whole", n, len(whole))
		}
	}
	for _, b := range [][]byte{append(bytes.Clone(whole), 0), {0x02, 0}, {0x01, 0xff, 0xff, 0x03}, {0x01, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}} {
		if d, _, err := unpack(b, fullHD); err == nil {
			t.Errorf("% x was read as %+v", b, d)
		}
	}
}

// Whatever the bytes, unpack neither panics nor makes more than they can hold;
// what it accepts survives another round.
func FuzzUnpack(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 16 {
		b, err := pack(randomDetections(r, i, i&1 != 0, i&2 != 0, i&4 != 0), frameSize{1280 + i&8, 720}, frameSize{1280, 720})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0xf1, 0xff, 0xff, 0x3f, 0, 0xff, 0xff, 0x03})
	f.Fuzz(func(t *testing.T, b []byte) {
		dets, size, err := unpack(b, fullHD)
		if err != nil {
			return
		}
		if len(dets)*leastPacked > len(b) {
			t.Fatalf("%d detections from %d bytes", len(dets), len(b))
		}
		again, err := pack(dets, size, fullHD)
		if err != nil {
			return // coordinates beyond what pack takes
		}
		twice, size2, err := unpack(again, fullHD)
		if err != nil || size2 != size || len(twice) != len(dets) || len(dets) > 0 && !reflect.DeepEqual(twice, dets) {
			t.Fatalf("%+v became %+v, %v", dets, twice, err)
		}
	})
}
