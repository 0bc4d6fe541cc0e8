package mqtt

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"perch/pipeline"
)

func TestTry(t *testing.T) {
	passwords := filepath.Join(t.TempDir(), "passwords")
	if out, err := exec.Command("mosquitto_passwd", "-b", "-c", passwords, "perch", "right").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
	}
	readable(t, passwords)
	m := startMosquitto(t, "allow_anonymous false\npassword_file "+passwords)
	opt := options(m.url())
	opt.Username, opt.Password, opt.Device = "perch", "right", ""
	if err := Try(t.Context(), opt); err != nil {
		t.Errorf("the right password: %v", err)
	}
	opt.Password = "wrong-4711"
	err := Try(t.Context(), opt)
	if pipeline.KindOf(err) != pipeline.Refused || strings.Contains(err.Error(), opt.Password) {
		t.Errorf("a wrong password: %v", err)
	}
	m.stop(t, syscall.SIGKILL)
	if err := Try(t.Context(), opt); pipeline.KindOf(err) != pipeline.Gone {
		t.Errorf("no broker: %v", err)
	}
	opt.URL = "ftp://host"
	if err := Try(t.Context(), opt); pipeline.KindOf(err) != pipeline.BadConfig {
		t.Errorf("no broker's URL: %v", err)
	}
}

// Trying beside a client of the same device neither throws it out nor speaks
// in its name.
func TestTryDisturbsNobody(t *testing.T) {
	m := startMosquitto(t, "")
	e := listen(t, m.url(), nil)
	c, stop := run(t, options(m.url()), newMemory(1))
	eventually(t, "the client has delivered", func() bool { return c.Stats().Delivered == 1 && len(e.on("perch/jetson-1/status")) == 1 })
	since := c.Stats().ConnectedSince
	if err := Try(t.Context(), options(m.url())); err != nil {
		t.Fatal(err)
	}
	if s := c.Stats(); s.State != Connected || s.ConnectedSince != since || s.Retries != 0 {
		t.Errorf("the client was disturbed: %+v", s)
	}
	stop()
	eventually(t, "the client says goodbye", func() bool { return len(e.on("perch/jetson-1/status")) == 2 })
}

func TestTryEndsWithItsContext(t *testing.T) {
	m := startMosquitto(t, "")
	if err := m.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := Try(ctx, options(m.url())); err == nil {
		t.Error("a broker that says nothing was taken for a good one")
	}
}
