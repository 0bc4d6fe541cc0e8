package pipeline

import (
	"encoding/json"
	"time"
)

// A Box is a rectangle in pixels of the frame, X1 and Y1 exclusive.
type Box struct{ X0, Y0, X1, Y1 float32 }

// A Point is a position in pixels of the frame.
type Point struct{ X, Y float32 }

// A Keypoint is a named place on an object, for example a left eye.
type Keypoint struct {
	Point
	Score float32
}

// A TrackID names one object for as long as it stays in view; zero means that
// no tracker has seen it.
type TrackID uint64

// A Detection is one object in one frame. A classification is a Detection
// whose Box is the whole frame.
type Detection struct {
	Box       Box
	Class     int    // index into the model's labels
	Label     string // the model's name for Class
	Score     float32
	Track     TrackID
	Keypoints []Keypoint // nil unless the model has them
	Mask      *Mask      // nil unless the model has them
}

// A Stage is one timed part of a frame's way through a run.
type Stage uint8

// The stages of a run, in order.
const (
	StageQueue       Stage = iota // from arriving at the run to being taken
	StagePreprocess               // sampling the picture into the model's input
	StageInference                // the model, waiting for its turn included
	StagePostprocess              // decoding heads, suppression, steps of the workflow
	StageStore                    // handing the result over to the recorder
	StageTotal                    // from arriving at the run to being recorded
	NumStages
)

var stageNames = [NumStages]string{"queue", "preprocess", "inference", "postprocess", "store", "total"}

func (s Stage) String() string { return stageNames[s] }

// A Result is everything learned from one frame. But for Outputs it is plain
// data and may be kept; whoever receives one must not change it.
type Result struct {
	Run        string // run id
	Frame      FrameInfo
	Detections []Detection
	Events     []Event
	Deliveries []Delivery               // stored with the result, sent later
	Errors     []string                 // what failed on this frame although the run goes on
	Outputs    Outputs                  // nil when the engine is no workflow; gone when the frame is
	Data       json.RawMessage          // the workflow's outputs without images, an object; nil when there are none
	Took       [NumStages]time.Duration // zero where a stage did not happen
}

// An Event is a fact worth keeping: a line crossed, a camera lost, a run
// complete. Its JSON form is published on MQTT topic "events".
type Event struct {
	Schema string          `json:"schema"` // [EventSchema]
	ID     string          `json:"event_id"`
	Device string          `json:"device_id"`
	Time   time.Time       `json:"time"`
	Clock  ClockReading    `json:"clock"`
	Kind   string          `json:"kind"` // for example "camera.lost"
	Camera string          `json:"camera,omitempty"`
	Run    string          `json:"run_id,omitempty"`
	Frame  uint64          `json:"frame,omitempty"`
	Track  TrackID         `json:"track,omitempty"`
	Class  string          `json:"class,omitempty"`
	Detail json.RawMessage `json:"detail,omitempty"` // an object; its keys depend on Kind
}

// A ClockReading tells when something happened in a way that survives a wrong
// wall clock: seconds since a boot that has a name.
type ClockReading struct {
	BootID      string  `json:"boot_id"`
	MonotonicS  float64 `json:"monotonic_s"`   // seconds since boot (CLOCK_BOOTTIME)
	WallTrusted bool    `json:"clock_trusted"` // false while the wall clock was not synchronised
}

// EventSchema is the version of the JSON form of [Event].
const EventSchema = "perch.event/1"

// A Message waits in the outbox until the broker has it.
type Message struct {
	ID      int64
	Topic   string // below the device's prefix, for example "events"
	Payload []byte // JSON
	Retain  bool   // a newer retained message on the same topic replaces an unsent older one
	Created time.Time
}
