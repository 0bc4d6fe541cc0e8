package pipeline

import "time"

// CompleteSchema is the version of the JSON form of [Complete].
const CompleteSchema = "perch.run.complete/1"

// A Reason says why a run ended.
type Reason string

// The reasons for which a run ends.
const (
	EndOfStream    Reason = "end_of_stream"
	Stopped        Reason = "stopped"
	TimeoutReached Reason = "timeout_reached"
	SourceLost     Reason = "source_lost"
	ClientGone     Reason = "client_gone"
	Failed         Reason = "error"
)

// A Cause says why a frame was dropped.
type Cause string

// The causes for which a frame is dropped. There is no other way for a frame
// to go missing: in = processed + dropped + in flight.
const (
	DropBusy    Cause = "busy"    // a newer frame came before this one was taken
	DropStopped Cause = "stopped" // the run ended first
	DropError   Cause = "error"   // the model or a step failed on it
	DropStorage Cause = "storage" // its result could not be kept
	DropRate    Cause = "max_fps" // the run was to leave it out: no loss, but asked for
)

// Complete is the record of a finished run: one JSON object, the same in the
// database, over MQTT, in the API and on standard output. Its JSON schema is
// schemas/run.complete.v1.json.
type Complete struct {
	Schema      string                   `json:"schema"`
	Run         string                   `json:"run_id"` // ULID
	Device      string                   `json:"device_id"`
	Source      SourceID                 `json:"source"`
	Workflow    WorkflowID               `json:"workflow"`
	Models      []ModelID                `json:"models"`
	StartedAt   time.Time                `json:"started_at"` // RFC 3339, UTC
	EndedAt     time.Time                `json:"ended_at"`
	DurationS   float64                  `json:"duration_s"`
	Frames      FrameBooks               `json:"frames"`
	Detections  map[string]uint64        `json:"detections"` // by class, over all frames
	FPS         float64                  `json:"fps"`        // frames processed per second of the run
	LatencyMS   map[string]LatencyFigure `json:"latency_ms"` // by stage
	Termination Reason                   `json:"termination_reason"`
	Errors      []string                 `json:"errors"`
}

// WorkflowID names a workflow and the bytes that it was compiled from.
type WorkflowID struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // "sha256:<hex>"
}

// ModelID names a model, its bytes and what it runs on.
type ModelID struct {
	ID       string `json:"id"`
	Digest   string `json:"digest"`   // "sha256:<hex>"
	Provider string `json:"provider"` // "tensorrt", "cuda" or "cpu"
}

// FrameBooks are a run's accounts: In = Processed + the sum of Dropped.
type FrameBooks struct {
	In        uint64           `json:"in"`
	Processed uint64           `json:"processed"`
	Dropped   map[Cause]uint64 `json:"dropped"`
}

// A LatencyFigure describes one stage, in milliseconds.
type LatencyFigure struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
}

// RunStart is what is known of a run when it begins.
type RunStart struct {
	Run      string // ULID
	Device   string
	Camera   string // name of the camera, "" for files and sessions
	Source   SourceID
	Workflow WorkflowID
	Models   []ModelID
	Labels   []string // class names by index, as results refer to them
	Stream   StreamInfo
	Started  time.Time
	Clock    ClockReading
	Keep     Keep // "" means KeepEvery
}
