package api

import (
	"encoding/json"
	"time"

	"perch/pipeline"
)

// Status is the device as it stands: GET /api/v1/status.
type Status struct {
	Device    string    `json:"device_id"`
	Name      string    `json:"name,omitempty"` // what people call it
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	UptimeS   float64   `json:"uptime_s"`
	Platform  Platform  `json:"platform"`
	Models    []Model   `json:"models"`
	Storage   Storage   `json:"storage"`
	Disk      Disk      `json:"disk"`
	MQTT      MQTT      `json:"mqtt"`
	Clock     Clock     `json:"clock"`
	Viewers   int       `json:"viewers"`
	Problems  []Problem `json:"problems"` // what a person should look at; empty when all is well
}

// Platform says what the device's video hardware is used for.
type Platform struct {
	Name     string            `json:"name"`     // "jetson", "nvidia", "software" or "rehearsal"
	Decoders map[string]string `json:"decoders"` // element by codec, "" where there is none
	Encoders map[string]string `json:"encoders"`
	Fallback string            `json:"fallback,omitempty"` // why lesser elements are in use
}

// Model is a network and what it runs on.
type Model struct {
	ID       string `json:"id"`
	Digest   string `json:"digest"`
	Task     string `json:"task"` // "detect", "classify" ...
	Family   string `json:"family,omitempty"`
	Input    string `json:"input,omitempty"` // for example "416x416"
	Classes  int    `json:"classes"`
	Licence  string `json:"licence,omitempty"`
	State    string `json:"state"`                  // "ready", "loading", "building engine", "failed"
	Provider string `json:"provider,omitempty"`     // "tensorrt", "cuda" or "cpu"
	Why      string `json:"provider_why,omitempty"` // why not a better provider
	Error    string `json:"error,omitempty"`

	// Warmup is the way to a better provider; its state is "ready" when there is
	// none to be had.
	Warmup *pipeline.ModelState `json:"warmup,omitempty"`
}

// Storage is the database.
type Storage struct {
	OK      bool   `json:"ok"`
	Path    string `json:"path"`
	Bytes   int64  `json:"bytes"`
	Runs    int64  `json:"runs"`
	Waiting int    `json:"waiting"` // results not yet durable
	Error   string `json:"error,omitempty"`
}

// Disk is the file system that data is kept on.
type Disk struct {
	Path       string `json:"path"`
	FreeBytes  uint64 `json:"free_bytes"`
	TotalBytes uint64 `json:"total_bytes"`
}

// MQTT is the connection to the broker.
type MQTT struct {
	Enabled   bool      `json:"enabled"`
	Connected bool      `json:"connected"`
	Broker    string    `json:"broker,omitempty"` // without credentials
	Since     time.Time `json:"since,omitzero"`
	Waiting   int64     `json:"waiting"` // messages that the broker has not confirmed
	Error     string    `json:"error,omitempty"`
}

// Clock tells whether times can be believed.
type Clock struct {
	Now     time.Time `json:"now"`
	Trusted bool      `json:"trusted"`
	BootID  string    `json:"boot_id"`
	Error   string    `json:"error,omitempty"` // why nobody knows whether it is trusted
}

// Problem is something that a person should look at.
type Problem struct {
	Part    string `json:"part"` // "camera door", "storage", "model" ...
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Camera is one camera as it stands: GET /api/v1/cameras/{name}.
type Camera struct {
	Name       string              `json:"name"`
	Source     pipeline.SourceID   `json:"source"`
	State      string              `json:"state"` // connecting, live, stalled, lost, refused
	Since      time.Time           `json:"since"`
	Cause      string              `json:"cause,omitempty"`
	Hint       string              `json:"hint,omitempty"`
	Attempt    int                 `json:"attempt"`
	NextRetryS float64             `json:"next_retry_s,omitempty"`
	Run        string              `json:"run_id,omitempty"` // the present run
	Stream     Stream              `json:"stream"`
	Frames     pipeline.FrameBooks `json:"frames"` // of the present run
	InFlight   uint64              `json:"in_flight"`
	FPS        float64             `json:"fps"`
	Counts     map[string]int      `json:"counts"` // on the newest picture, by class
	LastFrame  time.Time           `json:"last_frame_at,omitzero"`
	Model      string              `json:"model"`
	Provider   string              `json:"provider,omitempty"`
	Why        string              `json:"provider_why,omitempty"` // why not a better provider
	Viewers    int                 `json:"viewers"`
	Preview    bool                `json:"preview"` // a live picture can be had
}

// Stream is what arrives from a camera and what decodes it.
type Stream struct {
	Codec    string  `json:"codec,omitempty"`
	Width    int     `json:"width,omitempty"`
	Height   int     `json:"height,omitempty"`
	FPS      float64 `json:"fps,omitempty"`
	MaxFPS   float64 `json:"max_fps,omitempty"` // frames a second that are worked on, at most; absent: all
	Decoder  string  `json:"decoder,omitempty"`
	Hardware bool    `json:"hardware"`
	Fallback string  `json:"fallback,omitempty"` // why a lesser decoder runs than the platform should have
}

// Run is one run in a list, and one that has not finished.
type Run struct {
	ID          string              `json:"run_id"`
	State       string              `json:"state"` // "running" or "complete"
	Camera      string              `json:"camera,omitempty"`
	Source      pipeline.SourceID   `json:"source"`
	Workflow    pipeline.WorkflowID `json:"workflow"`
	StartedAt   time.Time           `json:"started_at"`
	EndedAt     time.Time           `json:"ended_at,omitzero"`
	DurationS   float64             `json:"duration_s"`
	Frames      pipeline.FrameBooks `json:"frames"`
	Detections  map[string]uint64   `json:"detections"`
	FPS         float64             `json:"fps"`
	Termination pipeline.Reason     `json:"termination_reason,omitempty"`
	Errors      []string            `json:"errors,omitempty"`

	// Record is the completion record as it was stored; nil while the run goes
	// on. It is what GET /api/v1/runs/{id} returns, byte for byte.
	Record json.RawMessage `json:"-"`
}
