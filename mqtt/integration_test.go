package mqtt_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"perch/mqtt"
	"perch/pipeline"
	"perch/storage"
)

var _ mqtt.Outbox = (*storage.Store)(nil)

// The whole way: a run in the real database, the real broker, mosquitto's own
// subscriber. One completion for each run, byte for byte what the database has.
func TestFromTheDatabaseToASubscriber(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	port := startBroker(t)
	s, err := storage.Open(t.Context(), storage.Options{Dir: t.TempDir(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const runs = 40
	// A session that waits for its client: subscribed first, heard in the end.
	session := []string{"-p", port, "-c", "-i", "subscriber", "-q", "1", "-t", "perch/jetson-1/runs/+/complete"}
	if out, err := exec.CommandContext(t.Context(), "mosquitto_sub", append(session, "-E")...).CombinedOutput(); err != nil {
		t.Fatalf("subscribe: %v\n%s", err, out)
	}

	c, err := mqtt.New(mqtt.Options{URL: "mqtt://127.0.0.1:" + port, Device: "jetson-1", Log: log}, s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { c.Run(ctx) })
	for n := range runs {
		id := fmt.Sprintf("R%d", n)
		body := fmt.Sprintf(`{"run_id":%q}`, id)
		err := s.Begin(t.Context(), pipeline.RunStart{Run: id, Device: "jetson-1", Started: time.Now()})
		if err == nil {
			err = s.Complete(t.Context(), pipeline.Complete{Run: id, EndedAt: time.Now()}, pipeline.Message{Topic: "runs/" + id + "/complete", Payload: []byte(body)})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	heard, err := exec.CommandContext(t.Context(), "mosquitto_sub", append(session, "-C", fmt.Sprint(runs), "-W", "30", "-F", "%t %p")...).Output()
	if err != nil {
		t.Fatalf("mosquitto_sub: %v\n%s", err, heard)
	}
	lines := strings.Split(strings.TrimSpace(string(heard)), "\n")
	for n, line := range lines {
		id := fmt.Sprintf("R%d", n)
		record, err := s.CompleteJSON(t.Context(), id)
		if want := "perch/jetson-1/runs/" + id + "/complete " + string(record); err != nil || line != want {
			t.Errorf("heard %s, want %s, %v", line, want, err)
		}
	}
	for end := time.Now().Add(20 * time.Second); s.Stats().OutboxCount > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d rows stay in the outbox", s.Stats().OutboxCount)
		}
	}
	stop()
	wg.Wait()
	if st := c.Stats(); st.Delivered != runs {
		t.Errorf("stats %+v", st)
	}
}

func startBroker(t *testing.T) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	l.Close()
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(conf, []byte("listener "+port+" 127.0.0.1\nallow_anonymous true\n"), 0o644); err != nil {
		t.Fatal(err)
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
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			conn.Close()
			return port
		}
	}
	t.Fatal("mosquitto does not listen")
	return ""
}
