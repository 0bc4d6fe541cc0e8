package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"perch/pipeline"
)

// A mosquitto is a real broker in a process of its own.
type mosquitto struct {
	addr, conf string
	cmd        *exec.Cmd
	log        *journal
}

// startMosquitto runs the broker; lines are for mosquitto.conf, and without
// any everybody is let in.
func startMosquitto(t *testing.T, lines string) *mosquitto {
	t.Helper()
	m := &mosquitto{addr: freePort(t), conf: filepath.Join(t.TempDir(), "mosquitto.conf")}
	if lines == "" {
		lines = "allow_anonymous true"
	}
	_, port, err := net.SplitHostPort(m.addr)
	if err != nil {
		t.Fatal(err)
	}
	write(t, m.conf, fmt.Sprintf("user root\nlistener %s 127.0.0.1\npersistence false\nlog_type all\nlog_dest stderr\n%s\n", port, lines))
	m.start(t)
	t.Cleanup(m.stop)
	return m
}

func (m *mosquitto) start(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	m.log = &journal{}
	m.cmd = exec.Command(path, "-c", m.conf)
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	if err := m.cmd.Start(); err != nil {
		t.Fatalf("mosquitto is needed for this test: %v", err)
	}
	until(t, m.log, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", m.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (m *mosquitto) stop() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait() // "killed" is no news
	m.cmd = nil
}

func (m *mosquitto) url() string { return "mqtt://" + m.addr }

// An ear is mosquitto_sub on every topic.
type ear struct{ heard *journal }

type message struct{ topic, payload string }

func (m *mosquitto) listen(t *testing.T, more ...string) *ear {
	t.Helper()
	e := listenTo(t, m.addr, more...)
	until(t, transcript{m.log, e.heard}, "mosquitto_sub has subscribed", func() bool { return strings.Contains(m.log.String(), "Sending SUBACK") })
	return e
}

// listenTo listens to any broker; it returns before the subscription is made.
func listenTo(t *testing.T, addr string, more ...string) *ear {
	t.Helper()
	e := &ear{heard: &journal{}}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("mosquitto_sub", append([]string{"-h", "127.0.0.1", "-p", port, "-t", "#", "-q", "1", "-F", "MESSAGE %t %p"}, more...)...)
	cmd.Stdout, cmd.Stderr = e.heard, e.heard
	if err := cmd.Start(); err != nil {
		t.Fatalf("mosquitto_sub is needed for this test: %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return e
}

// on returns what was heard on topics that end so.
func (e *ear) on(ending string) (list []message) {
	for line := range strings.Lines(e.heard.String()) {
		if rest, ok := strings.CutPrefix(line, "MESSAGE "); ok {
			topic, payload, _ := strings.Cut(strings.TrimSpace(rest), " ")
			if strings.HasSuffix(topic, ending) {
				list = append(list, message{topic, payload})
			}
		}
	}
	return list
}

func TestProcessWithoutItsBrokerKeepsTheMessagesForTheNext(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	dir := t.TempDir()
	broker := startMosquitto(t, "")
	broker.stop()
	conf := write(t, filepath.Join(dir, "perch.yaml"), quiet+"mqtt: {url: \""+broker.url()+"\"}\n")
	in := clip(t, dir)
	away := finish(t, perch(t, t.Context(), dir, "process", "--config", conf, "--json", in))
	if away.status != exitOK || !strings.Contains(away.errOut, "perch: warning: 1 messages wait in the outbox for "+broker.url()) || !strings.Contains(away.errOut, "refused") {
		t.Fatalf("exit status %d\n%s", away.status, away.errOut)
	}
	broker.start(t)
	ear := broker.listen(t)
	back := finish(t, perch(t, t.Context(), dir, "process", "--config", conf, "--json", in))
	if back.status != exitOK || strings.Contains(back.errOut, "perch: warning") {
		t.Fatalf("exit status %d\n%s", back.status, back.errOut)
	}
	want := strings.TrimSpace(away.out) + "\n" + strings.TrimSpace(back.out)
	var heard []string
	for _, m := range ear.on("/complete") {
		heard = append(heard, m.payload)
	}
	if strings.Join(heard, "\n") != want {
		t.Errorf("heard %q\nwant %s", heard, want)
	}
	left, err := database(t, dir).Pending(t.Context(), 0, 10)
	if err != nil || len(left) != 0 {
		t.Errorf("%d messages are left: %v", len(left), err)
	}
}

func TestABrokerThatRefusesThePassword(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	dir := t.TempDir()
	const right, wrong = "right-secret-81", "wrong-secret-93"
	passwords := filepath.Join(dir, "passwords")
	if out, err := exec.Command("mosquitto_passwd", "-b", "-c", passwords, "perch", right).CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
	}
	broker := startMosquitto(t, "allow_anonymous false\npassword_file "+passwords)
	ear := broker.listen(t, "-u", "perch", "-P", right)
	yaml := quiet + "mqtt: {url: \"" + broker.url() + "\", username: perch, password: " + wrong + "}\n"
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	conf := write(t, filepath.Join(dir, "perch.yaml"), yaml)
	got := finish(t, perch(t, t.Context(), data, "process", "--config", conf, "--json", clip(t, dir)))
	if got.status != exitOK || !strings.Contains(got.errOut, "1 messages wait in the outbox") || !strings.Contains(got.errOut, "check mqtt.username and mqtt.password") {
		t.Errorf("exit status %d\n%s", got.status, got.errOut)
	}
	if c := records(t, got.out); len(c) != 1 || c[0].Termination != pipeline.EndOfStream {
		t.Errorf("record: %s", got.out)
	}
	d := startDaemon(t, data, yaml)
	var status string
	until(t, d.log, "the API tells of the refusal", func() bool {
		_, status = d.ask(t, "GET", "/api/v1/status")
		return strings.Contains(status, "check mqtt.username and mqtt.password")
	})
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	absent(t, wrong, data, got.out, got.errOut, d.log.String(), status)

	conf = write(t, filepath.Join(dir, "perch.yaml"), strings.Replace(yaml, wrong, right, 1))
	again := finish(t, perch(t, t.Context(), data, "process", "--config", conf, "--json", clip(t, dir)))
	if again.status != exitOK || len(ear.on("/complete")) != 2 {
		t.Errorf("exit status %d, heard %v\n%s", again.status, ear.on("/complete"), again.errOut)
	}
}
