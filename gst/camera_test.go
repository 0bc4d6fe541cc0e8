package gst

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"perch/pipeline"
)

// A camera serves an endless H.264 stream of numbered pictures, with an audio
// track in front of it, to whoever knows the password.
type camera struct {
	server   *gortsplib.Server
	stream   *gortsplib.ServerStream
	video    *description.Media
	format   *format.H264
	units    []pipeline.AccessUnit
	password string        // "" lets everybody in
	only     string        // "udp" refuses TCP
	hang     chan struct{} // DESCRIBE waits for it, when not nil
	begin    int           // unit that is sent first
	length   string        // range that it says it has, as in "0-4.5"
	setups   atomic.Int32
	ready    chan struct{} // closed when the rest is set; handlers wait for it
	play     chan struct{} // somebody watches
	wg       sync.WaitGroup
	stop     context.CancelFunc
	ctx      context.Context
	once     sync.Once
}

// cameraGroup is how many pictures lie between key frames.
const cameraGroup = 10

func cameraUnits(t testing.TB) []pipeline.AccessUnit {
	t.Helper()
	var u units
	e, err := openMedia(t).OpenEncoder(pipeline.EncoderSpec{Codec: pipeline.CodecH264, Width: testWidth, Height: testHeight, FPS: cameraGroup / 2, Bitrate: 2_000_000}, u.put)
	if err != nil {
		t.Fatal(err)
	}
	encodeAll(t, e, 1, 40, testWidth, testHeight)
	until(t, "units of the camera", func() bool { return len(u.all()) == 40 })
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for i, au := range u.all() {
		if au.Key != (i%cameraGroup == 0) {
			t.Fatalf("unit %d: key frame %v", i, au.Key)
		}
	}
	return u.all()
}

// nalus splits Annex B.
func nalus(data []byte) (out [][]byte) {
	for _, n := range bytes.Split(data, []byte{0, 0, 1}) {
		if n = bytes.TrimRight(n, "\x00"); len(n) > 0 {
			out = append(out, n)
		}
	}
	return out
}

func (c *camera) start(t testing.TB) string {
	t.Helper()
	c.units = cameraUnits(t)
	c.format = &format.H264{PayloadTyp: 96, PacketizationMode: 1}
	for _, n := range nalus(c.units[0].Data) {
		switch n[0] & 0x1f {
		case 7:
			c.format.SPS = n
		case 8:
			c.format.PPS = n
		}
	}
	c.video = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{c.format}}
	audio := &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{&format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1}}}
	c.ready, c.play = make(chan struct{}), make(chan struct{}, 1)
	c.ctx, c.stop = context.WithCancel(context.Background())
	var listener net.Listener
	c.server = &gortsplib.Server{
		Handler: c, RTSPAddress: "127.0.0.1:0",
		Listen: func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			listener = l
			return l, err
		},
	}
	if c.only != "tcp" {
		rtp, rtcp := udpPair(t)
		c.server.UDPRTPAddress, c.server.UDPRTCPAddress = rtp, rtcp
	}
	if err := c.server.Start(); err != nil {
		t.Fatal(err)
	}
	c.stream = &gortsplib.ServerStream{Server: c.server, Desc: &description.Session{Medias: []*description.Media{audio, c.video}}}
	if err := c.stream.Initialize(); err != nil {
		t.Fatal(err)
	}
	c.wg.Go(c.send)
	close(c.ready)
	t.Cleanup(c.kill)
	return "rtsp://" + listener.Addr().String() + "/stream"
}

// udpPair returns two neighbouring free ports, the first even (RFC 3550, section 11).
func udpPair(t testing.TB) (rtp, rtcp string) {
	t.Helper()
	for range 100 {
		a, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := a.LocalAddr().(*net.UDPAddr).Port
		b, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port+1))
		_ = a.Close()
		if err != nil {
			continue
		}
		_ = b.Close()
		if port%2 == 0 {
			return fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)
		}
	}
	t.Fatal("no pair of ports")
	return "", ""
}

// kill takes the camera off the net.
func (c *camera) kill() {
	c.once.Do(func() {
		c.stop()
		if c.hang != nil {
			close(c.hang)
		}
		c.server.Close()
		c.wg.Wait()
	})
}

func (c *camera) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	<-c.ready
	if c.hang != nil {
		<-c.hang
	}
	if c.password != "" && !ctx.Conn.VerifyCredentials(ctx.Request, "viewer", c.password) {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	if ctx.Path != "/stream" {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	if c.length == "" {
		return &base.Response{StatusCode: base.StatusOK}, c.stream, nil
	}
	video := *c.video
	video.Control = "trackID=1"
	sdp, err := (&description.Session{Medias: []*description.Media{&video}}).Marshal()
	if err != nil {
		return &base.Response{StatusCode: base.StatusInternalServerError}, nil, err
	}
	sdp = bytes.Replace(sdp, []byte("m=video"), []byte("a=range:npt="+c.length+"\r\nm=video"), 1)
	return &base.Response{StatusCode: base.StatusOK, Body: sdp}, nil, nil
}

func (c *camera) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	c.setups.Add(1)
	if c.only == "udp" && ctx.Transport.Protocol != gortsplib.ProtocolUDP {
		return &base.Response{StatusCode: base.StatusUnsupportedTransport}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, c.stream, nil
}

func (c *camera) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	select {
	case c.play <- struct{}{}:
	default:
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// send sends units at twice the speed of their time stamps, from the first
// viewer on.
func (c *camera) send() {
	select {
	case <-c.play:
	case <-c.ctx.Done():
		return
	}
	enc, err := c.format.CreateEncoder()
	if err != nil {
		panic(err)
	}
	for i := c.begin; c.ctx.Err() == nil; i++ {
		packets, err := enc.Encode(nalus(c.units[i%len(c.units)].Data))
		if err != nil {
			panic(err)
		}
		for _, p := range packets {
			p.Timestamp = uint32(i * 90000 / 25)
			if c.stream.WritePacketRTP(c.video, p) != nil {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// watch plays a camera until it has shown n pictures.
func watch(t testing.TB, spec SourceSpec, n int) (*collector, error) {
	t.Helper()
	src, err := openMedia(t).NewSource(spec)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	c := &collector{}
	c.each = func(context.Context, pipeline.Frame) {
		if len(c.frames) == n {
			cancel(errEnough)
		}
	}
	err = src.Run(ctx, c)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return c, err
}

func TestRTSP(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		transport Transport
		only      string
	}{{"tcp", TransportTCP, ""}, {"udp", TransportUDP, ""}, {"auto", TransportAuto, ""}, {"auto to udp", TransportAuto, "udp"}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cam := &camera{begin: 4, only: tt.only, password: "geheim/4711"}
			url := strings.Replace(cam.start(t), "rtsp://", "rtsp://viewer:geheim%2F4711@", 1)
			c, err := watch(t, SourceSpec{Kind: pipeline.SourceRTSP, URL: url, Transport: tt.transport}, 25)
			if err != nil {
				t.Fatal(err)
			}
			// Joined in the middle of a group: the first picture is a key
			// frame, and from there on each is what the camera sent.
			if c.numbers[0]%cameraGroup != 1 {
				t.Errorf("first picture has number %d, want a key frame", c.numbers[0])
			}
			for i := 1; i < len(c.numbers); i++ {
				if c.numbers[i] != c.numbers[i-1]%len(cam.units)+1 {
					t.Errorf("after %d came %d", c.numbers[i-1], c.numbers[i])
				}
				if c.frames[i].PTS <= c.frames[i-1].PTS {
					t.Errorf("time goes from %v to %v", c.frames[i-1].PTS, c.frames[i].PTS)
				}
			}
			if i := c.info(t); i.Codec != "H.264" || i.Width != testWidth || !i.Live || i.Decoder != "avdec_h264" || i.Duration != 0 {
				t.Errorf("%+v", i)
			}
			if c.frames[0].PTS != 0 {
				t.Errorf("first frame at %v", c.frames[0].PTS)
			}
			want := int32(1) // the audio track is not set up
			if tt.only != "" {
				want = 2 // refused once
			}
			if n := cam.setups.Load(); n != want {
				t.Errorf("%d streams were set up, want %d", n, want)
			}
		})
	}
}

// A server that plays a recording says how long it is; a camera may say that it
// has no end.
func TestRTSPLength(t *testing.T) {
	t.Parallel()
	for length, want := range map[string]time.Duration{"0-4.5": 4500 * time.Millisecond, "0-": 0, "now-": 0} {
		t.Run(length, func(t *testing.T) {
			t.Parallel()
			cam := &camera{length: length}
			c, err := watch(t, SourceSpec{Kind: pipeline.SourceRTSP, URL: cam.start(t), Transport: TransportTCP}, 1)
			if err != nil {
				t.Fatal(err)
			}
			if i := c.info(t); i.Duration != want || !i.Live {
				t.Errorf("%+v, want a length of %v", i, want)
			}
		})
	}
}

func TestRTSPFails(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-do-not-tell"
	refuse := func(t *testing.T, cam *camera, change func(string) string, spec SourceSpec, kind pipeline.Kind, words ...string) {
		t.Helper()
		var log bytes.Buffer
		url := cam.start(t)
		m, err := Open(Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		if err != nil {
			t.Fatal(err)
		}
		spec.Kind, spec.URL = pipeline.SourceRTSP, change(url)
		src, err := m.NewSource(spec)
		if err != nil {
			t.Fatal(err)
		}
		err = src.Run(t.Context(), &collector{})
		wantError(t, err, kind, words...)
		t.Log(err)
		for _, text := range []string{err.Error(), src.ID().Name, log.String()} {
			if strings.Contains(text, secret) || strings.Contains(text, "viewer") {
				t.Errorf("credentials in %q", text)
			}
		}
	}
	login := func(url string) string { return strings.Replace(url, "//", "//viewer:"+secret+"@", 1) }
	same := func(url string) string { return url }
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		refuse(t, &camera{password: "right"}, login, SourceSpec{}, pipeline.Refused, "password")
	})
	t.Run("no password", func(t *testing.T) {
		t.Parallel()
		refuse(t, &camera{password: "right"}, same, SourceSpec{}, pipeline.Refused, "password")
	})
	t.Run("no such path", func(t *testing.T) {
		t.Parallel()
		refuse(t, &camera{}, func(u string) string { return login(u) + "-wrong" }, SourceSpec{}, pipeline.NotFound)
	})
	t.Run("describe hangs", func(t *testing.T) {
		t.Parallel()
		refuse(t, &camera{hang: make(chan struct{})}, login, SourceSpec{OpenTimeout: 500 * time.Millisecond}, pipeline.Timeout, "no picture within 500ms")
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		refuse(t, &camera{}, func(u string) string { return login("rtsp://127.0.0.1:1/stream") }, SourceSpec{}, pipeline.Gone)
	})
}

func TestRTSPGoesAway(t *testing.T) {
	t.Parallel()
	for _, transport := range []Transport{TransportTCP, TransportUDP} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			cam := &camera{}
			url := cam.start(t)
			m := openMedia(t)
			src, err := m.NewSource(SourceSpec{Kind: pipeline.SourceRTSP, URL: url, Transport: transport, StallTimeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			c := &collector{}
			var wg sync.WaitGroup
			wg.Go(func() {
				until(t, "pictures", func() bool { return c.count() > 5 })
				cam.kill()
			})
			err = src.Run(t.Context(), c)
			wg.Wait()
			wantError(t, err, pipeline.Gone)
			t.Log(err)
		})
	}
}

// mjpeg serves n pictures the way network cameras do, and then hangs up.
func mjpeg(t testing.TB, n int, gap time.Duration) http.Handler {
	m := openMedia(t)
	var pictures [][]byte
	for i := range n {
		b, err := m.EncodeJPEG(numbered(i+1, testWidth, testHeight))
		if err != nil {
			t.Fatal(err)
		}
		pictures = append(pictures, b)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch user, pw, _ := r.BasicAuth(); {
		case r.URL.Path == "/page":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>"+strings.Repeat("hello ", 1000))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		case r.URL.Path != "/video":
			http.NotFound(w, r)
			return
		case user != "viewer" || pw != "p@ss:word":
			w.Header().Set("WWW-Authenticate", `Basic realm="camera"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=frontier")
		for _, b := range pictures {
			if _, err := fmt.Fprintf(w, "--frontier\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(b), b); err != nil {
				return // the viewer has gone
			}
			w.(http.Flusher).Flush()
			time.Sleep(gap)
		}
	})
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(mjpeg(t, 30, 10*time.Millisecond))
	t.Cleanup(server.Close)
	spec := SourceSpec{Kind: pipeline.SourceHTTP, URL: server.URL + "/video", Username: "viewer", Password: "p@ss:word"}
	c, err := watch(t, spec, 20)
	if err != nil {
		t.Fatal(err)
	}
	c.wantAll(t, 1, len(c.numbers))
	if i := c.info(t); i.Codec != "JPEG" || i.Decoder != "jpegdec" || !i.Live || i.Width != testWidth {
		t.Errorf("%+v", i)
	}
	if !c.picture.FullRange || c.picture.Matrix != pipeline.BT601 {
		t.Errorf("full range %v, matrix %v", c.picture.FullRange, c.picture.Matrix)
	}

	_, err = watch(t, spec, 1000)
	wantError(t, err, pipeline.Gone)
	wrong := spec
	wrong.Password = "wrong-one"
	_, err = watch(t, wrong, 1)
	wantError(t, err, pipeline.Refused, "password")
	if strings.Contains(err.Error(), "wrong-one") {
		t.Errorf("credentials in %v", err)
	}
	wrong = spec
	wrong.URL = server.URL + "/nothing"
	_, err = watch(t, wrong, 1)
	wantError(t, err, pipeline.NotFound)
	wrong.URL = server.URL + "/page"
	_, err = watch(t, wrong, 1)
	wantError(t, err, pipeline.BadInput, "text/html")
	wrong.URL = "http://127.0.0.1:1/video"
	_, err = watch(t, wrong, 1)
	wantError(t, err, pipeline.Gone)
	t.Log(err)
}
