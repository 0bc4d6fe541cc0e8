package systemd

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// settings reads the unit's lines: what each key is given, in order.
func settings(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("perch.service")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			m[key] = append(m[key], value)
		}
	}
	return m
}

// One entry in the service's list of devices closes all others to it, cameras and
// GPU among them. ProtectClock makes such an entry before systemd 252; JetPack 6
// has 249.
func TestTheUnitLeavesTheDevicesOpen(t *testing.T) {
	unit := settings(t)
	if got := unit["DevicePolicy"]; !slices.Equal(got, []string{"auto"}) {
		t.Errorf("DevicePolicy is %q", got)
	}
	if got := unit["DeviceAllow"]; got != nil {
		t.Errorf("DeviceAllow is %q", got)
	}
	for _, key := range []string{"ProtectClock", "PrivateDevices"} {
		for _, value := range unit[key] {
			if value != "no" {
				t.Errorf("%s is %s: it closes every other device", key, value)
			}
		}
	}
}

// Whether the clock is right is a question to the kernel, which the filter must
// let through; setting the clock takes a capability that the service lacks.
func TestTheUnitMayAskForTheClock(t *testing.T) {
	unit := settings(t)
	allowed := false
	for _, list := range unit["SystemCallFilter"] {
		// adjtimex is in @clock and @privileged, and not in @system-service.
		words := strings.Fields(strings.TrimPrefix(list, "~"))
		if slices.ContainsFunc(words, func(w string) bool { return w == "adjtimex" || w == "@clock" || w == "@privileged" }) {
			allowed = !strings.HasPrefix(list, "~")
		}
	}
	if !allowed {
		t.Errorf("adjtimex is not allowed by %q", unit["SystemCallFilter"])
	}
	if got := unit["CapabilityBoundingSet"]; !slices.Equal(got, []string{""}) {
		t.Errorf("CapabilityBoundingSet is %q", got)
	}
}
