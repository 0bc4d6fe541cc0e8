package config

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"perch/cmd/internal/guard"
)

// Sessions are what clients of POST /initialise_webrtc_worker may ask for.
type Sessions struct {
	Enabled            bool     `yaml:"enabled" default:"true" upstream:"WEBRTC_WORKER_ENABLED" doc:"Whether clients may start sessions. false: the address does not exist."`
	AllowedOrigins     []string `yaml:"allowed_origins" default:"*" upstream:"ALLOW_ORIGINS" doc:"Web sites whose pages may start sessions, each as https://site.example; * is any. The rest of the API has http.allowed_origins."`
	APIKeyFromHeader   bool     `yaml:"api_key_from_header" default:"true" upstream:"ALLOW_API_KEY_FROM_HEADERS" doc:"Take a client's API key from the header Authorization: Bearer too; it then wins over the one in the body."`
	MaxSessions        int      `yaml:"max_sessions" default:"8" min:"1" max:"256" doc:"At most so many sessions at a time; more are refused as busy."`
	StartTimeout       Duration `yaml:"start_timeout" default:"1m" min:"1s" max:"10m" upstream:"WEBRTC_MODAL_RESPONSE_TIMEOUT" doc:"How long the answer to a client may take: compiling the workflow, opening the source."`
	ConnectTimeout     Duration `yaml:"connect_timeout" default:"30s" min:"1s" max:"10m" doc:"A client that has its answer and is not connected after so long is given up."`
	Linger             Duration `yaml:"linger" default:"5m" min:"1s" max:"1d" doc:"How long the connection stays open after the last result, for the client to close it."`
	TimeLimit          Duration `yaml:"time_limit" default:"1h" min:"1s" max:"3650d" upstream:"WEBRTC_MODAL_FUNCTION_TIME_LIMIT" doc:"How long a session may take when the client says nothing of processing_timeout."`
	TimeLimitMax       Duration `yaml:"time_limit_max" default:"7d" min:"1s" max:"3650d" upstream:"WEBRTC_MODAL_FUNCTION_MAX_TIME_LIMIT" doc:"The longest that a session may take, whatever the client says; also when it asks for no limit."`
	ShutdownReserve    Duration `yaml:"shutdown_reserve" default:"1s" min:"0s" max:"1m" upstream:"WEBRTC_MODAL_SHUTDOWN_RESERVE" doc:"A session ends so long before its limit, so that the last result arrives within it."`
	Realtime           bool     `yaml:"realtime" default:"true" upstream:"WEBRTC_REALTIME_PROCESSING" doc:"Skip pictures rather than fall behind, when the client says nothing of webrtc_realtime_processing."`
	AckWindow          int      `yaml:"ack_window" default:"1" min:"0" max:"100000" upstream:"WEBRTC_DATA_CHANNEL_ACK_WINDOW" doc:"How many results may be ahead of the last that the client has acknowledged, once it acknowledges any."`
	BufferLimit        ByteSize `yaml:"buffer_limit" default:"32 MiB" min:"64 KiB" max:"1 GiB" upstream:"WEBRTC_DATA_CHANNEL_BUFFER_SIZE_LIMIT" doc:"Sending waits while more than this is queued for a client, until a quarter is left."`
	DrainDelay         Duration `yaml:"drain_delay" default:"100ms" min:"1ms" max:"10s" upstream:"WEBRTC_DATA_CHANNEL_BUFFER_DRAINING_DELAY" doc:"How often a sender that waits looks at the queue."`
	Gzip               bool     `yaml:"gzip" upstream:"WEBRTC_GZIP_PREVIEW_FRAME_COMPRESSION" doc:"Compress results. The published browser client cannot read them then, so it is off, unlike in Roboflow Inference."`
	JPEGQuality        int      `yaml:"jpeg_quality" default:"80" min:"1" max:"100" upstream:"WEBRTC_PREVIEW_FRAME_JPEG_QUALITY" doc:"Quality of the pictures in results."`
	STUNServers        []string `yaml:"stun_servers" upstream:"WEBRTC_MODAL_PUBLIC_STUN_SERVERS" doc:"STUN servers by which sessions learn the device's public address, as stun:host:port. Empty: nobody is asked, which is enough in one network; Roboflow Inference asks five of Google's."`
	Offline            bool     `yaml:"offline" upstream:"OFFLINE_MODE" doc:"Use no STUN or TURN server, and refuse a session that brings one."`
	MaxUpload          ByteSize `yaml:"max_upload" default:"2 GiB" min:"1 MiB" max:"1 TiB" doc:"The largest file that a client may upload."`
	MaxChunks          int      `yaml:"max_chunks" default:"100000" min:"1" max:"10000000" doc:"The most pieces that an upload may have; clients send 48 KiB in each."`
	UploadIdle         Duration `yaml:"upload_idle" default:"1m" min:"1s" max:"1h" doc:"A client whose upload or own video track has brought nothing for so long loses its session."`
	MaxPixels          int      `yaml:"max_pixels" default:"33177600" min:"76800" max:"268435456" doc:"A session whose pictures have more pixels than this, width times height, ends."`
	AllowURLs          []string `yaml:"allow_urls" default:"private" doc:"Where rtsp_url and mjpeg_url of clients may lead: private (networks of RFC 1918 and 4193), public, ranges as 192.0.2.0/24, addresses, host names, the last two with :port if need be. This machine itself, link-local addresses and the ports of Perch must be named one by one."`
	AllowICEServers    []string `yaml:"allow_ice_servers" default:"private,public" doc:"Where STUN and TURN servers that clients name may be, written like allow_urls. Such servers are mostly on the internet, so that is allowed by default; what allow_urls wants named one by one must be named here, too: a TURN server on this machine as 127.0.0.1:3478."`
	RTSPTimeout        Duration `yaml:"rtsp_timeout" default:"10s" min:"500ms" max:"1m" doc:"How long a camera that a client names may take to show its first picture, and be silent later."`
	Reconnect          bool     `yaml:"reconnect" default:"true" doc:"Open a client's camera anew when it goes away, for two minutes without a picture; then, or with false at once, the session ends, as it does in Roboflow Inference. The end of a recording, which an RTSP server gives a length, and of an MJPEG server's answer always ends it."`
	RTSPPlaceholder    string   `yaml:"rtsp_placeholder" upstream:"WEBRTC_MODAL_RTSP_PLACEHOLDER" doc:"A client that gives this as rtsp_url gets rtsp_placeholder_url, which it need not know."`
	RTSPPlaceholderURL URL      `yaml:"rtsp_placeholder_url" upstream:"WEBRTC_MODAL_RTSP_PLACEHOLDER_URL" doc:"The camera behind rtsp_placeholder. It may contain user and password, which are never shown, and need not be in allow_urls."`
}

func (c *Config) checkSessions(r *report) {
	s := c.Sessions
	at := func(key string, i int) string { return "sessions." + key + "[" + strconv.Itoa(i) + "]" }
	for i, o := range s.AllowedOrigins {
		if o != "*" {
			checkOrigin(r, at("allowed_origins", i), o)
		}
	}
	for i, server := range s.STUNServers {
		if !isSTUN(server) {
			r.bad(at("stun_servers", i), "%s is not a STUN server; write stun:host:port", shown(redact(server)))
		}
	}
	if s.Offline && len(s.STUNServers) > 0 {
		r.bad("sessions.stun_servers", "has no effect, because sessions.offline is true; unset one of them")
	}
	checkRules := func(key string, list []string) {
		for i, entry := range list {
			if _, err := guard.ParseRule(entry); err != nil {
				r.bad(at(key, i), "%s %v", shown(redact(entry)), err)
			}
		}
	}
	checkRules("allow_urls", s.AllowURLs)
	checkRules("allow_ice_servers", s.AllowICEServers)
	if s.TimeLimit > s.TimeLimitMax {
		r.bad("sessions.time_limit", "%v is longer than sessions.time_limit_max, which is %v", s.TimeLimit, s.TimeLimitMax)
	}
	if time.Duration(s.ShutdownReserve) >= time.Duration(s.TimeLimit) {
		r.bad("sessions.shutdown_reserve", "%v leaves nothing of sessions.time_limit, which is %v", s.ShutdownReserve, s.TimeLimit)
	}
	s.checkPlaceholder(r)
}

func (s Sessions) checkPlaceholder(r *report) {
	checkText(r, "sessions.rtsp_placeholder", s.RTSPPlaceholder, 2048)
	if (s.RTSPPlaceholder == "") != (s.RTSPPlaceholderURL == "") {
		r.bad("sessions.rtsp_placeholder", "rtsp_placeholder and rtsp_placeholder_url belong together; set both or none")
		return
	}
	if s.RTSPPlaceholderURL == "" {
		return
	}
	u, err := s.RTSPPlaceholderURL.parse()
	switch {
	case strings.Contains(string(s.RTSPPlaceholderURL), hidden):
		r.bad("sessions.rtsp_placeholder_url", "%v", errHidden)
	case err != nil:
		r.bad("sessions.rtsp_placeholder_url", "%v", err)
	case u.Scheme != "rtsp" && u.Scheme != "rtsps":
		r.bad("sessions.rtsp_placeholder_url", "must begin with rtsp:// or rtsps://")
	}
}

// isSTUN reports whether s is the URI of a STUN server (RFC 7064).
func isSTUN(s string) bool {
	u, err := url.Parse(s)
	if err != nil || !slices.Contains([]string{"stun", "stuns"}, u.Scheme) || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	host, port, err := net.SplitHostPort(u.Opaque)
	if err != nil {
		host, port = u.Opaque, "3478"
	}
	n, err := strconv.Atoi(port)
	return err == nil && n > 0 && n < 65536 && host != "" && !strings.ContainsAny(host, "/@ ")
}
