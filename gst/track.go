package gst

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-gst/go-gst/gst"

	"perch/pipeline"
)

// Limits of a track.
const (
	trackUnits  = 300              // encoded pictures that may wait to be decoded
	trackBytes  = 32 << 20         // and their bytes
	trackPixels = 7680 * 4320      // of a picture; browsers send at most a quarter of it
	trackSilent = 10 * time.Second // see track.silent
	trackFed    = 30               // pictures that a decoder must have had to be called silent
	trackBroken = 5                // attempts in a row that gave no picture before the track is given up
)

// A track is a source whose encoded pictures somebody pushes: a
// [pipeline.Feed].
type track struct {
	media *Media
	name  string
	codec codec
	log   *slog.Logger
	queue unitQueue

	pixels int           // the most that a picture may have
	silent time.Duration // a decoder that is fed and gives nothing for so long has failed
}

// FeedOpener makes sources of streams that somebody else receives, such as a
// browser's. Pictures have at most so many pixels, and never more than 7680 by
// 4320. Nothing is started before Run and the first key frame. A decoder that
// fails is replaced by the next one; what it cannot decode is passed over, up to
// the next key frame.
func (m *Media) FeedOpener(maxPixels int) pipeline.OpenFeed {
	return func(_ context.Context, c pipeline.Codec, name string) (pipeline.Feed, error) {
		return m.newTrack(c, name, min(maxPixels, trackPixels))
	}
}

func (m *Media) newTrack(c pipeline.Codec, name string, pixels int) (*track, error) {
	t := &track{media: m, name: name, log: m.log.With("source", name), silent: trackSilent, pixels: pixels}
	t.queue.arrive = make(chan struct{}, 1)
	switch c {
	case pipeline.CodecH264:
		t.codec = codecH264
	case pipeline.CodecVP8:
		t.codec = codecVP8
	default:
		return nil, &pipeline.Error{Op: "open track", On: name, Kind: pipeline.Unsupported, Err: fmt.Errorf("tracks of %q are not decoded", c)}
	}
	if len(m.platform.job(t.codec.job()).present) == 0 {
		return nil, &pipeline.Error{
			Op: "open track", On: name, Kind: pipeline.Unsupported, Err: fmt.Errorf("no decoder for %v is installed", t.codec),
			Hint: "install it with: apt install " + decodeSoftware(t.codec)[0].pkg,
		}
	}
	return t, nil
}

func (t *track) ID() pipeline.SourceID {
	return pipeline.SourceID{Kind: pipeline.SourceWebRTC, Name: t.name}
}

// Push implements [pipeline.Feed].
func (t *track) Push(au pipeline.AccessUnit) bool {
	if t.codec == codecVP8 {
		// No parser looks at VP8 before the decoder takes memory for it.
		if w, h := vp8Size(au.Data); w*h > t.pixels {
			t.queue.fail(&pipeline.Error{Op: "decode track", On: t.name, Kind: pipeline.BadInput, Err: tooLarge(w, h, t.pixels)})
		}
	}
	return t.queue.push(au)
}

// vp8Size reads the size out of a key frame (RFC 6386, section 9.1); 0 when the
// data is none.
func vp8Size(data []byte) (width, height int) {
	if len(data) < 10 || data[0]&1 != 0 || data[3] != 0x9d || data[4] != 0x01 || data[5] != 0x2a {
		return 0, 0
	}
	return int(binary.LittleEndian.Uint16(data[6:])) & 0x3fff, int(binary.LittleEndian.Uint16(data[8:])) & 0x3fff
}

// End implements [pipeline.Feed].
func (t *track) End() { t.queue.end() }

// Run decodes what is pushed. See [pipeline.Source] and [pipeline.Feed].
func (t *track) Run(ctx context.Context, out pipeline.Outlet) error {
	defer t.queue.end() // nobody will read what is pushed from now on
	s := &source{media: t.media, log: t.log, spec: SourceSpec{Kind: pipeline.SourceWebRTC, Name: t.name, codec: t.codec, MaxPixels: t.pixels}}
	b := &playback{out: out, excluded: map[string]string{}, step: time.Second / 30}
	broken := 0
	for {
		switch err := t.queue.wait(ctx); {
		case err != nil:
			return err
		case t.queue.over() && b.seq == 0 && broken > 0:
			return t.nothing()
		case t.queue.over():
			return nil
		}
		before := b.seq
		got, err := t.attempt(ctx, s, b)
		if err == nil && b.seq == 0 {
			return t.nothing()
		}
		if err == nil || ctx.Err() != nil || t.queue.failed() != nil || got.tooWide > 0 || pipeline.KindOf(err) == pipeline.Stuck {
			return err
		}
		if broken++; b.seq > before {
			broken = 1
		}
		c := t.media.platform.candidate(got.codec, got.decoder)
		switch {
		case c != nil && c.hardware && b.excluded[c.element] == "" && b.seq == before:
			t.log.Warn("decoder failed, trying the next", "decoder", c.element, "error", err)
			b.excluded[c.element] = errors.Unwrap(err).Error()
		case broken >= trackBroken:
			return err
		default:
			t.log.Warn("decoder stopped, going on at the next key frame", "error", err)
		}
		t.queue.skip()
	}
}

func (t *track) nothing() error {
	return &pipeline.Error{Op: "decode track", On: t.name, Kind: pipeline.BadInput, Err: fmt.Errorf("nothing of it was %v that can be decoded", t.codec)}
}

// attempt decodes until the end, ctx is done or the decoder fails. It returns
// nil after all that was pushed has been decoded.
func (t *track) attempt(ctx context.Context, s *source, b *playback) (found, error) {
	a, err := s.newAttempt(b, "")
	if err != nil {
		return found{}, err
	}
	in := newUnitSource(a.player)
	feeding, stop := context.WithCancel(ctx)
	fed := &progress{}
	var wg sync.WaitGroup
	err = a.player.setState(gst.StatePlaying)
	if err == nil {
		wg.Go(func() { t.feed(feeding, in, fed) })
		err = t.decode(ctx, a, fed)
	} else {
		a.drain()
		if a.failed.happened() {
			err = a.failed.explain(&a.spec, a.player.found(), false)
		}
		err = located(err, t.name)
	}
	stop()
	got := a.player.found()
	// NULL lets go of a feeder that waits for room, and comes before its end.
	if serr := a.player.setState(gst.StateNull); a.player.stuck {
		return got, errors.Join(serr, err) // the feeder may hang too; the process restarts
	}
	wg.Wait()
	in.close()
	a.sink.close()
	if cerr := a.player.close(); cerr != nil {
		return got, errors.Join(cerr, err)
	}
	return got, err
}

// progress is how far a feeder has come.
type progress struct {
	mu    sync.Mutex
	units int  // guarded by mu: given to the decoder since the last picture
	ended bool // guarded by mu: all of them were given
}

func (p *progress) given()   { p.mu.Lock(); p.units++; p.mu.Unlock() }
func (p *progress) decoded() { p.mu.Lock(); p.units = 0; p.mu.Unlock() }
func (p *progress) end()     { p.mu.Lock(); p.ended = true; p.mu.Unlock() }

func (p *progress) get() (units int, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.units, p.ended
}

// feed gives the decoder what waits in the queue until there will be no more.
func (t *track) feed(ctx context.Context, in unitSource, fed *progress) {
	for {
		au, ok := t.queue.pop()
		if ok {
			if !in.push(au) {
				return // the pipeline has stopped
			}
			fed.given()
			continue
		}
		if t.queue.over() {
			in.end()
			fed.end()
			return
		}
		if t.queue.wait(ctx) != nil {
			return
		}
	}
}

// decode hands over pictures until the end.
func (t *track) decode(ctx context.Context, a *attempt, fed *progress) error {
	last := time.Now()
	for ctx.Err() == nil {
		p, end, err := a.sink.pull(pollInterval)
		a.drain()
		switch {
		case err != nil:
			return a.fail(pipeline.Unsupported, err)
		case p != nil:
			fed.decoded()
			a.deliver(ctx, p)
			last = time.Now()
			continue
		case t.queue.failed() != nil:
			return t.queue.failed()
		case a.refused() != nil:
			return a.refused()
		case a.failed.happened():
			return a.failed.explain(&a.spec, a.player.found(), a.frames > 0)
		case end:
			return nil
		}
		units, ended := fed.get()
		if units == 0 && !ended {
			last = time.Now() // it is not the decoder that is silent
		}
		if silent := time.Since(last); silent > t.silent && (ended || units >= trackFed) {
			return a.fail(pipeline.Timeout, fmt.Errorf("the decoder gave no picture for %v", t.silent))
		}
	}
	return context.Cause(ctx)
}
