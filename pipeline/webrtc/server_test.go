package webrtc_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	pion "github.com/pion/webrtc/v4"

	"perch/pipeline"
	"perch/pipeline/webrtc"
)

func open(t testing.TB, o webrtc.Options) *webrtc.Server {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	s, err := webrtc.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// viewer is a WHEP player made of pion.
type viewer struct {
	pc     *pion.PeerConnection
	track  chan *pion.TrackRemote
	closed chan struct{}
}

// newViewer can receive the given codecs.
func newViewer(t testing.TB, mimes ...string) *viewer {
	t.Helper()
	var media pion.MediaEngine
	for i, mime := range mimes {
		c := pion.RTPCodecCapability{MimeType: mime, ClockRate: 90000}
		if mime == pion.MimeTypeH264 {
			c.SDPFmtpLine = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
		}
		if err := media.RegisterCodec(pion.RTPCodecParameters{RTPCodecCapability: c, PayloadType: pion.PayloadType(97 + i)}, pion.RTPCodecTypeVideo); err != nil {
			t.Fatal(err)
		}
	}
	var set pion.SettingEngine
	set.SetIncludeLoopbackCandidate(true)
	set.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	pc, err := pion.NewAPI(pion.WithMediaEngine(&media), pion.WithSettingEngine(set), pion.WithInterceptorRegistry(&interceptor.Registry{})).NewPeerConnection(pion.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	v := &viewer{pc: pc, track: make(chan *pion.TrackRemote, 1), closed: make(chan struct{})}
	pc.OnTrack(func(tr *pion.TrackRemote, _ *pion.RTPReceiver) { v.track <- tr })
	over := sync.OnceFunc(func() { close(v.closed) })
	pc.OnConnectionStateChange(func(s pion.PeerConnectionState) {
		if s == pion.PeerConnectionStateClosed || s == pion.PeerConnectionStateFailed {
			over()
		}
	})
	if _, err := pc.AddTransceiverFromKind(pion.RTPCodecTypeVideo, pion.RTPTransceiverInit{Direction: pion.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.close)
	return v
}

func (v *viewer) close() { _ = v.pc.GracefulClose() }

func (v *viewer) offer(t testing.TB) []byte {
	t.Helper()
	o, err := v.pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := pion.GatheringCompletePromise(v.pc)
	if err := v.pc.SetLocalDescription(o); err != nil {
		t.Fatal(err)
	}
	<-gathered
	return []byte(v.pc.LocalDescription().SDP)
}

// watch connects to feed and returns the session and the track.
func (v *viewer) watch(t testing.TB, s *webrtc.Server, feed webrtc.Feed) (string, *pion.TrackRemote) {
	t.Helper()
	a, err := s.Offer(t.Context(), feed, v.offer(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: a.SDP}); err != nil {
		t.Fatalf("%v\n%s", err, a.SDP)
	}
	select {
	case tr := <-v.track:
		return a.ID, tr
	case <-time.After(20 * time.Second):
		t.Fatalf("no track arrived; server: %+v", s.Stats())
		return "", nil
	}
}

// receive puts the packets of n pictures together.
func receive(t testing.TB, tr *pion.TrackRemote, d rtp.Depacketizer, n int) (pictures [][]byte, times []uint32) {
	t.Helper()
	_ = tr.SetReadDeadline(time.Now().Add(20 * time.Second))
	var picture []byte
	for len(pictures) < n {
		p, _, err := tr.ReadRTP()
		if err != nil {
			t.Fatalf("after %d pictures: %v", len(pictures), err)
		}
		part, err := d.Unmarshal(p.Payload)
		if err != nil {
			t.Fatal(err)
		}
		picture = append(picture, part...)
		if p.Marker {
			pictures, times = append(pictures, picture), append(times, p.Timestamp)
			picture = nil
		}
	}
	return pictures, times
}

func TestViewerReceivesWhatWasEncoded(t *testing.T) {
	for _, c := range []struct {
		codec pipeline.Codec
		mimes []string
		depay rtp.Depacketizer
	}{
		{pipeline.CodecVP8, []string{pion.MimeTypeVP8}, &codecs.VP8Packet{}},
		{pipeline.CodecH264, []string{pion.MimeTypeVP8, pion.MimeTypeH264}, &codecs.H264Packet{}},
	} {
		t.Run(string(c.codec), func(t *testing.T) {
			s, feed := open(t, webrtc.Options{}), newLoop(t, pipeline.CodecH264, pipeline.CodecVP8)
			id, tr := newViewer(t, c.mimes...).watch(t, s, feed)
			if want := "video/" + string(c.codec); tr.Codec().MimeType != want {
				t.Fatalf("track is %s, want %s", tr.Codec().MimeType, want)
			}
			got, times := receive(t, tr, c.depay, 20)
			for i, u := range feed.units[c.codec][:20] {
				if want := payload(c.codec, u.Data); !bytes.Equal(got[i], want) {
					t.Fatalf("picture %d has %d bytes, want %d as encoded", i, len(got[i]), len(want))
				}
				if i > 0 && times[i]-times[i-1] != 6000 { // of 90 kHz
					t.Errorf("picture %d comes %d ticks after the one before, want 6000", i, times[i]-times[i-1])
				}
			}
			if err := s.End(id); err != nil {
				t.Fatal(err)
			}
			if n := feed.watching.Load(); n != 0 {
				t.Errorf("%d watches are still open", n)
			}
			if st := s.Stats(); st.Viewers != 0 || st.Connected != 0 || st.Accepted != 1 || st.Units < 20 || st.Packets < st.Units || st.Bytes == 0 {
				t.Errorf("stats are %+v", st)
			}
			if err := s.End(id); pipeline.KindOf(err) != pipeline.NotFound {
				t.Errorf("ending twice: %v", err)
			}
		})
	}
}

// payload is what arrives of an encoded picture: RTP does not carry access unit
// delimiters (RFC 6184, 5.3 leaves them out by custom) and start codes come out
// four bytes long.
func payload(codec pipeline.Codec, data []byte) []byte {
	if codec == pipeline.CodecVP8 {
		return data
	}
	var out []byte
	for nal := range bytes.SplitSeq(data, []byte{0, 0, 1}) {
		nal = bytes.TrimRight(nal, "\x00")
		if len(nal) == 0 || nal[0]&0x1f == 9 {
			continue
		}
		out = append(append(out, 0, 0, 0, 1), nal...)
	}
	return out
}

func TestKeyFrameIsAskedForOnPictureLoss(t *testing.T) {
	s, feed := open(t, webrtc.Options{}), newLoop(t, pipeline.CodecVP8)
	v := newViewer(t, pion.MimeTypeVP8)
	_, tr := v.watch(t, s, feed)
	before := feed.asked.Load()
	for _, p := range []rtcp.Packet{
		&rtcp.PictureLossIndication{MediaSSRC: uint32(tr.SSRC())},
		&rtcp.FullIntraRequest{MediaSSRC: uint32(tr.SSRC()), FIR: []rtcp.FIREntry{{SSRC: uint32(tr.SSRC())}}},
	} {
		if err := v.pc.WriteRTCP([]rtcp.Packet{p}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "two requests reach the feed", func() bool { return feed.asked.Load() >= before+2 })
	if n := s.Stats().KeyRequests; n != 2 {
		t.Errorf("%d requests counted", n)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestVP8WhenTheFeedHasNoH264(t *testing.T) {
	s := open(t, webrtc.Options{})
	_, tr := newViewer(t, pion.MimeTypeH264, pion.MimeTypeVP8).watch(t, s, newLoop(t, pipeline.CodecVP8))
	if tr.Codec().MimeType != pion.MimeTypeVP8 {
		t.Errorf("track is %s", tr.Codec().MimeType)
	}
	_, err := s.Offer(t.Context(), newLoop(t, pipeline.CodecVP8), newViewer(t, pion.MimeTypeH264).offer(t))
	if pipeline.KindOf(err) != pipeline.Unsupported || !strings.Contains(err.Error(), "H264") {
		t.Errorf("H.264 only against VP8 only: %v", err)
	}
}

func TestAnswerIsCompleteAndSendonly(t *testing.T) {
	s, err := webrtc.Open(webrtc.Options{Listen: "127.0.0.1:0", Addresses: []string{"203.0.113.7"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, err := s.Offer(t.Context(), newLoop(t, pipeline.CodecVP8), newViewer(t, pion.MimeTypeVP8).offer(t))
	if err != nil {
		t.Fatal(err)
	}
	port := s.Addr().(*net.UDPAddr).Port
	for _, want := range []string{fmt.Sprintf(" 203.0.113.7 %d typ host", port), "a=sendonly", "a=end-of-candidates"} {
		if !strings.Contains(a.SDP, want) {
			t.Errorf("the answer lacks %q:\n%s", want, a.SDP)
		}
	}
	if strings.Contains(a.SDP, " 127.0.0.1 ") {
		t.Errorf("the answer announces the address that was replaced:\n%s", a.SDP)
	}
}

func TestAudioIsDeclined(t *testing.T) {
	s, v := open(t, webrtc.Options{}), newViewer(t, pion.MimeTypeVP8)
	offer := string(v.offer(t))
	// As browsers do that ask for audio as well.
	audio := "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
	for line := range strings.SplitSeq(offer, "\r\n") {
		if strings.HasPrefix(line, "a=ice-") || strings.HasPrefix(line, "a=setup") {
			audio += line + "\r\n"
		}
	}
	a, err := s.Offer(t.Context(), newLoop(t, pipeline.CodecVP8), []byte(offer+audio))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(a.SDP, "m=audio 0 ") {
		t.Errorf("audio was not declined:\n%s", a.SDP)
	}
}

func TestBadOffers(t *testing.T) {
	s := open(t, webrtc.Options{})
	feed := newLoop(t, pipeline.CodecVP8)
	good := string(newViewer(t, pion.MimeTypeVP8).offer(t))
	drop := func(prefix string) string {
		var out []string
		for line := range strings.SplitSeq(good, "\r\n") {
			if !strings.HasPrefix(line, prefix) {
				out = append(out, line)
			}
		}
		return strings.Join(out, "\r\n")
	}
	video := good[strings.Index(good, "m=video"):]
	for _, c := range []struct {
		name, sdp, says string
		kind            pipeline.Kind
	}{
		{"empty", "", "no video section", pipeline.BadInput},
		{"text", "hello", "not an SDP", pipeline.BadInput},
		{"json", `{"type":"offer"}`, "not an SDP", pipeline.BadInput},
		{"huge", good + strings.Repeat("a=x\r\n", webrtc.MaxOffer/5), "longer than", pipeline.BadInput},
		{"no media", good[:strings.Index(good, "m=video")], "no video section", pipeline.BadInput},
		{"audio only", strings.Replace(good, "m=video", "m=audio", 1), "no video section", pipeline.BadInput},
		{"two videos", good + video, "more than one video", pipeline.BadInput},
		{"many media", good + strings.Repeat("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", 8), "media sections", pipeline.BadInput},
		{"no ufrag", drop("a=ice-ufrag"), "ice-ufrag", pipeline.BadInput},
		{"no password", drop("a=ice-pwd"), "ice-pwd", pipeline.BadInput},
		{"no fingerprint", drop("a=fingerprint"), "fingerprint", pipeline.BadInput},
		{"damaged fingerprint", strings.Replace(good, "a=fingerprint:sha-256 ", "a=fingerprint:", 1), "fingerprint", pipeline.BadInput},
		{"wants to send", strings.Replace(good, "a=recvonly", "a=sendonly", 1), "sendonly", pipeline.BadInput},
		{"AV1 only", strings.Replace(good, "VP8/90000", "AV1/90000", 1), "neither H.264", pipeline.Unsupported},
		{"H.264 high only", strings.Replace(good, "VP8/90000", "H264/90000\r\na=fmtp:97 packetization-mode=1;profile-level-id=640c1f", 1), "neither H.264", pipeline.Unsupported},
		{"H.264 mode 0 only", strings.Replace(good, "VP8/90000", "H264/90000\r\na=fmtp:97 packetization-mode=0;profile-level-id=42e01f", 1), "neither H.264", pipeline.Unsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Offer(t.Context(), feed, []byte(c.sdp))
			if pipeline.KindOf(err) != c.kind || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("got %v (%v), want %v that says %q", err, pipeline.KindOf(err), c.kind, c.says)
			}
		})
	}
	if st := s.Stats(); st.Rejected != 16 || st.Viewers != 0 || feed.watching.Load() != 0 {
		t.Errorf("after bad offers: %+v, %d watches", st, feed.watching.Load())
	}
}

func TestFullHouse(t *testing.T) {
	s, feed := open(t, webrtc.Options{MaxViewers: 1}), newLoop(t, pipeline.CodecVP8)
	id, _ := newViewer(t, pion.MimeTypeVP8).watch(t, s, feed)
	second := newViewer(t, pion.MimeTypeVP8).offer(t)
	if _, err := s.Offer(t.Context(), feed, second); pipeline.KindOf(err) != pipeline.Busy {
		t.Fatalf("second viewer of one: %v", err)
	}
	if err := s.End(id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Offer(t.Context(), feed, second); err != nil {
		t.Errorf("after the first has left: %v", err)
	}
	if st := s.Stats(); st.Full != 1 || st.Accepted != 2 {
		t.Errorf("stats are %+v", st)
	}
}

func TestViewersThatVanishAreCleanedUp(t *testing.T) {
	o := webrtc.Options{Connect: 300 * time.Millisecond, Silence: time.Second}
	t.Run("never connects", func(t *testing.T) {
		s, feed := open(t, o), newLoop(t, pipeline.CodecVP8)
		if _, err := s.Offer(t.Context(), feed, newViewer(t, pion.MimeTypeVP8).offer(t)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the session ends", func() bool { return s.Stats().Viewers == 0 })
		if s.Stats().Vanished != 1 || feed.watching.Load() != 0 {
			t.Errorf("%+v, %d watches", s.Stats(), feed.watching.Load())
		}
	})
	t.Run("falls silent", func(t *testing.T) {
		s, feed := open(t, webrtc.Options{Silence: time.Second}), newLoop(t, pipeline.CodecVP8)
		v := newViewer(t, pion.MimeTypeVP8)
		v.watch(t, s, feed)
		// Without the transports' goodbyes, as when the cable is pulled.
		if err := v.pc.SCTP().Transport().ICETransport().Stop(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the session ends", func() bool { return s.Stats().Viewers == 0 })
		if s.Stats().Vanished != 1 || feed.watching.Load() != 0 {
			t.Errorf("%+v, %d watches", s.Stats(), feed.watching.Load())
		}
	})
	t.Run("hangs up", func(t *testing.T) {
		s, feed := open(t, webrtc.Options{}), newLoop(t, pipeline.CodecVP8)
		v := newViewer(t, pion.MimeTypeVP8)
		v.watch(t, s, feed)
		v.close()
		eventually(t, "the session ends", func() bool { return s.Stats().Viewers == 0 })
	})
}

func TestCloseEndsViewersAndRefusesNewOnes(t *testing.T) {
	s, err := webrtc.Open(webrtc.Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	feed, v := newLoop(t, pipeline.CodecVP8), newViewer(t, pion.MimeTypeVP8)
	v.watch(t, s, feed)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-v.closed:
	case <-time.After(20 * time.Second):
		t.Error("the viewer was not told")
	}
	if n := feed.watching.Load(); n != 0 {
		t.Errorf("%d watches are still open", n)
	}
	if _, err := s.Offer(t.Context(), feed, newViewer(t, pion.MimeTypeVP8).offer(t)); pipeline.KindOf(err) != pipeline.Gone {
		t.Errorf("offer to a closed server: %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	s := open(t, webrtc.Options{})
	_, err := webrtc.Open(webrtc.Options{Listen: s.Addr().String()})
	if pipeline.KindOf(err) != pipeline.BadConfig || !strings.Contains(err.Error(), "another program") {
		t.Errorf("got %v", err)
	}
	if _, err := webrtc.Open(webrtc.Options{Addresses: []string{"example.org:80"}}); pipeline.KindOf(err) != pipeline.BadConfig {
		t.Errorf("address that is none: %v", err)
	}
}

func TestFeedErrorReachesTheViewer(t *testing.T) {
	lost := &pipeline.Error{Op: "watch camera", On: "door", Kind: pipeline.Gone, Err: errors.New("unplugged")}
	_, err := open(t, webrtc.Options{}).Offer(t.Context(), broken{lost}, newViewer(t, pion.MimeTypeVP8).offer(t))
	if !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
}

type broken struct{ err error }

func (b broken) Watch(pipeline.Codec) (pipeline.Watch, error) { return nil, b.err }

func TestTwoHundredViewersLeaveNothingBehind(t *testing.T) {
	s, feed := open(t, webrtc.Options{}), newLoop(t, pipeline.CodecVP8)
	one := func(i int) {
		v := newViewer(t, pion.MimeTypeVP8)
		id, tr := v.watch(t, s, feed)
		receive(t, tr, &codecs.VP8Packet{}, 1)
		if i%2 == 0 {
			v.close()
			eventually(t, "the session ends", func() bool { return s.Stats().Viewers == 0 })
			return
		}
		if err := s.End(id); err != nil {
			t.Fatal(err)
		}
		v.close()
	}
	one(0)
	one(1)
	goroutines, files := settled(t, 0), openFiles(t)
	for i := range 200 {
		one(i)
	}
	if n := settled(t, goroutines); n > goroutines {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before\n%s", n, goroutines, buf[:runtime.Stack(buf, true)])
	}
	if n := openFiles(t); n > files {
		t.Errorf("%d open files, %d before", n, files)
	}
	if st := s.Stats(); st.Accepted != 202 || st.Viewers != 0 || st.Connected != 0 {
		t.Errorf("stats are %+v", st)
	}
}

// settled counts goroutines when those that are ending have ended.
func settled(t *testing.T, want int) int {
	t.Helper()
	n := runtime.NumGoroutine()
	for range 200 {
		time.Sleep(10 * time.Millisecond)
		m := runtime.NumGoroutine()
		if m == n && (want == 0 || m <= want) {
			return m
		}
		n = m
	}
	return n
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("cannot count open files here: %v", err)
	}
	return len(list)
}
