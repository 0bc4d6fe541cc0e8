package gst

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"perch/pipeline"
)

func TestContainersAndCodecs(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	const audio = " audiotestsrc num-buffers=80 ! voaacenc ! aacparse ! queue ! mux."
	tests := []struct{ name, rest, codec, decoder string }{
		{"h264.mp4", x264 + " ! mp4mux", "H.264", "avdec_h264"},
		{"h264.mov", x264 + " ! qtmux", "H.264", "avdec_h264"},
		{"h264.mkv", x264 + " ! matroskamux", "H.264", "avdec_h264"},
		{"h264.ts", x264 + " ! mpegtsmux", "H.264", "avdec_h264"},
		{"h264.h264", x264 + " ! video/x-h264,stream-format=byte-stream", "H.264", "avdec_h264"},
		{"h265.mp4", "x265enc speed-preset=ultrafast option-string=crf=20 ! h265parse ! mp4mux", "H.265", "avdec_h265"},
		{"h265.mkv", "x265enc speed-preset=ultrafast option-string=crf=20 ! h265parse ! matroskamux", "H.265", "avdec_h265"},
		{"mpeg4.avi", "avenc_mpeg4 bitrate=4000000 ! avimux", "MPEG-4", "avdec_mpeg4"},
		{"mjpeg.avi", "jpegenc ! avimux", "JPEG", "jpegdec"},
		{"mjpeg422.avi", "videoconvert ! video/x-raw,format=Y42B ! jpegenc ! avimux", "JPEG", "jpegdec"},
		{"mjpeg.mov", "jpegenc ! qtmux", "JPEG", "jpegdec"},
		{"mpeg2.mpg", "mpeg2enc ! mpegvideoparse ! mpegpsmux", "MPEG-2", "avdec_mpeg2video"},
		{"mpeg2.ts", "mpeg2enc ! mpegvideoparse ! mpegtsmux", "MPEG-2", "avdec_mpeg2video"},
		{"vp8.webm", "vp8enc deadline=1 cpu-used=8 target-bitrate=4000000 ! webmmux", "VP8", "vp8dec"},
		{"vp8.mkv", "vp8enc deadline=1 cpu-used=8 target-bitrate=4000000 ! matroskamux", "VP8", "vp8dec"},
		{"vp9.webm", "vp9enc deadline=1 cpu-used=8 target-bitrate=4000000 ! webmmux", "VP9", "vp9dec"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := makeVideo(t, tt.name, tt.rest)
			var c collector
			if err := play(t, m, lossless(path), &c); err != nil {
				t.Fatal(err)
			}
			first := 1
			if tt.name == "mpeg2.mpg" {
				// mpegpsdemux 1.22 begins at the second clock reference of
				// what mpegpsmux writes; gst-launch shows the same.
				first = testFrames - len(c.numbers) + 1
			}
			c.wantAll(t, first, testFrames)
			i := c.info(t)
			if i.Codec != tt.codec || i.Decoder != tt.decoder || i.Hardware || i.Live || i.Fallback != "" {
				t.Errorf("got %+v", i)
			}
			if i.Width != testWidth || i.Height != testHeight || i.Rotation != 0 || math.Abs(i.FPS-testFPS) > 0.1 {
				t.Errorf("got %+v", i)
			}
			// Raw and transport streams do not say how long they are.
			if d := i.Duration.Seconds(); filepath.Ext(tt.name) != ".h264" && filepath.Ext(tt.name) != ".ts" && first == 1 && math.Abs(d-testFrames/testFPS) > 0.25 {
				t.Errorf("duration %v", i.Duration)
			}
		})
	}
	t.Run("with audio first.mp4", func(t *testing.T) {
		path := makeVideo(t, "audio.mp4", x264+" ! queue ! mp4mux name=mux"+audio+" mux.")
		var c collector
		if err := play(t, m, lossless(path), &c); err != nil {
			t.Fatal(err)
		}
		c.wantAll(t, 1, testFrames)
	})
}

// rotate writes the matrix of a rotation into the track header of an MP4 file
// (ISO/IEC 14496-12, section 8.3.2): a, b, u, c, d, v, x, y, w.
func rotate(t *testing.T, path string, degrees int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const one, minus = 0x10000, 0xffff0000
	m := map[int][4]uint32{0: {one, 0, 0, one}, 90: {0, one, minus, 0}, 180: {minus, 0, 0, minus}, 270: {0, minus, one, 0}}[degrees]
	at := bytes.Index(b, []byte("tkhd")) + 4 + 40
	for i, v := range []uint32{m[0], m[1], 0, m[2], m[3]} {
		binary.BigEndian.PutUint32(b[at+4*i:], v)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	for _, tt := range []struct{ degrees, width, height, x, y int }{
		// The first block of number 1, bright and top left, turns with the picture.
		{0, testWidth, testHeight, 3, 3},
		{90, testHeight, testWidth, testHeight - 4, 3},
		{180, testWidth, testHeight, testWidth - 4, testHeight - 4},
		{270, testHeight, testWidth, 3, testWidth - 4},
	} {
		path := makeVideo(t, "turned.mp4", x264+" ! mp4mux")
		rotate(t, path, tt.degrees)
		var c collector
		if err := play(t, m, lossless(path), &c); err != nil {
			t.Fatal(err)
		}
		if i := c.info(t); i.Rotation != tt.degrees || i.FPS != testFPS || i.Width != tt.width || i.Height != tt.height || len(c.frames) != testFrames {
			t.Errorf("%d: %d frames, %+v", tt.degrees, len(c.frames), i)
			continue
		}
		if v := c.picture.Planes[0][tt.y*c.picture.Strides[0]+tt.x]; v < 180 {
			t.Errorf("%d: luma at %d,%d is %d, want the bright block", tt.degrees, tt.x, tt.y, v)
		}
	}
}

// Uploads have whatever name their client gave them: what a file is, its content
// says.
func TestWrongExtension(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	for name, rest := range map[string]string{
		"matroska.mp4": x264 + " ! matroskamux",
		"avi.mp4":      x264 + " ! avimux",
		"ts.avi":       x264 + " ! mpegtsmux",
		"mp4.mkv":      x264 + " ! mp4mux",
		"webm":         "vp8enc deadline=1 keyframe-max-dist=10 target-bitrate=2000000 ! webmmux",
	} {
		path := makeVideo(t, name, rest)
		info, err := m.Probe(t.Context(), path)
		if err != nil || info.FPS != testFPS || info.Width != testWidth {
			t.Errorf("%s: %+v, %v", name, info, err)
			continue
		}
		var c collector
		if err := play(t, m, lossless(path), &c); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.wantAll(t, 1, testFrames)
	}
}

// Pictures that are too large are refused, also where only the decoder can tell
// how large they are.
func TestMaxPixels(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	for name, rest := range map[string]string{
		"a.mp4":  x264 + " ! mp4mux",
		"a.h264": x264 + " ! video/x-h264,stream-format=byte-stream",
		"a.webm": "vp8enc deadline=1 ! webmmux",
		"a.mjpg": "jpegenc ! multipartmux",
		"a.avi":  "avimux", // raw: nothing decodes it
		"a.mkv":  "matroskamux",
		"a.mov":  "videoconvert ! video/x-raw,format=UYVY ! qtmux",
	} {
		path := makeVideo(t, name, rest)
		spec := lossless(path)
		spec.MaxPixels = testWidth * testHeight
		var c collector
		if err := play(t, m, spec, &c); err != nil || len(c.frames) == 0 {
			t.Errorf("%s with exactly as many pixels as allowed: %v", name, err)
		}
		spec.MaxPixels--
		c = collector{}
		err := play(t, m, spec, &c)
		wantError(t, err, pipeline.BadInput, "160x120", "19199 pixels")
		if len(c.frames) > 0 {
			t.Errorf("%s: %d pictures came", name, len(c.frames))
		}
	}
}

// A file that is played as a camera would takes as long as it is, and loses
// nothing by that.
func TestRealTime(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	spec := lossless(makeVideo(t, "clip.mp4", x264+" ! mp4mux"))
	spec.RealTime = true
	began := time.Now()
	var c collector
	if err := play(t, m, spec, &c); err != nil {
		t.Fatal(err)
	}
	c.wantAll(t, 1, testFrames)
	if took := time.Since(began); took < (testFrames-2)*time.Second/testFPS {
		t.Errorf("%d pictures took %v", testFrames, took)
	}
	if i := c.info(t); i.Live {
		t.Errorf("%+v", i)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	info, err := m.Probe(t.Context(), makeVideo(t, "clip.mp4", x264+" ! mp4mux"))
	if err != nil {
		t.Fatal(err)
	}
	want := pipeline.StreamInfo{Codec: "H.264", Width: testWidth, Height: testHeight, FPS: testFPS, Duration: 2 * time.Second, Frames: testFrames, Decoder: "avdec_h264"}
	if info != want {
		t.Errorf("got  %+v\nwant %+v", info, want)
	}
}

func TestSampleClip(t *testing.T) {
	t.Parallel()
	path := os.Getenv("PERCH_TEST_CLIP")
	if path == "" {
		t.Skip("PERCH_TEST_CLIP does not name the sample clip")
	}
	m := openMedia(t)
	info, err := m.Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	src, err := m.NewSource(lossless(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Run(t.Context(), outletFunc(func(_ context.Context, f pipeline.Frame) { n++; f.Release() })); err != nil {
		t.Fatal(err)
	}
	if n == 0 || n != info.Frames {
		t.Errorf("%d frames, %d were promised", n, info.Frames)
	}
}

type outletFunc func(context.Context, pipeline.Frame)

func (outletFunc) Opened(pipeline.StreamInfo)                        {}
func (f outletFunc) PutFrame(ctx context.Context, fr pipeline.Frame) { f(ctx, fr) }

func TestBadFiles(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole, err := os.ReadFile(makeVideo(t, "whole.mp4", x264+" ! mp4mux"))
	if err != nil {
		t.Fatal(err)
	}
	audio := filepath.Join(dir, "audio.mp4")
	launch(t, "audiotestsrc num-buffers=20 ! voaacenc ! aacparse ! mp4mux ! filesink location="+audio)
	mp3 := filepath.Join(dir, "audio.mkv")
	launch(t, "audiotestsrc num-buffers=20 ! vorbisenc ! matroskamux ! filesink location="+mp3)
	unknown := makeVideo(t, "unknown.avi", "jpegenc ! avimux")
	patch(t, unknown, "MJPG", "ZZQX")
	unknownMKV := makeVideo(t, "unknown.mkv", "vp8enc deadline=1 ! matroskamux")
	patch(t, unknownMKV, "V_VP8", "V_QQ8")
	noise := make([]byte, 50_000)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	for _, tt := range []struct {
		path  string
		kind  pipeline.Kind
		words []string
	}{
		{filepath.Join(dir, "none.mp4"), pipeline.NotFound, []string{"no such file"}},
		{dir, pipeline.BadInput, []string{"folder"}},
		{write("empty.mp4", nil), pipeline.BadInput, []string{"the file is empty"}},
		{write("notes.mp4", []byte("Shopping list:\nmilk, bread, a camera.\n")), pipeline.BadInput, []string{"notes.mp4 is not a video"}},
		{write("noise.mp4", noise), pipeline.BadInput, []string{"noise.mp4"}},
		{write("header.mp4", whole[:40]), pipeline.BadInput, []string{"truncated"}},
		{write("half.mp4", whole[:len(whole)/2]), pipeline.BadInput, []string{"truncated", "moov"}},
		{audio, pipeline.BadInput, []string{"no video stream"}},
		{mp3, pipeline.BadInput, []string{"no video stream"}},
		{unknown, pipeline.Unsupported, []string{"ZZQX", "apt install"}},
		{unknownMKV, pipeline.Unsupported, []string{"V_QQ8", "apt install"}},
	} {
		var c collector
		err := play(t, m, lossless(tt.path), &c)
		wantError(t, err, tt.kind, tt.words...)
		t.Logf("%v", err)
		if c.n > 0 || len(c.infos) > 0 {
			t.Errorf("%s: %d frames", tt.path, c.n)
		}
	}
}

// A file that ends early gives the frames that it has and then says so.
func TestTruncatedInTheMiddle(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	for _, tt := range []struct{ name, rest string }{
		{"cut.mp4", x264 + " ! mp4mux faststart=true"},
		{"cut.mkv", x264 + " ! matroskamux"},
		{"cut.ts", x264 + " ! mpegtsmux"},
		{"cut.avi", "jpegenc ! avimux"},
	} {
		path := makeVideo(t, tt.name, tt.rest)
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, st.Size()*6/10); err != nil {
			t.Fatal(err)
		}
		var c collector
		err = play(t, m, lossless(path), &c)
		t.Logf("%s: %d frames, %v", tt.name, c.n, err)
		if c.n < 10 || c.n >= testFrames {
			t.Errorf("%s: %d frames", tt.name, c.n)
		}
		for i, n := range c.numbers[:min(10, c.n)] {
			if n != i+1 {
				t.Errorf("%s: frame %d has number %d", tt.name, i+1, n)
			}
		}
		if tt.name == "cut.mp4" {
			wantError(t, err, pipeline.BadInput, "truncated")
		} else if err != nil && pipeline.KindOf(err) != pipeline.BadInput {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
