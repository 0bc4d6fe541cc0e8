package clock

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestReadAgreesWithTheKernel(t *testing.T) {
	c := New()
	first, second := c.Read(), c.Read()
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	if first.BootID != strings.TrimSpace(string(id)) {
		t.Errorf("boot id %q", first.BootID)
	}
	up, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := strconv.ParseFloat(strings.Fields(string(up))[0], 64)
	if d := s - first.MonotonicS; d < -1 || d > 5 {
		t.Errorf("monotonic %v, uptime %v", first.MonotonicS, s)
	}
	if second.MonotonicS < first.MonotonicS {
		t.Error("time ran backwards")
	}
}
