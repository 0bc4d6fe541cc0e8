// Package systemd tells systemd how the service is: started, working, stopping.
// It speaks the protocol of sd_notify(3) and sd_watchdog_enabled(3) by itself,
// without libsystemd. Outside systemd everything here does nothing.
package systemd

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"perch/pipeline"
)

// sendTimeout bounds how long a message may wait while systemd's queue is full.
const sendTimeout = time.Second

// maxStatus bounds the one line of text that systemctl status shows.
const maxStatus = 256

// A Notifier sends messages to the service manager. Its methods may be called
// from several goroutines.
type Notifier struct {
	addr     *net.UnixAddr // nil when nobody listens
	watchdog time.Duration // 0 when no watchdog was asked for
}

// New reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID by getenv, which is
// [os.Getenv] in the program. The error has Kind Unsupported when systemd asks
// for something that is not spoken here, BadConfig when it makes no sense.
func New(getenv func(string) string) (*Notifier, error) {
	n := &Notifier{}
	socket := getenv("NOTIFY_SOCKET")
	switch {
	case socket == "":
		return n, nil
	case strings.HasPrefix(socket, "@") && len(socket) > 1:
		// net writes the leading @ of an abstract socket as the zero byte it is.
	case !strings.HasPrefix(socket, "/"):
		return nil, &pipeline.Error{Op: "use NOTIFY_SOCKET", On: socket, Kind: pipeline.Unsupported,
			Err:  errors.New("is neither a path nor an abstract socket"),
			Hint: "run perch directly under systemd, or unset NOTIFY_SOCKET"}
	}
	n.addr = &net.UnixAddr{Name: socket, Net: "unixgram"}
	usec := getenv("WATCHDOG_USEC")
	if pid := getenv("WATCHDOG_PID"); usec == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n, nil // none, or one for another process that we inherited it from
	}
	us, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || us <= 0 || us > int64(time.Duration(1<<63-1)/time.Microsecond) {
		return nil, &pipeline.Error{Op: "use WATCHDOG_USEC", On: usec, Kind: pipeline.BadConfig,
			Err: errors.New("is not a number of microseconds"), Hint: "set WatchdogSec= in the unit, not the variable"}
	}
	n.watchdog = time.Duration(us) * time.Microsecond
	return n, nil
}

// Active reports whether a service manager listens.
func (n *Notifier) Active() bool { return n.addr != nil }

// Interval is how often the watchdog must be petted at least; 0 without one.
func (n *Notifier) Interval() time.Duration { return n.watchdog }

// Ready says that the start is complete. From here on the watchdog counts.
func (n *Notifier) Ready(status string) error {
	return n.send("READY=1", "STATUS="+oneLine(status))
}

// Status sets the line that systemctl status shows. It must hold no credentials.
func (n *Notifier) Status(status string) error { return n.send("STATUS=" + oneLine(status)) }

// Stopping says that the service has begun to stop.
func (n *Notifier) Stopping(status string) error {
	return n.send("STOPPING=1", "STATUS="+oneLine(status))
}

// Extend asks for d from now before the start, or the stop, counts as failed.
// It has to be repeated before d is over; see [Notifier.During].
func (n *Notifier) Extend(d time.Duration) error {
	return n.send("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(max(d, time.Millisecond).Microseconds(), 10))
}

// pet says that work is being done.
func (n *Notifier) pet() error { return n.send("WATCHDOG=1") }

// send sends one datagram, which systemd reads as a whole. A connection of its
// own each time: systemd may be re-executed while we run.
func (n *Notifier) send(lines ...string) error {
	if n.addr == nil {
		return nil
	}
	err := func() error {
		c, err := net.DialUnix("unixgram", nil, n.addr)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
			return err
		}
		_, err = c.Write([]byte(strings.Join(lines, "\n")))
		return err
	}()
	if err != nil {
		return &pipeline.Error{Op: "tell systemd", On: lines[0], Kind: pipeline.Other, Err: err,
			Hint: "the unit needs Type=notify and NotifyAccess=main"}
	}
	return nil
}

// oneLine makes text fit for one line of a message, in which a line break
// would begin another assignment.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if r := []rune(s); len(r) > maxStatus {
		s = string(r[:maxStatus-1]) + "…"
	}
	return s
}
