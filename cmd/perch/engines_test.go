package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"perch/cmd/internal/api"
	"perch/cmd/internal/config"
	"perch/pipeline"
)

// The first hour of a device, with the provider that stands in for TensorRT: it
// serves at once, says how far the engine is wherever people look, and moves to
// it without losing a frame. PERCH_TEST_REHEARSAL=60s makes it last.
func TestFirstHour(t *testing.T) {
	need(t, "PERCH_ORT_LIB", "PERCH_TEST_CLIP")
	t.Parallel()
	dir := t.TempDir()
	broker := startMosquitto(t, "")
	ear := broker.listen(t)
	// A picture a second: a loaded machine must not make the camera drop some.
	conf := quiet + fmt.Sprintf("mqtt: {url: %q}\nmodels: {providers: [rehearsal, cpu], rehearsal: %s, build_memory: 1 MiB}\n"+
		"cameras: {yard: {url: \"test://\", width: 320, height: 240, fps: 1}}\n", broker.url(), cmp.Or(os.Getenv("PERCH_TEST_REHEARSAL"), "6s"))
	started := time.Now()
	d := startDaemon(t, dir, conf)
	first := d.camera(t, "yard", "has a result", live)
	t.Logf("first result at most %.1f s after the start", time.Since(started).Seconds())
	if first.Provider != "cpu" {
		t.Errorf("%+v", first)
	}

	model := func() api.Model { return get[api.Status](t, d, "/api/v1/status").Models[0] }
	var m api.Model
	until(t, d.log, "progress in the API", func() bool {
		m = model()
		return m.Warmup != nil && m.Warmup.State == pipeline.ModelBuilding && m.Warmup.ElapsedS > 0
	})
	if w := m.Warmup; m.State != "ready" || m.Provider != "cpu" || m.Why != "rehearsal: its engine is not built yet" || w.Target != "rehearsal" || w.ExpectedS < w.ElapsedS {
		t.Errorf("%+v, %+v", m, w)
	}
	_, metrics := d.ask(t, "GET", "/metrics")
	for _, want := range []string{`perch_model_warmup_info{model="nanodet-416",state="building engine",target="rehearsal"} 1`,
		`perch_model_warmup_elapsed_seconds{model="nanodet-416"} `, `perch_model_warmup_expected_seconds{model="nanodet-416"} `} {
		if !strings.Contains(metrics, want) || strings.Contains(metrics, want+"0\n") {
			t.Errorf("no %s in the metrics", want)
		}
	}
	doctor := finish(t, perch(t, t.Context(), dir, "doctor", "--config", filepath.Join(dir, "perch.yaml")))
	if !strings.Contains(doctor.out, "model nanodet-416 runs on cpu; building engine for rehearsal, ") || !strings.Contains(doctor.out, " of about ") {
		t.Errorf("perch doctor says\n%s", doctor.out)
	}
	heard := func(phase pipeline.ModelPhase) (last pipeline.ModelState, ok bool) {
		for _, msg := range ear.on("/models/nanodet-416/state") {
			var s pipeline.ModelState
			if err := json.Unmarshal([]byte(msg.payload), &s); err != nil {
				t.Fatal(err)
			}
			if s.State == phase {
				last, ok = s, true
			}
		}
		return last, ok
	}
	until(t, d.log, "progress at the broker", func() bool { s, ok := heard(pipeline.ModelBuilding); return ok && s.ExpectedS > 0 })

	// The swap.
	until(t, d.log, "the engine is in use", func() bool { m = model(); return m.Provider == "rehearsal" })
	until(t, d.log, "the broker knows", func() bool {
		s, ok := heard(pipeline.ModelReady)
		return ok && s.Provider == "rehearsal" && s.Target == ""
	})
	at := d.camera(t, "yard", "goes on", live).Frames.Processed
	after := d.camera(t, "yard", "has results from the engine", func(c api.Camera) bool { return c.Frames.Processed > at+1 })
	if after.Run != first.Run || after.Provider != "rehearsal" || after.Why != "" || len(after.Frames.Dropped) != 0 || after.Frames.In > after.Frames.Processed+1 {
		t.Errorf("after the swap: %+v", after)
	}
	if status := d.stop(t); status != exitOK {
		t.Errorf("exit status %d", status)
	}
	if runs := endedRuns(t, dir); len(runs) != 1 || sum(runs[0].Complete.Frames.Dropped) > 1 {
		t.Errorf("%+v", runs[0].Complete) // one may be under way at the end
	}

	// What was built is there at the next start, and by hand there is nothing to do.
	warm := finish(t, perch(t, t.Context(), dir, "model", "warm", "--config", filepath.Join(dir, "perch.yaml")))
	if warm.status != exitOK || warm.out != "model nanodet-416 runs on rehearsal\n" {
		t.Errorf("perch model warm: %d\n%s%s", warm.status, warm.out, warm.errOut)
	}
}

// A device that is short of memory goes on and says what it lacks.
func TestWarmUpWaitsForMemory(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	d := startDaemon(t, t.TempDir(), quiet+"models: {providers: [rehearsal, cpu], rehearsal: 10ms, build_memory: 1 TiB}\ncameras: {yard: {url: \"test://\", width: 320, height: 240, fps: 2}}\n")
	d.camera(t, "yard", "has a result", live)
	var s api.Status
	until(t, d.log, "the problem is shown", func() bool { s = get[api.Status](t, d, "/api/v1/status"); return len(s.Problems) > 0 })
	if p := s.Problems[0]; p.Part != "model nanodet-416" || !strings.Contains(p.Message, "waiting for memory for rehearsal") || !strings.Contains(p.Message, "1048576 MiB are needed") || p.Hint == "" {
		t.Errorf("%+v", p)
	}
	ask := perch(t, t.Context(), d.dir, "doctor", "--config", filepath.Join(d.dir, "perch.yaml"))
	ask.Env = append(ask.Env, "PERCH_HTTP_LISTEN="+strings.TrimPrefix(d.url, "http://"))
	doctor := finish(t, ask)
	if !strings.Contains(doctor.out, "waiting for memory for rehearsal") || !strings.Contains(doctor.out, "the service said at ") || strings.Contains(doctor.out, "something else") {
		t.Errorf("perch doctor says\n%s", doctor.out)
	}
}

func TestModelWarmSaysHowItGoes(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	dir := t.TempDir()
	conf := write(t, filepath.Join(dir, "perch.yaml"), "models: {providers: [rehearsal, cpu], rehearsal: 100ms, build_memory: 1 MiB}\n")
	got := finish(t, perch(t, t.Context(), dir, "model", "warm", "--config", conf, "nanodet-416"))
	if got.status != exitOK || !strings.Contains(got.out, "building engine for rehearsal") || !strings.HasSuffix(got.out, "model nanodet-416 runs on rehearsal\n") {
		t.Errorf("exit status %d\n%s%s", got.status, got.out, got.errOut)
	}
	if _, err := os.Stat(filepath.Join(dir, "cache", "engines", "states.json")); err == nil {
		t.Error("it has written what only the service may say of itself")
	}
	if got := finish(t, perch(t, t.Context(), dir, "model", "warm", "--config", conf, "yolo99")); got.status != exitNotFound {
		t.Errorf("exit status %d for a model that is not there\n%s", got.status, got.errOut)
	}
}

// A build that takes longer than it may is given up, once, and says what to do.
func TestABuildThatTakesTooLong(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	dir := t.TempDir()
	conf := write(t, filepath.Join(dir, "perch.yaml"), "models: {providers: [rehearsal, cpu], rehearsal: 1m, build_timeout: 1s, build_memory: 1 MiB}\n")
	got := finish(t, perch(t, t.Context(), dir, "model", "warm", "--config", conf))
	if got.status == exitOK || !strings.Contains(got.errOut, "building an engine took longer than 1s") || !strings.Contains(got.errOut, "models.build_timeout") {
		t.Errorf("exit status %d\n%s%s", got.status, got.out, got.errOut)
	}
}

// Where nothing but the best provider will do, a start waits while another
// process builds an engine.
func TestAStrictStartWaitsForAnotherBuild(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	dir := t.TempDir()
	building := filepath.Join(dir, "cache", "engines", ".building-1")
	if err := os.MkdirAll(building, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(building, "building.json"), `{"model":"nanodet-416","provider":"rehearsal","started":"2026-01-02T03:04:05Z"}`)
	lock, err := os.Create(filepath.Join(dir, "cache", "engines", "build.lock")) // whoever builds has it
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	const strict = "models: {providers: [rehearsal], rehearsal: 10ms, strict: true%s}\n"
	conf := write(t, filepath.Join(dir, "short.yaml"), fmt.Sprintf(strict, ", build_timeout: 1s"))
	if got := finish(t, perch(t, t.Context(), dir, "model", "warm", "--config", conf)); got.status != exitRetry || !strings.Contains(got.errOut, "another process is building an engine") {
		t.Errorf("exit status %d\n%s%s", got.status, got.out, got.errOut)
	}
	conf = write(t, filepath.Join(dir, "perch.yaml"), fmt.Sprintf(strict, ""))
	start := perch(t, t.Context(), dir, "model", "warm", "--config", conf, "--log-level", "info")
	said := &journal{}
	start.Stderr = said
	if err := start.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, said, "it waits", func() bool { return strings.Contains(said.String(), "waits for another process") })
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := start.Wait(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestDoctorOnWhatIsBuilt(t *testing.T) {
	cfg := config.Defaults()
	cfg.CacheDir = config.Path(t.TempDir())
	building := filepath.Join(engineDir(cfg), ".building-1")
	if err := os.MkdirAll(building, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(building, "building.json"), `{"model":"m","provider":"tensorrt","started":"2026-01-02T03:04:05Z"}`)
	lock, err := os.Create(filepath.Join(engineDir(cfg), "build.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for strict, want := range map[bool]string{false: "it moves there", true: "waits for it when it starts"} {
		cfg.Models.Strict = strict
		if f := engineFindings(cfg, "m", "cpu", "tensorrt"); len(f) != 1 || !strings.Contains(f[0].Hint, want) {
			t.Errorf("strict %v: %+v", strict, f)
		}
	}
}

// A child that is told nonsense says so and ends.
func TestBuildEngineRefusesNonsense(t *testing.T) {
	cmd := perch(t, t.Context(), t.TempDir(), buildCommand)
	cmd.Stdin = strings.NewReader("nonsense")
	if got := finish(t, cmd); got.status != exitOther {
		t.Errorf("exit status %d\n%s%s", got.status, got.out, got.errOut)
	}
}
