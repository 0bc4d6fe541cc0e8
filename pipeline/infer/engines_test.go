package infer

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"perch/pipeline"
)

// built publishes an engine of one file.
func built(t *testing.T, c engines, facts map[string]string, content string) string {
	t.Helper()
	s, err := c.begin(Building{Model: "m", Provider: facts["for"], Started: time.Now().Add(-90 * time.Second)}, facts)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "a.engine"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if found, err := c.find(facts); found != "" {
		t.Fatalf("found %q, %v before it was published", found, err)
	}
	dir, err := s.publish()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEnginePublished(t *testing.T) {
	c := engines{filepath.Join(t.TempDir(), "deep", "engines")}
	facts := map[string]string{"for": TensorRT, "model": "sha256:a", "gpu": "x"}
	if found, err := c.find(facts); found != "" || err != nil {
		t.Fatalf("found %q, %v in no folder", found, err)
	}
	dir := built(t, c, facts, "engine")
	if found, err := c.find(facts); found != dir || err != nil {
		t.Errorf("found %q, %v, want %s", found, err, dir)
	}
	if d := c.took(TensorRT, "sha256:a").Round(10 * time.Second); d != 90*time.Second {
		t.Errorf("took %v", d)
	}
	if d := c.took(CUDA, "sha256:a") + c.took(TensorRT, "sha256:b"); d != 0 {
		t.Errorf("another build took %v", d)
	}
	facts["gpu"] = "y"
	if found, err := c.find(facts); found != "" || err != nil {
		t.Errorf("found %q, %v for another GPU", found, err)
	}
}

// Whatever is wrong with a folder, it does not load, and the next build takes its
// place.
func TestEngineDamaged(t *testing.T) {
	facts := map[string]string{"for": TensorRT, "model": "sha256:a"}
	write := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) }
	}
	for name, harm := range map[string]func(dir string) error{
		"cut short":       func(dir string) error { return os.Truncate(filepath.Join(dir, "a.engine"), 3) },
		"one bit":         write("a.engine", "enginf"),
		"file gone":       func(dir string) error { return os.Remove(filepath.Join(dir, "a.engine")) },
		"note gone":       func(dir string) error { return os.Remove(filepath.Join(dir, engineNote)) },
		"note cut short":  func(dir string) error { return os.Truncate(filepath.Join(dir, engineNote), 20) },
		"note of another": write(engineNote, `{"schema":"perch.engine/1","built_for":{"model":"b"},"files":{"a.engine":{}}}`),
		"note of nothing": write(engineNote, `{"schema":"perch.engine/1","files":{}}`),
	} {
		t.Run(name, func(t *testing.T) {
			c := engines{t.TempDir()}
			dir := built(t, c, facts, "engine")
			if err := harm(dir); err != nil {
				t.Fatal(err)
			}
			if found, err := c.find(facts); found != "" || err == nil {
				t.Errorf("found %q, %v", found, err)
			}
			if _, err := os.Stat(dir); err != nil {
				t.Error("whoever only looks has removed it:", err)
			}
			built(t, c, facts, "again")
			if found, err := c.find(facts); found != dir || err != nil {
				t.Errorf("found %q, %v, built anew", found, err)
			}
		})
	}
	c := engines{t.TempDir()}
	dir := built(t, c, facts, "engine")
	if err := write("stray.engine", "torn")(dir); err != nil {
		t.Fatal(err)
	}
	if found, err := c.find(facts); found != dir || err != nil {
		t.Errorf("found %q, %v", found, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "stray.engine")); err == nil {
		t.Error("a file that nobody vouches for was left where ONNX Runtime looks")
	}
}

// TestReadOnlyEngine is no test of its own: TestEngineOnAReadOnlyDisk runs it
// where the folder cannot be written to.
func TestReadOnlyEngine(t *testing.T) {
	dir := os.Getenv("PERCH_TEST_READ_ONLY")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o644); !errors.Is(err, syscall.EROFS) {
		t.Fatalf("it is not read-only: %v", err)
	}
	c, facts := engines{dir}, map[string]string{"n": "1"}
	if found, err := c.find(facts); found == "" || err != nil {
		t.Errorf("found %q, %v", found, err)
	}
	if err := c.forget(facts); err != nil {
		t.Errorf("nothing was noted, and forgetting that fails: %v", err)
	}
}

func TestEngineOnAReadOnlyDisk(t *testing.T) {
	dir := t.TempDir()
	built(t, engines{dir}, map[string]string{"n": "1"}, "engine")
	const mount = `mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || exit 9; exec "$1" -test.run='^TestReadOnlyEngine$'`
	cmd := exec.CommandContext(t.Context(), "unshare", "-rm", "sh", "-c", mount, dir, os.Args[0])
	cmd.Env = append(os.Environ(), "PERCH_TEST_READ_ONLY="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "--- FAIL") {
		t.Skipf("no mount of our own here: %v, %s", err, out)
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestOneEngineAtATime(t *testing.T) {
	c := engines{t.TempDir()}
	if _, on := EngineBuild(c.dir); on {
		t.Error("a build in an empty folder")
	}
	want := Building{Model: "m", Provider: TensorRT, Started: time.Now().UTC().Truncate(time.Second), Expected: time.Minute, PID: 7}
	s, err := c.begin(want, map[string]string{"n": "1"})
	if err != nil {
		t.Fatal(err)
	}
	if b, on := EngineBuild(c.dir); !on || b != want {
		t.Errorf("%+v, %v", b, on)
	}
	_, err = c.begin(Building{}, map[string]string{"n": "2"})
	wantKind(t, err, pipeline.Busy)
	if _, err := s.publish(); err == nil {
		t.Error("a build without a file was kept")
	}
	if _, on := EngineBuild(c.dir); on {
		t.Error("a build after its end")
	}
	if s, err = c.begin(Building{}, map[string]string{"n": "2"}); err != nil {
		t.Fatal(err)
	}
	if err := s.discard(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(c.dir, buildPrefix+"*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestEngineCacheIsBoundedAndWritable(t *testing.T) {
	c := engines{t.TempDir()}
	old := filepath.Join(c.dir, strings.Repeat("0", 32)) // as earlier versions left them
	if err := os.Mkdir(old, 0o755); err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for i := range keepEngines + 3 {
		dir := built(t, c, map[string]string{"n": string(rune('a' + i))}, "engine")
		at := time.Unix(1_700_000_000+int64(i), 0)
		if err := os.Chtimes(filepath.Join(dir, engineNote), at, at); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	for i, dir := range append(dirs, old) {
		_, err := os.Stat(dir)
		if kept := i >= len(dirs)-keepEngines && dir != old; kept != (err == nil) {
			t.Errorf("folder %d of %d: %v", i, len(dirs), err)
		}
	}
	file := filepath.Join(c.dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := engines{file}.begin(Building{}, nil)
	wantKind(t, err, pipeline.BadConfig)
}

func TestCalibrationTable(t *testing.T) {
	dir := t.TempDir()
	table := func(text string) string {
		path := filepath.Join(dir, "table")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keys := map[string]bool{}
	for _, c := range []struct{ text, native string }{{"TRT-8602-MinMax\nx: 3c010a14\n", "1"}, {"\x1c\x00\x00flatbuffer", "0"}} {
		opts, facts := map[string]string{}, map[string]string{}
		got, err := EngineOptions{INT8: true, Calibration: table(c.text)}.calibration(opts, facts)
		if err != nil || string(got) != c.text || opts["trt_int8_calibration_table_name"] != calibrationFile || opts["trt_int8_use_native_calibration_table"] != c.native {
			t.Errorf("%q: %v, %v", got, opts, err)
		}
		keys[engineKey(facts)] = true
	}
	if len(keys) != 2 {
		t.Error("another table is the same engine")
	}
	for _, path := range []string{filepath.Join(dir, "none"), table("")} {
		_, err := EngineOptions{INT8: true, Calibration: path}.calibration(map[string]string{}, map[string]string{})
		wantKind(t, err, pipeline.BadConfig)
	}
	if got, err := (EngineOptions{INT8: true}).calibration(nil, nil); got != nil || err != nil {
		t.Errorf("a model with ranges of its own: %q, %v", got, err)
	}
}

func TestRehearse(t *testing.T) {
	dir := t.TempDir()
	if err := rehearse(nil, dir, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := rehearse(nil, dir, time.Hour); err != nil { // loads
		t.Fatal(err)
	}
	path := filepath.Join(dir, "rehearsal.engine")
	st, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, st.Size()-2)
	}
	if err = errors.Join(err, rehearse(nil, dir, time.Hour)); err == nil || !strings.Contains(err.Error(), "torn") {
		t.Errorf("a torn file: %v", err)
	}
	stop := make(chan struct{})
	close(stop)
	if err := rehearse(stop, t.TempDir(), time.Hour); err == nil {
		t.Error("it went on after it was stopped")
	}
}
