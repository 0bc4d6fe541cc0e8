package systemd

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"perch/pipeline"
)

// listen stands where systemd does.
func listen(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// receive returns the next datagram.
func receive(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	k, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:k])
}

func environment(kv ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(kv); i += 2 {
			if kv[i] == name {
				return kv[i+1]
			}
		}
		return ""
	}
}

func TestMessages(t *testing.T) {
	for _, socket := range []string{filepath.Join(t.TempDir(), "notify"), "@perch-test-" + strconv.Itoa(os.Getpid())} {
		systemd := listen(t, socket)
		n, err := New(environment("NOTIFY_SOCKET", socket))
		if err != nil {
			t.Fatal(err)
		}
		if !n.Active() || n.Interval() != 0 {
			t.Errorf("active %v, interval %v", n.Active(), n.Interval())
		}
		for _, tt := range []struct {
			send func() error
			want string
		}{
			{func() error { return n.Ready("2 cameras") }, "READY=1\nSTATUS=2 cameras"},
			{func() error { return n.Status("a\nREADY=1\r\tb\xff") }, "STATUS=a READY=1 b?"},
			{func() error { return n.Status(strings.Repeat("ü", 300)) }, "STATUS=" + strings.Repeat("ü", 255) + "…"},
			{func() error { return n.Extend(90 * time.Second) }, "EXTEND_TIMEOUT_USEC=90000000"},
			{func() error { return n.Extend(-1) }, "EXTEND_TIMEOUT_USEC=1000"},
			{n.pet, "WATCHDOG=1"},
			{func() error { return n.Stopping("bye") }, "STOPPING=1\nSTATUS=bye"},
		} {
			if err := tt.send(); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, systemd); got != tt.want {
				t.Errorf("sent %q, want %q", got, tt.want)
			}
		}
	}
}

func TestEnvironment(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	for _, tt := range []struct {
		env      []string
		active   bool
		interval time.Duration
		kind     pipeline.Kind
	}{
		{nil, false, 0, pipeline.Other},
		{[]string{"WATCHDOG_USEC", "1000000"}, false, 0, pipeline.Other},
		{[]string{"NOTIFY_SOCKET", "/run/x", "WATCHDOG_USEC", "10000000"}, true, 10 * time.Second, pipeline.Other},
		{[]string{"NOTIFY_SOCKET", "/run/x", "WATCHDOG_USEC", "10000000", "WATCHDOG_PID", pid}, true, 10 * time.Second, pipeline.Other},
		{[]string{"NOTIFY_SOCKET", "/run/x", "WATCHDOG_USEC", "10000000", "WATCHDOG_PID", "1"}, true, 0, pipeline.Other},
		{[]string{"NOTIFY_SOCKET", "/run/x", "WATCHDOG_USEC", "ten"}, false, 0, pipeline.BadConfig},
		{[]string{"NOTIFY_SOCKET", "/run/x", "WATCHDOG_USEC", "-1"}, false, 0, pipeline.BadConfig},
		{[]string{"NOTIFY_SOCKET", "/run/x", "WATCHDOG_USEC", "9223372036854775807"}, false, 0, pipeline.BadConfig},
		{[]string{"NOTIFY_SOCKET", "vsock:2:9999"}, false, 0, pipeline.Unsupported},
		{[]string{"NOTIFY_SOCKET", "@"}, false, 0, pipeline.Unsupported},
	} {
		n, err := New(environment(tt.env...))
		if tt.kind != pipeline.Other {
			if pipeline.KindOf(err) != tt.kind {
				t.Errorf("%v: %v", tt.env, err)
			}
			continue
		}
		if err != nil || n.Active() != tt.active || n.Interval() != tt.interval {
			t.Errorf("%v: %+v, %v", tt.env, n, err)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	n, _ := New(environment())
	if err := errors.Join(n.Ready(""), n.Status(""), n.Extend(1), n.Stopping("")); err != nil {
		t.Errorf("outside systemd: %v", err)
	}
	n, err := New(environment("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone")))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Ready("x"); err == nil || !strings.Contains(err.Error(), "NotifyAccess=main") {
		t.Errorf("a socket that is not there: %v", err)
	}
}

// TestWatchSocket pets a real socket until the work stops.
func TestWatchSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	systemd := listen(t, socket)
	n, err := New(environment("NOTIFY_SOCKET", socket, "WATCHDOG_USEC", "40000"))
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	err = n.Watch(t.Context(), func() error {
		if asked++; asked > 5 {
			return errors.New("camera door has no frames")
		}
		return nil
	})
	if pipeline.KindOf(err) != pipeline.Stuck || !strings.Contains(err.Error(), "camera door has no frames") {
		t.Errorf("watch ended with %v", err)
	}
	for range 5 {
		if got := receive(t, systemd); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	if err := systemd.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if k, err := systemd.Read(make([]byte, 100)); err == nil {
		t.Errorf("petted without work: %d bytes", k)
	}
}

func TestWatchForgivesASlowMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval = 8 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		start, last, pets, asked := time.Now(), time.Now(), 0, 0
		pet := func() error {
			if since := time.Since(last); since > interval {
				t.Errorf("petted after %v", since)
			}
			last = time.Now()
			pets++
			return nil
		}
		err := watch(ctx, interval, pet, func() error {
			asked++
			if asked%4 == 3 || asked%4 == 0 { // two failures in a row: 6 s between pets
				return errors.New("slow")
			}
			if asked > 100 {
				cancel()
			}
			return nil
		})
		if err != nil || pets != 51 || time.Since(start) < 190*time.Second {
			t.Errorf("%v after %v with %d pets", err, time.Since(start), pets)
		}
	})
}

func TestWatchGivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		broken := errors.New("connection refused")
		for name, f := range map[string][2]func() error{
			"alive": {func() error { return nil }, func() error { return broken }},
			"pet":   {func() error { return broken }, func() error { return nil }},
		} {
			begin := time.Now()
			err := watch(t.Context(), 8*time.Second, f[0], f[1])
			if took := time.Since(begin); !errors.Is(err, broken) || pipeline.KindOf(err) != pipeline.Stuck || took != 6*time.Second {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		}
		// Without a watchdog nothing is asked; the end of ctx is the end.
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := watch(ctx, 0, nil, nil); err != nil || time.Since(start) < time.Hour {
			t.Errorf("no watchdog: %v", err)
		}
	})
}

// manager records what During says.
type manager struct {
	status  string
	extends int
	err     error
}

func (m *manager) Status(s string) error { m.status = s; return nil }
func (m *manager) Extend(time.Duration) error {
	m.extends++
	return m.err
}

func TestDuring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m manager
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		failure := errors.New("no engine")
		err := during(t.Context(), log, "building engine", time.Hour, &m, func(context.Context) error {
			time.Sleep(95 * time.Second)
			return failure
		})
		if err != failure || m.status != "building engine" || m.extends != 10 || said.Len() > 0 {
			t.Errorf("%v, %+v, %s", err, m, &said)
		}

		m = manager{}
		err = during(t.Context(), log, "building engine", 55*time.Second, &m, func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Minute) // C code that takes its time to notice
			return context.Cause(ctx)
		})
		if pipeline.KindOf(err) != pipeline.Timeout || m.extends != 6 {
			t.Errorf("%v, %+v", err, m)
		}

		m = manager{err: errors.New("socket gone")}
		err = during(t.Context(), log, "x", time.Hour, &m, func(context.Context) error { time.Sleep(time.Minute); return nil })
		if err != nil || m.extends != 1 || !strings.Contains(said.String(), "socket gone") {
			t.Errorf("%v, %+v, %s", err, m, &said)
		}
	})
}
