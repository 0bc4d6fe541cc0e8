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
