package gst

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-gst/go-gst/gst"

	"perch/pipeline"
)

// source plays what a SourceSpec describes.
type source struct {
	media *Media
	spec  SourceSpec
	log   *slog.Logger

	format string // caps that pictures must have; "" takes them as they come
	want   atomic.Pointer[pipeline.Size]
}

// NewSource checks spec and returns its source; nothing is opened until Run.
// Errors have Kind BadConfig.
func (m *Media) NewSource(spec SourceSpec) (pipeline.Source, error) {
	if err := spec.normalise(); err != nil {
		return nil, &pipeline.Error{Op: "set up source", On: spec.Name, Kind: pipeline.BadConfig, Err: err}
	}
	if d := spec.Decoder; d != "" && d != software && !(registry{}).has(d) {
		return nil, &pipeline.Error{Op: "set up source", On: spec.on(), Kind: pipeline.BadConfig, Err: fmt.Errorf("GStreamer has no decoder %q here", d), Hint: installHint(d)}
	}
	if spec.Decoder != "" && spec.Decoder != software {
		prefer(spec.Decoder)
	}
	return &source{media: m, spec: spec, log: m.log.With("source", spec.id().Name)}, nil
}

func (s *source) ID() pipeline.SourceID { return s.spec.id() }

// A playback is what lasts from the first frame to the last, over repeated
// attempts and rounds.
type playback struct {
	out      pipeline.Outlet
	opened   bool
	seq      uint64
	offset   time.Duration     // where this round begins
	last     time.Duration     // time stamp of the newest frame
	step     time.Duration     // from one frame to the next
	excluded map[string]string // decoders that failed here, and why
}

// Run plays the source. See [pipeline.Source].
func (s *source) Run(ctx context.Context, out pipeline.Outlet) error {
	if s.spec.Kind == pipeline.SourceFile {
		if err := checkFile(s.spec.Path); err != nil {
			err.On = s.spec.on()
			return err
		}
		// decodebin swallows an error that a demuxer reports while it is being
		// plugged in, and then nothing ever comes.
		if flaw, playable := fileState(s.spec.Path); !playable {
			return s.fail(pipeline.BadInput, errors.New(flaw))
		}
	}
	b := &playback{out: out, excluded: map[string]string{}, step: 40 * time.Millisecond}
	for {
		before := b.seq
		err := s.round(ctx, b)
		if err != nil || !s.spec.Loop || s.limit(b) {
			return err
		}
		if b.seq == before {
			return s.fail(pipeline.BadInput, errNoFrames)
		}
		b.offset = b.last + b.step
	}
}

func (s *source) limit(b *playback) bool { return s.spec.MaxFrames > 0 && b.seq >= s.spec.MaxFrames }

func (s *source) fail(kind pipeline.Kind, err error) error {
	return &pipeline.Error{Op: opOf(&s.spec, false), On: s.spec.on(), Kind: kind, Err: err}
}

// round plays from the beginning to the end. As long as nothing has been seen,
// it goes on to the next transport or decoder when one does not work.
func (s *source) round(ctx context.Context, b *playback) error {
	transport := s.spec.Transport
	if transport == TransportAuto {
		transport = TransportTCP
	}
	for {
		before := b.seq
		a, err := s.newAttempt(b, transport)
		if err != nil {
			return err
		}
		err = a.play(ctx)
		got := a.player.found()
		a.sink.close()
		if cerr := a.player.close(); cerr != nil {
			return errors.Join(cerr, err) // the stuck one first: it decides what happens next
		}
		if err == nil || b.seq > before || ctx.Err() != nil {
			return err
		}
		switch c := s.media.platform.candidate(got.codec, got.decoder); {
		case s.spec.Kind == pipeline.SourceRTSP && s.spec.Transport == TransportAuto && transport == TransportTCP && a.failed.transport():
			s.log.Info("server does not send over TCP, trying UDP")
			transport = TransportUDP
		case c != nil && c.hardware && s.spec.Decoder == "" && b.excluded[c.element] == "":
			s.log.Warn("decoder failed, trying the next", "decoder", c.element, "error", err)
			b.excluded[c.element] = errors.Unwrap(err).Error()
		default:
			return err
		}
	}
}

// transport reports whether the server refused the way of sending.
func (f *failure) transport() bool {
	t := f.first.text + f.first.debug
	return strings.Contains(t, "(461)") || strings.Contains(t, "Unsupported transport") || strings.Contains(t, "Unsupported Transport") || strings.Contains(t, "No supported stream")
}

// An attempt is one pipeline, played once.
type attempt struct {
	*source
	*playback
	player *player
	sink   sink
	failed failure

	asked    pipeline.Size // what the pipeline was told last of the size of pictures
	base     time.Duration // live: time stamp of this attempt's first frame
	frames   uint64
	warnings int
	warned   time.Time
}

// liveDecoder are properties for decoders of cameras, set where they exist:
// rather no picture than half of one.
const liveDecoder = anyDecoder + " output-corrupt=false discard-corrupted-frames=true"

// anyDecoder is for files as well. jpegdec's own choice, libjpeg's "ifast", is
// off by up to 14 levels of luma and tints chroma, which a model sees; "islow"
// is within one.
const anyDecoder = "enable-max-performance=true idct-method=islow"

func (s *source) newAttempt(b *playback, transport Transport) (*attempt, error) {
	plan, err := s.media.newPlan(&s.spec, transport)
	if err != nil {
		return nil, err
	}
	p, err := newPlayer(plan.launch)
	if err != nil {
		return nil, &pipeline.Error{Op: "set up source", On: s.spec.on(), Kind: pipeline.Unsupported, Err: err, Hint: "perch doctor says what is missing"}
	}
	tap := tapSpec{
		live:     s.spec.live() && s.spec.Kind != pipeline.SourceFile,
		strict:   s.spec.Decoder != "" && s.spec.Decoder != software,
		settings: anyDecoder,
		wanted:   s.media.platform.wanted(s.spec.Decoder, b.excluded),
		feature:  s.media.platform.downloadFeature, download: s.media.platform.download,
		maxPixels: s.spec.MaxPixels,
	}
	if tap.live {
		tap.settings = liveDecoder
	}
	p.newTap(tap)
	for _, v := range plan.settings {
		p.set(v.element, v.property, v.value)
	}
	if s.spec.NoRedirect && s.spec.Kind == pipeline.SourceRTSP {
		p.stay()
	}
	if s.format != "" {
		p.set("format", "caps", s.format)
	}
	return &attempt{source: s, playback: b, player: p, sink: newSink(p, "frames")}, nil
}

// play returns nil at the end of the stream, the cause when ctx is done, and
// otherwise what went wrong.
func (a *attempt) play(ctx context.Context) error {
	// Both the time to open and the time without a frame run from here, and
	// not while a frame is being handed over.
	last := time.Now()
	if err := a.player.setState(gst.StatePlaying); err != nil {
		a.drain()
		if a.player.stuck || !a.failed.happened() {
			return located(err, a.spec.on())
		}
	}
	for ctx.Err() == nil {
		p, end, err := a.sink.pull(pollInterval)
		a.drain()
		switch {
		case err != nil:
			return a.fail(pipeline.Unsupported, err)
		case p != nil:
			a.deliver(ctx, p)
			if a.limit(a.playback) {
				return nil
			}
			last = time.Now()
			continue
		case a.refused() != nil:
			return a.refused()
		case a.wrongContent() != nil:
			return a.wrongContent()
		case a.failed.happened():
			return a.failed.explain(&a.spec, a.player.found(), a.frames > 0)
		case end:
			return a.ended()
		}
		if err := a.late(time.Since(last)); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// refused reports what C code has stopped; nil when it has stopped nothing.
func (a *attempt) refused() error {
	switch got := a.player.found(); {
	case got.redirected:
		return a.fail(pipeline.Refused, errors.New("the camera sends its viewers to another address, which was not asked for"))
	case got.tooWide > 0:
		return a.fail(pipeline.BadInput, tooLarge(got.tooWide, got.tooHigh, a.spec.MaxPixels))
	}
	return nil
}

func tooLarge(width, height, limit int) error {
	return fmt.Errorf("pictures are %dx%d, which is more than the %d pixels allowed (send smaller ones, or raise the limit)", width, height, limit)
}

// located gives an error of a state change a place.
func located(err error, on string) error {
	if pipeline.KindOf(err) != pipeline.Other {
		return err
	}
	return &pipeline.Error{Op: "start", On: on, Kind: pipeline.Gone, Err: err}
}

// drain takes everything off the bus.
func (a *attempt) drain() {
	for {
		m := a.player.pop(0)
		switch m.kind {
		case msgNone:
			return
		case msgWarning:
			a.warnings++
			if time.Since(a.warned) > time.Second {
				a.log.Warn("GStreamer warns", "element", m.element, "text", a.spec.scrub(m.text), "total", a.warnings)
				a.warned = time.Now()
			}
		default:
			a.failed.add(m)
		}
	}
}

// deliver gives p its place in the stream and hands it over.
func (a *attempt) deliver(ctx context.Context, p *pulled) {
	if a.media.platform.scales {
		a.scale(p)
	}
	if p.fps > 0 && p.fps < 1000 {
		a.step = time.Duration(float64(time.Second) / p.fps)
	}
	if a.frames == 0 && p.pts >= 0 && a.spec.live() && a.spec.Kind != pipeline.SourceFile && a.spec.Kind != pipeline.SourceWebRTC {
		a.base = p.pts
	}
	pts := a.offset + p.pts - a.base
	if a.seq > 0 && p.pts >= 0 && a.last-pts > time.Second && a.spec.Kind != pipeline.SourceWebRTC {
		// The camera's clock was set back: time goes on from here.
		a.base += pts - (a.last + a.step)
		pts = a.last + a.step
	}
	if a.seq > 0 && (p.pts < 0 || pts <= a.last) {
		// Raw streams have no time stamps, and cameras jump; encoders and
		// players need them to rise.
		pts = a.last + a.step
		if p.pts >= 0 {
			pts = a.last + time.Millisecond
		}
	}
	a.frames++
	a.seq++
	a.last = max(pts, 0)
	p.info.Seq, p.info.PTS = a.seq, a.last
	if !a.opened {
		a.opened = true
		a.out.Opened(a.info(p))
	}
	a.out.PutFrame(ctx, p.frame)
}

// info describes the stream, of which p is the first frame.
func (a *attempt) info(p *pulled) pipeline.StreamInfo {
	got := a.player.found()
	i := pipeline.StreamInfo{
		Codec: got.codec.String(), Width: p.info.Width, Height: p.info.Height,
		Rotation: rotation(got.orientation), Live: a.spec.live(), Decoder: got.decoder,
	}
	if p.fps < 1000 {
		i.FPS = p.fps
	}
	switch {
	case got.decoder == "":
		i.Codec = "raw"
	case got.codec == codecOther:
		i.Codec = got.description
	default:
		i.Hardware, i.Fallback = a.media.platform.judge(got.codec, got.decoder, a.excluded)
		if a.spec.Decoder != "" {
			i.Fallback = "" // asked for
		}
	}
	switch {
	case a.spec.Kind == pipeline.SourceFile && !a.spec.Loop:
		i.Duration = a.player.duration()
		i.Frames = uint64(math.Round(i.Duration.Seconds() * i.FPS))
	case a.spec.Kind == pipeline.SourceRTSP:
		i.Duration = a.player.duration() // of a recording; cameras have none
	}
	return i
}

// rotation returns the degrees clockwise of an image-orientation tag.
func rotation(tag string) int {
	for _, d := range []int{90, 180, 270} {
		if strings.HasSuffix(tag, fmt.Sprintf("rotate-%d", d)) {
			return d
		}
	}
	return 0
}

// ended says whether this end of stream is a good one.
func (a *attempt) ended() error {
	got := a.player.found()
	switch {
	case a.spec.Kind == pipeline.SourceFile:
		if flaw, _ := fileState(a.spec.Path); flaw != "" {
			return a.fail(pipeline.BadInput, errors.New(flaw))
		}
		switch {
		case a.frames > 0:
			return nil
		case got.decoder == "" && got.codec == codecOther:
			return a.fail(pipeline.BadInput, errNoVideo)
		}
		return a.fail(pipeline.BadInput, errNoFrames)
	case a.spec.Kind == pipeline.SourceTest:
		return nil
	}
	return a.fail(pipeline.Gone, pipeline.ErrCameraEnded)
}

// wrongContent reports an HTTP server that sends something else than pictures.
func (a *attempt) wrongContent() error {
	c := a.failed.content
	if a.spec.Kind != pipeline.SourceHTTP || c == "" || a.failed.first.domain == domainResource || strings.HasPrefix(strings.ToLower(c), "multipart/") {
		return nil
	}
	return &pipeline.Error{Op: "open camera", On: a.spec.on(), Kind: pipeline.BadInput, Err: fmt.Errorf("the server sends %s, not MJPEG (multipart/x-mixed-replace)", c), Hint: "the address must be that of the camera's MJPEG stream"}
}

// late returns an error when nothing has come for too long.
func (a *attempt) late(waited time.Duration) error {
	switch {
	case a.frames == 0 && waited > a.spec.OpenTimeout:
		got := a.player.found()
		if a.spec.Kind == pipeline.SourceFile && got.videos == 0 && got.codec == codecOther && got.decoder == "" && got.skipped == 0 {
			return a.fail(pipeline.BadInput, errNoVideo) // a demuxer with nothing to show waits for ever
		}
		text := fmt.Sprintf("no picture within %v", a.spec.OpenTimeout)
		switch {
		case got.skipped > 0:
			text += fmt.Sprintf(": %d pictures came, but no key frame to begin with", got.skipped)
		case got.others > 0 && got.videos == 0:
			text += ": it offers no video"
		}
		return a.fail(pipeline.Timeout, errors.New(text))
	case a.frames > 0 && waited > a.spec.StallTimeout && a.spec.Kind == pipeline.SourceFile:
		return &pipeline.Error{Op: "play", On: a.spec.on(), Kind: pipeline.Timeout, Err: fmt.Errorf("no picture for %v", a.spec.StallTimeout)}
	case a.frames > 0 && waited > a.spec.StallTimeout:
		return &pipeline.Error{Op: "watch camera", On: a.spec.on(), Kind: pipeline.Gone, Err: fmt.Errorf("no picture for %v", a.spec.StallTimeout)}
	}
	return nil
}
