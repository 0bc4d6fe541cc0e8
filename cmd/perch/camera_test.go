package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"perch/cmd/internal/api"
	"perch/pipeline"
)

// An rtspCamera is a network camera that sends a few H.264 pictures over and
// over to whoever knows the password.
type rtspCamera struct {
	addr, password string
	units          [][][]byte // NAL units by picture
	length         string     // range that it says it has, of a recording; "" for none

	server *gortsplib.Server
	ready  chan struct{} // closed when stream can be asked for
	stream *gortsplib.ServerStream
	video  *description.Media
	format *format.H264
	cancel context.CancelFunc
	sender sync.WaitGroup
}

func newRTSPCamera(t *testing.T, password string) *rtspCamera {
	t.Helper()
	c := &rtspCamera{addr: freePort(t), password: password}
	path := media(t, filepath.Join(t.TempDir(), "camera.h264"), "videotestsrc num-buffers=20 ! video/x-raw,width=320,height=240,framerate=10/1 ! "+
		"x264enc key-int-max=10 bframes=0 tune=zerolatency aud=true ! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au")
	stream, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c.format = &format.H264{PayloadTyp: 96, PacketizationMode: 1}
	for _, n := range bytes.Split(stream, []byte{0, 0, 1}) {
		n = bytes.TrimRight(n, "\x00")
		if len(n) == 0 {
			continue
		}
		switch n[0] & 0x1f {
		case 7:
			c.format.SPS = n
		case 8:
			c.format.PPS = n
		case 9: // begins a picture
			c.units = append(c.units, nil)
		}
		c.units[len(c.units)-1] = append(c.units[len(c.units)-1], n)
	}
	c.plug(t)
	t.Cleanup(c.unplug)
	return c
}

// plug puts the camera on the net, always under the same address.
func (c *rtspCamera) plug(t *testing.T) {
	t.Helper()
	c.video = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{c.format}}
	c.ready = make(chan struct{})
	c.server = &gortsplib.Server{Handler: c, RTSPAddress: c.addr}
	if err := c.server.Start(); err != nil {
		t.Fatal(err)
	}
	c.stream = &gortsplib.ServerStream{Server: c.server, Desc: &description.Session{Medias: []*description.Media{c.video}}}
	if err := c.stream.Initialize(); err != nil {
		t.Fatal(err)
	}
	close(c.ready)
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	enc, err := c.format.CreateEncoder()
	if err != nil {
		t.Fatal(err)
	}
	c.sender.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			packets, err := enc.Encode(c.units[i%len(c.units)])
			if err != nil {
				panic(err)
			}
			for _, p := range packets {
				p.Timestamp = uint32(i * 9000)
				_ = c.stream.WritePacketRTP(c.video, p) // nobody may be listening
			}
		}
	})
}

// unplug takes it off the net.
func (c *rtspCamera) unplug() {
	if c.server == nil {
		return
	}
	c.cancel()
	c.sender.Wait()
	c.stream.Close()
	c.server.Close()
	c.server = nil
}

func (c *rtspCamera) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if c.password != "" && !ctx.Conn.VerifyCredentials(ctx.Request, "viewer", c.password) {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	<-c.ready
	if c.length == "" {
		return &base.Response{StatusCode: base.StatusOK}, c.stream, nil
	}
	video := *c.video
	video.Control = "trackID=0"
	sdp, err := (&description.Session{Medias: []*description.Media{&video}}).Marshal()
	if err != nil {
		return &base.Response{StatusCode: base.StatusInternalServerError}, nil, err
	}
	sdp = bytes.Replace(sdp, []byte("m=video"), []byte("a=range:npt="+c.length+"\r\nm=video"), 1)
	return &base.Response{StatusCode: base.StatusOK, Body: sdp}, nil, nil
}

func (c *rtspCamera) OnSetup(*gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	<-c.ready
	return &base.Response{StatusCode: base.StatusOK}, c.stream, nil
}

func (c *rtspCamera) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// A camera that is away, one that refuses the password and one that shows no
// picture at all: each says why, and none of them keeps the device from
// running or leaves an empty run behind.
func TestCamerasThatDoNotPlay(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	const secret = "hunter2-and-more"
	broker := startMosquitto(t, "")
	ear := broker.listen(t)
	locked := newRTSPCamera(t, "another one")
	dir := t.TempDir()
	d := startDaemon(t, dir, quiet+"mqtt: {url: \""+broker.url()+"\"}\ncameras:\n"+
		"  away: {url: \"rtsp://"+freePort(t)+"/stream\"}\n"+
		"  locked: {url: \"rtsp://viewer:"+secret+"@"+locked.addr+"/stream\", transport: tcp}\n"+
		"  gone: {url: \"/nonexistent/clip.mp4\", loop: true}\n")
	away := d.camera(t, "away", "is lost", func(c api.Camera) bool { return c.State == "lost" && c.NextRetryS > 0 })
	if !strings.Contains(away.Cause, "connection refused") || away.Run != "" {
		t.Errorf("a camera that is away: %+v", away)
	}
	refused := d.camera(t, "locked", "is refused", func(c api.Camera) bool { return c.State == "refused" && c.NextRetryS > 0 })
	if !strings.Contains(refused.Cause, "password") || refused.NextRetryS < 30 {
		t.Errorf("a camera with another password: %+v", refused)
	}
	gone := d.camera(t, "gone", "is lost", func(c api.Camera) bool { return c.State == "lost" })
	if !strings.Contains(gone.Cause, "no such file") {
		t.Errorf("a file that is not there: %+v", gone)
	}
	until(t, d.log, "MQTT tells of the refusal", func() bool {
		for _, m := range ear.on("/cameras/locked/state") {
			if strings.Contains(m.payload, `"refused"`) {
				return true
			}
		}
		return false
	})
	said := []string{ear.heard.String()}
	for _, path := range []string{"/api/v1/status", "/api/v1/cameras", "/api/v1/runs", "/api/v1/events", "/metrics"} {
		_, body := d.ask(t, "GET", path)
		said = append(said, body)
	}
	if status, body := d.ask(t, "GET", "/api/v1/cameras/away/snapshot.jpg"); status < 400 || !strings.Contains(body, "error") {
		t.Errorf("a snapshot of a camera that is away: %d %s", status, body)
	}
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	absent(t, secret, dir, append(said, d.log.String())...)
	if list := endedRuns(t, dir); len(list) != 0 {
		t.Errorf("%d runs of cameras that showed nothing", len(list))
	}
}

func TestACameraIsUnpluggedAndComesBack(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	const secret = "geheim/4711"
	broker := startMosquitto(t, "")
	ear := broker.listen(t)
	cam := newRTSPCamera(t, secret)
	dir := t.TempDir()
	d := startDaemon(t, dir, quiet+"mqtt: {url: \""+broker.url()+"\"}\ncameras:\n"+
		"  door: {url: \"rtsp://"+cam.addr+"/stream\", username: viewer, password: "+secret+", transport: tcp, stall_after: 2s}\n")
	first := d.camera(t, "door", "is live", live)
	if first.Stream.Codec != "H.264" || first.Stream.Width != 320 {
		t.Errorf("stream: %+v", first.Stream)
	}
	cam.unplug()
	lost := d.camera(t, "door", "is lost", func(c api.Camera) bool { return c.State == "lost" })
	if lost.Cause == "" {
		t.Errorf("nothing says why: %+v", lost)
	}
	until(t, d.log, "the record is published", func() bool { return len(ear.on(first.Run+"/complete")) > 0 })
	cam.plug(t)
	second := d.camera(t, "door", "is live again", live)
	if second.Run == first.Run {
		t.Error("no new run began")
	}
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	list := endedRuns(t, dir)
	if len(list) != 2 || list[0].Run != first.Run || list[1].Run != second.Run {
		t.Fatalf("%d runs", len(list))
	}
	if c := list[0].Complete; c.Termination != pipeline.SourceLost || len(c.Errors) == 0 || c.Source.Kind != pipeline.SourceRTSP {
		t.Errorf("the run that was cut off: %+v", c)
	}
	if c := list[1].Complete; c.Termination != pipeline.Stopped || len(c.Errors) != 0 {
		t.Errorf("the run that was stopped: %+v", c)
	}
	for _, r := range list {
		if got := ear.on(r.Run + "/complete"); len(got) != 1 {
			t.Errorf("%d messages of the end of run %s", len(got), r.Run)
		}
	}
	absent(t, secret, dir, d.log.String(), ear.heard.String())
}

// What a run counts outlives a cable that is pulled for a moment.
func TestAShortLossIsNotTheEndOfARun(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	const secret = "geheim/4712"
	cam := newRTSPCamera(t, secret)
	dir := t.TempDir()
	d := startDaemon(t, dir, quiet+"cameras:\n  door: {url: \"rtsp://"+cam.addr+"/stream\", username: viewer, password: "+secret+", transport: tcp, stall_after: 5m}\n")
	before := d.camera(t, "door", "is live", live)
	cam.unplug()
	away := d.camera(t, "door", "is away", func(c api.Camera) bool { return c.State == "stalled" })
	if away.Cause == "" || away.Run != before.Run {
		t.Errorf("while it is away: %+v", away)
	}
	cam.plug(t)
	after := d.camera(t, "door", "is live again", func(c api.Camera) bool { return live(c) && c.Frames.Processed > away.Frames.Processed })
	if after.Run != before.Run {
		t.Error("another run began")
	}
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	list := endedRuns(t, dir)
	if len(list) != 1 || list[0].Complete.Termination != pipeline.Stopped {
		t.Errorf("%d runs", len(list))
	}
	absent(t, secret, dir, d.log.String())
}
