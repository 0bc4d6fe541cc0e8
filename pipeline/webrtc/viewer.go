package webrtc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"perch/pipeline"
)

// mtu of RTP packets: what fits into 1280 bytes of IPv6 over any link, less the
// headers of IP, UDP and SRTP.
const mtu = 1200

// Why a view or a session ended.
var (
	errEnded    = errors.New("ended by the viewer")
	errHungUp   = errors.New("the viewer closed the connection")
	errSilent   = errors.New("the viewer fell silent")
	errNoDial   = errors.New("the viewer never connected")
	errFeedOver = errors.New("the preview ended")
)

// viewer is one who watches.
type viewer struct {
	id      string
	codec   pipeline.Codec
	watch   pipeline.Watch
	pc      *webrtc.PeerConnection
	track   *webrtc.TrackLocalStaticRTP
	sender  *webrtc.RTPSender
	packets rtp.Packetizer
	count   *counters
	connect time.Duration

	ctx       context.Context
	stop      context.CancelCauseFunc
	connected chan struct{} // closed once
	done      chan struct{} // closed when everything has gone
}

// newViewer sets up the connection that will answer an offer. The watch
// belongs to the viewer only if there is no error.
func (s *Server) newViewer(watch pipeline.Watch, codec pipeline.Codec) (*viewer, error) {
	fail := func(err error) (*viewer, error) { return nil, fmt.Errorf("set up viewer: %w", err) }
	v := &viewer{
		id: rand.Text(), codec: codec, watch: watch, count: &s.count, connect: s.opts.Connect,
		connected: make(chan struct{}), done: make(chan struct{}),
	}
	var err error
	v.track, err = webrtc.NewTrackLocalStaticRTP(capability(codec).RTPCodecCapability, "video", "perch")
	if err != nil {
		return fail(err)
	}
	if v.pc, err = s.apis[codec].NewPeerConnection(webrtc.Configuration{}); err != nil {
		return fail(err)
	}
	t, err := v.pc.AddTransceiverFromTrack(v.track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return fail(errors.Join(err, v.pc.GracefulClose()))
	}
	v.sender = t.Sender()
	var payloader rtp.Payloader = &codecs.VP8Payloader{EnablePictureID: true}
	if codec == pipeline.CodecH264 {
		payloader = &codecs.H264Payloader{}
	}
	// Payload type and SSRC are the track's to fill in.
	v.packets = rtp.NewPacketizer(mtu, 0, 0, payloader, rtp.NewRandomSequencer(), clockRate)
	v.ctx, v.stop = context.WithCancelCause(s.ctx)
	v.pc.OnConnectionStateChange(v.changed(sync.OnceFunc(func() { close(v.connected) })))
	return v, nil
}

// changed returns the callback for the connection's states. It must not block.
func (v *viewer) changed(connected func()) func(webrtc.PeerConnectionState) {
	return func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			connected()
		case webrtc.PeerConnectionStateFailed:
			v.stop(errSilent)
		case webrtc.PeerConnectionStateClosed:
			v.stop(errHungUp)
		}
	}
}

// short names the viewer in the log; the whole id would let a reader end it.
func (v *viewer) short() string { return v.id[:6] }

// negotiate answers the offer, with all of our candidates in the answer.
func (v *viewer) negotiate(ctx context.Context, o *offer, gather time.Duration) (string, error) {
	bad := func(err error) error {
		return &pipeline.Error{Op: "answer SDP offer", Kind: pipeline.BadInput, Err: err,
			Hint: "send the offer as the browser made it"}
	}
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: o.text}); err != nil {
		return "", bad(err)
	}
	answer, err := v.pc.CreateAnswer(nil)
	if err != nil {
		return "", bad(err)
	}
	gathered := webrtc.GatheringCompletePromise(v.pc)
	if err := v.pc.SetLocalDescription(answer); err != nil {
		return "", bad(err)
	}
	limit := time.NewTimer(gather)
	defer limit.Stop()
	select {
	case <-gathered:
		return v.pc.LocalDescription().SDP, nil
	case <-ctx.Done():
		return "", fmt.Errorf("answer SDP offer: %w", context.Cause(ctx))
	case <-v.ctx.Done():
		return "", &pipeline.Error{Op: "answer SDP offer", Kind: pipeline.Gone, Err: context.Cause(v.ctx)}
	case <-limit.C:
		return "", &pipeline.Error{Op: "answer SDP offer", Kind: pipeline.Timeout, Err: fmt.Errorf("this device's addresses were not found within %v", gather),
			Hint: "look at the device's network interfaces"}
	}
}

// run sends pictures until the viewer or the preview has gone, says why, and
// leaves nothing behind.
func (v *viewer) run() error {
	var wg sync.WaitGroup
	wg.Go(v.readFeedback)
	why := v.play()
	if errors.Is(why, errSilent) || errors.Is(why, errNoDial) {
		v.count.vanished.Add(1)
	}
	err := v.release() // ends readFeedback
	wg.Wait()
	return errors.Join(why, err)
}

// release closes watch and connection.
func (v *viewer) release() error {
	v.stop(nil)
	v.watch.Close()
	if err := v.pc.GracefulClose(); err != nil {
		return fmt.Errorf("close connection: %w", err)
	}
	return nil
}

// play sends from the first key frame after the viewer has connected.
func (v *viewer) play() error {
	limit := time.NewTimer(v.connect)
	defer limit.Stop()
	connected := v.connected
	var ready, started bool
	for {
		select {
		case <-v.ctx.Done():
			return context.Cause(v.ctx)
		case <-limit.C:
			return errNoDial
		case <-connected:
			connected, ready = nil, true
			limit.Stop()
			v.count.connected.Add(1)
			defer v.count.connected.Add(-1)
			v.watch.NeedKey()
		case u, ok := <-v.watch.Units():
			if !ok {
				return errFeedOver
			}
			if !ready || !started && !u.Key {
				v.count.skipped.Add(1)
				continue
			}
			started = true
			if err := v.send(u); err != nil {
				return fmt.Errorf("send to viewer: %w", err)
			}
		}
	}
}

// send packs one picture. Its timestamp follows its PTS, so that gaps left by
// dropped pictures stay gaps.
func (v *viewer) send(u pipeline.AccessUnit) error {
	ts := timestamp(u.PTS)
	for _, p := range v.packets.Packetize(u.Data, 0) {
		p.Timestamp = ts
		if err := v.track.WriteRTP(p); err != nil {
			return err
		}
		v.count.packets.Add(1)
		v.count.bytes.Add(uint64(len(p.Payload)))
	}
	v.count.units.Add(1)
	return nil
}

// timestamp is a time in RTP, which begins anew every thirteen hours.
func timestamp(pts time.Duration) uint32 { return uint32(ticks(pts)) }

// readFeedback reads the viewer's RTCP until the connection closes. It also
// drives the interceptors, which resend lost packets.
func (v *viewer) readFeedback() {
	for {
		packets, _, err := v.sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				v.count.keyframe.Add(1)
				v.watch.NeedKey()
			}
		}
	}
}
