package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perch/cmd/internal/config"
	"perch/cmd/internal/doctor"
	"perch/cmd/internal/warmup"
	"perch/pipeline"
	"perch/pipeline/infer"
)

// The doctor loads no model that somebody has loaded already, and builds nothing
// even where the service would.
func TestDoctorOnlyLooksWhilePerchRuns(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // stands for the service, which takes its address first
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	conf := filepath.Join(dir, "perch.yaml")
	ask := func(listen, want string, not ...string) {
		t.Helper()
		write(t, conf, "http: {listen: \""+listen+"\"}\nmodels: {providers: [rehearsal, cpu], rehearsal: 10ms, build_memory: 1 MiB, strict: true}\n")
		got := finish(t, perch(t, t.Context(), dir, "doctor", "--config", conf))
		if !strings.Contains(got.out, want) {
			t.Errorf("the doctor does not say %q:\n%s%s", want, got.out, got.errOut)
		}
		for _, n := range not {
			if strings.Contains(got.out, n) {
				t.Errorf("the doctor says %q:\n%s", n, got.out)
			}
		}
		if built, _ := filepath.Glob(filepath.Join(dir, "cache", "engines", "????????????????????????????????")); len(built) > 0 {
			t.Errorf("the doctor has built %q", built)
		}
	}
	ask("127.0.0.1:0", "runs on cpu; rehearsal: its engine is not built yet", "models.strict refuses")
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	other := page.Listener.Addr().String()
	ask(other, "runs on cpu; rehearsal: its engine is not built yet", "not loaded beside")
	ask(other, "something else than Perch listens at "+other)
	ask(l.Addr().String(), "not loaded beside the one that runs; a start would take cpu; rehearsal: its engine is not built yet")

	// What the service says of itself counts more.
	engines := filepath.Join(dir, "cache", "engines")
	if err := os.MkdirAll(engines, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(engines, "states.json"), `[{"model":"nanodet-416","state":"ready","provider":"rehearsal","since":"2026-01-02T03:04:05Z"}]`)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Local().Format(time.DateTime)
	ask(l.Addr().String(), "the service said at "+at+" that it runs on rehearsal", "its engine is not built yet")
	if list, err := warmup.Read(engines); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestDoctorOnModels(t *testing.T) {
	cfg := config.Defaults()
	cfg.Models.Providers = []string{"tensorrt", "cuda", "cpu"}
	cfg.Models.Strict = true
	for name, c := range map[string]struct {
		check  modelCheck
		status doctor.Status
		found  string
	}{
		"the best":         {modelCheck{how: "runs on", choice: pipeline.ProviderChoice{Name: "tensorrt"}}, doctor.Good, "runs on tensorrt"},
		"strict refuses":   {modelCheck{how: "runs on", choice: pipeline.ProviderChoice{Name: "cuda", Why: "tensorrt: no"}}, doctor.Missing, "runs on cuda; tensorrt: no; models.strict refuses that"},
		"only its engine":  {modelCheck{how: "runs on", choice: pipeline.ProviderChoice{Name: "cuda", Why: "tensorrt: later"}, waits: "tensorrt"}, doctor.Warning, "runs on cuda; tensorrt: later"},
		"said without why": {modelCheck{how: "said", choice: pipeline.ProviderChoice{Name: "cpu"}, waits: "tensorrt"}, doctor.Warning, "said cpu"},
	} {
		c.check.id, c.check.cfg = "m", cfg
		if f := c.check.findings()[0]; f.Status != c.status || f.Found != c.found {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// What infer found is what the doctor tells.
func TestDoctorOnProviders(t *testing.T) {
	p := providerOf(infer.ProviderFiles{Provider: "cuda", Path: "/p.so", Needs: []infer.Shared{{Name: "libcudart.so.12", By: "p.so"}}})
	if p.Name != "cuda" || p.Why != "" || len(p.Needs) != 1 || p.Needs[0].Name != "libcudart.so.12" || p.Needs[0].By != "p.so" {
		t.Errorf("%+v", p)
	}
	if p := providerOf(infer.ProviderFiles{Err: os.ErrPermission}); !strings.Contains(p.Why, "cannot be read") {
		t.Errorf("%+v", p)
	}
}
