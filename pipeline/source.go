package pipeline

import (
	"context"
	"time"
)

// A SourceKind is one of the ways pictures come in.
type SourceKind string

// The kinds of source.
const (
	SourceFile   SourceKind = "file"
	SourceRTSP   SourceKind = "rtsp"
	SourceV4L2   SourceKind = "v4l2"
	SourceCSI    SourceKind = "csi"
	SourceHTTP   SourceKind = "http" // MJPEG over HTTP
	SourceTest   SourceKind = "test" // a generated pattern
	SourceWebRTC SourceKind = "webrtc"
)

// SourceID names a source without its credentials.
type SourceID struct {
	Kind SourceKind `json:"kind"`
	Name string     `json:"name"` // file name, camera name, or URL without user and password
}

// Pace says what happens when frames come faster than they are processed.
type Pace uint8

const (
	// Realtime keeps the newest frame and counts the ones it replaces.
	Realtime Pace = iota
	// Lossless hands over every frame once, in order, and holds the source back.
	Lossless
)

// StreamInfo is what is known of a source once it is open.
type StreamInfo struct {
	Codec         string        // "H.264", "H.265", "MPEG-4", "JPEG", "VP8", "raw" ...
	Width, Height int           // pixels, after rotation
	FPS           float64       // 0 when unknown
	MaxFPS        float64       // frames a second that the run works on at most; 0: all. Filled in by [Run]
	Duration      time.Duration // 0 when unknown or endless
	Frames        uint64        // expected number of frames; 0 when unknown
	Rotation      int           // degrees clockwise that were applied: 0, 90, 180, 270
	Live          bool
	Decoder       string // element that decodes, for example "nvv4l2decoder"; "" for raw
	Hardware      bool   // Decoder uses the video hardware
	Fallback      string // why a lesser decoder runs than the platform should have; "" when it is the best
}

// A Source plays one camera, file or stream.
//
// A source may also be a [Scaler].
type Source interface {
	ID() SourceID
	// Run plays until the stream ends (nil), ctx is done (context.Cause) or
	// the source fails (an [*Error] whose Kind says what to do). It never
	// calls out after it has returned.
	Run(ctx context.Context, out Outlet) error
}

// An Outlet takes what a Source produces. Opened comes before the first frame,
// and again when a [Persistent] source was lost and is back. PutFrame owns its argument; with [Lossless] pace it blocks until there
// is room or ctx is done, with [Realtime] it never blocks.
type Outlet interface {
	Opened(StreamInfo)
	PutFrame(ctx context.Context, f Frame)
}
