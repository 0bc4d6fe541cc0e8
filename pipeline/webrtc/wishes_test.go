package webrtc

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// Control messages come as fast as a client sends them; the log is told once.
func TestStreamOutputWithoutVideoIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	w := newWishes(SessionRequest{StreamOutput: []string{}}, slog.New(slog.NewTextHandler(&log, nil)))
	for range 100 {
		w.apply(control{Stream: &[]string{"whole"}})
	}
	if n := strings.Count(log.String(), "without video"); n != 1 || w.outputs().stream != "" {
		t.Errorf("%d lines, stream output %q", n, w.outputs().stream)
	}
}
