package webrtc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"perch/pipeline"
)

// Limits on the ICE servers of a request; each costs packets and time.
const (
	maxServers   = 8
	maxServerURL = 512 // bytes
)

// plan is how an offer will be answered.
type plan struct {
	sdp      string
	codec    pipeline.Codec // of the video section; VP8 where there is none
	section  bool           // the offer has a video section
	receives bool           // its side sends video
	sends    bool           // video is wanted back
}

func badOffer(hint, format string, args ...any) error {
	return &pipeline.Error{Op: "read session offer", Kind: pipeline.BadInput, Err: fmt.Errorf(format, args...), Hint: hint}
}

const offerHint = "send the offer of a browser's RTCPeerConnection, with its type"

// readSessionOffer checks what can be checked before a connection is set up,
// and decides which codec and directions the answer will have.
func readSessionOffer(req SessionRequest, o SessionOptions) (*plan, error) {
	if req.Type != "offer" {
		return nil, badOffer(offerHint, "its type is %.20q, not \"offer\"", req.Type)
	}
	if len(req.SDP) > o.MaxOffer {
		return nil, badOffer(offerHint, "it is longer than %d bytes", o.MaxOffer)
	}
	var d sdp.SessionDescription
	if err := d.UnmarshalString(req.SDP); err != nil {
		return nil, badOffer(offerHint, "not an SDP: %w", err)
	}
	video, err := sections(&d)
	if err != nil {
		return nil, err
	}
	p := &plan{sdp: req.SDP, codec: pipeline.CodecVP8, sends: wantsVideo(req.StreamOutput)}
	if video == nil {
		if p.sends {
			return nil, badOffer("offer a video section, or ask for no video with an empty stream_output", "video is asked for and it has no video section")
		}
		return p, nil
	}
	p.section = true
	dir := direction(&d, video)
	p.receives = dir == "sendrecv" || dir == "sendonly"
	if p.sends && dir != "sendrecv" && dir != "recvonly" {
		return nil, badOffer("offer direction sendrecv or recvonly, or ask for no video with an empty stream_output",
			"video is asked for and its video section is %s", dir)
	}
	if p.codec, err = firstCodec(video, o.Codecs); err != nil {
		return nil, err
	}
	return p, nil
}

// wantsVideo reports whether a stream output asks for pictures.
func wantsVideo(names []string) bool {
	return names == nil || slices.ContainsFunc(names, func(n string) bool { return n != "" })
}

// sections looks through the media sections and returns the one of video, nil
// if there is none.
func sections(d *sdp.SessionDescription) (video *sdp.MediaDescription, err error) {
	if n := len(d.MediaDescriptions); n == 0 || n > maxMedia {
		return nil, badOffer(offerHint, "it has %d media sections, not 1 to %d", n, maxMedia)
	}
	data := false
	for _, m := range d.MediaDescriptions {
		switch m.MediaName.Media {
		case "video":
			if video != nil {
				return nil, badOffer(offerHint, "it has more than one video section")
			}
			video = m
		case "application":
			if data {
				return nil, badOffer(offerHint, "it has more than one data section")
			}
			data = true
			if err := checkMessageSize(m); err != nil {
				return nil, err
			}
		case "audio": // declined
		default:
			return nil, badOffer(offerHint, "it has a section of kind %.20q", m.MediaName.Media)
		}
		if _, ok := m.Attribute("mid"); !ok {
			return nil, badOffer(offerHint, "a media section has no a=mid")
		}
		if m.MediaName.Media == "audio" {
			continue
		}
		for _, key := range []string{"ice-ufrag", "ice-pwd", "fingerprint"} {
			if !has(d, m, key) {
				return nil, badOffer(offerHint, "it has no a=%s", key)
			}
		}
	}
	if video == nil && !data {
		return nil, badOffer(offerHint, "it has neither a video nor a data section")
	}
	return video, nil
}

// checkMessageSize refuses a client that cannot take a whole chunk.
func checkMessageSize(m *sdp.MediaDescription) error {
	text, ok := m.Attribute("max-message-size")
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return badOffer(offerHint, "its max-message-size is %.20q", text)
	}
	if n != 0 && n < headerSize+chunkSize { // 0: any (RFC 8841, 6.1)
		return badOffer("", "its data channel takes messages of %d bytes and chunks have %d", n, headerSize+chunkSize)
	}
	return nil
}

// direction of a section, of its own or of the session; sendrecv is the default
// (RFC 8866, 6.7).
func direction(d *sdp.SessionDescription, m *sdp.MediaDescription) string {
	all := []string{"sendrecv", "sendonly", "recvonly", "inactive"}
	for _, dir := range all {
		if _, ok := m.Attribute(dir); ok {
			return dir
		}
	}
	for _, dir := range all {
		if _, ok := d.Attribute(dir); ok {
			return dir
		}
	}
	return "sendrecv"
}

// firstCodec returns the first codec of a section that is also ours.
func firstCodec(m *sdp.MediaDescription, ours []pipeline.Codec) (pipeline.Codec, error) {
	for _, codec := range inOrder(m) {
		if slices.Contains(ours, codec) {
			return codec, nil
		}
	}
	return "", &pipeline.Error{Op: "choose codec for session", Kind: pipeline.Unsupported,
		Err:  fmt.Errorf("its video section offers none of %v that this device has (H264 means constrained baseline, packetization-mode 1)", ours),
		Hint: "use a browser or client that has VP8 or H.264"}
}

// checkServers refuses what asks for too much, or for something else than an ICE
// server, before any name is looked up.
func checkServers(asked []ICEServer) error {
	n := 0
	for _, a := range asked {
		for _, url := range a.URLs {
			if n++; n > maxServers || len(url) > maxServerURL {
				return fmt.Errorf("more than %d URLs, or one longer than %d bytes", maxServers, maxServerURL)
			}
			scheme, _, _ := strings.Cut(url, ":")
			if !slices.Contains([]string{"stun", "stuns", "turn", "turns"}, scheme) {
				return errors.New("a URL is neither stun nor turn")
			}
		}
	}
	return nil
}

// found is what [SessionOptions.AllowServer] said of one URL.
type found struct {
	use []string
	err error
}

// askServers asks about each URL. All are looked up at once, no more than
// maxServers: a name whose lookup hangs must not take the time of the others.
func askServers(ctx context.Context, asked []ICEServer, o SessionOptions) [][]found {
	// Whoever gathers our addresses would not wait any longer for a server.
	ctx, cancel := context.WithTimeout(ctx, o.GatherTimeout)
	defer cancel()
	var wg sync.WaitGroup
	all := make([][]found, len(asked))
	for i, a := range asked {
		all[i] = make([]found, len(a.URLs))
		for k, url := range a.URLs {
			f := &all[i][k]
			if f.use = []string{url}; o.AllowServer != nil {
				wg.Go(func() { f.use, f.err = o.AllowServer(ctx, url) })
			}
		}
	}
	wg.Wait()
	return all
}

// iceServers are those of the client and of the configuration, in their order;
// missed are the reasons why some of the client's are not among them. No error
// names a credential.
func iceServers(ctx context.Context, asked []ICEServer, o SessionOptions) (out []webrtc.ICEServer, missed, err error) {
	bad := func(kind pipeline.Kind, err error) error {
		return &pipeline.Error{Op: "read ICE servers", Kind: kind, Err: err, Hint: "send an empty list of iceServers; on a local network none is needed"}
	}
	if err := checkServers(asked); err != nil {
		return nil, nil, bad(pipeline.BadInput, err)
	}
	for i, all := range askServers(ctx, asked, o) {
		var urls []string
		for _, f := range all {
			switch kind := pipeline.KindOf(f.err); {
			case f.err == nil:
				urls = append(urls, f.use...)
			case kind == pipeline.Gone:
				missed = errors.Join(missed, f.err)
			default:
				return nil, nil, bad(kind, f.err)
			}
		}
		if len(urls) > 0 {
			out = append(out, webrtc.ICEServer{URLs: urls, Username: asked[i].Username, Credential: asked[i].Credential})
		}
	}
	if len(o.STUN) > 0 {
		out = append(out, webrtc.ICEServer{URLs: o.STUN})
	}
	return out, missed, nil
}

// complete checks that an answer has addresses, and moves them from a section
// that was declined to the first that was not: a client drops them with it.
func complete(answer string, limit time.Duration) (string, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(answer); err != nil {
		return "", fmt.Errorf("read our own answer: %w", err)
	}
	var addresses []sdp.Attribute
	first := d.MediaDescriptions[0]
	for _, a := range first.Attributes {
		if a.Key == "candidate" || a.Key == "end-of-candidates" {
			addresses = append(addresses, a)
		}
	}
	if !strings.Contains(answer, "a=candidate:") {
		return "", &pipeline.Error{Op: "answer session offer", Kind: pipeline.Timeout, Err: fmt.Errorf("this device's addresses were not found within %v", limit),
			Hint: "look at the device's network interfaces"}
	}
	if first.MediaName.Port.Value != 0 {
		return answer, nil
	}
	for _, m := range d.MediaDescriptions[1:] {
		if m.MediaName.Port.Value != 0 {
			m.Attributes = append(m.Attributes, addresses...)
			first.Attributes = slices.DeleteFunc(first.Attributes, func(a sdp.Attribute) bool { return slices.Contains(addresses, a) })
			break
		}
	}
	out, err := d.Marshal()
	return string(out), err
}
