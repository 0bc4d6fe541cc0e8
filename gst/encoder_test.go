package gst

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"perch/pipeline"
)

// units gathers what an encoder puts out.
type units struct {
	mu   sync.Mutex // guards list
	list []pipeline.AccessUnit
}

func (u *units) put(au pipeline.AccessUnit) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, au)
}

func (u *units) all() []pipeline.AccessUnit {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.list
}

// until waits for something that must come soon.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("%s: did not happen", what)
		}
	}
}

// encodeAll gives every picture to e, waiting where it is behind.
func encodeAll(t testing.TB, e pipeline.Encoder, first, last, w, h int) {
	t.Helper()
	for n := first; n <= last; n++ {
		until(t, "a place in the queue", func() bool {
			ok, err := e.Encode(numbered(n, w, h), time.Duration(n)*40*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		})
	}
}

func TestEncoderRoundTrip(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	for _, tt := range []struct {
		codec         pipeline.Codec
		width, height int
		codedW        int
	}{
		{pipeline.CodecH264, 160, 120, 160},
		{pipeline.CodecH264, 161, 121, 162},
		{pipeline.CodecVP8, 160, 120, 160},
		{pipeline.CodecVP8, 161, 121, 161},
	} {
		var u units
		e, err := m.OpenEncoder(pipeline.EncoderSpec{Codec: tt.codec, Width: tt.width, Height: tt.height, FPS: 25, Bitrate: 2_000_000}, u.put)
		if err != nil {
			t.Fatal(err)
		}
		const n = 30
		encodeAll(t, e, 1, n, tt.width, tt.height)
		until(t, "all units", func() bool { return len(u.all()) == n })
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		list := u.all()
		var stream bytes.Buffer
		for i, au := range list {
			if want := time.Duration(i+1) * 40 * time.Millisecond; au.PTS != want {
				t.Errorf("%s: unit %d has time %v, want %v", tt.codec, i, au.PTS, want)
			}
			if au.Key && tt.codec == pipeline.CodecH264 {
				for _, nal := range []byte{7, 8, 5} { // SPS, PPS, IDR
					if !hasNAL(au.Data, nal) {
						t.Errorf("key frame %d has no NAL unit of type %d", i, nal)
					}
				}
			}
			stream.Write(au.Data)
		}
		if !list[0].Key {
			t.Errorf("%s: the first unit is no key frame", tt.codec)
		}
		if tt.codec == pipeline.CodecVP8 {
			checkVP8(t, list, tt.width, tt.height)
			continue
		}
		path := filepath.Join(t.TempDir(), "stream.h264")
		if err := os.WriteFile(path, stream.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		var c collector
		if err := play(t, m, lossless(path), &c); err != nil {
			t.Fatal(err)
		}
		c.wantAll(t, 1, n)
		if i := c.info(t); i.Width != tt.codedW {
			t.Errorf("%dx%d came out as %dx%d", tt.width, tt.height, i.Width, i.Height)
		}
		if db := psnr(numbered(1, tt.width, tt.height), c.picture); db < 28 {
			t.Errorf("%dx%d: PSNR of luma %.1f dB", tt.width, tt.height, db)
		}
	}
}

// checkVP8 reads sizes out of key frames (RFC 6386, section 9.1).
func checkVP8(t *testing.T, list []pipeline.AccessUnit, w, h int) {
	t.Helper()
	for _, au := range list {
		if key := au.Data[0]&1 == 0; key != au.Key {
			t.Errorf("unit says key %v, its bits say %v", au.Key, key)
		}
		if au.Key && (int(au.Data[6])|int(au.Data[7]&0x3f)<<8 != w || int(au.Data[8])|int(au.Data[9]&0x3f)<<8 != h) {
			t.Errorf("key frame is not %dx%d", w, h)
		}
	}
}

func hasNAL(data []byte, kind byte) bool {
	for i := 0; i+3 < len(data); i++ {
		if data[i] == 0 && data[i+1] == 0 && data[i+2] == 1 && data[i+3]&0x1f == kind {
			return true
		}
	}
	return false
}

// psnr compares luma over the size of a.
func psnr(a, b pipeline.Picture) float64 {
	sum := 0.0
	for y := range a.Height {
		for x := range a.Width {
			d := float64(a.Planes[0][y*a.Strides[0]+x]) - float64(b.Planes[0][y*b.Strides[0]+x])
			sum += d * d
		}
	}
	return 10 * math.Log10(255*255*float64(a.Width*a.Height)/sum)
}

func TestForceKey(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	for _, codec := range []pipeline.Codec{pipeline.CodecH264, pipeline.CodecVP8} {
		var u units
		e, err := m.OpenEncoder(pipeline.EncoderSpec{Codec: codec, Width: 160, Height: 120, FPS: 25, Bitrate: 500_000}, u.put)
		if err != nil {
			t.Fatal(err)
		}
		encodeAll(t, e, 1, 10, 160, 120)
		until(t, "ten units", func() bool { return len(u.all()) == 10 })
		e.ForceKey()
		e.ForceKey()
		encodeAll(t, e, 11, 20, 160, 120)
		until(t, "twenty units", func() bool { return len(u.all()) == 20 })
		keys := 0
		for i, au := range u.all() {
			if au.Key && i > 0 {
				keys++
			}
		}
		if keys != 1 {
			t.Errorf("%s: %d key frames after asking, want 1", codec, keys)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if s := e.(*encoder).Stats(); s.In != 20+s.Dropped || s.Encoded != 20 || s.Keys != 2 || s.Element == "" {
			t.Errorf("%s: %+v", codec, s)
		}
	}
}

// A viewer that does not take its units costs pictures, never time.
func TestEncoderNeverBlocks(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	block := make(chan struct{})
	e, err := m.OpenEncoder(pipeline.EncoderSpec{Codec: pipeline.CodecVP8, Width: 64, Height: 64, FPS: 25, Bitrate: 100_000}, func(pipeline.AccessUnit) { <-block })
	if err != nil {
		t.Fatal(err)
	}
	dropped := 0
	for n := range 200 {
		ok, err := e.Encode(numbered(n, 64, 64), time.Duration(n)*40*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			dropped++
		}
		time.Sleep(100 * time.Microsecond)
	}
	if s := e.(*encoder).Stats(); dropped < 100 || s.Dropped != uint64(dropped) || s.In != 200 {
		t.Errorf("dropped %d of 200: %+v", dropped, s)
	}
	close(block)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if ok, err := e.Encode(numbered(1, 64, 64), time.Hour); ok || err == nil {
		t.Error("a closed encoder took a picture")
	}
}

func TestEncoderRefuses(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	_, err := m.OpenEncoder(pipeline.EncoderSpec{Codec: "H266", Width: 64, Height: 64}, nil)
	wantError(t, err, pipeline.Unsupported, "H266")
	e, err := m.OpenEncoder(pipeline.EncoderSpec{Codec: pipeline.CodecVP8, Width: 64, Height: 64}, func(pipeline.AccessUnit) {})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	_, err = e.Encode(numbered(1, 32, 64), 0)
	wantError(t, err, pipeline.BadInput, "32x64")
}

func TestVideoWriter(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	for _, tt := range []struct {
		name, codec   string
		width, height int
		full          bool
	}{{"out.mp4", "H.264", 160, 120, false}, {"out.mkv", "H.264", 161, 121, false}, {"out.webm", "VP8", 160, 120, false}, {"full.mp4", "H.264", 160, 120, true}} {
		dir := t.TempDir()
		path := filepath.Join(dir, tt.name)
		w, err := m.NewVideoWriter(path, tt.width, tt.height, 25)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= testFrames; n++ {
			p := numbered(n, tt.width, tt.height)
			p.FullRange = tt.full
			if err := w.Write(p, time.Duration(n-1)*40*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s has its name before it is finished", tt.name)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var c collector
		if err := play(t, m, lossless(path), &c); err != nil {
			t.Fatal(err)
		}
		c.wantAll(t, 1, testFrames)
		i := c.info(t)
		if i.Codec != tt.codec || math.Abs(i.FPS-25) > 0.1 || math.Abs(i.Duration.Seconds()-2) > 0.1 {
			t.Errorf("%s: %+v", tt.name, i)
		}
		if c.picture.FullRange {
			t.Errorf("%s: full range in a file", tt.name)
		}
		// A bright block, 210 of 255, is 16+210*219/255 = 196 in limited range.
		want := 210
		if tt.full {
			want = 196
		}
		if got := int(c.picture.Planes[0][10*c.picture.Strides[0]+4]); got < want-8 || got > want+8 {
			t.Errorf("%s: bright block is %d, want about %d", tt.name, got, want)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("left in the folder: %v %v", left, err)
		}
	}
}

func TestVideoWriterRefuses(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	_, err := m.NewVideoWriter("/nonexistent/folder/out.mp4", 64, 64, 25)
	wantError(t, err, pipeline.Storage, "no such file")
	_, err = m.NewVideoWriter("out.gif", 64, 64, 25)
	wantError(t, err, pipeline.BadConfig, ".gif")
	dir := t.TempDir()
	path := filepath.Join(dir, "out.mp4")
	w, err := m.NewVideoWriter(path, 64, 64, 25)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(numbered(1, 32, 32), 0); err == nil {
		t.Error("a picture of another size was taken")
	}
	// Not one picture: there is nothing to finish.
	if err := w.Close(); err == nil {
		t.Error("an empty file was called finished")
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left in the folder: %v", left)
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	pic := numbered(5, 163, 121)
	pic.FullRange = true
	data, err := m.EncodeJPEG(pic)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "picture.jpg")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	png := filepath.Join(dir, "picture.png")
	launch(t, "filesrc location="+path+" ! jpegdec ! videoconvert ! video/x-raw,format=RGB ! pngenc ! filesink location="+png)
	for _, path := range []string{path, png} {
		got, err := m.DecodeImage(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if got.Width != 163 || got.Height != 121 || got.Format != pipeline.I420 || !got.FullRange || got.Matrix != pipeline.BT601 || got.Check() != nil {
			t.Errorf("%s: %dx%d %v full range %v matrix %v", path, got.Width, got.Height, got.Format, got.FullRange, got.Matrix)
		}
		if db := psnr(pic, got); db < 30 {
			t.Errorf("%s: PSNR %.1f dB", path, db)
		}
		if number(got) != 5 {
			t.Errorf("%s: number %d", path, number(got))
		}
	}
	limited := numbered(5, 64, 64)
	data, err = m.EncodeJPEG(limited)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := m.DecodeImage(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	// (210-16)*255/219 = 226 in full range.
	if v := got.Planes[0][10*got.Strides[0]+2]; v < 218 || v > 234 {
		t.Errorf("limited range 210 became %d, want about 226", v)
	}
	if _, err := m.DecodeImage(t.Context(), filepath.Join(dir, "none.jpg")); !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
	_, err = m.EncodeJPEG(pipeline.Picture{})
	wantError(t, err, pipeline.BadInput)
}
