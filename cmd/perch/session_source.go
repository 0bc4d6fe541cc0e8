package main

import (
	"context"
	"errors"
	"net/url"
	"time"

	"perch/cmd/internal/api"
	"perch/gst"
	"perch/pipeline"
)

// sessionSource returns the pictures that the device itself must get; nil when
// the client brings them. It is open, or the request fails.
func (s *sessions) sessionSource(ctx context.Context, req api.SessionRequest) (pipeline.Source, error) {
	c := s.cfg.Sessions
	kind, address := pipeline.SourceRTSP, req.RTSPURL
	if address == "" {
		kind, address = pipeline.SourceHTTP, req.MJPEGURL
	}
	if address == "" {
		return nil, nil
	}
	trusted, name := c.RTSPPlaceholder != "" && address == c.RTSPPlaceholder, "of the placeholder"
	if trusted {
		address = c.RTSPPlaceholderURL.Reveal()
	} else {
		pinned, err := s.guard.Check(ctx, address)
		if err != nil {
			return nil, &api.ConfigurationError{Message: err.Error() + ". The device's administrator can allow it with sessions.allow_urls."}
		}
		name, address = hostOf(address), pinned
	}
	pace := pipeline.Lossless
	if req.Realtime {
		pace = pipeline.Realtime
	}
	spec := gst.SourceSpec{
		Kind: kind, Name: name, URL: address, Transport: gst.TransportTCP, Pace: pace, RealTime: true, NoRedirect: !trusted, MaxPixels: c.MaxPixels,
		OpenTimeout: time.Duration(c.RTSPTimeout), StallTimeout: time.Duration(c.RTSPTimeout),
	}
	opened, err := s.media.OpenSource(ctx, spec)
	if err != nil {
		return nil, &api.SourceError{Err: err}
	}
	if !c.Reconnect {
		return opened, nil
	}
	again := func() (pipeline.Source, error) { return s.media.NewSource(spec) }
	return reopened{&pipeline.Persistent{First: opened, Again: again, Wait: reconnect, Enough: enoughOf(kind), Log: s.log}, opened}, nil
}

// hostOf names a camera by its address, without user, password and path.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "of the client"
	}
	return u.Scheme + "://" + u.Host
}

// reconnect is how a camera that went away during a run is tried again.
var reconnect = pipeline.Backoff{Min: time.Second, Max: 15 * time.Second}

// reconnectPatience is how long a session waits for its camera: the client hears
// nothing meanwhile.
const reconnectPatience = 2 * time.Minute

// enoughOf says when a session's camera is not waited for. A recording, which has
// a length, is played once. A camera that restarts closes its RTSP connection in
// the same way as one that has nothing more to show; an MJPEG server that ends
// its answer means it.
func enoughOf(kind pipeline.SourceKind) func(pipeline.StreamInfo, time.Duration, error) bool {
	return func(info pipeline.StreamInfo, silent time.Duration, err error) bool {
		ended := kind == pipeline.SourceHTTP && errors.Is(err, pipeline.ErrCameraEnded)
		return ended || info.Duration > 0 || silent > reconnectPatience
	}
}

// reopened is an open source that is opened again when it goes away.
type reopened struct {
	*pipeline.Persistent
	first *gst.OpenedSource
}

// Close ends a source that is not run.
func (r reopened) Close() { r.first.Close() }
