package infer

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"perch/pipeline"
)

// owners fails for whatever is below dir and not of that user.
func owners(t *testing.T, dir string, uid int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err == nil && int(info.Sys().(*syscall.Stat_t).Uid) != uid {
			t.Errorf("%s is user %d's, want %d", path, info.Sys().(*syscall.Stat_t).Uid, uid)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// What root builds belongs to whom the cache belongs, while it is built and
// afterwards, and what root built before is given away when it is used again.
func TestWhatRootBuildsIsTheServices(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const nobody = 65534
	cache := t.TempDir()
	if err := os.Chown(cache, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	c := engines{filepath.Join(cache, "engines")}
	facts := map[string]string{"n": "1"}
	s, err := c.begin(Building{Model: "m", Started: time.Now()}, facts)
	if err != nil {
		t.Fatal(err)
	}
	owners(t, c.dir, nobody)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(secret, nil, 0o600), os.WriteFile(filepath.Join(s.dir, "a.engine"), []byte("x"), 0o600), os.Symlink(secret, filepath.Join(s.dir, "link"))); err != nil {
		t.Fatal(err)
	}
	if err := HandOver(c.dir, filepath.Base(s.dir)); err != nil {
		t.Fatal(err)
	}
	owners(t, filepath.Dir(secret), 0) // a link gives nothing else away
	if err := os.Remove(filepath.Join(s.dir, "link")); err != nil {
		t.Fatal(err)
	}
	dir, err := s.publish()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.noteFailure(facts, failure{Process: "x"}); err != nil {
		t.Fatal(err)
	}
	owners(t, c.dir, nobody)
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if err := errors.Join(os.Chown(filepath.Join(dir, "a.engine"), 0, 0), os.Chown(filepath.Join(c.dir, buildLock), 0, 0)); err != nil {
		t.Fatal(err)
	}
	op := &opening{rt: shared(), name: "m", o: Options{EngineCacheDir: c.dir, Log: shared().cfg.Log}}
	if found, err := op.found(engine{facts: facts}); found != dir || err != nil {
		t.Errorf("found %q, %v", found, err)
	}
	owners(t, c.dir, nobody)
}

// withoutChown runs a test of this binary as root that may give nothing away.
func withoutChown(t *testing.T, test string, environ ...string) (out []byte, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), environ...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		const prCapBSetDrop, capChown = 24, 0
		if _, _, e := syscall.RawSyscall(syscall.SYS_PRCTL, prCapBSetDrop, capChown, 0); e != 0 {
			err = e
			return
		}
		out, err = cmd.CombinedOutput()
	}()
	<-done
	return out, err
}

// TestBuildsWithoutChown is no test of its own: TestRootThatMayGiveNothingAway
// runs it without CAP_CHOWN.
func TestBuildsWithoutChown(t *testing.T) {
	dir := os.Getenv("PERCH_TEST_NO_CHOWN")
	if dir == "" {
		return
	}
	if err := HandOver(filepath.Dir(dir), filepath.Base(dir)); pipeline.KindOf(err) != pipeline.Refused || strings.Count(err.Error(), "sudo") > 1 {
		t.Fatalf("giving away: %v", err)
	}
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	op := &opening{rt: New(Config{Log: log}), name: "m", o: Options{EngineCacheDir: dir, Log: log}, begun: make(chan struct{}, 1)}
	e := engine{facts: map[string]string{"n": "1"}, options: map[string]string{}}
	if err := op.begin(Rehearsal, &e); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(e.dir, "a.engine"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.keep(); err != nil {
		t.Fatal(err)
	}
	if err := (engines{dir}).noteFailure(e.facts, failure{Process: "x"}); err != nil {
		t.Error(err)
	}
	if found, err := op.found(e); found == "" || err != nil {
		t.Errorf("found %q, %v", found, err)
	}
	if n := strings.Count(said.String(), "stay root's"); n != 1 {
		t.Errorf("said %d times that files stay root's:\n%s", n, &said)
	}
}

func TestRootThatMayGiveNothingAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	cache := t.TempDir()
	dir := filepath.Join(cache, "engines")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Chown(dir, 65534, 65534), os.Chown(cache, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	if out, err := withoutChown(t, "TestBuildsWithoutChown", "PERCH_TEST_NO_CHOWN="+dir); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Looking for something that leads out of the folder gives nothing away.
func TestHandOverStaysInside(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir, outside := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Chown(dir, 65534, 65534), os.WriteFile(filepath.Join(outside, "file"), nil, 0o600), os.Symlink(outside, filepath.Join(dir, "stage"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join("stage", "file"), "stage"} {
		wantKind(t, HandOver(dir, name), pipeline.Storage)
	}
	owners(t, outside, 0)
}
