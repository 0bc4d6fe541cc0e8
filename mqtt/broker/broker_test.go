package broker

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"perch/pipeline"
)

func TestMosquittosToolsTalkToIt(t *testing.T) {
	b, err := Start("127.0.0.1:0", slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	host, port, err := net.SplitHostPort(b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	pub := exec.CommandContext(t.Context(), "mosquitto_pub", "-h", host, "-p", port, "-q", "1", "-r", "-t", "perch/a/status", "-m", "online")
	if out, err := pub.CombinedOutput(); err != nil {
		t.Fatalf("publish: %v\n%s", err, out)
	}
	sub := exec.CommandContext(t.Context(), "mosquitto_sub", "-h", host, "-p", port, "-q", "1", "-t", "perch/+/status", "-C", "1", "-W", "10")
	out, err := sub.CombinedOutput()
	if err != nil || !bytes.Equal(out, []byte("online\n")) {
		t.Errorf("subscribe: %v\n%s", err, out)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", b.Addr()); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

// What was published before the broker is closed reaches those who listen, also
// one who was busy meanwhile.
func TestTheLastWordsAreHeard(t *testing.T) {
	const messages, size = 100, 1 << 10
	b, err := Start("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	host, port, err := net.SplitHostPort(b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	var heard bytes.Buffer
	sub := exec.CommandContext(t.Context(), "mosquitto_sub", "-h", host, "-p", port, "-q", "1", "-t", "last/#", "-C", strconv.Itoa(messages), "-W", "10")
	sub.Stdout = &heard
	if err := sub.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); atomic.LoadInt64(&b.server.Info.Subscriptions) < 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody listens")
		}
	}
	if err := sub.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	pub := exec.CommandContext(t.Context(), "mosquitto_pub", "-h", host, "-p", port, "-q", "1", "-t", "last/words", "-l")
	pub.Stdin = strings.NewReader(strings.Repeat(strings.Repeat("x", size)+"\n", messages))
	if out, err := pub.CombinedOutput(); err != nil {
		t.Fatalf("publish: %v\n%s", err, out)
	}
	closed := make(chan error, 1)
	go func() { closed <- b.Close() }()
	select {
	case err := <-closed:
		t.Errorf("closed before the listener has anything: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := sub.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := sub.Wait(); err != nil {
		t.Error(err)
	}
	if n := heard.Len(); n != messages*(size+1) {
		t.Errorf("%d of %d bytes", n, messages*(size+1))
	}
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("it does not close")
	}
}

func TestOnlyLoopback(t *testing.T) {
	for _, addr := range []string{":1883", "0.0.0.0:0", "[::]:0", "192.0.2.1:1883", "nonsense"} {
		b, err := Start(addr, slog.Default())
		if err == nil {
			b.Close()
		}
		if pipeline.KindOf(err) != pipeline.BadConfig {
			t.Errorf("%s: %v", addr, err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if b, err := Start(taken.Addr().String(), slog.Default()); err == nil {
		b.Close()
		t.Error("two listen on one port")
	}
}
