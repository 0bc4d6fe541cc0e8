package gst

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"perch/pipeline"
)

// encoded is what an encoder makes of n numbered pictures. Their times are what
// a browser's RTP gives: multiples of 1/90000 s, not evenly spaced.
func encoded(t testing.TB, m *Media, codec pipeline.Codec, first, n, w, h int) []pipeline.AccessUnit {
	t.Helper()
	var u units
	e, err := m.OpenEncoder(pipeline.EncoderSpec{Codec: codec, Width: w, Height: h, FPS: 30, Bitrate: 2_000_000}, u.put)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		until(t, "a place in the queue", func() bool {
			ok, err := e.Encode(numbered(first+i, w, h), rtpTime(first+i))
			if err != nil {
				t.Fatal(err)
			}
			return ok
		})
	}
	until(t, "all units", func() bool { return len(u.all()) == n })
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return u.all()
}

// rtpTime is the time of picture n as RTP would give it, to the nanosecond.
func rtpTime(n int) time.Duration { return ticks(uint64(3003*n + n%7)) }

// ticks is a number of 90 kHz ticks.
func ticks(n uint64) time.Duration { return time.Duration(n * uint64(time.Second) / 90000) }

// follow runs a feed; the collector may be looked at when done returns.
func follow(t testing.TB, f pipeline.Feed, c *collector) (done func() error, cancel context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx, c) }()
	return func() error {
		select {
		case err := <-ended:
			return err
		case <-time.After(30 * time.Second):
			t.Fatal("the feed does not end")
			return nil
		}
	}, cancel
}

func openFeed(t testing.TB, m *Media, codec pipeline.Codec) pipeline.Feed {
	t.Helper()
	f, err := m.FeedOpener(trackPixels)(t.Context(), codec, "a test")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func bothCodecs() []pipeline.Codec { return []pipeline.Codec{pipeline.CodecH264, pipeline.CodecVP8} }

// Every picture comes out once, in order, with the very time that it was pushed
// with.
func TestTrackRoundTrip(t *testing.T) {
	t.Parallel()
	for _, codec := range bothCodecs() {
		t.Run(string(codec), func(t *testing.T) {
			m := openMedia(t)
			f := openFeed(t, m, codec)
			var c collector
			done, _ := follow(t, f, &c)
			for _, au := range encoded(t, m, codec, 1, 60, testWidth, testHeight) {
				if !f.Push(au) {
					t.Fatal("the queue is full")
				}
			}
			f.End()
			if err := done(); err != nil {
				t.Fatal(err)
			}
			c.wantAll(t, 1, 60)
			for i, fr := range c.frames {
				if fr.PTS != rtpTime(i+1) || fr.Seq != uint64(i+1) {
					t.Errorf("frame %d has number %d and time %v, want %v", i+1, fr.Seq, fr.PTS, rtpTime(i+1))
				}
			}
			want := map[pipeline.Codec]string{pipeline.CodecH264: "H.264", pipeline.CodecVP8: "VP8"}[codec]
			if i := c.info(t); i.Codec != want || !i.Live || i.Decoder == "" || i.Width != testWidth || i.Height != testHeight {
				t.Errorf("%+v", i)
			}
			if id := f.ID(); id.Kind != pipeline.SourceWebRTC || id.Name != "a test" {
				t.Errorf("%+v", id)
			}
		})
	}
}

// A picture comes out without waiting for those after it, which is what keeps a
// session's delay small.
func TestTrackDoesNotHoldPicturesBack(t *testing.T) {
	t.Parallel()
	for _, codec := range bothCodecs() {
		m := openMedia(t)
		f := openFeed(t, m, codec)
		var c collector
		done, _ := follow(t, f, &c)
		for i, au := range encoded(t, m, codec, 1, 8, testWidth, testHeight) {
			f.Push(au)
			until(t, "the picture", func() bool { return c.count() > max(0, i-1) }) // h264parse waits for one
		}
		f.End()
		if err := done(); err != nil {
			t.Fatal(err)
		}
	}
}

// Browsers change the size of what they send as they like.
func TestTrackChangesSize(t *testing.T) {
	t.Parallel()
	for _, codec := range bothCodecs() {
		m := openMedia(t)
		f := openFeed(t, m, codec)
		var mu sync.Mutex
		var sizes [][3]int
		out := outletFunc(func(_ context.Context, fr pipeline.Frame) {
			mu.Lock()
			defer mu.Unlock()
			i := fr.Info()
			if err := fr.Picture().Check(); err != nil || fr.Picture().Width != i.Width || fr.Picture().Height != i.Height {
				t.Errorf("%+v: %v", i, err)
			}
			sizes = append(sizes, [3]int{i.Width, i.Height, number(fr.Picture())})
			fr.Release()
		})
		n := 1
		var want [][3]int
		for _, size := range [][2]int{{320, 240}, {160, 120}, {640, 360}, {320, 240}} {
			for _, au := range encoded(t, m, codec, n, 5, size[0], size[1]) {
				f.Push(au)
				want = append(want, [3]int{size[0], size[1], n})
				n++
			}
		}
		f.End()
		if err := f.Run(t.Context(), out); err != nil { // all was pushed before it began
			t.Fatal(err)
		}
		if !slices.Equal(sizes, want) {
			t.Errorf("%s: %v\nwant %v", codec, sizes, want)
		}
	}
}

// Damage costs the pictures that depend on it and nothing else: after the next
// key frame all is well.
func TestTrackSurvivesDamage(t *testing.T) {
	t.Parallel()
	for _, codec := range bothCodecs() {
		for name, damage := range map[string]func(r *rand.Rand, au *pipeline.AccessUnit){
			"noise":     func(r *rand.Rand, au *pipeline.AccessUnit) { au.Data = noise(r, 700) },
			"cut short": func(_ *rand.Rand, au *pipeline.AccessUnit) { au.Data = au.Data[:min(len(au.Data), 9)] },
			"bits": func(r *rand.Rand, au *pipeline.AccessUnit) {
				au.Data = bytes.Clone(au.Data)
				for range 20 {
					au.Data[6+r.IntN(len(au.Data)-6)] ^= byte(1 + r.IntN(255))
				}
			},
			"one byte": func(_ *rand.Rand, au *pipeline.AccessUnit) { au.Data = []byte{0} },
		} {
			t.Run(string(codec)+" "+name, func(t *testing.T) {
				t.Parallel()
				m := openMedia(t)
				f := openFeed(t, m, codec)
				var c collector
				r := rand.New(rand.NewPCG(3, 4))
				good := append(encoded(t, m, codec, 1, 10, testWidth, testHeight), encoded(t, m, codec, 11, 10, testWidth, testHeight)...)
				for i := range good {
					if i >= 4 && i < 10 {
						damage(r, &good[i])
					}
					f.Push(good[i])
				}
				last := encoded(t, m, codec, 21, 10, testWidth, testHeight)
				damage(r, &good[10]) // a damaged key frame, too
				f.Push(good[10])
				for _, au := range last {
					f.Push(au)
				}
				f.End()
				if err := f.Run(t.Context(), &c); err != nil {
					t.Fatal(err)
				}
				tail := c.numbers[max(0, len(c.numbers)-10):]
				if want := []int{21, 22, 23, 24, 25, 26, 27, 28, 29, 30}; !slices.Equal(tail, want) {
					t.Errorf("came %v, want them to end with %v", c.numbers, want)
				}
			})
		}
	}
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return b
}

// What is no video at all ends in an error, not in a loop or a wait.
func TestTrackOfNonsense(t *testing.T) {
	t.Parallel()
	for _, codec := range bothCodecs() {
		m := openMedia(t)
		f := openFeed(t, m, codec)
		r := rand.New(rand.NewPCG(5, 6))
		for i := range 100 {
			f.Push(pipeline.AccessUnit{PTS: rtpTime(i), Key: i%10 == 0, Data: noise(r, 200+i)})
		}
		f.End()
		var c collector
		err := f.Run(t.Context(), &c)
		if err == nil {
			t.Errorf("%s: nonsense was played, %d frames", codec, len(c.numbers))
		}
		t.Log(err)
	}
}

// Without data there is nothing to start, and both ends come at once.
func TestTrackWithoutData(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	var c collector
	f := openFeed(t, m, pipeline.CodecH264)
	done, cancel := follow(t, f, &c)
	cancel()
	if err := done(); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	f = openFeed(t, m, pipeline.CodecVP8)
	done, _ = follow(t, f, &c)
	f.End()
	f.End()
	if err := done(); err != nil || c.count() != 0 {
		t.Errorf("ended: %v", err)
	}
	if !f.Push(pipeline.AccessUnit{Key: true, Data: []byte{1}}) {
		t.Error("after the end a unit is called lost")
	}
	if _, err := m.FeedOpener(trackPixels)(t.Context(), "av1", "x"); pipeline.KindOf(err) != pipeline.Unsupported {
		t.Errorf("%v", err)
	}
}

// A track that is joined between key frames, or lost pictures because the queue
// was full, begins (again) with a key frame.
func TestTrackQueue(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	f := openFeed(t, m, pipeline.CodecVP8)
	q := &f.(*track).queue
	unit := func(key bool, n int) pipeline.AccessUnit {
		return pipeline.AccessUnit{Key: key, Data: make([]byte, n)}
	}
	if f.Push(unit(false, 10)) {
		t.Error("a picture before the first key frame was taken")
	}
	for i := range trackUnits {
		if !f.Push(unit(i == 0, 10)) {
			t.Fatalf("unit %d was not taken", i)
		}
	}
	if f.Push(unit(true, 10)) || f.Push(unit(false, 10)) {
		t.Error("more was taken than there is room for")
	}
	if _, ok := q.pop(); !ok {
		t.Fatal("nothing there")
	}
	if f.Push(unit(false, 10)) {
		t.Error("a picture was taken whose predecessor was lost")
	}
	if !f.Push(unit(true, 10)) {
		t.Error("the key frame was not taken")
	}
	for range trackUnits {
		q.pop()
	}
	if q.bytes != 0 || !f.Push(unit(true, trackBytes-5)) || f.Push(unit(false, 10)) {
		t.Errorf("bytes are not counted: %d", q.bytes)
	}
	data := unit(true, 4)
	q.pop()
	f.Push(data)
	data.Data[0] = 9
	if au, _ := q.pop(); au.Data[0] != 0 {
		t.Error("the data was not copied")
	}
}

// A run that does not take its pictures holds the decoder back, loses nothing
// that was taken, and can still be stopped.
func TestTrackIsHeldBack(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	f := openFeed(t, m, pipeline.CodecH264)
	for _, au := range encoded(t, m, pipeline.CodecH264, 1, 60, testWidth, testHeight) {
		if !f.Push(au) {
			t.Fatal("the queue is full")
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	held := make(chan struct{})
	stopped := errors.New("stopped by the test")
	var once sync.Once
	done := make(chan error, 1)
	go func() {
		done <- f.Run(ctx, outletFunc(func(ctx context.Context, fr pipeline.Frame) {
			fr.Release()
			once.Do(func() { close(held) })
			<-ctx.Done()
		}))
	}()
	<-held
	until(t, "the short queues to fill", func() bool {
		q := &f.(*track).queue
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.units) < 60
	})
	cancel(stopped)
	if err := <-done; !errors.Is(err, stopped) {
		t.Errorf("%v", err)
	}
}

// Pictures of a size that would eat the memory are refused before they are
// decoded, at the beginning and in the middle of a track.
func TestTrackIsNotTooLarge(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	for _, codec := range bothCodecs() {
		for _, before := range []int{0, 5} {
			f, err := m.FeedOpener(200*200)(t.Context(), codec, "a test")
			if err != nil {
				t.Fatal(err)
			}
			var c collector
			done, _ := follow(t, f, &c)
			if before > 0 {
				for _, au := range encoded(t, m, codec, 1, before, 160, 120) {
					f.Push(au)
				}
				until(t, "a picture", func() bool { return c.count() > 0 })
			}
			for _, au := range encoded(t, m, codec, 1, 3, 320, 240) {
				f.Push(au)
			}
			err = done()
			wantError(t, err, pipeline.BadInput, "320x240", "40000 pixels")
			if slices.ContainsFunc(c.frames, func(i pipeline.FrameInfo) bool { return i.Width > 160 }) {
				t.Errorf("%s: a picture that is too large was decoded", codec)
			}
		}
	}
	f := openFeed(t, m, pipeline.CodecVP8)
	f.Push(pipeline.AccessUnit{Key: true, Data: []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0}})
	wantError(t, f.Run(t.Context(), &collector{}), pipeline.BadInput, "16383x16383")
}

// A hardware decoder that takes everything and gives nothing gives way to the
// next, and the stream says so. openh264dec does so with interlaced pictures.
func TestTrackFallsBack(t *testing.T) {
	t.Parallel()
	m := openMedia(t)
	hardware(m)
	path := makeVideo(t, "interlaced.h264", "capssetter caps=video/x-raw,interlace-mode=interleaved,field-order=top-field-first ! "+
		"x264enc interlaced=true aud=true bframes=0 key-int-max=10 quantizer=18 pass=qual ! video/x-h264,stream-format=byte-stream")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	delimiter := []byte{0, 0, 0, 1, 9}
	units := bytes.Split(data, delimiter)[1:]
	f := openFeed(t, m, pipeline.CodecH264)
	f.(*track).silent = 200 * time.Millisecond
	var c collector
	done, _ := follow(t, f, &c)
	n := 0
	until(t, "a picture", func() bool {
		au := append(bytes.Clone(delimiter), units[n%len(units)]...)
		f.Push(pipeline.AccessUnit{PTS: rtpTime(n), Key: hasNAL(au, 5), Data: au})
		n++
		return c.count() > 0
	})
	f.End()
	if err := done(); err != nil {
		t.Fatal(err)
	}
	i := c.info(t)
	if i.Decoder != "avdec_h264" || i.Hardware || i.Fallback != "openh264dec failed: the decoder gave no picture for 200ms" {
		t.Errorf("%+v", i)
	}
}

// TestTracksStartAndStop does not run beside others: it counts what a process has.
func TestTracksStartAndStop(t *testing.T) {
	m := openMedia(t)
	clips := map[pipeline.Codec][]pipeline.AccessUnit{}
	for _, codec := range bothCodecs() {
		clips[codec] = encoded(t, m, codec, 1, 6, testWidth, testHeight)
	}
	round := func(n int) {
		for i := range n {
			codec := bothCodecs()[i%2]
			f := openFeed(t, m, codec)
			ctx, cancel := context.WithCancel(t.Context())
			for _, au := range clips[codec] {
				f.Push(au)
			}
			switch i % 4 {
			case 0, 1:
				f.End()
			case 2:
				f.Push(pipeline.AccessUnit{Data: []byte("nonsense"), PTS: time.Minute})
				f.End()
			}
			seen := 0
			err := f.Run(ctx, outletFunc(func(_ context.Context, fr pipeline.Frame) {
				fr.Release()
				if seen++; i%4 == 3 && seen == 2 {
					cancel() // stopped in the middle
				}
			}))
			cancel()
			if seen < 2 || err != nil && i%4 != 3 {
				t.Fatalf("start %d: %d frames, %v", i, seen, err)
			}
		}
	}
	round(120)
	before := usage(t)
	round(200)
	var after resources
	for range 50 { // threads of GStreamer's pool end some time after their work
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
