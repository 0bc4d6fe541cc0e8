package webrtc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"perch/pipeline"
)

// bare returns a session in batch mode without a connection.
func bare(t *testing.T, o SessionOptions) *Session {
	t.Helper()
	ctx, stop := context.WithCancelCause(t.Context())
	t.Cleanup(func() { stop(nil) })
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	v := &Session{opt: o.withDefaults(), count: &sessionCounters{}, log: log, batch: true, ctx: ctx, stop: stop, connected: make(chan struct{})}
	v.uploads = &uploads{session: v}
	v.wishes, v.results = newWishes(SessionRequest{}, log), newResults(ctx, v.opt, v.count)
	return v
}

// One who opens no channel is waited for once, not with each frame.
func TestChannelThatIsNotOpenedIsWaitedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := bare(t, SessionOptions{ConnectTimeout: time.Minute})
		began := time.Now()
		for range 100 {
			if v.AwaitBegin(t.Context()); !v.MayBegin(0) {
				t.Fatal("frames are held back")
			}
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("100 frames waited %v", took)
		}
	})
}

// lazy is an encoder that puts out a picture when it has the next.
type lazy struct {
	put  func(pipeline.AccessUnit)
	held *time.Duration
	fail error
}

func (l *lazy) Encode(_ pipeline.Picture, pts time.Duration) (bool, error) {
	if l.fail != nil {
		return false, l.fail
	}
	if l.held != nil {
		l.put(pipeline.AccessUnit{PTS: *l.held, Data: make([]byte, 100)})
	}
	l.held = &pts
	return true, nil
}
func (l *lazy) ForceKey()    {}
func (l *lazy) Close() error { return nil }

// A client counts from the first picture that it gets. Pictures that an encoder
// refuses, or loses before it has put out any, come before that.
func TestClockBeginsWithTheFirstPictureThatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var enc *lazy
		failing := errors.New("not now")
		v := bare(t, SessionOptions{OpenEncoder: func(_ pipeline.EncoderSpec, put func(pipeline.AccessUnit)) (pipeline.Encoder, error) {
			enc = &lazy{put: put}
			return enc, failing
		}})
		track, err := webrtc.NewTrackLocalStaticRTP(capability(pipeline.CodecVP8).RTPCodecCapability, "video", "perch")
		if err != nil {
			t.Fatal(err)
		}
		v.video = &video{session: v, codec: pipeline.CodecVP8, track: track, moved: make(chan struct{}, 1),
			packets: rtp.NewPacketizer(mtu, 0, 0, &codecs.VP8Payloader{}, rtp.NewRandomSequencer(), clockRate)}
		pic := pipeline.NewPicture(64, 48)
		show := func(at time.Duration, taken bool) {
			t.Helper()
			if err := v.video.encode(t.Context(), pic, at); (err == nil) != taken {
				t.Fatalf("the picture of %v: %v", at, err)
			}
		}
		clock := func(at, want time.Duration, goes bool) {
			t.Helper()
			f := v.facts(pipeline.FrameInfo{PTS: at})
			if f.timed != goes || goes && f.pts != want {
				t.Errorf("at %v the client's clock says %v, goes: %v; want %v, %v", at, f.pts, f.timed, want, goes)
			}
		}
		show(1*time.Second, false) // no encoder can be opened
		clock(1*time.Second, 0, false)
		failing = nil
		time.Sleep(reopenAfter)
		show(3*time.Second, true)
		clock(3*time.Second, 0, true)
		enc.fail = errors.New("it has broken") // with that picture in it
		show(4*time.Second, false)
		clock(4*time.Second, 0, false)
		time.Sleep(reopenAfter)
		show(6*time.Second, true)
		show(7*time.Second, true) // now the one before is sent
		clock(7*time.Second, time.Second, true)
		enc.fail = errors.New("it has broken again")
		show(8*time.Second, false)
		clock(8*time.Second, 2*time.Second, true)
	})
}

// A channel is open only when the connection is; pion says so a moment later.
func TestPicturesGoOutWithTheFirstMessage(t *testing.T) {
	v := bare(t, SessionOptions{})
	v.video = &video{session: v, ready: v.connected}
	if v.video.sending() {
		t.Error("pictures are sent to nobody")
	}
	close(v.results.opened)
	if !v.video.sending() {
		t.Error("a message would go out without its picture")
	}
}
