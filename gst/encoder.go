package gst

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"perch/pipeline"
)

// encoderQueue is how many pictures may wait for an encoder before one is dropped.
const encoderQueue = 3

// EncoderStats are an encoder's accounts: In = Encoded + Dropped + waiting.
type EncoderStats struct {
	Element string // for example "x264enc"
	In      uint64 // pictures offered
	Dropped uint64 // because the queue was full
	Encoded uint64 // units handed out
	Keys    uint64 // of which key frames
}

// EncoderChoice returns the element that would encode codec, and why no better
// one; the element is "" when there is none.
func (m *Media) EncoderChoice(codec pipeline.Codec) (element, fallback string) {
	j := m.encoderJob(codec)
	if j == nil || len(j.present) == 0 {
		return "", ""
	}
	return j.present[0].element, j.fallback(j.present[0].element)
}

func (m *Media) encoderJob(codec pipeline.Codec) *job {
	switch codec {
	case pipeline.CodecH264:
		return m.platform.job(jobEncodeH264)
	case pipeline.CodecVP8:
		return m.platform.job(jobEncodeVP8)
	}
	return nil
}

// encoder is a live encoder. Its unit goroutine belongs to it and ends in Close.
type encoder struct {
	element string
	put     func(pipeline.AccessUnit)
	sink    unitSink
	stop    context.CancelFunc
	wg      sync.WaitGroup

	mu     sync.Mutex // guards feed and closed: pictures come from one goroutine, Close from another
	feed   *feed
	closed bool

	keyAsked                   atomic.Bool
	in, dropped, encoded, keys atomic.Uint64
	failed                     atomic.Pointer[pipeline.Error]
}

// OpenEncoder opens a live encoder: little delay, no reordering, parameter sets
// before each key frame. It is a [pipeline.OpenEncoder]; put is called from one
// goroutine and must return. The encoder also has a method Stats, which returns
// [EncoderStats]. H.264 pictures of odd size gain a column or row.
func (m *Media) OpenEncoder(spec pipeline.EncoderSpec, put func(pipeline.AccessUnit)) (pipeline.Encoder, error) {
	j := m.encoderJob(spec.Codec)
	if j == nil || spec.Width <= 0 || spec.Height <= 0 {
		return nil, &pipeline.Error{Op: "open encoder", On: string(spec.Codec), Kind: pipeline.Unsupported, Err: fmt.Errorf("cannot encode %q at %dx%d", spec.Codec, spec.Width, spec.Height)}
	}
	rest := " ! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au"
	if spec.Codec == pipeline.CodecVP8 {
		rest = ""
	}
	rest += " ! appsink name=out sync=false max-buffers=8 drop=false enable-last-sample=false"
	f, element, tried, err := m.openFeed(encoding{codec: spec.Codec, width: spec.Width, height: spec.Height, fps: spec.FPS, bitrate: spec.Bitrate}, j, rest)
	if err != nil {
		return nil, err
	}
	if tried != nil {
		m.log.Warn("encoder failed, using a lesser one", "encoder", element, "error", tried)
	}
	ctx, stop := context.WithCancel(context.Background())
	e := &encoder{element: element, put: put, sink: f.units(), stop: stop, feed: f}
	e.wg.Go(func() { e.pull(ctx) })
	return e, nil
}

// Encode copies pic into the queue. See [pipeline.Encoder].
func (e *encoder) Encode(pic pipeline.Picture, pts time.Duration) (bool, error) {
	if err := e.failed.Load(); err != nil {
		return false, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false, e.error(fmt.Errorf("the encoder is closed"))
	}
	if err := e.feed.check(pic); err != nil {
		return false, &pipeline.Error{Op: "encode with", On: e.element, Kind: pipeline.BadInput, Err: err}
	}
	e.in.Add(1)
	if e.feed.level() >= encoderQueue {
		e.dropped.Add(1)
		return false, nil
	}
	if err := e.feed.push(pic, pts); err != nil {
		return false, e.error(err)
	}
	return true, nil
}

func (e *encoder) error(err error) *pipeline.Error {
	return &pipeline.Error{Op: "encode with", On: e.element, Err: err}
}

// ForceKey asks for a key frame, unless one has been asked for and not come.
func (e *encoder) ForceKey() {
	if !e.keyAsked.Swap(true) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if !e.closed {
			e.sink.forceKey()
		}
	}
}

// Stats returns the accounts so far.
func (e *encoder) Stats() EncoderStats {
	return EncoderStats{Element: e.element, In: e.in.Load(), Dropped: e.dropped.Load(), Encoded: e.encoded.Load(), Keys: e.keys.Load()}
}

// Close stops the encoder. What waits in its queue is not encoded any more.
func (e *encoder) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.mu.Unlock()
	e.stop()
	e.wg.Wait()
	return e.feed.player.close()
}

// pull hands out units until ctx is done.
func (e *encoder) pull(ctx context.Context) {
	for ctx.Err() == nil {
		au, ok, end := e.sink.pull(pollInterval)
		if ok {
			e.encoded.Add(1)
			if au.Key {
				e.keys.Add(1)
				e.keyAsked.Store(false)
			}
			e.put(au)
			continue
		}
		err := e.feed.trouble()
		if err == nil && end {
			err = fmt.Errorf("the encoder stopped by itself")
		}
		if err != nil {
			e.failed.Store(e.error(err))
			return
		}
	}
}
