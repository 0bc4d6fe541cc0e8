package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"perch/cmd/internal/api"
	"perch/pipeline"
)

// tmpfs mounts a small file system of its own; it takes root.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); errors.Is(err, syscall.EPERM) {
		t.Skip("only root may mount a file system to fill; storage's own tests fill one without")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves no room on the file system of dir.
func fill(t *testing.T, dir string) (ballast string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	return f.Name()
}

func TestADatabaseThatCannotBeWritten(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	dir := t.TempDir()
	in := clip(t, dir)
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := finish(t, perch(t, t.Context(), data, "process", in)); got.status != exitOK {
		t.Fatalf("exit status %d\n%s", got.status, got.errOut)
	}
	if os.Getuid() == 0 { // modes do not stop root
		if err := syscall.Mount(data, data, "", syscall.MS_BIND, ""); err != nil {
			t.Skipf("this user may not mount: %v", err)
		}
		defer func() {
			if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}()
		if err := syscall.Mount("", data, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
	} else {
		if err := os.Chmod(data, 0o555); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(data, 0o755)
	}
	for _, args := range [][]string{
		{"process", in}, {"run", "--config", write(t, filepath.Join(dir, "perch.yaml"), quiet)},
	} {
		got := finish(t, perch(t, t.Context(), data, args...))
		if got.status != exitStorage || !strings.Contains(got.errOut, data) || !strings.Contains(got.errOut, "read-only") && !strings.Contains(got.errOut, "permission denied") {
			t.Errorf("perch %s: exit status %d\n%s", args[0], got.status, got.errOut)
		}
	}
}

func TestTheDiskIsFullDuringProcess(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel() // most of it is waiting for the disk
	dir := tmpfs(t, "6m")
	if got := finish(t, perch(t, t.Context(), dir, "process", clip(t, t.TempDir()))); got.status != exitOK {
		t.Fatalf("exit status %d\n%s", got.status, got.errOut)
	}
	in := sample(t, filepath.Join(t.TempDir(), "gate.mp4"), 200)
	cmd := perch(t, t.Context(), dir, "process", "--json", in, "never-reached.mp4")
	cmd.Env = append(cmd.Env, "PERCH_STORAGE_COMMIT_INTERVAL=50ms")
	filled := make(chan string)
	go func() { awaitFrames(t, dir, 2, 10); filled <- fill(t, dir) }()
	got := finish(t, cmd)
	ballast := <-filled
	if got.status != exitStorage || !strings.Contains(got.errOut, "full") || !strings.Contains(got.errOut, "make room on the disk") || !strings.Contains(got.errOut, "1 more files were not processed") {
		t.Errorf("exit status %d\n%s%s", got.status, got.out, got.errOut)
	}
	if got.out != "" { // the next start makes the record
		t.Errorf("a record was printed that is not stored: %s", got.out)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	// The next start ends what could not be ended, exactly once.
	for range 2 {
		if got := finish(t, perch(t, t.Context(), dir, "process", clip(t, t.TempDir()))); got.status != exitOK {
			t.Fatalf("exit status %d\n%s", got.status, got.errOut)
		}
	}
	list := endedRuns(t, dir)
	if len(list) != 4 {
		t.Fatalf("%d runs", len(list))
	}
	c := list[1].Complete
	if c.Termination != pipeline.Failed || len(c.Errors) == 0 {
		t.Errorf("record of the run that met the full disk: %+v", c)
	}
	if c.Frames.Processed <= 10 || c.Frames.Processed >= 200 {
		t.Errorf("%d frames were kept; the test wants some and not all", c.Frames.Processed)
	}
}

// A camera goes on when the disk is full: the device says so, and forgets
// nothing that it has accepted.
func TestTheDiskIsFullUnderACamera(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	dir := tmpfs(t, "6m")
	d := startDaemon(t, dir, gate(t, t.TempDir(), "storage: {commit_interval: 50ms}\n"))
	first := d.camera(t, "gate", "is live", live)
	ballast := fill(t, dir)
	until(t, d.log, "/readyz says that the disk is full", func() bool {
		status, body := d.ask(t, "GET", "/readyz")
		return status == 503 && strings.Contains(body, "full")
	})
	st := get[api.Status](t, d, "/api/v1/status")
	if st.Storage.OK || !strings.Contains(fmt.Sprint(st.Problems), "storage") {
		t.Errorf("status: %+v", st)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	until(t, d.log, "the device is ready again", func() bool { status, _ := d.ask(t, "GET", "/readyz"); return status == 200 })
	last := d.camera(t, "gate", "is live", live)
	if last.Run != first.Run {
		t.Error("the full disk ended the run")
	}
	if code := d.stop(t); code != exitOK {
		t.Errorf("exit status %d\n%s", code, d.log)
	}
	list := endedRuns(t, dir) // every frame that counts as processed is there
	if len(list) != 1 || list[0].Complete.Frames.Processed < last.Frames.Processed {
		t.Errorf("%d runs; %+v", len(list), list[0].Complete)
	}
}
