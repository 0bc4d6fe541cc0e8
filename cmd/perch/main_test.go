package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be perch: the tests run the real program in a
// process of its own, where its exit status and its memory are its own.
func TestMain(m *testing.M) {
	builds := len(os.Args) > 1 && os.Args[1] == buildCommand // perch has run itself
	if os.Getenv("PERCH_TEST_BE_PERCH") != "" || builds {
		os.Unsetenv("PERCH_TEST_BE_PERCH")
		main()
	}
	os.Exit(m.Run())
}

// perch returns a command that runs this program with a data folder of its
// own and no broker.
func perch(t *testing.T, ctx context.Context, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), "PERCH_TEST_BE_PERCH=1", "PERCH_DATA_DIR="+dir, "PERCH_CACHE_DIR="+filepath.Join(dir, "cache"),
		"PERCH_MODELS_ONNXRUNTIME="+os.Getenv("PERCH_ORT_LIB"))
	cmd.WaitDelay = 10 * time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd
}

type outcome struct {
	status      int
	out, errOut string
}

func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// need skips a test when set-up has not put its parts in place, and says which.
func need(t *testing.T, env ...string) {
	t.Helper()
	for _, name := range env {
		if os.Getenv(name) == "" {
			t.Skipf("%s is not set; make test sets it", name)
		}
	}
}

// media makes a small file with gst-launch-1.0.
func media(t *testing.T, path string, pipeline ...string) string {
	t.Helper()
	args := append([]string{"-q"}, strings.Fields(strings.Join(pipeline, " "))...)
	args = append(args, "!", "filesink", "location="+path)
	if out, err := exec.Command("gst-launch-1.0", args...).CombinedOutput(); err != nil {
		t.Fatalf("gst-launch-1.0 %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return path
}

// clip is a second of H.264 in which nothing is to be found.
func clip(t *testing.T, dir string) string {
	return media(t, filepath.Join(dir, "clip.mp4"), "videotestsrc num-buffers=10 ! video/x-raw,width=320,height=240,framerate=10/1 ! x264enc ! h264parse ! mp4mux")
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort returns a loopback address that nobody listens on just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
