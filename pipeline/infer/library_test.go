package infer

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"perch/pipeline"
)

// oldLibrary is an ONNX Runtime of a given version, as far as anybody can see
// who asks for its version. Like CUDA's provider it replaces signal handlers
// when it is loaded, and does not ask for the alternate stack.
const oldLibrary = `
#include <signal.h>
static void rude(int s) { (void)s; }
__attribute__((constructor)) static void init(void) {
	struct sigaction sa = {0};
	sa.sa_handler = rude;
	sigaction(SIGUSR1, &sa, 0);
	sigaction(SIGTERM, &sa, 0);
}
static const void *get_api(unsigned int v) { (void)v; return 0; }
static const char *version(void) { return VERSION; }
static struct { const void *(*a)(unsigned int); const char *(*b)(void); } base = { get_api, version };
const void *NAME(void) { return &base; }
`

// compile makes the library name in dir.
func compile(t *testing.T, dir, name, version, symbol string) string {
	t.Helper()
	src := filepath.Join(t.TempDir(), "lib.c")
	if err := os.WriteFile(src, []byte(oldLibrary), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	cmd := exec.Command("cc", "-shared", "-fPIC", fmt.Sprintf("-DVERSION=%q", version), "-DNAME="+symbol, "-o", path, src)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	return path
}

func TestLibraryTooOld(t *testing.T) {
	rt := New(Config{Library: compile(t, t.TempDir(), "libonnxruntime.so.1", "1.16.3", "OrtGetApiBase")})
	_, err := rt.find()
	wantKind(t, err, pipeline.BadConfig)
	for _, want := range []string{"1.16.3", "1.22", "libonnxruntime.so.1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestLibraryThatIsNone(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "libonnxruntime.so.1")
	if err := os.WriteFile(text, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	other := compile(t, t.TempDir(), "libother.so", "1.24.0", "Something")
	for path, kind := range map[string]pipeline.Kind{
		text:                         pipeline.BadConfig,
		dir:                          pipeline.BadConfig,
		other:                        pipeline.BadConfig,
		filepath.Join(dir, "absent"): pipeline.NotFound,
		t.TempDir():                  pipeline.NotFound,
	} {
		_, err := New(Config{Library: path}).find()
		wantKind(t, err, kind)
		if err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name %s", err, path)
		}
	}
}

// The first usable library of the search path is taken, and what was passed
// over on the way is told.
func TestLibrarySearch(t *testing.T) {
	empty, old, good, later := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	compile(t, old, "libonnxruntime.so", "1.20.1", "OrtGetApiBase")
	compile(t, good, "libonnxruntime.so.1.22.0", "1.22.0", "OrtGetApiBase")
	compile(t, later, "libonnxruntime.so.1", "1.24.0", "OrtGetApiBase")

	lib, err := New(Config{Search: []string{empty, filepath.Join(empty, "absent"), old, good, later}}).find()
	if err != nil {
		t.Fatal(err)
	}
	if lib.Path != filepath.Join(good, "libonnxruntime.so.1.22.0") || lib.Version != "1.22.0" {
		t.Errorf("took %+v", lib)
	}
	if len(lib.Passed) != 1 || !strings.Contains(lib.Passed[0], "1.20.1") {
		t.Errorf("passed over %q", lib.Passed)
	}

	_, err = New(Config{Search: []string{empty, old}}).find()
	wantKind(t, err, pipeline.Unsupported)
	_, err = New(Config{Search: []string{empty}}).find()
	wantKind(t, err, pipeline.NotFound)
	if err != nil && !strings.Contains(err.Error(), empty) {
		t.Errorf("%v does not say where it looked", err)
	}
}

func TestSearchPath(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/somewhere/cache")
	dirs := SearchPath()
	if len(dirs) != 7 || dirs[0] != "/usr/lib/perch/gpu" || dirs[6] != "/somewhere/cache/perch" {
		t.Errorf("search path: %q", dirs)
	}
	if New(Config{}).cfg.Search[1] != "/opt/onnxruntime/lib" {
		t.Error("the default search path is not used")
	}
}

func TestCheckVersion(t *testing.T) {
	for v, ok := range map[string]bool{
		"1.22.0": true, "1.24.3": true, "1.22": true, "2.0.0": true, "1.22.0-rc1": true,
		"1.21.9": false, "0.99.0": false, "": false, "new": false, "1.x": false,
	} {
		if err := checkVersion(v); (err == nil) != ok {
			t.Errorf("version %q: %v", v, err)
		}
	}
}

// The environment exists once in a process: a second Runtime is told so, and a
// Runtime that could not start leaves room for another.
func TestOneRuntimeInAProcess(t *testing.T) {
	testRuntime(t)
	_, err := New(Config{Library: os.Getenv("PERCH_ORT_LIB")}).Start()
	if err == nil || !strings.Contains(err.Error(), "already started") {
		t.Errorf("second Runtime: %v", err)
	}
	first, err1 := shared().Start()
	again, err2 := shared().Start()
	if err1 != nil || err2 != nil || first.Path != again.Path || first.Version == "" || !filepath.IsAbs(first.Path) {
		t.Errorf("Start twice: %+v %v, %+v %v", first, err1, again, err2)
	}
}

func TestKeepSignals(t *testing.T) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	defer signal.Stop(c)
	rude := compile(t, t.TempDir(), "librude.so", "1.0", "OrtGetApiBase")

	n, err := keepSignals(func() error { _, err := libraryVersion(rude); return err })
	if err != nil || n != 2 {
		t.Fatalf("%d handlers put back, want SIGUSR1 and SIGTERM; %v", n, err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatal("SIGTERM did not reach Go")
	}
}

// What Go itself installs while C is at work must stay: a program may begin to
// listen for a signal while an engine is being built.
func TestKeepSignalsLeavesGoAlone(t *testing.T) {
	c := make(chan os.Signal, 1)
	defer signal.Stop(c)
	signal.Ignore(syscall.SIGHUP) // the handler that keepSignals sees first
	n, err := keepSignals(func() error { signal.Notify(c, syscall.SIGHUP); return nil })
	if err != nil || n != 0 {
		t.Fatalf("%d handlers put back; %v", n, err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatal("SIGHUP did not reach Go")
	}
}
