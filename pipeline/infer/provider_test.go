package infer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
)

// fakeMachine is a root folder with the given files, as a GPU's driver and
// NVIDIA's packages would leave them.
func fakeMachine(t *testing.T, files map[string]string) machine {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return machine{root: root}
}

// on runs f as if the process were on another machine.
func on(t *testing.T, m machine) *Runtime {
	rt := *testRuntime(t)
	rt.machine = m
	return &rt
}

func TestProviderWithoutGPU(t *testing.T) {
	rt := on(t, fakeMachine(t, nil))
	s, err := rt.Open(t.Context(), Model{Data: doubled(1, 2)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := pipeline.ProviderChoice{Name: CPU,
		Why: "tensorrt, cuda: no NVIDIA device node (/dev/nvidia[0-9]*, /dev/nvhost-ctrl-gpu, /dev/nvgpu/igpu0, /dev/nvmap)"}
	if s.Provider() != want {
		t.Errorf("provider: %+v", s.Provider())
	}
}

// A GPU is there and the library was built without the providers.
func TestProviderFilesMissing(t *testing.T) {
	for _, node := range []string{"dev/nvidia0", "dev/nvidia3", "dev/nvhost-ctrl-gpu", "dev/nvgpu/igpu0", "dev/nvmap"} {
		m := fakeMachine(t, map[string]string{node: ""})
		if !m.hasGPU() {
			t.Errorf("%s is not taken for a GPU", node)
		}
		dir := t.TempDir()
		lib := filepath.Join(dir, "libonnxruntime.so.1")
		if why := m.missing(TensorRT, lib); why != "libonnxruntime_providers_shared.so is not beside "+lib {
			t.Errorf("why: %q", why)
		}
		for _, so := range []string{"shared", "cuda"} {
			if err := os.WriteFile(filepath.Join(dir, "libonnxruntime_providers_"+so+".so"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if why := m.missing(CUDA, lib); why != "" {
			t.Errorf("CUDA: %q", why)
		}
		if why := m.missing(TensorRT, lib); why != "libonnxruntime_providers_tensorrt.so is not beside "+lib {
			t.Errorf("why: %q", why)
		}
	}
	if fakeMachine(t, map[string]string{"dev/nvidiactl": ""}).hasGPU() {
		t.Error("the control node alone is no GPU")
	}
}

// Files are there, and loading them fails: the loader's reason must reach the
// reader, and the CPU must still work.
func TestProviderThatDoesNotLoad(t *testing.T) {
	lib, err := testRuntime(t).Start()
	if err != nil {
		t.Fatal(err)
	}
	rt := on(t, fakeMachine(t, map[string]string{"dev/nvidia0": ""}))
	dir := t.TempDir()
	for _, so := range []string{"shared", "cuda", "tensorrt"} {
		if err := os.WriteFile(filepath.Join(dir, "libonnxruntime_providers_"+so+".so"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lib.Path = filepath.Join(dir, "libonnxruntime.so.1") // where machine.missing looks; the loader looks beside the real one
	rt.start = func() (Library, error) { return lib, nil }
	s, err := rt.Open(t.Context(), Model{Data: doubled(1, 2)}, Options{EngineCacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := s.Provider()
	if c.Name != CPU || !strings.Contains(c.Why, "tensorrt") || !strings.Contains(c.Why, "cuda") || !strings.Contains(c.Why, "libonnxruntime_providers") {
		t.Errorf("provider: %+v", c)
	}
}

func TestStrict(t *testing.T) {
	rt := on(t, fakeMachine(t, nil))
	_, err := rt.Open(t.Context(), Model{Data: doubled(1, 2)}, Options{Strict: true})
	wantKind(t, err, pipeline.Unsupported)
	if err != nil && (!strings.Contains(err.Error(), "tensorrt: no NVIDIA device node") || strings.Contains(err.Error(), "cuda:")) {
		t.Errorf("error: %v", err)
	}
	_, err = rt.Open(t.Context(), Model{Data: doubled(1, 2)}, Options{Providers: []string{CUDA}})
	wantKind(t, err, pipeline.Unsupported)
	s, err := rt.Open(t.Context(), Model{Data: doubled(1, 2)}, Options{Providers: []string{CPU}, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Provider(); c != (pipeline.ProviderChoice{Name: CPU}) {
		t.Errorf("provider: %+v", c)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestBadOptions(t *testing.T) {
	rt := testRuntime(t)
	for _, o := range []Options{
		{Providers: []string{"webgpu"}}, {Providers: []string{CPU, CPU}}, {Threads: -1}, {MaxBatch: -1},
		{Slots: -1}, {Deadline: -time.Second}, {Input: "y"},
		{Engine: EngineOptions{Workspace: -1}}, {Engine: EngineOptions{Calibration: "x"}}, {Engine: EngineOptions{DLA: true}},
	} {
		_, err := rt.Open(t.Context(), Model{Data: doubled(1, 2)}, o)
		wantKind(t, err, pipeline.BadConfig)
	}
}

func TestReasonsLine(t *testing.T) {
	for _, c := range []struct {
		in   []string
		want string
	}{
		{nil, ""},
		{[]string{"a: x"}, "a: x"},
		{[]string{"a: x", "b: x"}, "a, b: x"},
		{[]string{"a: x: y", "b: z"}, "a: x: y; b: z"},
	} {
		if got := reasonsLine(c.in); got != c.want {
			t.Errorf("%q became %q", c.in, got)
		}
	}
	if got := oneLine(&pipeline.Error{Op: "é" + strings.Repeat("é", 500)}); len(got) > 410 || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("long text became %q", got)
	}
}

func TestTensorRTOptions(t *testing.T) {
	g, err := readGraph(Model{Data: doubled(-1, 4)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlan(g, Options{MaxBatch: 8})
	if err != nil {
		t.Fatal(err)
	}
	got := tensorRTOptions(Options{Engine: EngineOptions{FP16: true}, GPUMemLimit: 1 << 20}, p)
	for k, want := range map[string]string{
		"trt_fp16_enable": "1", "trt_max_workspace_size": "1048576",
		"trt_profile_min_shapes": "x:1x3x4x4", "trt_profile_opt_shapes": "x:8x3x4x4", "trt_profile_max_shapes": "x:8x3x4x4",
	} {
		if got[k] != want {
			t.Errorf("%s is %q, want %q", k, got[k], want)
		}
	}
	if g, err = readGraph(Model{Data: doubled(1, 4)}, 0); err != nil {
		t.Fatal(err)
	}
	if p, err = newPlan(g, Options{}); err != nil {
		t.Fatal(err)
	}
	if opts := tensorRTOptions(Options{}, p); opts["trt_profile_min_shapes"] != "" || opts["trt_fp16_enable"] != "0" {
		t.Errorf("options for fixed shapes: %v", opts)
	}
}

// Everything that makes an engine useless elsewhere makes another folder.
func TestEngineFolderFollowsWhatMatters(t *testing.T) {
	files := map[string]string{
		"proc/driver/nvidia/gpus/0000:01/information":      "Model: \t NVIDIA H200\nIRQ: 1\n",
		"proc/driver/nvidia/version":                       "NVRM version: 580.65\nGCC\n",
		"usr/lib/x86_64-linux-gnu/libnvinfer.so.10.16.2":   "",
		"usr/lib/x86_64-linux-gnu/libnvinfer.so.10.3.0.26": "", // left behind
		"usr/local/cuda/version.json":                      `{"cuda":{"version":"13.0.1"}}`,
	}
	m := fakeMachine(t, files)
	link := filepath.Join(m.root, "usr/lib/x86_64-linux-gnu/libnvinfer.so.10")
	if err := os.Symlink("libnvinfer.so.10.16.2", link); err != nil {
		t.Fatal(err)
	}
	if got := m.software(); got["gpu"] != "NVIDIA H200" || got["driver"] != "NVRM version: 580.65" ||
		got["tensorrt"] != "libnvinfer.so.10.16.2" || got["cuda"] != "13.0.1" || got["jetpack"] != "unknown" {
		t.Errorf("software: %v", got)
	}
	jetson := fakeMachine(t, map[string]string{"proc/device-tree/model": "NVIDIA Jetson Orin Nano\x00", "etc/nv_tegra_release": "# R36\n"})
	if got := jetson.software(); got["gpu"] != "NVIDIA Jetson Orin Nano" || got["jetpack"] != "# R36" {
		t.Errorf("software: %v", got)
	}

	lib := Library{Path: "/l/libonnxruntime.so.1", Version: "1.24.3"}
	folder := func(m machine, digest string, lib Library, opts map[string]string) string {
		return engineKey(m.engineFacts(TensorRT, digest, lib, opts))
	}
	base := folder(m, "sha256:a", lib, map[string]string{"trt_fp16_enable": "0"})
	if again := folder(m, "sha256:a", lib, map[string]string{"trt_fp16_enable": "0"}); again != base {
		t.Errorf("%s and %s for the same engine", base, again)
	}
	newer := lib
	newer.Version = "1.25.0"
	others := []string{
		folder(m, "sha256:b", lib, map[string]string{"trt_fp16_enable": "0"}),
		folder(m, "sha256:a", newer, map[string]string{"trt_fp16_enable": "0"}),
		folder(m, "sha256:a", lib, map[string]string{"trt_fp16_enable": "1"}),
		folder(jetson, "sha256:a", lib, map[string]string{"trt_fp16_enable": "0"}),
	}
	if all := append(others, base); len(slices.Compact(slices.Sorted(slices.Values(all)))) != 5 {
		t.Errorf("folders: %q", all)
	}
	if facts := m.engineFacts(Rehearsal, "sha256:a", lib, map[string]string{"trt_fp16_enable": "0"}); engineKey(facts) == base || facts["gpu"] != "NVIDIA H200" || facts["model"] != "sha256:a" {
		t.Errorf("facts: %v", facts)
	}
}
