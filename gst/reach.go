package gst

import (
	"net"
	"net/url"
	"time"

	"perch/pipeline"
)

// reachLimit is how long a camera may take to answer the question of reach.
const reachLimit = 2 * time.Second

// reach says in the network's own words why a camera cannot be connected to,
// of which GStreamer's elements say "generic error". It is nil when the camera
// can be reached and something else is wrong.
func reach(s *SourceSpec) error {
	if s.Kind != pipeline.SourceRTSP && s.Kind != pipeline.SourceHTTP {
		return nil
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil // GStreamer's words will do: this error quotes the URL
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"rtsp": "554", "rtsps": "322", "http": "80", "https": "443"}[u.Scheme]
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(u.Hostname(), port), reachLimit)
	if err != nil {
		return err
	}
	return conn.Close()
}
