package infer

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"perch/pipeline"
)

// shared is the process's one Runtime: there cannot be two.
var shared = sync.OnceValue(func() *Runtime {
	return New(Config{Library: os.Getenv("PERCH_ORT_LIB")})
})

func testRuntime(t testing.TB) *Runtime {
	t.Helper()
	if os.Getenv("PERCH_ORT_LIB") == "" {
		t.Skip("PERCH_ORT_LIB does not name libonnxruntime.so.1")
	}
	rt := shared()
	if _, err := rt.Start(); err != nil {
		t.Fatal(err)
	}
	return rt
}

// open opens a model for the length of a test.
func open(t testing.TB, data []byte, o Options) *Session {
	t.Helper()
	s, err := testRuntime(t).Open(t.Context(), Model{Name: "test", Data: data}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// nanodet is the default model's path.
func nanodet(t testing.TB) string {
	t.Helper()
	path := filepath.Join("..", "..", "packaging", "models", "nanodet-416", "model.onnx")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the default model is not in the tree: %v", err)
	}
	return path
}

func lease(t testing.TB, s *Session) *Slot {
	t.Helper()
	slot, err := s.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

// run sends one frame through.
func run(t testing.TB, s *Session, fill func(*Slot)) *Slot {
	t.Helper()
	slot := lease(t, s)
	fill(slot)
	slot.Submit()
	if _, err := slot.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	return slot
}

func wantKind(t testing.TB, err error, kind pipeline.Kind) {
	t.Helper()
	if err == nil || pipeline.KindOf(err) != kind {
		t.Errorf("error is %v (kind %v), want kind %v", err, pipeline.KindOf(err), kind)
	}
}
