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
	if s.Built() {
		t.Error("built before it was")
	}

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
	if !s.Built() {
		t.Error("built and not seen")
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

// unloadable builds an engine for m and makes it one that is whole by its
// checksums and does not load.
func unloadable(t *testing.T, m Model, o Options) (dir string) {
	t.Helper()
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
	return found[0]
}

// An engine that is whole and does not load stays, whoever tries it and however
// often, until a process that may build has no luck with it after another.
func TestEngineThatDoesNotLoad(t *testing.T) {
	rt := testRuntime(t)
	o := rehearsal(t, time.Millisecond)
	m := Model{Path: filepath.Join(t.TempDir(), "model.onnx")}
	if err := os.WriteFile(m.Path, doubled(1, 2), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := unloadable(t, m, o)
	stays := func(after string) {
		t.Helper()
		if text, err := os.ReadFile(filepath.Join(dir, "rehearsal.engine")); string(text) != "nonsense" {
			t.Fatalf("the engine is gone after %s: %v", after, err)
		}
	}
	s, err := rt.Open(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if c := s.Provider(); c.Name != CPU || !strings.Contains(c.Why, "is torn") || s.Waits() != Rehearsal {
		t.Errorf("%+v, waits for %q", c, s.Waits())
	}
	stays("a session did not open on it")
	if s.Built() {
		t.Error("taken for one that loads")
	}
	wantKind(t, rt.Build(t.Context(), m, o, Rehearsal), pipeline.Unsupported)
	stays("the same process tried again")
	if noted, _ := filepath.Glob(filepath.Join(o.EngineCacheDir, "*"+failureEnding)); len(noted) != 1 {
		t.Errorf("noted: %q", noted)
	}

	spec, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	another := func() ([]byte, error) {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBuildInChild$")
		child.Env = append(os.Environ(), "PERCH_TEST_BUILD="+string(spec), "PERCH_TEST_MODEL="+m.Path)
		return child.CombinedOutput()
	}
	c := engines{o.EngineCacheDir}
	n, err := readNote(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.failure(n.Facts)
	if err != nil || f.Boot == "" || f.UptimeS == 0 {
		t.Fatalf("noted: %+v, %v", f, err)
	}
	// So that however slow this machine is, it is no long time ago.
	f.UptimeS = rt.machine.now().UptimeS
	if err := c.noteFailure(n.Facts, f); err != nil {
		t.Fatal(err)
	}
	if out, err := another(); err == nil || !strings.Contains(string(out), "is torn") {
		t.Errorf("another process, at once: %v: %s", err, out)
	}
	stays("another process tried at once, for the same reason perhaps")
	f.UptimeS -= apart.Seconds()
	if err := c.noteFailure(n.Facts, f); err != nil {
		t.Fatal(err)
	}
	if out, err := another(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := s.Upgrade(t.Context()); err != nil || s.Provider().Name != Rehearsal {
		t.Errorf("%+v, %v", s.Provider(), err)
	}
	if noted, _ := filepath.Glob(filepath.Join(o.EngineCacheDir, "*"+failureEnding)); len(noted) != 0 {
		t.Errorf("still noted: %q", noted)
	}
}

// Who builds is told that another process does, and can come back later.
func TestBuildWhileAnotherBuilds(t *testing.T) {
	o := rehearsal(t, time.Millisecond)
	other, err := engines{o.EngineCacheDir}.begin(Building{}, map[string]string{"n": "1"})
	if err != nil {
		t.Fatal(err)
	}
	m := Model{Name: "test", Data: doubled(1, 2)}
	wantKind(t, testRuntime(t).Build(t.Context(), m, o, Rehearsal), pipeline.Busy)
	if err := other.discard(); err != nil {
		t.Fatal(err)
	}
	if err := testRuntime(t).Build(t.Context(), m, o, Rehearsal); err != nil {
		t.Error(err)
	}
}

func TestLongBefore(t *testing.T) {
	now := moment{Boot: "a", UptimeS: 1000}
	for m, want := range map[moment]bool{
		{Boot: "a", UptimeS: 401}: false, {Boot: "a", UptimeS: 400}: true, {Boot: "a", UptimeS: 2000}: true,
		{Boot: "b", UptimeS: 999}: true, {UptimeS: 999}: true,
	} {
		if m.longBefore(now) != want {
			t.Errorf("%+v is long before: %v", m, !want)
		}
	}
}

// A service that may use nothing else does not wait: systemd would give it up.
func TestEngineThatDoesNotLoadStrictly(t *testing.T) {
	o := rehearsal(t, time.Millisecond)
	m := Model{Name: "test", Data: doubled(1, 2)}
	n, err := readNote(unloadable(t, m, o))
	if err != nil {
		t.Fatal(err)
	}
	rt := testRuntime(t)
	if err := (engines{o.EngineCacheDir}).noteFailure(n.Facts, failure{Process: "another", moment: rt.machine.now()}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, rt.Build(t.Context(), m, o, Rehearsal), pipeline.Unsupported)
	o.Strict = true
	if s := open(t, m.Data, o); s.Provider().Name != Rehearsal {
		t.Errorf("%+v", s.Provider())
	}
}

// A failure that passes leaves no trace, and a process that may not build
// replaces nothing.
func TestEngineThatLoadsAgain(t *testing.T) {
	rt := testRuntime(t)
	o := rehearsal(t, time.Millisecond)
	m := Model{Name: "test", Data: doubled(1, 2)}
	dir := unloadable(t, m, o)
	c := engines{o.EngineCacheDir}
	n, err := readNote(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.noteFailure(n.Facts, failure{Process: "another", Error: "out of memory"}); err != nil {
		t.Fatal(err)
	}
	s := open(t, m.Data, o)
	if s.Provider().Name != CPU {
		t.Errorf("%+v", s.Provider())
	}
	if now, err := readNote(dir); err != nil || now.Files["rehearsal.engine"] != n.Files["rehearsal.engine"] {
		t.Errorf("replaced by whoever only wanted to load it: %v", err)
	}
	if f, err := c.failure(n.Facts); f.Process != "another" || err != nil {
		t.Errorf("%+v, %v", f, err)
	}
	if err := rt.Build(t.Context(), m, o, Rehearsal); err != nil { // anew: another process had no luck
		t.Fatal(err)
	}
	if err := c.noteFailure(n.Facts, failure{Process: "another", Error: "out of memory"}); err != nil {
		t.Fatal(err)
	}
	before, err := readNote(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := rt.Build(t.Context(), m, o, Rehearsal); err != nil { // it loads
		t.Fatal(err)
	}
	if after, err := readNote(dir); err != nil || after.TookS != before.TookS {
		t.Errorf("built again though it loads: %v", err)
	}
	if f, err := c.failure(n.Facts); f.Process != "" || err != nil {
		t.Errorf("still noted: %+v, %v", f, err)
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
