package deliver

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
	"strconv"
	"sync"
	"testing"
	"time"

	"perch/pipeline"
	"perch/storage"
)

// The test binary is also the process that a test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PERCH_DELIVER_DIR"); dir != "" {
		deliverForever(dir, os.Getenv("PERCH_DELIVER_URL"))
		return
	}
	os.Exit(m.Run())
}

func quiet() *slog.Logger { return newLogger(io.Discard) }

func newLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// A log keeps what is logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func openStore(t *testing.T, dir string) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), storage.Options{Dir: dir, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	start := pipeline.RunStart{Run: fmt.Sprintf("R%d", time.Now().UnixNano()), Device: "jetson-1", Camera: "door", Started: time.Now()}
	if err := s.Begin(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	runs.Store(s, &recording{run: start.Run})
	return s
}

// runs are the stores' runs, for owe.
var runs sync.Map

type recording struct {
	run string
	seq uint64
}

// owe records a frame that owes something.
func owe(t *testing.T, s *storage.Store, all ...pipeline.Delivery) {
	t.Helper()
	v, _ := runs.Load(s)
	r := v.(*recording)
	r.seq++
	err := s.Record(t.Context(), &pipeline.Result{Run: r.run, Frame: pipeline.FrameInfo{Seq: r.seq, Wall: time.Now()}, Deliveries: all}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// call is a webhook to a URL with a body.
func call(t *testing.T, url, body string) pipeline.Delivery {
	t.Helper()
	d, err := (&Request{Method: "POST", URL: url, Body: []byte(body), Timeout: 5 * time.Second}).Delivery(time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// worker makes one that is impatient.
func worker(t *testing.T, opt Options) *Worker {
	t.Helper()
	opt.RetryMin, opt.RetryMax = orElse(opt.RetryMin, 20*time.Millisecond), orElse(opt.RetryMax, 100*time.Millisecond)
	opt.Log = orElse(opt.Log, quiet())
	opt.Device = "jetson-1"
	w, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// run starts a worker; the function it returns stops it.
func run(t *testing.T, w *Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// startBroker runs mosquitto and returns its port.
func startBroker(t *testing.T, lines string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "listener %d 127.0.0.1\n%s\n", port, lines), 0o644); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(conf); len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) { // mosquitto gives up root's rights
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	cmd := exec.Command(path, "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatalf("mosquitto is needed for this test: %v", err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	eventually(t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return port
}
