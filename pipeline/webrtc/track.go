package webrtc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"perch/pipeline"
)

const (
	// pliInterval is how soon a key frame is asked for again.
	pliInterval = 500 * time.Millisecond
	// byeGrace is for packets that were still under way when their sender said
	// goodbye.
	byeGrace = 200 * time.Millisecond
)

// trackReader turns a client's track into a feed. A track cannot be held back:
// when the feed's bounded queue is full, pictures are left out up to the next key
// frame, in batch mode too, and counted.
type trackReader struct {
	session  *Session
	track    *webrtc.TrackRemote
	receiver *webrtc.RTPReceiver
	codec    pipeline.Codec
	silence  *time.Timer   // ends a track that brings no picture for too long
	ended    chan struct{} // closed when the client has said goodbye
	asked    time.Time     // when a key frame was last asked for
}

// play decodes the track until the client ends it, or sends no picture for so
// long that its place is better given to somebody else: a connection stays up
// without any.
func (r *trackReader) play(ctx context.Context, out pipeline.Outlet) error {
	v := r.session
	if v.opt.OpenFeed == nil {
		return &pipeline.Error{Op: "decode client's track", Kind: pipeline.Unsupported, Err: errNoCodec}
	}
	feed, err := v.opt.OpenFeed(ctx, r.codec, "session "+v.ID())
	if err != nil {
		return err
	}
	heard, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	idle := v.opt.UploadIdle
	r.silence = time.AfterFunc(idle, func() {
		giveUp(&pipeline.Error{Op: "receive pictures from the client", Kind: pipeline.Timeout, Err: fmt.Errorf("its track brought none for %v", idle),
			Hint: "send pictures more often, end the session, or raise sessions.upload_idle"})
	})
	defer r.silence.Stop()
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() { r.pump(feed, stop) })
	err = feed.Run(heard, out)
	close(stop)
	_ = r.track.SetReadDeadline(time.Unix(1, 0)) // wakes the pump
	wg.Wait()
	if err == nil {
		// A client that leaves says goodbye too, and closes its connection a
		// moment later: then it has gone, and no camera was lost.
		select {
		case <-v.ctx.Done():
		case <-ctx.Done():
		case <-time.After(leaveGrace):
		}
	}
	return err
}

// leaveGrace is how long a client may take from the end of its track to the end
// of its connection.
const leaveGrace = 2 * time.Second

// pump pushes pictures into feed. It ends the feed when the client says goodbye;
// when the connection breaks it leaves that to whoever watches the session.
func (r *trackReader) pump(feed pipeline.Feed, stop <-chan struct{}) {
	a := newAssembler(r.codec)
	r.askKey()
	for {
		p, _, err := r.track.ReadRTP()
		if err != nil {
			select {
			case <-stop:
			case <-r.ended:
				r.push(feed, a, a.flush())
				feed.End()
			default:
				if errors.Is(err, os.ErrDeadlineExceeded) {
					continue
				}
				r.session.log.Debug("session's track broke off", "error", err)
			}
			return
		}
		r.push(feed, a, a.add(p, time.Now()))
		r.session.count.damaged.Add(a.takeDamaged())
		if a.needKey && time.Since(r.asked) >= pliInterval {
			r.askKey()
		}
	}
}

func (r *trackReader) push(feed pipeline.Feed, a *assembler, units []pipeline.AccessUnit) {
	for _, u := range units {
		r.silence.Reset(r.session.opt.UploadIdle)
		r.session.count.received.Add(1)
		if !feed.Push(u) {
			// The feed now waits for a key frame.
			r.session.count.overflowed.Add(1)
			a.needKey = true
		}
	}
}

// askKey asks the client for a key frame.
func (r *trackReader) askKey() {
	r.asked = time.Now()
	err := r.session.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(r.track.SSRC())}})
	if err != nil {
		r.session.log.Debug("no key frame asked for", "error", err)
	}
}

// readControl reads what comes beside the track until the connection closes,
// which also drives the interceptors.
func (r *trackReader) readControl() {
	said := sync.OnceFunc(func() {
		close(r.ended)
		_ = r.track.SetReadDeadline(time.Now().Add(byeGrace))
	})
	for {
		packets, _, err := r.receiver.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			if bye, ok := p.(*rtcp.Goodbye); ok {
				for _, ssrc := range bye.Sources {
					if ssrc == uint32(r.track.SSRC()) {
						said()
					}
				}
			}
		}
	}
}
