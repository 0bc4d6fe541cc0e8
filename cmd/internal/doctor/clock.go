package doctor

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// staUnsync is STA_UNSYNC of adjtimex(2): nobody has set the clock by another.
const staUnsync = 0x40

// oldest is earlier than any build of Perch: a clock before it has been reset.
const oldest = 2025

// Clock checks that the clock is set by a better one. A board without a battery
// wakes up in 1970, and what it records then cannot be ordered.
func (h Host) Clock() Check {
	return Check{Name: "clock", Do: func(context.Context) []Finding {
		var tx syscall.Timex
		_, err := syscall.Adjtimex(&tx)
		return h.clock(time.Now(), tx.Status&staUnsync == 0, time.Duration(tx.Maxerror)*time.Microsecond, err)
	}}
}

// clock judges what the kernel (kernelSays, unless err) and systemd-timesyncd say.
func (h Host) clock(now time.Time, kernelSays bool, maxError time.Duration, err error) []Finding {
	const hint = "sudo timedatectl set-ntp true; then see: timedatectl timesync-status, or with chrony: chronyc tracking"
	at := now.UTC().Format("2006-01-02 15:04:05 UTC")
	timesyncd := h.exists("/run/systemd/timesync/synchronized")
	switch {
	case now.Year() < oldest:
		return missing("it is "+at+" here, so the clock was reset and never set", hint+"; by hand: sudo date -s 'YYYY-MM-DD hh:mm'")
	case err == nil && kernelSays:
		return good("%s, synchronised, within %v", at, maxError.Round(time.Millisecond))
	case err != nil:
		return warning(fmt.Sprintf("%s; whether it is right is not known, for the kernel may not be asked here (%v): results are marked as of an untrusted clock", at, err),
			"see on the machine itself: timedatectl; a container or sandbox has to allow the call adjtimex, as Perch's own unit does")
	case timesyncd:
		return warning(at+", no longer synchronised, though systemd-timesyncd has set it since the start: results are marked as of an untrusted clock", hint)
	}
	return warning(at+", not synchronised: results are marked as of an untrusted clock", hint)
}
