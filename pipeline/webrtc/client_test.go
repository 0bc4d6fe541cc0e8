package webrtc_test

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"perch/pipeline"
	"perch/pipeline/webrtc"
)

// message is what the server says, as far as tests look at it by name.
type message struct {
	header struct{ id, total uint32 }
	raw    []byte

	Data map[string]json.RawMessage `json:"serialized_output_data"`
	Meta struct {
		Frame    uint32   `json:"frame_id"`
		Received string   `json:"received_at"`
		PTS      *int64   `json:"pts"`
		Base     *float64 `json:"time_base"`
		FPS      *float64 `json:"declared_fps"`
		Width    *int     `json:"width"`
		Height   *int     `json:"height"`
	} `json:"video_metadata"`
	Errors   []string `json:"errors"`
	Complete bool     `json:"processing_complete"`
	Reason   *string  `json:"termination_reason"`
}

// client is the other side of a session, made of pion.
type client struct {
	t        testing.TB
	pc       *pion.PeerConnection
	results  *pion.DataChannel
	upload   *pion.DataChannel
	messages chan message
	echoes   chan []byte
	packets  chan *rtp.Packet
	track    *pion.TrackLocalStaticRTP
	sender   *pion.RTPSender
	opened   chan struct{}
	uploads  chan struct{}
	closed   chan struct{}
	answer   string
	hearing  chan struct{} // closed when a deaf client is closed
}

// kit says what a client offers.
type kit struct {
	video  string // direction of its video section; "" for none
	codecs []string
	noChan bool
	upload bool
	deaf   bool // does not read its results

}

func newClient(t testing.TB, k kit) *client {
	t.Helper()
	var media pion.MediaEngine
	if k.codecs == nil {
		k.codecs = []string{pion.MimeTypeVP8, pion.MimeTypeH264}
	}
	for i, mime := range k.codecs {
		c := pion.RTPCodecCapability{MimeType: mime, ClockRate: 90000, RTCPFeedback: []pion.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}}}
		if mime == pion.MimeTypeH264 {
			c.SDPFmtpLine = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
		}
		if err := media.RegisterCodec(pion.RTPCodecParameters{RTPCodecCapability: c, PayloadType: pion.PayloadType(97 + i)}, pion.RTPCodecTypeVideo); err != nil {
			t.Fatal(err)
		}
	}
	var chain interceptor.Registry
	if err := pion.ConfigureNack(&media, &chain); err != nil {
		t.Fatal(err)
	}
	var set pion.SettingEngine
	set.SetIncludeLoopbackCandidate(true)
	set.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	pc, err := pion.NewAPI(pion.WithMediaEngine(&media), pion.WithSettingEngine(set), pion.WithInterceptorRegistry(&chain)).NewPeerConnection(pion.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{
		t: t, pc: pc, messages: make(chan message, 4096), echoes: make(chan []byte, 16), packets: make(chan *rtp.Packet, 1<<14),
		opened: make(chan struct{}), uploads: make(chan struct{}), closed: make(chan struct{}), hearing: make(chan struct{}),
	}
	pc.OnConnectionStateChange(func(s pion.PeerConnectionState) {
		if s == pion.PeerConnectionStateClosed || s == pion.PeerConnectionStateFailed {
			select {
			case <-c.closed:
			default:
				close(c.closed)
			}
		}
	})
	pc.OnTrack(func(tr *pion.TrackRemote, _ *pion.RTPReceiver) {
		for {
			p, _, err := tr.ReadRTP()
			if err != nil {
				return
			}
			c.packets <- p
		}
	})
	c.offerVideo(k)
	if !k.noChan {
		c.results = c.channel("inference")
		c.results.OnOpen(func() { close(c.opened) })
		c.results.OnMessage(c.hear(k.deaf))
	}
	if k.upload {
		c.upload = c.channel("video_upload")
		c.upload.OnOpen(func() { close(c.uploads) })
		c.upload.OnMessage(func(m pion.DataChannelMessage) { c.echoes <- m.Data })
	}
	t.Cleanup(c.close)
	return c
}

func (c *client) channel(label string) *pion.DataChannel {
	c.t.Helper()
	dc, err := c.pc.CreateDataChannel(label, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return dc
}

func (c *client) offerVideo(k kit) {
	c.t.Helper()
	var err error
	switch k.video {
	case "":
	case "recvonly":
		_, err = c.pc.AddTransceiverFromKind(pion.RTPCodecTypeVideo, pion.RTPTransceiverInit{Direction: pion.RTPTransceiverDirectionRecvonly})
	default:
		dir := pion.RTPTransceiverDirectionSendrecv
		if k.video == "sendonly" {
			dir = pion.RTPTransceiverDirectionSendonly
		}
		if c.track, err = pion.NewTrackLocalStaticRTP(pion.RTPCodecCapability{MimeType: k.codecs[0], ClockRate: 90000}, "cam", "me"); err != nil {
			break
		}
		var tr *pion.RTPTransceiver
		if tr, err = c.pc.AddTransceiverFromTrack(c.track, pion.RTPTransceiverInit{Direction: dir}); err == nil {
			c.sender = tr.Sender()
		}
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// hear puts chunks together.
func (c *client) hear(deaf bool) func(pion.DataChannelMessage) {
	parts := map[uint32][]byte{}
	return func(m pion.DataChannelMessage) {
		if deaf {
			<-c.hearing
		}
		if m.IsString || len(m.Data) < 12 {
			c.t.Errorf("a message of %d bytes, text: %v", len(m.Data), m.IsString)
			return
		}
		id, i, total := binary.LittleEndian.Uint32(m.Data), binary.LittleEndian.Uint32(m.Data[4:]), binary.LittleEndian.Uint32(m.Data[8:])
		if i+1 < total && len(m.Data) != 12+49152 {
			c.t.Errorf("chunk %d of %d has %d bytes", i, total, len(m.Data))
		}
		parts[id] = append(parts[id], m.Data[12:]...)
		if i+1 < total {
			return
		}
		msg := message{raw: parts[id]}
		delete(parts, id)
		msg.header.id, msg.header.total = id, total
		if err := json.Unmarshal(msg.raw, &msg); err != nil {
			c.t.Errorf("message %d: %v\n%.300s", id, err, msg.raw)
		}
		c.messages <- msg
	}
}

func (c *client) close() {
	select {
	case <-c.hearing:
	default:
		close(c.hearing)
	}
	_ = c.pc.GracefulClose()
}

func (c *client) offer() string {
	c.t.Helper()
	o, err := c.pc.CreateOffer(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	gathered := pion.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(o); err != nil {
		c.t.Fatal(err)
	}
	<-gathered
	return c.pc.LocalDescription().SDP
}

// join opens the session and connects to it.
func (c *client) join(s *webrtc.Server, req webrtc.SessionRequest) *webrtc.Session {
	c.t.Helper()
	req.Type, req.SDP = "offer", c.offer()
	v, answer, err := s.OpenSession(c.t.Context(), req)
	if err != nil {
		c.t.Fatal(err)
	}
	c.answer = answer
	if err := c.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: answer}); err != nil {
		c.t.Fatalf("%v\n%s", err, answer)
	}
	return v
}

func (c *client) next() message {
	c.t.Helper()
	select {
	case m := <-c.messages:
		return m
	case <-time.After(20 * time.Second):
		c.t.Fatal("no message came")
		return message{}
	}
}

// all returns the messages up to the last, which is also returned by itself.
func (c *client) all() (frames []message, last message) {
	c.t.Helper()
	for {
		m := c.next()
		if m.Complete {
			return frames, m
		}
		frames = append(frames, m)
	}
}

func (c *client) await(what string, ch <-chan struct{}) {
	c.t.Helper()
	select {
	case <-ch:
	case <-time.After(20 * time.Second):
		c.t.Fatalf("waited in vain: %s", what)
	}
}

// say sends a control message.
func (c *client) say(text string) {
	c.t.Helper()
	c.await("the result channel opens", c.opened)
	if err := c.results.SendText(text); err != nil {
		c.t.Fatal(err)
	}
}

// chunks cuts a file as clients do.
func chunks(file []byte, size int) [][]byte {
	total := (len(file) + size - 1) / size
	var out [][]byte
	for i := range total {
		b := binary.LittleEndian.AppendUint32(nil, uint32(i))
		b = binary.LittleEndian.AppendUint32(b, uint32(total))
		out = append(out, append(b, file[i*size:min((i+1)*size, len(file))]...))
	}
	return out
}

func (c *client) send(msgs ...[]byte) {
	c.t.Helper()
	c.await("the upload channel opens", c.uploads)
	for _, m := range msgs {
		if err := c.upload.Send(m); err != nil {
			c.t.Fatal(err)
		}
	}
}

// sessions opens a server with fakes behind it.
func sessions(t testing.TB, o webrtc.SessionOptions) (*webrtc.Server, *parts) {
	t.Helper()
	p := &parts{encoders: &encoders{}, files: &files{}, feeds: &feeds{}}
	if o.OpenEncoder == nil {
		o.OpenEncoder = p.encoders.open
	}
	if o.OpenFile == nil {
		o.OpenFile = p.files.open
	}
	if o.OpenFeed == nil {
		o.OpenFeed = p.feeds.open
	}
	if o.DrawLines == nil {
		o.DrawLines = func(pic pipeline.Picture, lines []string) {
			pic.Planes[0][0] = 200
			p.drawn = append(p.drawn, lines)
		}
	}
	o.KeepFree = cmp.Or(o.KeepFree, 1<<20)
	return open(t, webrtc.Options{Sessions: o, Silence: 5 * time.Second}), p
}

// parts are the fakes behind a server.
type parts struct {
	encoders *encoders
	files    *files
	feeds    *feeds
	drawn    [][]string // owned by the run until it has ended
}

func (m message) String() string { return string(m.raw) }
