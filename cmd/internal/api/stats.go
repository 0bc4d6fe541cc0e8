package api

import (
	"time"

	"perch/pipeline"
)

// Stats are the parts' counts, as they give them at the moment of a scrape.
// What the cameras and the device say of themselves comes from [Cameras] and
// [Device].
type Stats struct {
	Models   []ModelStats
	Storage  StorageStats
	MQTT     MQTTStats
	Views    ViewStats
	Sessions SessionStats
	Previews []PreviewStats
	Runs     map[pipeline.Reason]uint64 // ended since start, by reason
}

// ModelStats are the counts of one model's session.
type ModelStats struct {
	ID       string
	Pictures uint64        // that the model has seen
	Batches  uint64        // inferences
	Errors   uint64        // inferences that failed
	Busy     time.Duration // in inferences, summed
}

// StorageStats are the counts of the database.
type StorageStats struct {
	Commits   uint64
	Results   uint64 // kept
	Failures  uint64 // commits that failed
	Waiting   int    // results not yet durable
	FileBytes int64
}

// MQTTStats are the counts of the connection to the broker.
type MQTTStats struct {
	Connects  uint64
	Confirmed uint64 // messages the broker has confirmed
	Waiting   int64  // messages it has not
}

// ViewStats are the counts of the WebRTC server.
type ViewStats struct {
	Viewers, Connected                       int
	Accepted, Rejected, Full, Vanished       uint64
	Units, Skipped, Packets, Bytes, KeyAsked uint64
}

// SessionStats are the counts of the sessions of clients.
type SessionStats struct {
	Open, Connected                            int
	Accepted, Rejected, Full, Vanished         uint64
	Frames                                     uint64 // shown to a session
	Messages, Bytes, Skipped, Abandoned        uint64 // of results
	Pictures, Unencoded                        uint64 // to be sent back
	Received, Damaged, Overflowed              uint64 // of clients' tracks
	Uploads, UploadsRefused, MalformedMessages uint64 // of clients
}

// PreviewStats are the counts of one camera's preview.
type PreviewStats struct {
	Camera            string
	Viewers, Encoders int
	Shown             uint64 // pictures handed to an encoder
	Dropped           uint64 // pictures that the preview had no time for
	Lost              uint64 // encoded pictures that a slow viewer missed
}
