package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"perch/cmd/internal/api"
	"perch/storage"
)

// quiet is what every configuration of these tests begins with: one port of
// its own, on this machine only.
const quiet = "http: {listen: \"127.0.0.1:0\"}\nlog: {level: debug}\n"

// journal keeps what a program writes, for a test that reads it meanwhile.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// A transcript is what several programs wrote.
type transcript []*journal

func (all transcript) String() (s string) {
	for _, j := range all {
		s += j.String() + "\n"
	}
	return s
}

// A daemon is perch run in a process of its own.
type daemon struct {
	cmd  *exec.Cmd
	url  string // without a slash at the end
	dir  string
	log  *journal
	done chan struct{} // closed when the process has ended
}

// startDaemon starts perch run with the configuration, and with variables
// beside those of the test, and waits until it says that it is ready.
func startDaemon(t *testing.T, dir, yaml string, environ ...string) *daemon {
	t.Helper()
	d := &daemon{cmd: perch(t, t.Context(), dir, "run", "--config", write(t, filepath.Join(dir, "perch.yaml"), yaml)), dir: dir, log: &journal{}, done: make(chan struct{})}
	d.cmd.Env = append(d.cmd.Env, environ...)
	d.cmd.Stderr = d.log
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, out); _ = d.cmd.Wait(); close(d.done) }() // ended by kill
	_, url, ok := strings.Cut(strings.TrimSpace(line), " is ready. Console: ")
	if !ok {
		d.kill()
		t.Fatalf("perch run said %q, %v\n%s", line, err, d.log)
	}
	d.url = strings.TrimSuffix(url, "/")
	return d
}

// kill ends the process without asking.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill() // it may have ended already
	<-d.done
}

// stop asks the process to end and returns its exit status.
func (d *daemon) stop(t *testing.T) int {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.done:
	case <-time.After(30 * time.Second):
		t.Fatalf("does not end on SIGTERM\n%s", d.log)
	}
	return d.cmd.ProcessState.ExitCode()
}

// ask returns status and body of a request.
func (d *daemon) ask(t *testing.T, method, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%v\n%s", err, d.log)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// get decodes the JSON answer to a GET into a T.
func get[T any](t *testing.T, d *daemon, path string) (v T) {
	t.Helper()
	status, body := d.ask(t, "GET", path)
	if err := json.Unmarshal([]byte(body), &v); err != nil || status != http.StatusOK {
		t.Fatalf("GET %s: %d %v\n%s", path, status, err, body)
	}
	return v
}

// camera waits until the camera is as wanted.
func (d *daemon) camera(t *testing.T, name, what string, ok func(api.Camera) bool) (c api.Camera) {
	t.Helper()
	until(t, d.log, name+" "+what, func() bool { c = get[api.Camera](t, d, "/api/v1/cameras/"+name); return ok(c) })
	return c
}

func live(c api.Camera) bool { return c.State == "live" && c.Run != "" && c.Frames.Processed > 0 }

// until asks again and again; log is shown when it is in vain.
func until(t *testing.T, log fmt.Stringer, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s\n%s", what, log)
		}
	}
}

// database opens what a run of perch left, to read.
func database(t *testing.T, dir string) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), storage.Options{Dir: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// endedRuns returns all runs, oldest first; each must have ended, and what is kept
// of it must be what its record says.
func endedRuns(t *testing.T, dir string) (list []storage.Run) {
	t.Helper()
	s := database(t, dir)
	if err := s.Check(t.Context()); err != nil {
		t.Error("integrity:", err)
	}
	all, err := s.Runs(t.Context(), storage.RunFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for i := len(all) - 1; i >= 0; i-- {
		r := all[i]
		list = append(list, r)
		if r.Complete == nil {
			t.Errorf("run %s has no record", r.Run)
			continue
		}
		if in := r.Complete.Frames.In; in != r.Complete.Frames.Processed+sum(r.Complete.Frames.Dropped) {
			t.Errorf("the books do not balance: %+v", r.Complete.Frames)
		}
		kept := uint64(0)
		for _, err := range s.Results(t.Context(), r.Run) {
			if err != nil {
				t.Fatal(err)
			}
			kept++
		}
		if kept != r.Complete.Frames.Processed {
			t.Errorf("run %s: %d results are kept, its record says %d", r.Run, kept, r.Complete.Frames.Processed)
		}
	}
	return list
}

func sum[K comparable](m map[K]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

// sample cuts the first frames off the sample clip, as H.264 in the container
// that the name asks for.
func sample(t *testing.T, path string, frames int) string {
	t.Helper()
	need(t, "PERCH_TEST_CLIP")
	mux := map[string]string{".mp4": "mp4mux", ".mkv": "matroskamux", ".avi": "avimux"}[filepath.Ext(path)]
	return media(t, path, fmt.Sprintf("filesrc location=%s ! avidemux ! avdec_msmpeg4 ! identity eos-after=%d ! videoconvert ! "+
		"x264enc speed-preset=ultrafast key-int-max=25 ! h264parse ! %s", os.Getenv("PERCH_TEST_CLIP"), frames+1, mux))
}

// absent checks that a secret is nowhere in what was said and stored.
func absent(t *testing.T, secret, dir string, said ...string) {
	t.Helper()
	for _, s := range said {
		if i := strings.Index(s, secret); i >= 0 {
			t.Errorf("the password was said: …%s…", s[max(0, i-80):min(len(s), i+80)])
		}
	}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || filepath.Base(path) == "perch.yaml" {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("the password is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// awaitFrames waits until a database has so many runs and the newest of them
// more than so many frames, or half a minute.
func awaitFrames(t *testing.T, dir string, runs int, frames uint64) {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		s, err := storage.Open(t.Context(), storage.Options{Dir: dir, ReadOnly: true})
		if err != nil {
			continue // not there yet
		}
		list, err := s.Runs(t.Context(), storage.RunFilter{})
		_ = s.Close() // it was read
		if err == nil && len(list) == runs && list[0].Frames > frames {
			return
		}
	}
	t.Errorf("waited in vain for %d frames", frames)
}
