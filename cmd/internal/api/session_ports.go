package api

import (
	"context"
	"encoding/json"
	"time"
)

// Sessions start the sessions of clients of Roboflow Inference's WebRTC worker.
type Sessions interface {
	// Start compiles the workflow, opens the source if it is the device's to
	// open, and answers the offer. ctx ends when the client goes away or
	// [SessionOptions.StartTimeout] is over; the session itself goes on.
	//
	// What the client is told depends on the error: a [*WorkflowError], a
	// [*ConfigurationError], a [*SourceError], or an error of Kind Busy,
	// Refused, NotFound or Timeout. Of anything else it learns nothing, and
	// the log everything.
	Start(ctx context.Context, req SessionRequest) (answerSDP string, err error)
}

// SessionOptions are what POST /initialise_webrtc_worker is told by the
// configuration.
type SessionOptions struct {
	AllowedOrigins   []string      // sites whose pages may start sessions; "*" for any
	APIKeyFromHeader bool          // an Authorization: Bearer header wins over the body
	Realtime         bool          // when the client does not say
	TimeLimit        time.Duration // when the client does not say
	StartTimeout     time.Duration // for [Sessions].Start; 0 means a minute
}

// A SessionRequest is the body of POST /initialise_webrtc_worker, its defaults
// filled in. What only a hosted service needs (plan, GPU, region, workspace,
// thread pools) has been checked and left out.
type SessionRequest struct {
	APIKey   string // "" for none; never to be printed
	Workflow SessionWorkflow
	Preview  bool // is_preview: bookkeeping only
	Offer    SessionDescription
	// ICEServers is nil when the client says nothing of them, which is not the
	// same as an empty list.
	ICEServers   []ICEServer
	Realtime     bool
	StreamOutput []string // nil when absent: look for an image
	DataOutput   []string
	DeclaredFPS  *float64 // nil when absent
	RTSPURL      string   // may contain user and password
	MJPEGURL     string   // may contain user and password; not used when RTSPURL is set
	// TimeLimit is nil when the client asks for none. It may be 0 or less, which
	// is over at once.
	TimeLimit *time.Duration
	Started   time.Time // where TimeLimit counts from; zero: now
}

// A SessionWorkflow says which workflow runs, and with what.
type SessionWorkflow struct {
	Specification json.RawMessage // a JSON object; nil when absent
	Workspace     string
	ID            string
	Version       string
	ImageInput    string          // name of the input that takes the picture
	MetadataInput string          // name of the input that takes the picture's metadata
	Parameters    json.RawMessage // a JSON object; nil when absent
	DisableSinks  bool
}

// A SessionDescription is an SDP and what it is, "offer" from a client.
type SessionDescription struct{ Type, SDP string }

// An ICEServer is a STUN or TURN server. Its credentials are never to be printed.
type ICEServer struct {
	URLs                 []string
	Username, Credential string
}
