package systemd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/slogtest"
	"time"

	"perch/pipeline"
)

// parse reads an entry as journald does.
func parse(t *testing.T, entry string) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for entry != "" {
		line, rest, ok := strings.Cut(entry, "\n")
		if !ok {
			t.Fatalf("no end of line after %q", line)
		}
		name, value, simple := strings.Cut(line, "=")
		if !simple {
			if len(rest) < 8 {
				t.Fatalf("%s has no length", name)
			}
			n := binary.LittleEndian.Uint64([]byte(rest[:8]))
			if uint64(len(rest)) < 9+n || rest[8+n] != '\n' {
				t.Fatalf("%s does not end after %d bytes", name, n)
			}
			value, rest = rest[8:8+n], rest[9+n:]
		}
		if _, twice := fields[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		fields[name] = value
		entry = rest
	}
	return fields
}

// receiveEntry returns the next entry, however long.
func receiveEntry(t *testing.T, c *net.UnixConn) map[string]string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<20)
	k, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(b[:k]))
}

func TestJournalFields(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	c := listen(t, socket)
	var lost bytes.Buffer
	log := slog.New(newJournal(socket, slog.LevelInfo, slog.NewTextHandler(&lost, nil))).With("camera", "front door")
	for name, tc := range map[string]struct {
		say  func()
		want map[string]string
	}{
		"attributes": {func() { log.Info("run started", "run", "01J", "fps", 12.5) }, map[string]string{
			"MESSAGE": `run started camera="front door" run=01J fps=12.5`, "PRIORITY": "6", "SYSLOG_IDENTIFIER": "perch", "CAMERA": "front door", "RUN": "01J", "FPS": "12.5"}},
		"an error of ours": {func() {
			log.Error("camera is away", "error", &pipeline.Error{Op: "open", On: "rtsp://h/x", Kind: pipeline.Gone, Err: errors.New("no route"), Hint: "look at the cable"})
		}, map[string]string{
			"MESSAGE": `camera is away camera="front door" error="open rtsp://h/x: no route (look at the cable)"`, "PRIORITY": "3", "SYSLOG_IDENTIFIER": "perch", "CAMERA": "front door",
			"ERROR": "open rtsp://h/x: no route (look at the cable)", "KIND": "gone", "ON": "rtsp://h/x", "HINT": "look at the cable"}},
		"another error": {func() { log.Warn("w", "error", errors.New("e")) }, map[string]string{
			"MESSAGE": `w camera="front door" error=e`, "PRIORITY": "4", "SYSLOG_IDENTIFIER": "perch", "CAMERA": "front door", "ERROR": "e", "KIND": "other"}},
		"groups": {func() { log.WithGroup("g").With("a", 1).Info("m", slog.Group("h", "b", true), "MESSAGE", "no") }, map[string]string{
			"MESSAGE": `m camera="front door" g.a=1 g.h.b=true g.MESSAGE=no`, "PRIORITY": "6", "SYSLOG_IDENTIFIER": "perch", "CAMERA": "front door", "G_A": "1", "G_H_B": "true", "G_MESSAGE": "no"}},
		"names and lines": {func() { log.Info("two\nlines", "_secret-é", "a\nb\n", "priority", "x", "42", 1) }, map[string]string{
			"MESSAGE":  "two\nlines camera=\"front door\" _secret-é=\"a\\nb\\n\" priority=x 42=1",
			"PRIORITY": "6", "SYSLOG_IDENTIFIER": "perch", "CAMERA": "front door", "SECRET__": "a\nb\n", "PERCH_PRIORITY": "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.say()
			got := receiveEntry(t, c)
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
	log.Debug("not wanted")
	long := strings.Repeat("é", maxField)
	many := make([]any, 0, 400)
	for i := range 200 {
		many = append(many, fmt.Sprintf("k%d", i), i)
	}
	log.With(many...).Info("long", "text", long)
	if got := receiveEntry(t, c); len(got) != maxFields+3 || !strings.HasPrefix(got["MESSAGE"], "long camera=") {
		t.Errorf("%d fields", len(got))
	}
	log.Info("long", "text", long)
	if got := receiveEntry(t, c); len(got["TEXT"]) != maxField+len("…") || !strings.HasSuffix(got["TEXT"], "é…") {
		t.Errorf("%d bytes of text", len(got["TEXT"]))
	}
	if lost.Len() > 0 {
		t.Errorf("said elsewhere: %s", &lost)
	}
}

// A journald that restarts is found again; while it is away, nothing is lost.
func TestJournalAway(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	var lost bytes.Buffer
	log := slog.New(newJournal(socket, slog.LevelInfo, slog.NewTextHandler(&lost, nil)))
	log.Info("before", "camera", "yard")
	if !strings.Contains(lost.String(), `msg=before camera=yard`) {
		t.Errorf("lost: %s", &lost)
	}
	first := listen(t, socket)
	log.Info("one")
	if got := receiveEntry(t, first); got["MESSAGE"] != "one" {
		t.Errorf("%q", got)
	}
	first.Close()
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	second := listen(t, socket)
	log.Info("two")
	if got := receiveEntry(t, second); got["MESSAGE"] != "two" {
		t.Errorf("%q", got)
	}
}

// The rules of slog, by its own suite, as far as fields can show them.
func TestJournalIsAHandler(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	c := listen(t, socket)
	slogtest.Run(t, func(*testing.T) slog.Handler {
		return newJournal(socket, slog.LevelInfo, slog.DiscardHandler)
	}, func(t *testing.T) map[string]any {
		got := map[string]any{}
		entry := receiveEntry(t, c)
		msg, _, _ := strings.Cut(entry["MESSAGE"], " ")
		got[slog.MessageKey], got[slog.LevelKey] = msg, entry["PRIORITY"]
		if !strings.Contains(t.Name(), "zero-time") {
			got[slog.TimeKey] = "journald's own"
		}
		for name, v := range entry {
			if name == "MESSAGE" || name == "PRIORITY" || name == "SYSLOG_IDENTIFIER" {
				continue
			}
			steps := strings.Split(name, "_")
			at := got
			for _, s := range steps[:len(steps)-1] {
				if at[s] == nil {
					at[s] = map[string]any{}
				}
				at = at[s].(map[string]any)
			}
			at[steps[len(steps)-1]] = v
		}
		return lower(got)
	})
}

// lower gives slogtest the keys of one letter as it wrote them: groups and some
// keys of the suite are capitals, the others are small.
func lower(m map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		if sub, ok := v.(map[string]any); ok {
			out[k] = lower(sub)
			continue
		}
		out[strings.ToLower(k)] = v
	}
	return out
}

func TestInJournal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	sys := st.Sys().(*syscall.Stat_t)
	right := environment("JOURNAL_STREAM", fmt.Sprintf("%d:%d", sys.Dev, sys.Ino))
	if !InJournal(right, f) {
		t.Error("the journal's stream is not known")
	}
	for name, in := range map[string]bool{
		"another file": InJournal(environment("JOURNAL_STREAM", "1:2"), f), "no variable": InJournal(environment(), f), "no file": InJournal(right, &bytes.Buffer{}),
	} {
		if in {
			t.Errorf("%s is taken for the journal", name)
		}
	}
}
