package gst

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-gst/go-gst/gst"

	"perch/pipeline"
)

// The pictures of these tests are small and carry their number.
const (
	testWidth, testHeight = 160, 120
	testFrames            = 50
	testFPS               = 25
)

func openMedia(t testing.TB) *Media {
	t.Helper()
	m, err := Open(Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// numbered draws n as sixteen bright and dark blocks on a slanted grey.
func numbered(n, width, height int) pipeline.Picture {
	p := pipeline.NewPicture(width, height)
	for y := range height {
		row := p.Planes[0][y*p.Strides[0]:][:width]
		for x := range row {
			row[x] = byte(60 + (x+y)*120/(width+height))
			if y < height/2 {
				row[x] = 40
				if n>>(x*16/width)&1 == 1 {
					row[x] = 210
				}
			}
		}
	}
	for i := range p.Planes[1] {
		p.Planes[1][i], p.Planes[2][i] = 110, 140
	}
	return p
}

// number reads what numbered drew.
func number(p pipeline.Picture) int {
	n := 0
	y := p.Height / 4
	for bit := range 16 {
		if p.Planes[0][y*p.Strides[0]+(2*bit+1)*p.Width/32] > 125 {
			n |= 1 << bit
		}
	}
	return n
}

// rawFile writes frames numbered 1 to n one after the other.
func rawFile(t testing.TB, n, width, height int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "raw.i420")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		p := numbered(i+1, width, height)
		for _, plane := range p.Planes {
			if _, err := f.Write(plane); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// launch runs a pipeline to its end.
func launch(t testing.TB, line string) {
	t.Helper()
	openMedia(t)
	p, err := newPlayer(line)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := p.setState(gst.StatePlaying); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	for began := time.Now(); time.Since(began) < 30*time.Second; {
		switch m := p.pop(pollInterval); m.kind {
		case msgEOS:
			return
		case msgError:
			t.Fatalf("%s: %s: %s", line, m.text, m.debug)
		}
	}
	t.Fatalf("%s: did not end", line)
}

// makeVideo encodes testFrames numbered pictures with the given end of a
// pipeline, for example "x264enc ! mp4mux".
func makeVideo(t testing.TB, name, rest string) string {
	t.Helper()
	return makeVideoOf(t, testFrames, name, rest)
}

func makeVideoOf(t testing.TB, frames int, name, rest string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	raw := rawFile(t, frames, testWidth, testHeight)
	launch(t, "filesrc location="+raw+" ! rawvideoparse format=i420 width=160 height=120 framerate=25/1 colorimetry=bt601 ! "+rest+" ! filesink location="+path)
	return path
}

// x264 makes an intelligible picture of any size quickly.
const x264 = "x264enc speed-preset=ultrafast quantizer=18 pass=qual key-int-max=10 ! h264parse"

// An outlet that remembers. Its fields may be read after Run has returned.
type collector struct {
	infos   []pipeline.StreamInfo
	frames  []pipeline.FrameInfo
	numbers []int
	picture pipeline.Picture // copy of the first, when it is I420
	each    func(ctx context.Context, f pipeline.Frame)

	mu sync.Mutex // guards n, for those who watch
	n  int
}

func (c *collector) Opened(i pipeline.StreamInfo) { c.infos = append(c.infos, i) }

func (c *collector) PutFrame(ctx context.Context, f pipeline.Frame) {
	defer f.Release()
	if len(c.frames) == 0 && f.Picture().Format == pipeline.I420 {
		c.picture = clone(f.Picture())
	}
	c.frames = append(c.frames, f.Info())
	c.numbers = append(c.numbers, number(f.Picture()))
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	if c.each != nil {
		c.each(ctx, f)
	}
}

func (c *collector) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func (c *collector) info(t testing.TB) pipeline.StreamInfo {
	t.Helper()
	if len(c.infos) != 1 {
		t.Fatalf("Opened was called %d times, want once", len(c.infos))
	}
	return c.infos[0]
}

// play runs a source to its end, which must come.
func play(t testing.TB, m *Media, spec SourceSpec, c *collector) error {
	t.Helper()
	src, err := m.NewSource(spec)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = src.Run(ctx, c)
	if ctx.Err() != nil {
		t.Fatalf("source did not end by itself: %v", err)
	}
	return err
}

func lossless(path string) SourceSpec {
	return SourceSpec{Kind: pipeline.SourceFile, Path: path, Pace: pipeline.Lossless}
}

// wantAll checks that frames first to last came once and in order.
func (c *collector) wantAll(t testing.TB, first, last int) {
	t.Helper()
	if len(c.numbers) != last-first+1 {
		t.Fatalf("got %d frames, want %d: %v", len(c.numbers), last-first+1, c.numbers)
	}
	for i, n := range c.numbers {
		if n != first+i {
			t.Fatalf("frame %d of %d has number %d, want %d: %v", i+1, len(c.numbers), n, first+i, c.numbers)
		}
		if c.frames[i].Seq != uint64(i+1) {
			t.Errorf("frame %d has Seq %d", i+1, c.frames[i].Seq)
		}
		if i > 0 && c.frames[i].PTS <= c.frames[i-1].PTS {
			t.Errorf("time goes from %v to %v", c.frames[i-1].PTS, c.frames[i].PTS)
		}
	}
}

func wantError(t testing.TB, err error, kind pipeline.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one of kind %v", kind)
	}
	if k := pipeline.KindOf(err); k != kind {
		t.Errorf("kind %v, want %v: %v", k, kind, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error does not say %q: %v", w, err)
		}
	}
}

// patch replaces each occurrence of old in a file.
func patch(t testing.TB, path, old, replacement string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		t.Fatalf("%s does not contain %q", path, old)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(b), old, replacement)), 0o600); err != nil {
		t.Fatal(err)
	}
}
