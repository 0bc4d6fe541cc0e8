package webrtc

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"

	"perch/pipeline"
)

// clockRate is that of all video in RTP.
const clockRate = 90000

func capability(codec pipeline.Codec) webrtc.RTPCodecParameters {
	feedback := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}}
	if codec == pipeline.CodecH264 {
		return webrtc.RTPCodecParameters{PayloadType: 102, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeH264, ClockRate: clockRate, RTCPFeedback: feedback,
			SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
		}}
	}
	return webrtc.RTPCodecParameters{PayloadType: 96, RTPCodecCapability: webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeVP8, ClockRate: clockRate, RTCPFeedback: feedback,
	}}
}

// newAPI prepares connections that know one codec, so that the answer can name
// no other.
func newAPI(codec pipeline.Codec, m *mux, o Options) (*webrtc.API, error) {
	var media webrtc.MediaEngine
	if err := media.RegisterCodec(capability(codec), webrtc.RTPCodecTypeVideo); err != nil {
		return nil, err
	}
	var chain interceptor.Registry
	if err := webrtc.ConfigureNack(&media, &chain); err != nil {
		return nil, err
	}
	if err := webrtc.ConfigureRTCPReports(&chain); err != nil {
		return nil, err
	}
	set, err := settings(m, o)
	if err != nil {
		return nil, err
	}
	return webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithInterceptorRegistry(&chain), webrtc.WithSettingEngine(set)), nil
}

// newSessionAPI prepares the connections of sessions, which receive pictures as
// well as send them and have data channels.
func newSessionAPI(codec pipeline.Codec, m *mux, o Options) (*webrtc.API, error) {
	var media webrtc.MediaEngine
	if err := media.RegisterCodec(capability(codec), webrtc.RTPCodecTypeVideo); err != nil {
		return nil, err
	}
	var chain interceptor.Registry
	if err := webrtc.ConfigureNack(&media, &chain); err != nil {
		return nil, err
	}
	if err := webrtc.ConfigureRTCPReports(&chain); err != nil {
		return nil, err
	}
	// Without word of what arrived a browser's camera stays at a few hundred
	// kilobits for half a minute.
	if err := webrtc.ConfigureTWCCSender(&media, &chain); err != nil {
		return nil, err
	}
	set, err := settings(m, o)
	if err != nil {
		return nil, err
	}
	set.DetachDataChannels()
	// DTLS already says whether a packet is whole.
	set.EnableSCTPZeroChecksum(true)
	return webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithInterceptorRegistry(&chain), webrtc.WithSettingEngine(set)), nil
}

// settings are what all connections have in common.
func settings(m *mux, o Options) (webrtc.SettingEngine, error) {
	var set webrtc.SettingEngine
	set.LoggerFactory = &logger{log: o.Log}
	set.SetICEUDPMux(m)
	set.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	// Viewers hide their addresses behind mDNS names, but it is they who call
	// us; no need to resolve what their first packet tells.
	set.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	// A browser on the device itself, without a network, still has a picture.
	set.SetIncludeLoopbackCandidate(true)
	set.SetICETimeouts(o.Silence/2, o.Silence/2, min(2*time.Second, o.Silence/5))
	if len(o.Addresses) == 0 {
		return set, nil
	}
	return set, set.SetICEAddressRewriteRules(webrtc.ICEAddressRewriteRule{
		External: o.Addresses, AsCandidateType: webrtc.ICECandidateTypeHost, Mode: webrtc.ICEAddressRewriteReplace,
	})
}

// logger hands pion's log to ours. Pion's default writes to standard output,
// which belongs to the user. What pion calls an error is mostly a viewer that
// went away, so nothing comes out above debug; what matters is in the errors
// and counts that we return.
type logger struct {
	log   *slog.Logger
	scope string
}

func (l *logger) NewLogger(scope string) logging.LeveledLogger {
	return &logger{log: l.log, scope: scope}
}

func (l *logger) put(level, msg string) {
	l.log.Debug("webrtc: "+msg, "scope", l.scope, "level", level)
}

func (l *logger) on() bool { return l.log.Enabled(context.Background(), slog.LevelDebug) }

func (l *logger) putf(level, format string, args []any) {
	if l.on() && !strings.Contains(format, "Pwd") { // no password, not even one of a single session
		l.put(level, fmt.Sprintf(format, args...))
	}
}

// Trace and Tracef are not written at all: there is a line for each packet.
func (l *logger) Trace(string)          {}
func (l *logger) Tracef(string, ...any) {}

func (l *logger) Debug(msg string)          { l.put("debug", msg) }
func (l *logger) Debugf(f string, a ...any) { l.putf("debug", f, a) }
func (l *logger) Info(msg string)           { l.put("info", msg) }
func (l *logger) Infof(f string, a ...any)  { l.putf("info", f, a) }
func (l *logger) Warn(msg string)           { l.put("warn", msg) }
func (l *logger) Warnf(f string, a ...any)  { l.putf("warn", f, a) }
func (l *logger) Error(msg string)          { l.put("error", msg) }
func (l *logger) Errorf(f string, a ...any) { l.putf("error", f, a) }
