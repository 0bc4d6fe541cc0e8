package pipeline

import (
	"encoding/json"
	"fmt"
	"time"
)

// EventMessage is e as it is told to the world, on topic "events".
func EventMessage(e Event) (Message, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return Message{}, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	return Message{Topic: "events", Payload: body, Created: e.Time}, nil
}

// CameraSchema is the version of the JSON form of [CameraState].
const CameraSchema = "perch.camera.state/1"

// A CameraPhase is where a camera's connection stands.
type CameraPhase string

// The phases of a camera. It starts Connecting; from Live it may become
// Stalled (open but no frames) and Live again, or Lost; Lost and Refused are
// tried again until they are Live.
const (
	Connecting CameraPhase = "connecting"
	Live       CameraPhase = "live"
	Stalled    CameraPhase = "stalled"
	Lost       CameraPhase = "lost"
	RefusedBy  CameraPhase = "refused"
)

// CameraState is a camera's connection as it is told to the world, retained
// on topic "cameras/<name>/state". Its JSON schema is
// schemas/camera.state.v1.json.
type CameraState struct {
	Schema     string      `json:"schema"`
	Camera     string      `json:"camera"`
	State      CameraPhase `json:"state"`
	Since      time.Time   `json:"since"`
	Cause      string      `json:"cause,omitempty"` // why it is not live; no credentials
	Decoder    string      `json:"decoder,omitempty"`
	Hardware   bool        `json:"hardware"`
	Fallback   string      `json:"fallback,omitempty"`
	Attempt    int         `json:"attempt"`                // connection attempts since it was last live
	NextRetryS float64     `json:"next_retry_s,omitempty"` // seconds until the next attempt
}

// StateMessage is s as it is told to the world.
func StateMessage(s CameraState) (Message, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return Message{}, fmt.Errorf("encode state of camera %s: %w", s.Camera, err)
	}
	return Message{Topic: "cameras/" + s.Camera + "/state", Payload: body, Retain: true, Created: s.Since}, nil
}

// ModelSchema is the version of the JSON form of [ModelState].
const ModelSchema = "perch.model.state/1"

// A ModelPhase is where a model stands on its way to the best execution
// provider that it may use. It runs all the time, on a lesser one at first.
type ModelPhase string

// The phases of a model. Ready and Failed are the ends; from Failed it goes
// back to Waiting when it is tried again.
const (
	ModelReady    ModelPhase = "ready"              // nothing better is to be had
	ModelWaiting  ModelPhase = "waiting"            // for its turn, or to be tried again
	ModelStarved  ModelPhase = "waiting for memory" // too little is free to build
	ModelBuilding ModelPhase = "building engine"
	ModelLoading  ModelPhase = "loading engine"
	ModelFailed   ModelPhase = "failed"
)

// ModelState is a model's way to its best provider as it is told to the world,
// retained on topic "models/<id>/state". Its JSON schema is
// schemas/model.state.v1.json.
type ModelState struct {
	Schema    string     `json:"schema"`
	Model     string     `json:"model"`
	State     ModelPhase `json:"state"`
	Since     time.Time  `json:"since"`
	Provider  string     `json:"provider"`             // what it runs on now
	Target    string     `json:"target,omitempty"`     // what it is on its way to
	ElapsedS  float64    `json:"elapsed_s,omitempty"`  // seconds since the engine began to be built
	ExpectedS float64    `json:"expected_s,omitempty"` // seconds that building it took before; absent when it never was
	Attempt   int        `json:"attempt,omitempty"`    // 1 for the first
	Error     string     `json:"error,omitempty"`      // why the last attempt failed, or what is lacking
	Hint      string     `json:"hint,omitempty"`
}

// ModelMessage is s as it is told to the world at the time now.
func ModelMessage(s ModelState, now time.Time) (Message, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return Message{}, fmt.Errorf("encode state of model %s: %w", s.Model, err)
	}
	return Message{Topic: "models/" + s.Model + "/state", Payload: body, Retain: true, Created: now}, nil
}
