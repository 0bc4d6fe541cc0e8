package gst

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"perch/pipeline"
)

// A consumer that holds frames back must lose none, and must be left at once
// when the run is stopped.
func TestLosslessWaits(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	path := makeVideo(t, "clip.mp4", x264+" ! mp4mux")
	c := &collector{each: func(context.Context, pipeline.Frame) { time.Sleep(5 * time.Millisecond) }}
	if err := play(t, m, lossless(path), c); err != nil {
		t.Fatal(err)
	}
	c.wantAll(t, 1, testFrames)

	stop := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	blocked := make(chan struct{})
	c = &collector{each: func(ctx context.Context, _ pipeline.Frame) {
		close(blocked)
		<-ctx.Done() // the bounded queue of a run is full
	}}
	src, err := m.NewSource(lossless(path))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { <-blocked; cancel(stop) })
	if err := src.Run(ctx, c); !errors.Is(err, stop) {
		t.Errorf("got %v, want the cause", err)
	}
	wg.Wait()
	if c.n != 1 {
		t.Errorf("%d frames after the stop", c.n)
	}
}

// Frames may outlive the source that they came from.
func TestFramesOutliveTheSource(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	path := makeVideo(t, "clip.mp4", x264+" ! mp4mux")
	var held []pipeline.Frame
	src, err := m.NewSource(SourceSpec{Kind: pipeline.SourceFile, Path: path, MaxFrames: 5})
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Run(t.Context(), outletFunc(func(_ context.Context, f pipeline.Frame) {
		held = append(held, f.Retain())
		f.Release()
	})); err != nil {
		t.Fatal(err)
	}
	if len(held) != 5 {
		t.Fatalf("%d frames, MaxFrames is 5", len(held))
	}
	for i, f := range held {
		if n := number(f.Picture()); n != i+1 {
			t.Errorf("frame %d has number %d", i+1, n)
		}
		f.Release()
	}
	defer func() {
		if recover() == nil {
			t.Error("a second Release did not panic")
		}
	}()
	held[0].Release()
}

// Pictures must be the decoder's own, whatever the padding between rows.
func TestPixelsAndStrides(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	for _, size := range [][2]int{{160, 120}, {162, 122}, {90, 50}, {1366, 768}} {
		w, h := size[0], size[1]
		want := numbered(77, w, h)
		path := filepath.Join(t.TempDir(), "exact.mkv")
		f, err := startFeed(encoding{width: w, height: h, fps: 25}, "appsrc name=in format=time ! x264enc pass=quant quantizer=0 speed-preset=ultrafast ! h264parse ! matroskamux ! filesink location="+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.push(want, 0); err != nil {
			t.Fatal(err)
		}
		f.end()
		until(t, "end of the file", func() bool { return f.player.pop(0).kind == msgEOS })
		if err := f.player.close(); err != nil {
			t.Fatal(err)
		}
		var c collector
		c.each = func(_ context.Context, f pipeline.Frame) {
			got := f.Picture()
			if err := got.Check(); err != nil {
				t.Error(err)
			}
			for i := range want.Planes {
				pw, ph := w, h
				if i > 0 {
					pw, ph = (w+1)/2, (h+1)/2
				}
				for y := range ph {
					a, b := want.Planes[i][y*want.Strides[i]:][:pw], got.Planes[i][y*got.Strides[i]:][:pw]
					if string(a) != string(b) {
						t.Fatalf("%dx%d: row %d of plane %d differs (strides %v)", w, h, y, i, got.Strides)
					}
				}
			}
			t.Logf("%dx%d: strides %v", w, h, got.Strides)
		}
		if err := play(t, m, lossless(path), &c); err != nil {
			t.Fatal(err)
		}
		if c.n != 1 || c.picture.FullRange || c.picture.Matrix != pipeline.BT601 {
			t.Errorf("%d frames, full range %v, matrix %v", c.n, c.picture.FullRange, c.picture.Matrix)
		}
	}
}

func TestMatrixOfHighDefinition(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	path := filepath.Join(t.TempDir(), "hd.mp4")
	launch(t, "videotestsrc num-buffers=2 ! video/x-raw,format=I420,width=1280,height=720,colorimetry=bt709 ! "+x264+" ! mp4mux ! filesink location="+path)
	var c collector
	if err := play(t, m, lossless(path), &c); err != nil {
		t.Fatal(err)
	}
	if c.picture.Matrix != pipeline.BT709 || c.picture.FullRange {
		t.Errorf("matrix %v, full range %v", c.picture.Matrix, c.picture.FullRange)
	}
}

// A file in a loop is a camera: numbers and time go on, in real time.
func TestLoop(t *testing.T) {
	t.Parallel()
	path := makeVideoOf(t, 10, "short.mp4", x264+" ! mp4mux")
	began := time.Now()
	c, err := watch(t, SourceSpec{Kind: pipeline.SourceFile, Path: path, Loop: true}, 25)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range c.numbers {
		if n != i%10+1 || c.frames[i].Seq != uint64(i+1) {
			t.Errorf("frame %d: number %d, Seq %d", i+1, n, c.frames[i].Seq)
		}
		if want := time.Duration(i) * 40 * time.Millisecond; c.frames[i].PTS < want-time.Millisecond || c.frames[i].PTS > want+time.Millisecond {
			t.Errorf("frame %d at %v, want %v", i+1, c.frames[i].PTS, want)
		}
	}
	if i := c.info(t); !i.Live || i.Duration != 0 || i.Frames != 0 {
		t.Errorf("%+v", i)
	}
	// Twice 0.36 s from the first to the last of a round and then 0.16 s: a
	// lower bound only, so that a slow machine does not fail.
	if d := time.Since(began); d < 850*time.Millisecond {
		t.Errorf("25 frames of 40 ms took %v", d)
	}
}

func TestTestPattern(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	var c collector
	if err := play(t, m, SourceSpec{Kind: pipeline.SourceTest, Width: 64, Height: 48, FPS: 50, MaxFrames: 20, Pace: pipeline.Lossless}, &c); err != nil {
		t.Fatal(err)
	}
	want := pipeline.StreamInfo{Codec: "raw", Width: 64, Height: 48, FPS: 50}
	if i := c.info(t); i != want || c.n != 20 || c.frames[19].PTS != 380*time.Millisecond {
		t.Errorf("%+v, %d frames, %v", i, c.n, c.frames)
	}
	c = collector{}
	if err := play(t, m, SourceSpec{Kind: pipeline.SourceTest, Width: 64, Height: 48, FPS: 50, MaxFrames: 5}, &c); err != nil || !c.info(t).Live {
		t.Errorf("%v %+v", err, c.infos)
	}
}

func TestDecoderOverride(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	path := makeVideo(t, "clip.mp4", "x264enc speed-preset=ultrafast pass=qual quantizer=18 bframes=0 ! video/x-h264,profile=constrained-baseline ! h264parse ! mp4mux")
	spec := lossless(path)
	for _, d := range []string{"openh264dec", "avdec_h264", "software"} {
		spec.Decoder = d
		var c collector
		if err := play(t, m, spec, &c); err != nil {
			t.Fatal(err)
		}
		c.wantAll(t, 1, testFrames)
		if i := c.info(t); i.Fallback != "" || d != "software" && i.Decoder != d {
			t.Errorf("%s: %+v", d, i)
		}
	}
	spec.Decoder = "vp8dec"
	wantError(t, play(t, m, spec, &collector{}), pipeline.Unsupported, "vp8dec", "H.264")
	spec.Decoder = "nosuchdec"
	_, err := m.NewSource(spec)
	wantError(t, err, pipeline.BadConfig, "nosuchdec")

	// The configuration's choice for all sources.
	m, err = Open(Options{Elements: map[string]string{"decode-h264": "openh264dec"}})
	if err != nil {
		t.Fatal(err)
	}
	info, err := m.Probe(t.Context(), path)
	if err != nil || info.Decoder != "openh264dec" || info.Fallback != "" {
		t.Errorf("%+v, %v", info, err)
	}
}

// hardware makes openh264dec stand in for a hardware decoder in m.
func hardware(m *Media) {
	prefer("openh264dec")
	j := m.platform.job(codecH264.job())
	hw := candidate{element: "openh264dec", hardware: true}
	j.candidates = append([]candidate{hw}, j.candidates...)
	j.present = append([]candidate{hw}, j.present...)
}

// A decoder of the hardware that does not work is replaced, and that is said.
func TestDecoderFallsBack(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	hardware(m)
	path := makeVideo(t, "422.mp4", "videoconvert ! video/x-raw,format=Y42B ! x264enc ! video/x-h264,profile=high-4:2:2 ! h264parse ! mp4mux")
	var c collector
	if err := play(t, m, lossless(path), &c); err != nil {
		t.Fatal(err)
	}
	c.wantAll(t, 1, testFrames)
	if i := c.info(t); i.Decoder != "avdec_h264" || i.Hardware || i.Fallback != "openh264dec does not take this kind of H.264" {
		t.Errorf("%+v", i)
	}

	path = makeVideo(t, "plain.mp4", x264+" ! mp4mux")
	src, err := m.NewSource(lossless(path))
	if err != nil {
		t.Fatal(err)
	}
	c = collector{}
	b := &playback{out: &c, excluded: map[string]string{"openh264dec": "no surface left"}}
	if err := src.(*source).round(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if i := c.info(t); i.Decoder != "avdec_h264" || i.Fallback != "openh264dec failed: no surface left" {
		t.Errorf("%+v", i)
	}
}

// A stream that no decoder can read is tried with each of them, once.
func TestEveryDecoderFails(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	m, err := Open(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	hardware(m)
	path := makeVideo(t, "noise.mp4", x264+" ! mp4mux")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, []byte("mdat")) + 4
	for i := at; i < at+int(binary.BigEndian.Uint32(data[at-8:]))-8; i++ {
		data[i] = byte(i*7) | 1
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	err = play(t, m, lossless(path), &collector{})
	wantError(t, err, pipeline.BadInput)
	t.Log(err)
	if n := strings.Count(log.String(), "trying the next"); n != 1 {
		t.Errorf("%d decoders were replaced, want 1: %s", n, log.String())
	}
}

func TestBadSpecs(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	for _, s := range []SourceSpec{
		{}, {Kind: "floppy"}, {Kind: pipeline.SourceFile}, {Kind: pipeline.SourceRTSP, URL: "http://x/"}, {Kind: pipeline.SourceRTSP, URL: "rtsp://"},
		{Kind: pipeline.SourceRTSP, URL: "rtsp://u:p%%zz@host/"}, {Kind: pipeline.SourceHTTP, URL: "rtsp://x/"}, {Kind: pipeline.SourceCSI, Device: "0 ! fakesink"},
		{Kind: pipeline.SourceRTSP, URL: "rtsp://h/", Transport: "pigeon"}, {Kind: pipeline.SourceTest, Width: -1},
	} {
		_, err := m.NewSource(s)
		wantError(t, err, pipeline.BadConfig)
		if strings.Contains(err.Error(), "zz") {
			t.Errorf("password in %v", err)
		}
	}
}

// TestStartsAndStops does not run beside others: it counts what a process has.
func TestStartsAndStops(t *testing.T) {
	m := openMedia(t)
	path := makeVideo(t, "clip.mp4", x264+" ! mp4mux")
	round := func(n int) {
		for i := range n {
			spec := lossless(path)
			switch i % 4 {
			case 1:
				spec.MaxFrames = 3 // stopped in the middle
			case 2:
				spec = SourceSpec{Kind: pipeline.SourceTest, Width: 320, Height: 240, MaxFrames: 2}
			case 3:
				spec = SourceSpec{Kind: pipeline.SourceRTSP, URL: "rtsp://127.0.0.1:1/none"}
			}
			src, err := m.NewSource(spec)
			if err != nil {
				t.Fatal(err)
			}
			if err := src.Run(t.Context(), outletFunc(func(_ context.Context, f pipeline.Frame) { f.Release() })); err != nil && i%4 != 3 {
				t.Fatal(err)
			}
		}
	}
	// Plugins are loaded, and the allocator's arenas grow to what they need:
	// over 900 starts of each kind the memory rises for some tens of starts
	// and is level after that.
	round(120)
	before := usage(t)
	round(200)
	var after resources
	// Threads of GStreamer's pool end some time after their work.
	for range 50 {
		if after = usage(t); after.fds <= before.fds && after.goroutines <= before.goroutines {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("before %+v, after 200 more %+v", before, after)
	if after.goroutines > before.goroutines || after.fds > before.fds || after.rss > before.rss+8<<20 {
		t.Errorf("before %+v, after 200 starts and stops %+v", before, after)
	}
}

type resources struct{ goroutines, fds, threads, rss int }

func usage(t testing.TB) resources {
	t.Helper()
	runtime.GC()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		t.Fatal(err)
	}
	return resources{runtime.NumGoroutine(), len(fds), len(threads), pages * os.Getpagesize()}
}

// A camera whose clock is set back goes on in its own rhythm; a time stamp that
// is out of order by a little does not move those after it.
func TestTimeGoesOnWhenAClockIsSetBack(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, c := range map[string]struct{ in, want []time.Duration }{
		"as it should be": {[]time.Duration{0, 40 * ms, 80 * ms}, []time.Duration{0, 40 * ms, 80 * ms}},
		"set back":        {[]time.Duration{9000 * ms, 9040 * ms, 0, 40 * ms, 80 * ms}, []time.Duration{9000 * ms, 9040 * ms, 9080 * ms, 9120 * ms, 9160 * ms}},
		"out of order":    {[]time.Duration{0, 40 * ms, 30 * ms, 80 * ms}, []time.Duration{0, 40 * ms, 41 * ms, 80 * ms}},
		"no time stamps":  {[]time.Duration{-1, -1, -1}, []time.Duration{0, 40 * ms, 80 * ms}},
	} {
		var got []time.Duration
		out := outletFunc(func(_ context.Context, f pipeline.Frame) { got = append(got, f.Info().PTS) })
		a := &attempt{
			source:   &source{media: openMedia(t), spec: SourceSpec{Kind: pipeline.SourceFile}},
			playback: &playback{out: out, opened: true, step: 40 * ms},
		}
		for _, pts := range c.in {
			a.deliver(t.Context(), &pulled{frame: &frame{}, pts: pts})
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
