package infer

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// status reads a figure in kB from /proc/self/status.
func status(t testing.TB, key string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, key+":"); ok {
			n, err := strconv.Atoi(strings.Fields(v)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s in /proc/self/status", key)
	return 0
}

// Cameras come and go for months: what a session takes it must give back.
func TestOpenAndCloseLeaveNothing(t *testing.T) {
	rt := testRuntime(t)
	m := Model{Data: doubled(-1, 64)} // 48 kB a frame, and batches
	cycle := func(n int) {
		for range n {
			s, err := rt.Open(t.Context(), m, Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			run(t, s, func(*Slot) {}).Release()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		debug.FreeOSMemory()
	}
	fds := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(d)
	}
	cycle(20)
	goroutines, files, rss := runtime.NumGoroutine(), fds(), status(t, "VmRSS")
	cycle(200)
	if n := runtime.NumGoroutine(); n != goroutines {
		t.Errorf("%d goroutines before, %d after", goroutines, n)
	}
	if n := fds(); n != files {
		t.Errorf("%d open files before, %d after", files, n)
	}
	// 200 sessions take some 250 MB in turn; 16 MB is what allocators keep in hand.
	if grown := status(t, "VmRSS") - rss; grown > 16<<10 {
		t.Errorf("resident memory grew by %d kB", grown)
	}
}

// The default model, for real: it finds what the recipes say it has, and the
// same picture gives the same numbers each time.
func TestDefaultModel(t *testing.T) {
	rt := testRuntime(t)
	s, err := rt.Open(t.Context(), Model{Path: nanodet(t)}, Options{Threads: 2, Slots: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := describe(s.Inputs()); got != "images float32[1 3 416 416]" {
		t.Errorf("inputs: %s", got)
	}
	if got := describe(s.Outputs()); got != "output0 float32[1 84 3549]" {
		t.Errorf("outputs: %s", got)
	}
	fill := func(sl *Slot) {
		for i := range sl.Float32() {
			sl.Float32()[i] = float32(i%251) / 250
		}
	}
	first := run(t, s, fill)
	want := append([]float32(nil), first.Outputs()[0].Data...)
	first.Release()
	var high float32
	for _, v := range want[4*3549:] {
		if v < 0 || v > 1 {
			t.Fatalf("a class score is %v", v)
		}
		high = max(high, v)
	}
	if high == 0 {
		t.Error("all scores are zero")
	}
	again := run(t, s, fill)
	defer again.Release()
	for i, v := range again.Outputs()[0].Data {
		if v != want[i] {
			t.Fatalf("output[%d] is %v and then %v", i, want[i], v)
		}
	}
}

// Truncated in the middle of its weights, as an interrupted download leaves it.
func TestDefaultModelTruncated(t *testing.T) {
	rt := testRuntime(t)
	data, err := os.ReadFile(nanodet(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(path, data[:len(data)*2/3], 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = rt.Open(t.Context(), Model{Path: path}, Options{})
	if err == nil || !strings.Contains(err.Error(), "not a whole ONNX model") {
		t.Errorf("Open: %v", err)
	}
}

// BenchmarkDefaultModel compares the settings that decide what a frame costs
// on the CPU; peak-MB is the process's so far, so run one case at a time.
func BenchmarkDefaultModel(b *testing.B) {
	for _, threads := range []int{1, 2} {
		for _, spin := range []bool{false, true} {
			b.Run("threads="+strconv.Itoa(threads)+"/spin="+strconv.FormatBool(spin), func(b *testing.B) {
				s, err := testRuntime(b).Open(b.Context(), Model{Path: nanodet(b)}, Options{Threads: threads, Spin: spin})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				for b.Loop() {
					run(b, s, func(*Slot) {}).Release()
				}
				b.ReportMetric(float64(status(b, "VmHWM"))/1024, "peak-MB")
			})
		}
	}
}
