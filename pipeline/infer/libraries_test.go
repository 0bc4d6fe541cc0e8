package infer

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"perch/pipeline"
)

// library links a shared library that needs others.
func library(t *testing.T, path string, flags []string, needs ...string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-shared", "-nostdlib", "-Wl,--no-as-needed", "-Wl,-soname," + filepath.Base(path), "-o", path, "-x", "c", "/dev/null", "-x", "none"}, flags...)
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	if out, err := exec.CommandContext(t.Context(), cc, append(args, needs...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// What a provider would load is found where the loader finds it, links and the
// libraries of libraries followed.
func TestProviderFiles(t *testing.T) {
	m := fakeMachine(t, map[string]string{
		"dev/nvmap": "", "etc/ld.so.conf": "include ld.so.conf.d/*.conf\n",
		"etc/ld.so.conf.d/cuda.conf": "# CUDA\n/usr/local/cuda/lib\n", "etc/ld.so.conf.d/loop.conf": "include /etc/ld.so.conf\n",
		"usr/lib/libcudnn.so.8": "", "opt/ort/libonnxruntime_providers_shared.so": "",
	})
	at := func(path string) string { return filepath.Join(m.root, path) }
	// These are there while others are linked, and not afterwards.
	cudnn, dla, libc := library(t, at("gone/libcudnn.so.9"), nil), library(t, at("gone/libnvdla_compiler.so"), nil), library(t, at("gone/libc.so.6"), nil)
	cudart := library(t, at("usr/local/cuda/lib/libcudart.so.12.6"), []string{"-Wl,-soname,libcudart.so.12"})
	if err := os.Symlink("libcudart.so.12.6", at("usr/local/cuda/lib/libcudart.so.12")); err != nil {
		t.Fatal(err)
	}
	trt := library(t, at("usr/lib/aarch64-linux-gnu/libnvinfer.so.10"), nil, dla)
	beside := library(t, at("opt/ort/libbeside.so"), nil)
	library(t, at("opt/ort/libonnxruntime_providers_tensorrt.so"), []string{"-Wl,-rpath,$ORIGIN"}, cudart, cudnn, trt, beside, libc)
	library(t, at("usr/lib/libc.so.6"), nil)
	if err := os.RemoveAll(at("gone")); err != nil {
		t.Fatal(err)
	}

	rt := &Runtime{machine: m, start: func() (Library, error) { return Library{Path: at("opt/ort/libonnxruntime.so.1")}, nil }}
	got, err := rt.ProviderFiles([]string{TensorRT, CUDA, CPU})
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	const by = "libonnxruntime_providers_tensorrt.so"
	want := []Shared{
		{Name: "libcudart.so.12", Path: cudart, By: by},
		{Name: "libcudnn.so.9", By: by, Others: []string{"libcudnn.so.8"}},
		{Name: "libnvinfer.so.10", Path: trt, By: by},
		{Name: "libbeside.so", Path: beside, By: by},
		{Name: "libcuda.so.1", By: "libcudart.so.12.6"},
		{Name: "libnvdla_compiler.so", By: "libnvinfer.so.10"},
	}
	if got[0].Why != "" || got[0].Err != nil || !reflect.DeepEqual(got[0].Needs, want) {
		t.Errorf("%+v, want %+v", got[0], want)
	}
	if got[1].Provider != CUDA || got[1].Why != "libonnxruntime_providers_cuda.so is not beside "+at("opt/ort/libonnxruntime.so.1") || got[1].Needs != nil {
		t.Errorf("%+v", got[1])
	}
	if err := os.WriteFile(at("opt/ort/libonnxruntime_providers_cuda.so"), []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, _ := rt.ProviderFiles([]string{CUDA}); got[0].Err == nil {
		t.Errorf("%+v", got)
	}
}

// Looking ahead loads nothing and changes nothing, and knows what is not ready.
func TestForesee(t *testing.T) {
	rt := testRuntime(t)
	o := rehearsal(t, time.Millisecond)
	m := Model{Name: "test", Data: doubled(1, 2)}
	c := engines{o.EngineCacheDir}
	want := func(provider, why, waits string) {
		t.Helper()
		before, _ := filepath.Glob(filepath.Join(c.dir, "*", "*"))
		choice, w, err := rt.Foresee(t.Context(), m, o)
		if err != nil || choice != (pipeline.ProviderChoice{Name: provider, Why: why}) || w != waits {
			t.Errorf("%+v, waits for %q, %v; want %s (%s)", choice, w, err, provider, why)
		}
		if after, _ := filepath.Glob(filepath.Join(c.dir, "*", "*")); !reflect.DeepEqual(before, after) {
			t.Errorf("%q became %q", before, after)
		}
	}
	want(CPU, "rehearsal: its engine is not built yet", Rehearsal)
	dir := unloadable(t, m, o)
	if err := os.WriteFile(filepath.Join(dir, "stray"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want(Rehearsal, "", "") // it does not try
	n, err := readNote(dir)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	if err := c.noteFailure(n.Facts, failure{Process: "another", At: at, Error: "out of memory"}); err != nil {
		t.Fatal(err)
	}
	want(CPU, "rehearsal: its engine did not load (2026-01-02 03:04:05): out of memory", Rehearsal)
	o.Providers = []string{TensorRT}
	_, _, err = on(t, fakeMachine(t, nil)).Foresee(t.Context(), m, o)
	wantKind(t, err, pipeline.Unsupported)
}
