package webrtc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	pion "github.com/pion/webrtc/v4"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
	"perch/pipeline/webrtc"
)

func newClip(n int) *pipelinetest.Source { return &pipelinetest.Source{Name: "clip", N: n} }

// camera sends units as a client's track, the n-th with time stamp base+n·step.
// It begins again with a key frame whenever one is asked for.
func camera(t testing.TB, c *client, codec pipeline.Codec, base uint32, step uint32, stop <-chan struct{}) {
	var payloader rtp.Payloader = &codecs.VP8Payloader{EnablePictureID: true}
	if codec == pipeline.CodecH264 {
		payloader = &codecs.H264Payloader{}
	}
	packets := rtp.NewPacketizer(1200, 0, 0, payloader, rtp.NewFixedSequencer(65500), 90000) // wraps soon
	wanted := make(chan struct{}, 1)
	go func() {
		for {
			ps, _, err := c.sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range ps {
				if _, ok := p.(*rtcp.PictureLossIndication); ok {
					select {
					case wanted <- struct{}{}:
					default:
					}
				}
			}
		}
	}()
	clip := units(t, codec)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n, i := uint32(0), 0; ; n, i = n+1, i+1 {
		select {
		case <-stop:
			return
		case <-wanted:
			i = 0
		case <-tick.C:
		}
		for _, p := range packets.Packetize(clip[i%len(clip)].Data, 0) {
			p.Timestamp = base + n*step
			if err := c.track.WriteRTP(p); err != nil {
				return
			}
		}
	}
}

func TestClientsTrack(t *testing.T) {
	for _, codec := range []pipeline.Codec{pipeline.CodecVP8, pipeline.CodecH264} {
		t.Run(string(codec), func(t *testing.T) {
			mime := map[pipeline.Codec]string{pipeline.CodecVP8: pion.MimeTypeVP8, pipeline.CodecH264: pion.MimeTypeH264}[codec]
			s, parts := sessions(t, webrtc.SessionOptions{})
			cl := newClient(t, kit{video: "sendrecv", codecs: []string{mime}})
			v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{"annotated"}, DataOutput: []string{"count"}})
			j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
			cl.await("the result channel opens", cl.opened)
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				camera(t, cl, codec, 1<<32-9000, 3003, stop) // wraps after two pictures
			}()
			var first int64
			for i := range 40 {
				m := cl.next()
				if i == 0 {
					if first = *m.Meta.PTS; first != 0 {
						t.Errorf("the first pts is %d", first)
					}
				} else if *m.Meta.PTS%3003 != 0 || *m.Meta.PTS < int64(i)*3003 {
					t.Errorf("message %d has pts %d", i+1, *m.Meta.PTS)
				}
			}
			close(stop)
			<-stopped
			// The track ends, the connection does not.
			if err := cl.pc.WriteRTCP([]rtcp.Packet{&rtcp.Goodbye{Sources: []uint32{uint32(cl.sender.GetParameters().Encodings[0].SSRC)}}}); err != nil {
				t.Fatal(err)
			}
			_, last := cl.all()
			if last.Reason != nil {
				t.Errorf("%s", last.raw)
			}
			cl.close()
			if rec := j.wait(t); rec.Termination != pipeline.EndOfStream {
				t.Errorf("the record says %s: %v", rec.Termination, rec.Errors)
			}
			clip := units(t, codec)
			for i, u := range parts.feeds.units {
				if i == 0 && !u.Key {
					t.Error("the first unit is no key frame")
				}
				known := false
				for _, o := range clip {
					known = known || bytes.Equal(u.Data, payload(codec, o.Data))
				}
				if !known {
					t.Fatalf("unit %d with %d bytes is none that was sent", i, len(u.Data))
				}
			}
			if st := s.Stats().Sessions; st.Received < 40 || st.Damaged > 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestClientThatVanishes(t *testing.T) {
	t.Run("hangs up", func(t *testing.T) {
		s, _ := sessions(t, webrtc.SessionOptions{})
		cl := newClient(t, kit{video: "recvonly"})
		v := cl.join(s, webrtc.SessionRequest{Source: &pipelinetest.Source{N: -1, Every: time.Millisecond}})
		j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
		cl.next()
		cl.close()
		if rec := j.wait(t); rec.Termination != pipeline.ClientGone {
			t.Errorf("the record says %s", rec.Termination)
		}
	})
	t.Run("with its track", func(t *testing.T) {
		s, _ := sessions(t, webrtc.SessionOptions{})
		cl := newClient(t, kit{video: "sendrecv"})
		v := cl.join(s, webrtc.SessionRequest{})
		j := start(t, v, &engine{Out: facts}, pipeline.Realtime, 0)
		cl.await("the result channel opens", cl.opened)
		stop := make(chan struct{})
		defer close(stop)
		go camera(t, cl, pipeline.CodecVP8, 0, 3000, stop)
		cl.next()
		cl.close()
		if rec := j.wait(t); rec.Termination != pipeline.ClientGone {
			t.Errorf("the record says %s", rec.Termination)
		}
	})
	t.Run("in the middle of an upload", func(t *testing.T) {
		s, _ := sessions(t, webrtc.SessionOptions{})
		cl := newClient(t, kit{upload: true})
		v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}})
		j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
		cl.send(chunks(fileOf(3, 200_000), 49152)[:2]...)
		cl.close()
		if rec := j.wait(t); rec.Termination != pipeline.ClientGone {
			t.Errorf("the record says %s", rec.Termination)
		}
	})
	t.Run("never connects", func(t *testing.T) {
		s, _ := sessions(t, webrtc.SessionOptions{ConnectTimeout: 300 * time.Millisecond})
		v, _, err := s.OpenSession(t.Context(), webrtc.SessionRequest{Type: "offer", SDP: newClient(t, kit{}).offer(), StreamOutput: []string{}})
		if err != nil {
			t.Fatal(err)
		}
		j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
		if rec := j.wait(t); rec.Termination != pipeline.ClientGone || s.Stats().Sessions.Vanished != 1 {
			t.Errorf("the record says %s; %+v", rec.Termination, s.Stats().Sessions)
		}
	})
	t.Run("cable pulled", func(t *testing.T) {
		s, _ := sessions(t, webrtc.SessionOptions{})
		cl := newClient(t, kit{})
		v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, Source: &pipelinetest.Source{N: -1, Every: time.Millisecond}})
		j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
		cl.next()
		if err := cl.pc.SCTP().Transport().ICETransport().Stop(); err != nil {
			t.Fatal(err)
		}
		if rec := j.wait(t); rec.Termination != pipeline.ClientGone || s.Stats().Sessions.Vanished != 1 {
			t.Errorf("the record says %s; %+v", rec.Termination, s.Stats().Sessions)
		}
	})
	t.Run("stays after the end", func(t *testing.T) {
		s, _ := sessions(t, webrtc.SessionOptions{Linger: 300 * time.Millisecond})
		cl := newClient(t, kit{})
		v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, Source: newClip(1)})
		j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
		cl.all()
		if rec := j.wait(t); rec.Termination != pipeline.EndOfStream {
			t.Errorf("the record says %s", rec.Termination)
		}
		cl.await("the server closes the connection", cl.closed)
	})
}

// A track that falls silent does not keep its session's place: the connection
// alone says nothing of pictures to come.
func TestTrackThatFallsSilent(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{UploadIdle: 5 * time.Second})
	cl := newClient(t, kit{video: "sendonly"})
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}})
	j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
	cl.await("the result channel opens", cl.opened)
	stop := make(chan struct{})
	go camera(t, cl, pipeline.CodecVP8, 0, 3000, stop)
	if m := cl.next(); m.Complete || len(m.Errors) > 0 {
		t.Errorf("%s", m)
	}
	close(stop)
	frames, last := cl.all()
	if len(frames) == 0 || last.Reason != nil {
		t.Fatalf("%d messages, then %s", len(frames), last)
	}
	if m := frames[len(frames)-1]; len(m.Errors) != 1 || !strings.Contains(m.Errors[0], "its track brought none for 5s") || !strings.Contains(m.Errors[0], "sessions.upload_idle") {
		t.Errorf("the last but one message: %s", m)
	}
	cl.close()
	if rec := j.wait(t); rec.Termination != pipeline.SourceLost {
		t.Errorf("the record says %s: %v", rec.Termination, rec.Errors)
	}
}

func TestSourceThatFailsIsExplained(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{})
	cl := newClient(t, kit{})
	away := &pipeline.Error{Op: "read", On: "rtsp://cam/1", Kind: pipeline.Gone, Err: fmt.Errorf("the camera hung up")}
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}, Source: &pipelinetest.Source{N: 2, Err: away}})
	j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
	frames, last := cl.all()
	if len(frames) != 3 || frames[2].header.id != 3 || frames[2].Meta.Frame != 2 || frames[2].Errors[0] != away.Error() {
		t.Errorf("%s", frames)
	}
	if last.header.id != 4 || last.Meta.Frame != 2 || last.Reason != nil {
		t.Errorf("%s", last.raw)
	}
	cl.close()
	if rec := j.wait(t); rec.Termination != pipeline.SourceLost {
		t.Errorf("the record says %s", rec.Termination)
	}
}

// What fails at once has failed before the client can have connected.
func TestClientThatConnectsAfterTheEndIsTold(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{CompletionDrain: time.Millisecond})
	cl := newClient(t, kit{})
	away := &pipeline.Error{Op: "read", On: "rtsp://cam/1", Kind: pipeline.Gone, Err: fmt.Errorf("the camera hung up")}
	v, answer, err := s.OpenSession(t.Context(), webrtc.SessionRequest{Type: "offer", SDP: cl.offer(), StreamOutput: []string{}, Source: &pipelinetest.Source{Err: away}})
	if err != nil {
		t.Fatal(err)
	}
	j := start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
	cl.await("the run ends", j.ran)
	if err := cl.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	if frames, last := cl.all(); len(frames) != 1 || len(frames[0].Errors) != 1 || frames[0].Errors[0] != away.Error() || last.Reason != nil {
		t.Errorf("the client was told %s, %s", frames, last)
	}
	cl.close()
	if rec := j.wait(t); rec.Termination != pipeline.SourceLost {
		t.Errorf("the record says %s", rec.Termination)
	}
}

// Nor does a device that stops wait for a client that may never connect.
func TestStopEndsTheWaitForAClient(t *testing.T) {
	s := open(t, webrtc.Options{Silence: time.Hour, Sessions: webrtc.SessionOptions{ConnectTimeout: time.Hour, CompletionDrain: time.Millisecond}})
	v, _, err := s.OpenSession(t.Context(), webrtc.SessionRequest{Type: "offer", SDP: newClient(t, kit{}).offer(), StreamOutput: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	finished := make(chan struct{})
	go func() { v.Finish(ctx, pipeline.Failed); close(finished) }()
	stop()
	select {
	case <-finished:
	case <-time.After(20 * time.Second):
		t.Error("the session outlives its device")
		v.Close()
	}
}

func TestRunThatFailsIsExplained(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{})
	cl := newClient(t, kit{})
	v := cl.join(s, webrtc.SessionRequest{StreamOutput: []string{}})
	defer v.Close()
	cl.await("the result channel opens", cl.opened)
	v.Explain(errors.New("the model is broken"))
	finished := make(chan struct{})
	go func() { v.Finish(t.Context(), pipeline.Failed); close(finished) }()
	if frames, last := cl.all(); len(frames) != 1 || frames[0].Errors[0] != "the model is broken" || last.header.id != 2 || last.Meta.Frame != 0 {
		t.Errorf("%s %s", frames, last)
	}
	cl.close()
	cl.await("Finish returns", finished)
}
