package broker

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"testing"

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
