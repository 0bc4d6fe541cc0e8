package webrtc

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"perch/pipeline"
)

// maxMedia bounds the media sections of an offer; a viewer needs one or two.
const maxMedia = 8

// offer is an SDP offer that has been looked through.
type offer struct {
	text   string
	codecs []pipeline.Codec // that the viewer can receive, best first
}

// readOffer checks what can be checked before a connection is set up for it, so
// that the viewer learns in words what is wrong.
func readOffer(text []byte) (*offer, error) {
	bad := func(format string, args ...any) error {
		return &pipeline.Error{Op: "read SDP offer", Kind: pipeline.BadInput, Err: fmt.Errorf(format, args...),
			Hint: "send the offer of a browser's RTCPeerConnection with a video transceiver of direction recvonly"}
	}
	if len(text) > MaxOffer {
		return nil, bad("it is longer than %d bytes", MaxOffer)
	}
	var d sdp.SessionDescription
	if err := d.Unmarshal(text); err != nil {
		return nil, bad("not an SDP: %w", err)
	}
	if len(d.MediaDescriptions) > maxMedia {
		return nil, bad("it has %d media sections, more than %d", len(d.MediaDescriptions), maxMedia)
	}
	var video *sdp.MediaDescription
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Media != "video" {
			continue
		}
		if video != nil {
			return nil, bad("it has more than one video section")
		}
		video = m
	}
	if video == nil {
		return nil, bad("it has no video section")
	}
	for _, key := range []string{"ice-ufrag", "ice-pwd", "fingerprint"} {
		if !has(&d, video, key) {
			return nil, bad("it has no a=%s", key)
		}
	}
	for _, key := range []string{"sendonly", "inactive"} {
		if _, ok := video.Attribute(key); ok {
			return nil, bad("its video section is %s, so that nothing can be sent to it", key)
		}
	}
	codecs := offered(video)
	if len(codecs) == 0 {
		return nil, noCodec(errors.New("it offers neither H.264 (constrained baseline, packetization-mode 1) nor VP8"))
	}
	return &offer{string(text), codecs}, nil
}

func noCodec(err error) error {
	return &pipeline.Error{Op: "choose codec for viewer", Kind: pipeline.Unsupported, Err: err,
		Hint: "use a browser or player that can receive H.264 or VP8 over WebRTC"}
}

// has reports whether a section has an attribute, of its own or of the session.
func has(d *sdp.SessionDescription, m *sdp.MediaDescription, key string) bool {
	if _, ok := m.Attribute(key); ok {
		return true
	}
	_, ok := d.Attribute(key)
	return ok
}

// offered lists our codecs that a video section can receive, H.264 first.
func offered(m *sdp.MediaDescription) []pipeline.Codec {
	codecs := inOrder(m)
	slices.Sort(codecs) // "H264" < "VP8"
	return codecs
}

// inOrder lists our codecs in a video section in the order of the offer, each
// once.
func inOrder(m *sdp.MediaDescription) (codecs []pipeline.Codec) {
	names, params := map[string]string{}, map[string]string{} // by payload type
	for _, a := range m.Attributes {
		pt, rest, ok := strings.Cut(a.Value, " ")
		if !ok {
			continue
		}
		switch a.Key {
		case "rtpmap":
			names[pt] = strings.ToUpper(rest)
		case "fmtp":
			params[pt] = rest
		}
	}
	for _, pt := range m.MediaName.Formats {
		var codec pipeline.Codec
		switch name, _, _ := strings.Cut(names[pt], "/"); {
		case name == "H264" && constrainedBaseline(params[pt]):
			codec = pipeline.CodecH264
		case name == "VP8":
			codec = pipeline.CodecVP8
		default:
			continue
		}
		if !slices.Contains(codecs, codec) {
			codecs = append(codecs, codec)
		}
	}
	return codecs
}

// constrainedBaseline reports whether H.264 parameters (RFC 6184, 8.1) stand
// for constrained baseline with fragmentation units.
func constrainedBaseline(fmtp string) bool {
	var profile, mode string
	for p := range strings.SplitSeq(fmtp, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		switch strings.ToLower(k) {
		case "profile-level-id":
			profile = v
		case "packetization-mode":
			mode = v
		}
	}
	n, err := strconv.ParseUint(profile, 16, 32)
	if err != nil || len(profile) != 6 || mode != "1" {
		return false
	}
	// RFC 6184, table 5: baseline, main or extended with constraint_set1 (and
	// set0 for main) is constrained baseline.
	idc, iop := n>>16, n>>8&0xff
	switch idc {
	case 0x42:
		return iop&0x4f == 0x40
	case 0x4d:
		return iop&0x8f == 0x80
	case 0x58:
		return iop&0xcf == 0xc0
	}
	return false
}

// watch takes a share of feed in the best codec that both sides have.
func watch(feed Feed, o *offer) (pipeline.Watch, pipeline.Codec, error) {
	var lacking error
	for _, codec := range o.codecs {
		w, err := feed.Watch(codec)
		if err == nil {
			return w, codec, nil
		}
		if pipeline.KindOf(err) != pipeline.Unsupported {
			return nil, "", err
		}
		lacking = errors.Join(lacking, err)
	}
	return nil, "", noCodec(lacking)
}
