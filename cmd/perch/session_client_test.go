package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	pion "github.com/pion/webrtc/v4"
)

// brief is what the configuration of a daemon with many sessions begins with.
// At debug level there are some lines for each packet.
const brief = "http: {listen: \"127.0.0.1:0\"}\n"

// plainWorkflow has two pictures of different sizes and two values, and needs
// no model.
const plainWorkflow = `{"version": "1.0",
	"inputs": [{"type": "InferenceImage", "name": "image"}, {"type": "WorkflowParameter", "name": "tag", "default_value": "none"}],
	"steps": [
		{"type": "roboflow_core/absolute_static_crop@v1", "name": "crop", "images": "$inputs.image", "x_center": 80, "y_center": 60, "width": 160, "height": 120},
		{"type": "roboflow_core/property_definition@v1", "name": "size", "data": "$inputs.image", "operations": [{"type": "ExtractImageProperty", "property_name": "height"}]}],
	"outputs": [
		{"type": "JsonField", "name": "whole", "selector": "$inputs.image"},
		{"type": "JsonField", "name": "part", "selector": "$steps.crop.crops"},
		{"type": "JsonField", "name": "height", "selector": "$steps.size.output"},
		{"type": "JsonField", "name": "tag", "selector": "$inputs.tag"}]}`

// A result is one message of a session.
type result struct {
	id   uint32                     // in the header
	Data map[string]json.RawMessage `json:"serialized_output_data"`
	Meta struct {
		Frame  uint32   `json:"frame_id"`
		PTS    *int64   `json:"pts"`
		Base   *float64 `json:"time_base"`
		FPS    *float64 `json:"declared_fps"`
		Width  int      `json:"width"`
		Height int      `json:"height"`
	} `json:"video_metadata"`
	Errors   []string `json:"errors"`
	Complete bool     `json:"processing_complete"`
	Reason   *string  `json:"termination_reason"`
}

func (r result) keys() []string { return slices.Sorted(maps.Keys(r.Data)) }

// newPeer is one side of a connection within this machine, made of pion.
func newPeer() (*pion.PeerConnection, error) {
	var engine pion.MediaEngine
	for i, c := range []pion.RTPCodecCapability{
		{MimeType: pion.MimeTypeVP8, ClockRate: 90000, RTCPFeedback: []pion.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}}},
		{MimeType: pion.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"},
	} {
		if err := engine.RegisterCodec(pion.RTPCodecParameters{RTPCodecCapability: c, PayloadType: pion.PayloadType(97 + i)}, pion.RTPCodecTypeVideo); err != nil {
			return nil, err
		}
	}
	var chain interceptor.Registry
	if err := pion.ConfigureNack(&engine, &chain); err != nil {
		return nil, err
	}
	var set pion.SettingEngine
	set.SetIncludeLoopbackCandidate(true)
	set.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	return pion.NewAPI(pion.WithMediaEngine(&engine), pion.WithSettingEngine(set), pion.WithInterceptorRegistry(&chain)).NewPeerConnection(pion.Configuration{})
}

// offerOf returns a peer's offer with its addresses.
func offerOf(pc *pion.PeerConnection) (string, error) {
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	gathered := pion.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return "", err
	}
	<-gathered
	return pc.LocalDescription().SDP, nil
}

// A guest is a client of a session, made of pion.
type guest struct {
	t       *testing.T
	d       *daemon
	pc      *pion.PeerConnection
	control *pion.DataChannel
	upload  *pion.DataChannel
	open    chan struct{} // closed when control is open
	ready   chan struct{} // closed when upload is open
	shut    chan struct{} // closed when control is closed
	hear    chan struct{} // read before each message when the guest is deaf
	gone    chan struct{} // closed when the guest leaves
	left    sync.Once

	results chan result
	mu      sync.Mutex
	stamps  map[uint32]bool // guarded by mu: RTP time stamps of pictures that came
}

// guest prepares a client. video is the direction of its video section, "" for
// none. A deaf one takes no message until its hear is closed.
func (d *daemon) guest(t *testing.T, video string, deaf bool) *guest {
	t.Helper()
	pc, err := newPeer()
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{
		t: t, d: d, pc: pc, open: make(chan struct{}), ready: make(chan struct{}), shut: make(chan struct{}), hear: make(chan struct{}), gone: make(chan struct{}),
		results: make(chan result), stamps: map[uint32]bool{},
	}
	if !deaf {
		close(g.hear)
	}
	t.Cleanup(g.leave)
	if video != "" {
		if _, err := pc.AddTransceiverFromKind(pion.RTPCodecTypeVideo, pion.RTPTransceiverInit{Direction: pion.NewRTPTransceiverDirection(video)}); err != nil {
			t.Fatal(err)
		}
		pc.OnTrack(g.watch)
	}
	g.control, g.upload = g.channel("inference", g.open), g.channel("video_upload", g.ready)
	g.control.OnMessage(g.listen())
	g.control.OnClose(sync.OnceFunc(func() { close(g.shut) }))
	return g
}

func (g *guest) channel(label string, open chan struct{}) *pion.DataChannel {
	g.t.Helper()
	c, err := g.pc.CreateDataChannel(label, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	c.OnOpen(func() { close(open) })
	return c
}

func (g *guest) watch(tr *pion.TrackRemote, _ *pion.RTPReceiver) {
	for {
		p, _, err := tr.ReadRTP()
		if err != nil {
			return
		}
		g.mu.Lock()
		g.stamps[p.Timestamp] = true
		g.mu.Unlock()
	}
}

// pictures returns the time stamps of what was shown, without their origin.
func (g *guest) pictures() []int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := slices.Sorted(maps.Keys(g.stamps))
	first := uint32(0)
	for i, s := range all { // what comes after a gap of half the circle is first
		if i == 0 || s-all[i-1] > 1<<31 {
			first = s
		}
	}
	var out []int64
	for _, s := range all {
		out = append(out, int64(s-first))
	}
	slices.Sort(out)
	return out
}

// listen puts messages together.
func (g *guest) listen() func(pion.DataChannelMessage) {
	var body []byte
	return func(m pion.DataChannelMessage) {
		select {
		case <-g.hear:
		case <-g.gone:
			return
		}
		if m.IsString || len(m.Data) < 12 {
			g.t.Errorf("a message of %d bytes, text: %v", len(m.Data), m.IsString)
			return
		}
		index, total := binary.LittleEndian.Uint32(m.Data[4:]), binary.LittleEndian.Uint32(m.Data[8:])
		if index == 0 {
			body = body[:0]
		}
		body = append(body, m.Data[12:]...)
		if index+1 < total {
			return
		}
		r := result{id: binary.LittleEndian.Uint32(m.Data)}
		if err := json.Unmarshal(body, &r); err != nil {
			g.t.Errorf("message %d: %v", r.id, err)
		}
		select {
		case g.results <- r:
		case <-g.gone:
		}
	}
}

// request is the body of a start with an offer.
func request(sdp string, more map[string]any) map[string]any {
	body := map[string]any{
		"webrtc_offer":           map[string]string{"type": "offer", "sdp": sdp},
		"workflow_configuration": map[string]any{"type": "WorkflowConfiguration", "workflow_specification": json.RawMessage(plainWorkflow)},
		"stream_output":          []string{}, "data_output": []string{"height"},
	}
	maps.Copy(body, more)
	return body
}

// start posts the start of a session and returns the answer's status and body.
func (d *daemon) start(body any) (status int, answer string, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.Post(d.url+"/initialise_webrtc_worker", "application/json", bytes.NewReader(b))
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// join starts the session and connects.
func (g *guest) join(more map[string]any) {
	g.t.Helper()
	sdp, err := offerOf(g.pc)
	if err != nil {
		g.t.Fatal(err)
	}
	status, text, err := g.d.start(request(sdp, more))
	var answer struct{ SDP, Type string }
	if err = errors.Join(err, json.Unmarshal([]byte(text), &answer)); err != nil || status != http.StatusOK {
		g.t.Fatalf("start: %d %v\n%s", status, err, text)
	}
	if err := g.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: answer.SDP}); err != nil {
		g.t.Fatal(err)
	}
	g.await("the channel opens", g.open)
}

func (g *guest) await(what string, c <-chan struct{}) {
	g.t.Helper()
	select {
	case <-c:
	case <-time.After(60 * time.Second):
		g.t.Fatalf("waited in vain: %s\n%s", what, g.d.log)
	}
}

func (g *guest) say(text string) {
	g.t.Helper()
	if err := g.control.SendText(text); err != nil {
		g.t.Fatal(err)
	}
}

// chunk is one message of an upload.
func chunk(index, total uint32, data []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, index)
	return append(binary.LittleEndian.AppendUint32(b, total), data...)
}

// send uploads a file as clients do.
func (g *guest) send(path string) {
	g.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		g.t.Fatal(err)
	}
	g.await("the upload channel opens", g.ready)
	const size = 49152
	total := (len(data) + size - 1) / size
	for i := range total {
		if err := g.upload.Send(chunk(uint32(i), uint32(total), data[i*size:min((i+1)*size, len(data))])); err != nil {
			g.t.Fatal(err)
		}
	}
}

// next returns the next message.
func (g *guest) next() result {
	g.t.Helper()
	select {
	case r := <-g.results:
		return r
	case <-time.After(60 * time.Second):
		g.t.Fatalf("no message came\n%s", g.d.log)
		return result{}
	}
}

// all returns the messages up to the last, calling each for every one of them.
func (g *guest) all(each func(result)) (frames []result, last result) {
	g.t.Helper()
	for {
		r := g.next()
		if r.Complete {
			return frames, r
		}
		frames = append(frames, r)
		each(r)
	}
}

// leave closes the connection.
func (g *guest) leave() {
	g.left.Do(func() { close(g.gone) })
	_ = g.pc.GracefulClose() // what it says of a connection that is gone is no news
}

// smallClip is the beginning of the sample clip, small.
func smallClip(t *testing.T, path string, frames int) string {
	t.Helper()
	need(t, "PERCH_TEST_CLIP")
	return media(t, path, fmt.Sprintf("filesrc location=%s ! avidemux ! avdec_msmpeg4 ! identity eos-after=%d ! videoscale ! videoconvert ! "+
		"video/x-raw,width=192,height=144 ! x264enc speed-preset=ultrafast key-int-max=25 ! h264parse ! mp4mux", os.Getenv("PERCH_TEST_CLIP"), frames+1))
}

// metric returns a figure of /metrics.
func (d *daemon) metric(t *testing.T, name string) (v float64) {
	t.Helper()
	_, text := d.ask(t, "GET", "/metrics")
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			if _, err := fmt.Sscan(rest, &v); err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("/metrics has no %s", name)
	return 0
}
