package api

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzSessionRequest: whatever the body is, it is either taken or answered with
// details that can be written, and what is taken keeps its bounds.
func FuzzSessionRequest(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", `{"webrtc_offer":{"type":"offer","sdp":"v=0"},"workflow_configuration":{"type":"WorkflowConfiguration","workflow_specification":{"a":[1,2.5,"x",null]}}}`,
		`{"processing_timeout":"1e3","declared_fps":"0x1p4","is_preview":1.0,"processing_session_started":1e300}`,
		`{"webrtc_config":{"iceServers":[{"urls":["a"]},{}]},"webrtc_turn_config":[],"stream_output":[[]]}`, "{\"api_key\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req, details := parseSession(body, SessionOptions{TimeLimit: time.Hour})
		if _, err := json.Marshal(details); err != nil || len(details) > maxDetails {
			t.Fatalf("%d details: %v", len(details), err)
		}
		if details != nil {
			return
		}
		if req.Offer.Type == "" && len(req.Offer.SDP) == 0 && len(body) < len(`{"webrtc_offer":{"type":"","sdp":""}}`) {
			t.Fatalf("%q has no offer and is taken", body)
		}
		for _, raw := range []json.RawMessage{req.Workflow.Specification, req.Workflow.Parameters} {
			var m map[string]any
			if raw != nil && json.Unmarshal(raw, &m) != nil {
				t.Fatalf("%q is not an object", raw)
			}
		}
		if len(req.StreamOutput) > maxListed || len(req.Offer.SDP) > maxSessionSDP {
			t.Fatalf("too much is taken")
		}
	})
}
