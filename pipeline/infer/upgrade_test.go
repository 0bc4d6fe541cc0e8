package infer

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"perch/pipeline"
)

// rehearsal are options for a model whose better provider takes d to build.
func rehearsal(t *testing.T, d time.Duration) Options {
	return Options{Providers: []string{Rehearsal, CPU}, OnlyReady: true, RehearsalTime: d, EngineCacheDir: t.TempDir(), MaxBatch: 2}
}

// A session serves at once, moves when the engine is there, and loses nothing.
func TestUpgradeLosesNoFrame(t *testing.T) {
	o := rehearsal(t, 20*time.Millisecond)
	m := Model{Name: "test", Data: doubled(-1, 2)}
	s, err := testRuntime(t).Open(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Provider(); c.Name != CPU || c.Why != "rehearsal: its engine is not built yet" || s.Waits() != Rehearsal {
		t.Fatalf("%+v, waits for %q", c, s.Waits())
	}
	wantKind(t, s.Upgrade(t.Context()), pipeline.Unsupported) // not built yet

	const callers, frames = 4, 400
	var wg sync.WaitGroup
	first := make(chan struct{}, callers)
	built := make(chan struct{})
	for k := range callers {
		wg.Go(func() {
			for i := range frames {
				if i == frames/2 {
					first <- struct{}{}
					<-built // so that there are frames before and after
				}
				v := float32(k*frames + i)
				slot, err := s.Lease(context.Background())
				if err != nil {
					t.Errorf("caller %d, frame %d: %v", k, i, err)
					return
				}
				fillWith(slot, v)
				slot.Submit()
				if _, err := slot.Wait(context.Background()); err != nil {
					t.Errorf("caller %d, frame %d: %v", k, i, err)
				} else if got := slot.Outputs()[0].Data[0]; got != 2*v {
					t.Errorf("caller %d, frame %d: %v, want %v", k, i, got, 2*v)
				}
				slot.Release()
			}
		})
	}
	for range callers {
		<-first
	}
	if err := testRuntime(t).Build(t.Context(), m, o, Rehearsal); err != nil {
		t.Fatal(err)
	}
	held := lease(t, s) // of the provider before
	close(built)
	if err := s.Upgrade(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	fillWith(held, 21)
	held.Submit()
	if _, err := held.Wait(t.Context()); err != nil || held.Outputs()[0].Data[0] != 42 {
		t.Errorf("a frame from before: %v", err)
	}
	held.Release()
	s.retiring.Wait()
	if st := s.Stats(); st.Frames != callers*frames+1 || st.Failures+st.Cancelled != 0 || st.Provider != Rehearsal || st.InUse != 0 {
		t.Errorf("%+v", st)
	}
	if c := s.Provider(); c.Name != Rehearsal || c.Why != "" || s.Waits() != "" || len(s.old) != 0 {
		t.Errorf("%+v, waits for %q, %d old", c, s.Waits(), len(s.old))
	}
	wantKind(t, s.Upgrade(t.Context()), pipeline.Unsupported) // nothing better
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wantKind(t, s.Upgrade(t.Context()), pipeline.Unsupported)
	_, err = s.Lease(t.Context())
	wantKind(t, err, pipeline.Gone)

	again := open(t, m.Data, o)
	if again.Provider().Name != Rehearsal {
		t.Errorf("the next start: %+v", again.Provider())
	}
	o.Providers = []string{CPU}
	wantKind(t, testRuntime(t).Build(t.Context(), m, o, Rehearsal), pipeline.BadConfig)
	o.Providers = []string{Rehearsal}
	wantKind(t, testRuntime(t).Build(t.Context(), m, o, CUDA), pipeline.BadConfig)
}

func fillWith(slot *Slot, v float32) {
	in := slot.Float32()
	for i := range in {
		in[i] = v
	}
}

// An engine that is whole and does not load makes room for another.
func TestEngineThatDoesNotLoad(t *testing.T) {
	o := rehearsal(t, time.Millisecond)
	m := Model{Name: "test", Data: doubled(1, 2)}
	if err := testRuntime(t).Build(t.Context(), m, o, Rehearsal); err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(o.EngineCacheDir, "????????????????????????????????"))
	n, err := readNote(found[0])
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(found[0], "rehearsal.engine")
	if err := os.WriteFile(file, []byte("nonsense"), 0o644); err != nil {
		t.Fatal(err)
	}
	if n.Files["rehearsal.engine"], err = sum(file); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(found[0], engineNote), text, 0o644); err != nil {
		t.Fatal(err)
	}
	s := open(t, m.Data, o)
	if c := s.Provider(); c.Name != CPU || !strings.Contains(c.Why, "is torn") || s.Waits() != Rehearsal {
		t.Errorf("%+v, waits for %q", c, s.Waits())
	}
	if err := testRuntime(t).Build(t.Context(), Model{Name: "test", Data: m.Data}, o, Rehearsal); err != nil {
		t.Fatal(err)
	}
	if err := s.Upgrade(t.Context()); err != nil || s.Provider().Name != Rehearsal {
		t.Errorf("%+v, %v", s.Provider(), err)
	}
}

// A session that is closed while a frame of the provider before is out.
func TestCloseWhileRetiring(t *testing.T) {
	o := rehearsal(t, time.Millisecond)
	m := Model{Name: "test", Data: doubled(1, 2)}
	s, err := testRuntime(t).Open(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	held := lease(t, s)
	if err := testRuntime(t).Build(t.Context(), m, o, Rehearsal); err != nil {
		t.Fatal(err)
	}
	if err := s.Upgrade(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	held.Release()
}

// TestBuildInChild is no test of its own: TestKilledBuilds runs it as a process
// that builds an engine until it is killed.
func TestBuildInChild(t *testing.T) {
	text := os.Getenv("PERCH_TEST_BUILD")
	if text == "" {
		return
	}
	var o Options
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	if _, err := testRuntime(t).Start(); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("building\n")
	if err := testRuntime(t).Build(t.Context(), Model{Path: os.Getenv("PERCH_TEST_MODEL")}, o, Rehearsal); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("built\n")
}

// However a build is killed, there is a whole engine afterwards or none.
func TestKilledBuilds(t *testing.T) {
	rt := testRuntime(t)
	o := rehearsal(t, 20*time.Millisecond)
	m := Model{Path: filepath.Join(t.TempDir(), "model.onnx")}
	if err := os.WriteFile(m.Path, doubled(1, 2), 0o644); err != nil {
		t.Fatal(err)
	}
	spec, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2)) // the moments differ anyway: processes do not start alike
	whole := 0
	for i := range 50 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBuildInChild$")
		cmd.Env = append(os.Environ(), "PERCH_TEST_BUILD="+string(spec), "PERCH_TEST_MODEL="+m.Path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "building\n" {
			t.Fatalf("the child said %q, %v", line, err)
		}
		// From before the first byte to after the last.
		pause := time.NewTimer(time.Duration(rnd.IntN(150)) * time.Millisecond)
		<-pause.C
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, out)
		cmd.Wait() // it was killed

		s, err := rt.Open(t.Context(), m, o)
		if err != nil {
			t.Fatalf("after kill %d: %v", i, err)
		}
		choice := s.Provider()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		dirs, _ := filepath.Glob(filepath.Join(o.EngineCacheDir, "????????????????????????????????"))
		switch {
		case choice.Name == CPU && len(dirs) != 0, choice.Name == Rehearsal && len(dirs) != 1:
			t.Fatalf("after kill %d it runs on %+v with %q there", i, choice, dirs)
		case choice.Name == Rehearsal:
			whole++
			if err := rehearse(nil, dirs[0], time.Hour); err != nil {
				t.Fatalf("after kill %d: %v", i, err)
			}
			if err := os.RemoveAll(dirs[0]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := rt.Build(t.Context(), m, o, Rehearsal); err != nil {
		t.Errorf("a build after so many that were killed: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(o.EngineCacheDir, buildPrefix+"*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	t.Logf("%d of 50 builds were whole when they were killed", whole)
}
