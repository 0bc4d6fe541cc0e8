package webrtc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"perch/pipeline"
)

const (
	// How long a picture may wait for the encoder before it is left out.
	patienceBatch    = 30 * time.Second
	patienceRealtime = time.Second
	channelGrace     = 2 * time.Second        // for a channel to open after the connection
	keyInterval      = 500 * time.Millisecond // between key frames that a client asks for
	reopenAfter      = 2 * time.Second        // until an encoder that failed is tried again
	drainQuiet       = 2 * time.Second        // without a unit, after which an encoder counts as empty

	// In batch mode pictures come as fast as they are encoded. No more than
	// this goes out in a millisecond, which is 65 Mbit/s, so that a client's
	// socket keeps up: it has room for some ninety packets.
	burst = 8 << 10 // bytes
)

// missing is what a client is told instead of the picture it asked for.
var missing = []string{
	"Visualisation blocks were not executed",
	"or workflow was not configured to output visuals.",
	"Please try to adjust the scene so models detect objects",
	"or stop preview, update workflow and try again.",
}

// video sends pictures back. All but its feedback belongs to the goroutine that
// calls Show; units come in the encoder's.
type video struct {
	session *Session
	codec   pipeline.Codec
	track   *webrtc.TrackLocalStaticRTP
	packets rtp.Packetizer
	origin  uint32 // of time stamps
	ready   <-chan struct{}
	readyAt time.Time // when ready was first seen

	enc        pipeline.Encoder
	width      int
	height     int
	canvas     pipeline.Picture
	keyAt      time.Time
	failed     error // why there is no encoder at present
	failedAt   time.Time
	wantKey    atomic.Bool
	taken, out atomic.Uint64 // pictures in and units out of the present encoder
	begun      atomic.Bool   // a unit has been sent
	moved      chan struct{} // told of each unit
	sent       int           // owned by send: bytes since pause
	pause      time.Time     // owned by send
}

func newVideo(v *Session, p *plan) (*video, error) {
	track, err := webrtc.NewTrackLocalStaticRTP(capability(p.codec).RTPCodecCapability, "video", "perch")
	if err != nil {
		return nil, err
	}
	dir := webrtc.RTPTransceiverDirectionSendonly
	if p.receives {
		dir = webrtc.RTPTransceiverDirectionSendrecv
	}
	t, err := v.pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: dir})
	if err != nil {
		return nil, err
	}
	o := &video{session: v, codec: p.codec, track: track, origin: rand.Uint32(), ready: v.connected, moved: make(chan struct{}, 1)}
	var payloader rtp.Payloader = &codecs.VP8Payloader{EnablePictureID: true}
	if p.codec == pipeline.CodecH264 {
		payloader = &codecs.H264Payloader{}
	}
	// Payload type and SSRC are the track's to fill in.
	o.packets = rtp.NewPacketizer(mtu, 0, 0, payloader, rtp.NewRandomSequencer(), clockRate)
	v.group.Go(func() { o.readFeedback(t.Sender()) })
	return o, nil
}

// readFeedback reads the client's RTCP until the connection closes. It also
// drives the interceptors, which resend lost packets.
func (o *video) readFeedback(sender *webrtc.RTPSender) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				o.wantKey.Store(true)
			}
		}
	}
}

// sending reports whether pictures go to the client: when it is connected and
// has a channel for the messages that belong to them, which opens a moment
// later. One without a channel gets pictures alone.
func (o *video) sending() bool {
	select {
	case <-o.session.results.opened: // pion may say later that it is connected
		return true
	default:
	}
	select {
	case <-o.ready:
	default:
		return false
	}
	if o.readyAt.IsZero() {
		o.readyAt = time.Now()
	}
	return time.Since(o.readyAt) >= channelGrace
}

// show sends the picture that is wanted of a frame, or the frame itself with
// errs written on it. It returns errs with what went wrong here.
func (o *video) show(ctx context.Context, f pipeline.Frame, r *pipeline.Result, name string, errs []string) []string {
	pic, ok := o.choose(r.Outputs, name)
	if !ok {
		errs = append(errs, missing...)
		o.canvas = pipeline.CopyPicture(o.canvas, f.Picture(), 1)
		if draw := o.session.opt.DrawLines; draw != nil {
			draw(o.canvas, errs)
		}
		pic = o.canvas
	}
	if err := o.encode(ctx, pic, f.Info().PTS); err != nil && ctx.Err() == nil {
		o.session.count.unencoded.Add(1)
		errs = append(errs, "video: "+err.Error())
	}
	return errs
}

// choose returns the picture of the output that is wanted; the first output
// that has one when none was named.
func (o *video) choose(out pipeline.Outputs, name string) (pipeline.Picture, bool) {
	if out == nil {
		return pipeline.Picture{}, false
	}
	if name != "" {
		i := indexOf(out, name)
		if i < 0 {
			return pipeline.Picture{}, false
		}
		return out.Image(i)
	}
	for i := range out.Len() {
		if pic, ok := out.Image(i); ok {
			o.session.wishes.found(out.Name(i))
			return pic, true
		}
	}
	return pipeline.Picture{}, false
}

// encode hands a picture to an encoder of its size, waiting while that is busy.
// The client's clock, on which it pairs pictures with messages, begins with the
// first picture that it is sent.
func (o *video) encode(ctx context.Context, pic pipeline.Picture, pts time.Duration) error {
	if err := o.fit(ctx, pic.Width, pic.Height); err != nil {
		return err
	}
	if o.wantKey.Load() && time.Since(o.keyAt) >= keyInterval {
		o.wantKey.Store(false)
		o.keyAt = time.Now()
		o.enc.ForceKey()
	}
	patience := patienceRealtime
	if o.session.batch {
		patience = patienceBatch
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		at := time.Duration(0)
		if o.session.based {
			at = pts - o.session.base
		}
		ok, err := o.enc.Encode(pic, at)
		if err != nil {
			o.session.log.Error("session's encoder failed", "codec", string(o.codec), "error", err)
			o.shut()
			o.failed, o.failedAt = err, time.Now()
			return err
		}
		if ok {
			o.session.start(pts)
			o.taken.Add(1)
			o.session.count.pictures.Add(1)
			return nil
		}
		select {
		case <-o.moved:
		case <-poll.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
			return fmt.Errorf("the encoder did not take the picture within %v", patience)
		}
	}
}

// fit opens an encoder for a size unless there is one.
func (o *video) fit(ctx context.Context, width, height int) error {
	v := o.session
	if o.enc != nil && o.width == width && o.height == height {
		return nil
	}
	if o.failed != nil && time.Since(o.failedAt) < reopenAfter {
		return o.failed
	}
	if v.batch {
		o.drain(ctx, drainQuiet) // closing an encoder drops what is in it
	}
	o.shut()
	if v.opt.OpenEncoder == nil {
		o.failed = &pipeline.Error{Op: "encode pictures", Kind: pipeline.Unsupported, Err: errNoCodec}
		return o.failed
	}
	spec := pipeline.EncoderSpec{Codec: o.codec, Width: width, Height: height, FPS: v.stream().FPS, Bitrate: v.opt.Bitrate}
	if spec.FPS == 0 && v.fps != nil {
		spec.FPS = max(*v.fps, 0)
	}
	enc, err := v.opt.OpenEncoder(spec, o.send)
	if err != nil {
		v.log.Error("session's encoder not opened", "codec", string(o.codec), "width", width, "height", height, "error", err)
		o.failed, o.failedAt = err, time.Now()
		return err
	}
	o.enc, o.width, o.height, o.failed, o.keyAt = enc, width, height, nil, time.Now()
	o.taken.Store(0)
	o.out.Store(0)
	return nil
}

// drain waits until the encoder has put out all that it has taken, or nothing
// for as long as quiet: some keep the last pictures until they are closed.
func (o *video) drain(ctx context.Context, quiet time.Duration) {
	if o.enc == nil {
		return
	}
	end := time.NewTimer(quiet)
	defer end.Stop()
	for o.out.Load() < o.taken.Load() {
		select {
		case <-o.moved:
			end.Reset(quiet)
		case <-ctx.Done():
			return
		case <-end.C:
			o.session.log.Warn("pictures were left in the session's encoder", "pictures", o.taken.Load()-o.out.Load(), "waited", quiet)
			return
		}
	}
}

// shut closes the encoder. Pictures that were in it are lost: when no other was
// sent, the client's clock has not begun.
func (o *video) shut() {
	if o.enc == nil {
		return
	}
	if err := o.enc.Close(); err != nil {
		o.session.log.Warn("session's encoder did not close cleanly", "error", err)
	}
	o.enc = nil
	if !o.begun.Load() {
		o.session.based = false
	}
}

// send packs one encoded picture; its time stamp follows its PTS.
func (o *video) send(u pipeline.AccessUnit) {
	ts := o.origin + timestamp(u.PTS)
	for _, p := range o.packets.Packetize(u.Data, 0) {
		p.Timestamp = ts
		if err := o.track.WriteRTP(p); err != nil {
			o.session.log.Debug("session's packet not sent", "error", err)
			break
		}
		o.spread(len(p.Payload))
	}
	o.session.count.units.Add(1)
	o.begun.Store(true)
	o.out.Add(1)
	signal(o.moved)
}

// spread waits when n more bytes make a burst.
func (o *video) spread(n int) {
	now := time.Now()
	if now.Sub(o.pause) >= time.Millisecond {
		o.pause, o.sent = now, 0
	}
	if o.sent += n; o.sent >= burst {
		time.Sleep(time.Millisecond - now.Sub(o.pause))
	}
}
