// Package clock tells when something happened in a way that survives a wrong
// wall clock: boards without a battery wake up in 1970.
package clock

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"perch/pipeline"
)

const (
	clockBoottime  = 7    // CLOCK_BOOTTIME of clock_gettime(2): seconds since boot, sleep included
	statusUnsynced = 0x40 // STA_UNSYNC of adjtimex(2)
)

// A Clock reads the time since boot. The zero value is not ready; use New.
type Clock struct{ bootID string }

// New returns the clock of this boot.
func New() Clock {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Clock{bootID: "unknown"}
	}
	return Clock{bootID: strings.TrimSpace(string(b))}
}

// Read returns the present moment.
func (c Clock) Read() pipeline.ClockReading {
	synchronised, _ := Synchronised() // who wants to know why not asks itself
	return pipeline.ClockReading{BootID: c.bootID, MonotonicS: sinceBoot().Seconds(), WallTrusted: synchronised}
}

// Synchronised reports whether the kernel believes that something (NTP, PTP,
// a GPS) keeps the wall clock right. The error is that of a kernel that may not
// be asked, as in a sandbox.
func Synchronised() (bool, error) {
	var tx syscall.Timex
	if _, err := syscall.Adjtimex(&tx); err != nil {
		return false, fmt.Errorf("the kernel does not say whether the clock is right: %w", err)
	}
	return tx.Status&statusUnsynced == 0, nil
}

func sinceBoot() time.Duration {
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0
	}
	return time.Duration(ts.Nano())
}
