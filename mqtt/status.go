package mqtt

import (
	"encoding/json"
	"fmt"
	"time"
)

// StatusSchema is the version of the JSON form of [Status].
const StatusSchema = "perch.status/1"

// The states of a device as the broker's other clients see them.
const (
	Online  = "online"
	Offline = "offline"
)

// Status is the retained message on topic "status". Its JSON schema is
// pipeline/schemas/status.v1.json.
type Status struct {
	Schema string    `json:"schema"`
	Device string    `json:"device_id"`
	State  string    `json:"state"`           // [Online] or [Offline]
	Cause  string    `json:"cause,omitempty"` // why it is offline: "stopped" or "connection_lost"
	Time   time.Time `json:"time"`            // since when; of a last will: when the connection was made
}

func (c *Client) statusMessage(state, cause string, at time.Time) ([]byte, error) {
	b, err := json.Marshal(Status{Schema: StatusSchema, Device: c.opt.Device, State: state, Cause: cause, Time: at.UTC().Truncate(time.Millisecond)})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	return b, nil
}

func (c *Client) topic(below string) string { return c.opt.Prefix + "/" + c.opt.Device + "/" + below }
