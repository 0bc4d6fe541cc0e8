package webrtc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pion "github.com/pion/webrtc/v4"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
	"perch/pipeline/webrtc"
)

// section returns the answer's section that begins with m=kind.
func section(t *testing.T, sdp, kind string) string {
	t.Helper()
	_, rest, ok := strings.Cut(sdp, "m="+kind)
	if !ok {
		t.Fatalf("no %s section in\n%s", kind, sdp)
	}
	own, _, _ := strings.Cut(rest, "\nm=")
	return own
}

func TestAnswersToEachKindOfOffer(t *testing.T) {
	for _, c := range []struct {
		name, offers string
		stream       []string
		answer       string
	}{
		{"camera, video back", "sendrecv", nil, "sendrecv"},
		{"camera, data only", "sendrecv", []string{}, "recvonly"},
		{"camera that only sends", "sendonly", []string{""}, "recvonly"},
		{"file or RTSP, video back", "recvonly", []string{"annotated"}, "sendonly"},
		{"file or RTSP, data only", "recvonly", []string{}, "inactive"},
		{"channels only", "", []string{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := sessions(t, webrtc.SessionOptions{})
			cl := newClient(t, kit{video: c.offers})
			v := cl.join(s, webrtc.SessionRequest{StreamOutput: c.stream, Source: &pipelinetest.Source{N: 2}})
			start(t, v, &engine{Out: facts}, pipeline.Lossless, 0)
			if !strings.Contains(cl.answer, "a=candidate:") || !strings.Contains(cl.answer, "a=end-of-candidates") {
				t.Errorf("the answer's addresses are not complete:\n%s", cl.answer)
			}
			if strings.Contains(cl.answer, "trickle") {
				t.Error("the answer speaks of trickling")
			}
			if c.offers != "" {
				video := section(t, cl.answer, "video")
				if !strings.Contains(video, "a="+c.answer+"\r\n") {
					t.Errorf("the answer is not %s:\n%s", c.answer, video)
				}
				if sends := strings.HasPrefix(c.answer, "send"); sends != regexp.MustCompile(`a=msid:\S+ \S+`).MatchString(video) {
					t.Errorf("sends: %v, but msid is\n%s", sends, video)
				}
			}
			if frames, _ := cl.all(); len(frames) != 2 {
				t.Errorf("%d results came over the connection", len(frames))
			}
		})
	}
}

func TestOldFormOfSCTPAndAudioFirst(t *testing.T) {
	t.Run("DTLS/SCTP 5000", func(t *testing.T) {
		s, _ := sessions(t, webrtc.SessionOptions{})
		cl := newClient(t, kit{})
		offer := strings.Replace(cl.offer(), "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=application 9 DTLS/SCTP 5000", 1)
		offer = strings.Replace(offer, "a=sctp-port:5000", "a=sctpmap:5000 webrtc-datachannel 65535", 1)
		cl.answerTo(s, offer)
	})
	t.Run("audio before all else", func(t *testing.T) {
		s, _ := sessions(t, webrtc.SessionOptions{})
		cl := newClient(t, kit{codecs: []string{pion.MimeTypeVP8}})
		if _, err := cl.pc.CreateDataChannel("extra", nil); err != nil {
			t.Fatal(err)
		}
		offer := cl.offer()
		at := strings.Index(offer, "m=application")
		audio := "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:9\r\na=sendonly\r\na=rtpmap:111 opus/48000/2\r\n"
		v, answer, err := s.OpenSession(t.Context(), webrtc.SessionRequest{Type: "offer", SDP: offer[:at] + audio + offer[at:], StreamOutput: []string{}})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		if !strings.Contains(answer, "m=audio 0") || !strings.Contains(section(t, answer, "application"), "a=candidate") || strings.Contains(section(t, answer, "audio"), "a=candidate") {
			t.Errorf("the answer is\n%s", answer)
		}
	})
}

// answerTo connects with an offer that was changed.
func (c *client) answerTo(s *webrtc.Server, offer string) {
	c.t.Helper()
	v, answer, err := s.OpenSession(c.t.Context(), webrtc.SessionRequest{Type: "offer", SDP: offer, StreamOutput: []string{}, Source: &pipelinetest.Source{N: 1}})
	if err != nil {
		c.t.Fatal(err)
	}
	start(c.t, v, &engine{Out: facts}, pipeline.Lossless, 0)
	if err := c.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: answer}); err != nil {
		c.t.Fatalf("%v\n%s", err, answer)
	}
	if frames, _ := c.all(); len(frames) != 1 {
		c.t.Errorf("%d results", len(frames))
	}
}

func TestFirstCommonCodecOfTheOfferCounts(t *testing.T) {
	for _, c := range []struct {
		offers []string
		ours   []pipeline.Codec
		want   string
	}{
		{[]string{pion.MimeTypeVP8, pion.MimeTypeH264}, nil, "VP8/90000"},
		{[]string{pion.MimeTypeH264, pion.MimeTypeVP8}, nil, "H264/90000"},
		{[]string{pion.MimeTypeVP8, pion.MimeTypeH264}, []pipeline.Codec{pipeline.CodecH264}, "H264/90000"},
		{[]string{pion.MimeTypeVP8}, []pipeline.Codec{pipeline.CodecH264}, ""},
	} {
		s, _ := sessions(t, webrtc.SessionOptions{Codecs: c.ours})
		cl := newClient(t, kit{video: "recvonly", codecs: c.offers})
		v, answer, err := s.OpenSession(t.Context(), webrtc.SessionRequest{Type: "offer", SDP: cl.offer()})
		if c.want == "" {
			if pipeline.KindOf(err) != pipeline.Unsupported || s.Stats().Sessions.Open != 0 {
				t.Errorf("no codec in common: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(answer, "a=rtpmap:"); n != 1 || !strings.Contains(answer, c.want) {
			t.Errorf("%v against %v: %s", c.offers, c.ours, section(t, answer, "video"))
		}
		v.Close()
	}
}

func TestBadSessionOffers(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{AllowServer: func(_ context.Context, url string) ([]string, error) {
		if strings.Contains(url, "169.254") {
			return nil, &pipeline.Error{Op: "open", On: url, Kind: pipeline.Refused, Err: errors.New("link-local addresses are not allowed")}
		}
		return []string{url}, nil
	}})
	good := newClient(t, kit{video: "recvonly"}).offer()
	data := newClient(t, kit{}).offer()
	app := good[strings.Index(good, "m=application"):]
	video := good[strings.Index(good, "m=video"):strings.Index(good, "m=application")]
	without := func(prefix string) string {
		return regexp.MustCompile(`(?m)^`+prefix+`.*\r\n`).ReplaceAllString(good, "")
	}
	sized := func(n string) string {
		return strings.Replace(good, "a=sctp-port", "a=max-message-size:"+n+"\r\na=sctp-port", 1)
	}
	for _, c := range []struct {
		name, says string
		kind       pipeline.Kind
		req        webrtc.SessionRequest
	}{
		{"answer", "its type", pipeline.BadInput, webrtc.SessionRequest{Type: "answer", SDP: good}},
		{"no type", "its type", pipeline.BadInput, webrtc.SessionRequest{SDP: good}},
		{"empty", "media sections", pipeline.BadInput, webrtc.SessionRequest{Type: "offer"}},
		{"no sections", "media sections", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: good[:strings.Index(good, "m=")]}},
		{"5 MB", "longer than", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: good + strings.Repeat("a=x\r\n", 1<<20)}},
		{"text", "not an SDP", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: "hello"}},
		{"video wanted, none offered", "no video section", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: data}},
		{"video wanted, sendonly", "is sendonly", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: strings.Replace(good, "a=recvonly", "a=sendonly", 1)}},
		{"video wanted, inactive", "is inactive", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: strings.Replace(good, "a=recvonly", "a=inactive", 1)}},
		{"two videos", "more than one video", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: good + video}},
		{"two data", "more than one data", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: good + app}},
		{"text section", "of kind", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: strings.Replace(good, "m=video", "m=text", 1)}},
		{"many sections", "media sections", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: good + strings.Repeat("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", 9)}},
		{"no ufrag", "ice-ufrag", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: without("a=ice-ufrag")}},
		{"no password", "ice-pwd", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: without("a=ice-pwd")}},
		{"no fingerprint", "fingerprint", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: without("a=fingerprint")}},
		{"no mid", "no a=mid", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: without("a=mid")}},
		{"small messages", "chunks have", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: sized("16384")}},
		{"odd message size", "max-message-size", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: sized("-1")}},
		{"AV1 only", "none of", pipeline.Unsupported, webrtc.SessionRequest{Type: "offer", SDP: strings.ReplaceAll(strings.ReplaceAll(good, "VP8/90000", "AV1/90000"), "H264/90000", "VP9/90000")}},
		{"HTTP as ICE server", "neither stun", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: good, ICEServers: []webrtc.ICEServer{{URLs: []string{"http://x"}}}}},
		{"many ICE servers", "more than", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: good, ICEServers: []webrtc.ICEServer{{URLs: strings.Split(strings.Repeat("stun:h ", 9), " ")}}}},
		{"TURN without credentials", "", pipeline.BadInput, webrtc.SessionRequest{Type: "offer", SDP: good, ICEServers: []webrtc.ICEServer{{URLs: []string{"turn:10.0.0.1"}}}}},
		{"forbidden ICE server", "link-local", pipeline.Refused, webrtc.SessionRequest{Type: "offer", SDP: good, ICEServers: []webrtc.ICEServer{{URLs: []string{"stun:169.254.169.254"}}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := s.OpenSession(t.Context(), c.req)
			if pipeline.KindOf(err) != c.kind || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("got %v (%v), want %v that says %q", err, pipeline.KindOf(err), c.kind, c.says)
			}
		})
	}
	if st := s.Stats().Sessions; st.Open != 0 || st.Accepted != 0 {
		t.Errorf("after bad offers: %+v", st)
	}
}

func TestICEServersThatDoNotAnswerDelayTheAnswerOnlySoLong(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{GatherTimeout: 1, STUN: []string{"stun:127.0.0.1:9"}})
	cl := newClient(t, kit{})
	offer := cl.offer()
	_, _, err := s.OpenSession(t.Context(), webrtc.SessionRequest{Type: "offer", SDP: offer, StreamOutput: []string{},
		ICEServers: []webrtc.ICEServer{{URLs: []string{"turn:127.0.0.1:9"}, Username: "u", Credential: "secret"}}})
	// In a nanosecond there may or may not be an address; both are answers.
	if err != nil && pipeline.KindOf(err) != pipeline.Timeout {
		t.Error(err)
	}
	if strings.Contains(fmt.Sprint(err), "secret") {
		t.Errorf("the error tells the credential: %v", err)
	}
}

// What is allowed in a server's stead is asked, and nothing else; one that
// cannot be found is left out.
func TestICEServersAreReplacedByWhatIsAllowed(t *testing.T) {
	reflector, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer reflector.Close()
	if err := reflector.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []string // guarded by mu
	var said bytes.Buffer
	s := open(t, webrtc.Options{Log: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn})), Sessions: webrtc.SessionOptions{AllowServer: func(_ context.Context, url string) ([]string, error) {
		mu.Lock()
		asked = append(asked, url)
		mu.Unlock()
		if strings.Contains(url, "nobody") {
			return nil, &pipeline.Error{Op: "open", On: url, Kind: pipeline.Gone, Err: errors.New("there is no such name")}
		}
		return []string{"stun:" + reflector.LocalAddr().String()}, nil
	}}})
	called := make(chan error, 1)
	go func() {
		_, _, err := reflector.ReadFrom(make([]byte, 1500))
		called <- err
	}()
	v, _, err := s.OpenSession(t.Context(), webrtc.SessionRequest{Type: "offer", SDP: newClient(t, kit{}).offer(), StreamOutput: []string{},
		ICEServers: []webrtc.ICEServer{{URLs: []string{"turn:nobody.invalid"}}, {URLs: []string{"stun:reflector.invalid", "stun:nobody.invalid"}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	err = <-called
	slices.Sort(asked) // they are asked about at the same time
	if err != nil || !slices.Equal(asked, []string{"stun:nobody.invalid", "stun:reflector.invalid", "turn:nobody.invalid"}) {
		t.Errorf("asked about %q, %v", asked, err)
	}
	v.Close() // nothing is logged any more
	for _, missed := range []string{"turn:nobody.invalid", "stun:nobody.invalid"} {
		if !strings.Contains(said.String(), missed) {
			t.Errorf("no warning that %s is left out: %s", missed, &said)
		}
	}
}

func TestPlacesForSessions(t *testing.T) {
	s, _ := sessions(t, webrtc.SessionOptions{MaxSessions: 2})
	offer := newClient(t, kit{}).offer()
	req := webrtc.SessionRequest{Type: "offer", SDP: offer, StreamOutput: []string{}}
	var open []*webrtc.Session
	for i := range 50 {
		v, _, err := s.OpenSession(t.Context(), req)
		if i < 2 {
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, v)
		} else if pipeline.KindOf(err) != pipeline.Busy {
			t.Fatalf("session %d of 2: %v", i+1, err)
		}
	}
	if st := s.Stats().Sessions; st.Open != 2 || st.Full != 48 {
		t.Errorf("%+v", st)
	}
	open[0].Close()
	open[0].Close()
	if v, _, err := s.OpenSession(t.Context(), req); err != nil {
		t.Errorf("after one has left: %v", err)
	} else {
		v.Close()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-open[1].Gone():
	default:
		t.Error("closing the server leaves a session")
	}
	if _, _, err := s.OpenSession(t.Context(), req); pipeline.KindOf(err) != pipeline.Gone {
		t.Errorf("on a closed server: %v", err)
	}
}

func TestOffersOfRealClients(t *testing.T) {
	for _, c := range []struct {
		file      string
		ours      []pipeline.Codec
		codec     string
		direction string
	}{
		{"chromium.sdp", nil, "VP8/90000", "sendonly"},
		{"chromium.sdp", []pipeline.Codec{pipeline.CodecH264}, "profile-level-id=42e01f", "sendonly"},
		{"aiortc.sdp", nil, "VP8/90000", "sendrecv"},
		{"aiortc.sdp", []pipeline.Codec{pipeline.CodecH264}, "profile-level-id=42e01f", "sendrecv"},
	} {
		offer, err := os.ReadFile("testdata/" + c.file)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := sessions(t, webrtc.SessionOptions{Codecs: c.ours})
		v, answer, err := s.OpenSession(t.Context(), webrtc.SessionRequest{Type: "offer", SDP: string(offer)})
		if err != nil {
			t.Fatal(err)
		}
		video := section(t, answer, "video")
		if !strings.Contains(video, c.codec) || !strings.Contains(video, "a="+c.direction+"\r\n") || !strings.Contains(section(t, answer, "application"), "a=mid:1") {
			t.Errorf("%s is answered with\n%s", c.file, answer)
		}
		v.Close()
	}
}

func TestServerClosesWhileSessionsAreOpened(t *testing.T) {
	offer := newClient(t, kit{video: "recvonly"}).offer()
	for range 20 {
		s, err := webrtc.Open(webrtc.Options{Listen: "127.0.0.1:0", Sessions: webrtc.SessionOptions{MaxSessions: 100}})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		begun := make(chan struct{}, 8)
		for range 8 {
			wg.Go(func() {
				begun <- struct{}{}
				v, _, err := s.OpenSession(t.Context(), webrtc.SessionRequest{Type: "offer", SDP: offer})
				if err == nil {
					v.Close()
				} else if pipeline.KindOf(err) != pipeline.Gone {
					t.Errorf("while the server closes: %v", err)
				}
			})
		}
		<-begun
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if n := s.Stats().Sessions.Open; n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	}
}
