package mqtt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"perch/pipeline"
)

// A memory is an outbox in memory. The real one is in integration_test.go.
type memory struct {
	mu      sync.Mutex
	msgs    []pipeline.Message
	last    int64
	deleted map[int64]int
	fail    error // of Delivered
	lock    chan struct{}
	wake    chan struct{}
}

func newMemory(n int) *memory {
	m := &memory{deleted: map[int64]int{}, lock: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	m.add(n)
	return m
}

func (m *memory) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range n {
		m.last++
		m.msgs = append(m.msgs, pipeline.Message{ID: m.last, Topic: "events", Payload: strconv.AppendInt(nil, m.last, 10)})
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *memory) Pending(_ context.Context, after int64, limit int) ([]pipeline.Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []pipeline.Message
	for _, msg := range m.msgs {
		if msg.ID > after && len(out) < limit {
			out = append(out, msg)
		}
	}
	return out, nil
}

func (m *memory) Delivered(_ context.Context, ids ...int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	for _, id := range ids {
		m.deleted[id]++
	}
	m.msgs = slices.DeleteFunc(m.msgs, func(msg pipeline.Message) bool { return slices.Contains(ids, msg.ID) })
	return nil
}

func (m *memory) Wake() <-chan struct{} { return m.wake }

func (m *memory) DrainLock(ctx context.Context) (func(), error) {
	select {
	case m.lock <- struct{}{}:
		return func() { <-m.lock }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (m *memory) left() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.msgs)
}

// A mosquitto is the real broker, on a port of its own.
type mosquitto struct {
	port int
	conf string
	cmd  *exec.Cmd
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startMosquitto runs the broker with further lines of configuration.
func startMosquitto(t *testing.T, lines string) *mosquitto {
	t.Helper()
	dir := t.TempDir()
	m := &mosquitto{port: freePort(t), conf: filepath.Join(dir, "mosquitto.conf")}
	text := fmt.Sprintf("listener %d 127.0.0.1\npersistence true\npersistence_location %s/\nmax_queued_messages 0\nmax_inflight_messages 100\n%s\n", m.port, dir, lines)
	if lines == "" {
		text += "allow_anonymous true\n"
	}
	if err := os.WriteFile(m.conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	readable(t, m.conf)
	if err := os.Chmod(dir, 0o777); err != nil { // mosquitto gives up root's rights and saves here
		t.Fatal(err)
	}
	m.start(t)
	t.Cleanup(func() { m.stop(t, syscall.SIGKILL) })
	return m
}

func mosquittoPath() string {
	if path, err := exec.LookPath("mosquitto"); err == nil {
		return path
	}
	return "/usr/sbin/mosquitto"
}

func (m *mosquitto) start(t *testing.T) {
	t.Helper()
	var out bytes.Buffer
	m.cmd = exec.Command(mosquittoPath(), "-c", m.conf)
	m.cmd.Stdout, m.cmd.Stderr = &out, &out
	if err := m.cmd.Start(); err != nil {
		t.Fatalf("mosquitto is needed for this test: %v", err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", m.addr())
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			m.stop(t, syscall.SIGKILL)
			t.Fatalf("mosquitto does not listen: %v\n%s", err, out.String())
		}
	}
}

func (m *mosquitto) stop(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if m.cmd == nil {
		return
	}
	m.cmd.Process.Signal(sig)
	m.cmd.Wait() // how it ends is not the question
	m.cmd = nil
}

func (m *mosquitto) addr() string { return "127.0.0.1:" + strconv.Itoa(m.port) }
func (m *mosquitto) url() string  { return "mqtt://" + m.addr() }

// An ear hears what the broker passes on, in a session that outlives the
// broker's restarts.
type ear struct {
	mu    sync.Mutex
	heard []paho.Message
}

func listen(t *testing.T, url string, set func(*paho.ClientOptions)) *ear {
	t.Helper()
	e := &ear{}
	o := paho.NewClientOptions().AddBroker(url).SetClientID("ear").SetCleanSession(false).SetConnectRetry(true).
		SetConnectRetryInterval(50 * time.Millisecond).SetMaxReconnectInterval(100 * time.Millisecond).SetOrderMatters(true)
	if set != nil {
		set(o)
	}
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.heard = append(e.heard, m)
	})
	cl := paho.NewClient(o)
	if tok := cl.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatal("the listener cannot connect:", tok.Error())
	}
	if tok := cl.Subscribe("#", 1, nil); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatal("the listener cannot subscribe:", tok.Error())
	}
	t.Cleanup(func() { cl.Disconnect(100) })
	return e
}

// on returns the payloads heard on a topic.
func (e *ear) on(topic string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for _, m := range e.heard {
		if m.Topic() == topic {
			all = append(all, string(m.Payload()))
		}
	}
	return all
}

func options(url string) Options {
	return Options{URL: url, Device: "jetson-1", RetryMin: 20 * time.Millisecond, RetryMax: 100 * time.Millisecond, RetryRefused: 50 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// run starts a client; the function it returns stops it.
func run(t *testing.T, opt Options, out Outbox) (c *Client, stop func()) {
	t.Helper()
	c, err := New(opt, out)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { c.Run(ctx) })
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return c, stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
