package warmup

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"perch/pipeline"
	"perch/pipeline/infer"
)

// TestMain is also the process that builds.
func TestMain(m *testing.M) {
	if os.Getenv("PERCH_TEST_CHILD") != "" {
		if err := Child(context.Background(), os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(ctx context.Context) *exec.Cmd {
	cmd := Command(os.Args[0])(ctx)
	cmd.Env = append(cmd.Env, "PERCH_TEST_CHILD=1")
	return cmd
}

// told collects what was told.
type told struct {
	mu   sync.Mutex
	list []pipeline.ModelState
	new  chan struct{}
}

func newTold() *told { return &told{new: make(chan struct{}, 1000)} }

func (o *told) tell(s pipeline.ModelState) {
	o.mu.Lock()
	o.list = append(o.list, s)
	o.mu.Unlock()
	o.new <- struct{}{}
}

// until waits until one is told that fits.
func (o *told) until(t *testing.T, what string, ok func(pipeline.ModelState) bool) pipeline.ModelState {
	t.Helper()
	limit := time.After(30 * time.Second)
	for i := 0; ; i++ {
		select {
		case <-o.new:
		case <-limit:
			t.Fatalf("never told: %s; told %+v", what, o.list)
		}
		o.mu.Lock()
		s := o.list[i]
		o.mu.Unlock()
		if ok(s) {
			o.mu.Lock()
			o.list = o.list[i+1:]
			o.mu.Unlock()
			return s
		}
	}
}

func is(phase pipeline.ModelPhase) func(pipeline.ModelState) bool {
	return func(s pipeline.ModelState) bool { return s.State == phase }
}

// start runs a Warmer for the length of the test.
func start(t *testing.T, opt Options) *Warmer {
	opt.Log = slog.New(slog.DiscardHandler)
	w := New(opt)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w
}

// fake is a model whose better provider always works once it was built.
type fake struct {
	name     string // "" is "m"
	mu       sync.Mutex
	provider string
	refuse   error
	built    bool // by another process
}

func (f *fake) Name() string { return cmp.Or(f.name, "m") }
func (f *fake) Provider() pipeline.ProviderChoice {
	f.mu.Lock()
	defer f.mu.Unlock()
	return pipeline.ProviderChoice{Name: f.provider}
}
func (f *fake) Waits() string {
	if f.Provider().Name == "cpu" {
		return "tensorrt"
	}
	return ""
}
func (f *fake) Built() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.built
}
func (f *fake) Upgrade(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse == nil {
		f.provider = "tensorrt"
	}
	return f.refuse
}

func shell(script string) func(context.Context) *exec.Cmd { return Command("sh", "-c", script) }

func plenty() (int64, error) { return 1 << 40, nil }

// The whole way with ONNX Runtime: a model that serves, a child that builds, a
// session that moves.
func TestModelGetsItsEngine(t *testing.T) {
	lib := os.Getenv("PERCH_ORT_LIB")
	if lib == "" {
		t.Skip("PERCH_ORT_LIB is not set; make test sets it")
	}
	dir := t.TempDir()
	rt := infer.New(infer.Config{Library: lib})
	m := infer.Model{Name: "nanodet-416", Path: filepath.Join("..", "..", "..", "packaging", "models", "nanodet-416", "model.onnx")}
	o := infer.Options{
		Providers: []string{infer.Rehearsal, infer.CPU}, OnlyReady: true, RehearsalTime: 300 * time.Millisecond, EngineCacheDir: dir,
		InputShape: []int64{1, 3, 416, 416}, Threads: 1,
	}
	s, err := rt.Open(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hear := newTold()
	w := start(t, Options{Dir: dir, Command: child, Tell: hear.tell, TellEvery: 20 * time.Millisecond})
	w.Add(Job{Session: s, Spec: Spec{Library: lib, Model: m, Options: o}})

	during := hear.until(t, "progress", func(s pipeline.ModelState) bool {
		return s.State == pipeline.ModelBuilding && s.ElapsedS > 0.1 && s.ExpectedS == 0.3
	})
	if during.Model != "nanodet-416" || during.Provider != "cpu" || during.Target != "rehearsal" || during.Attempt != 1 || during.Error != "" {
		t.Errorf("%+v", during)
	}
	if list, err := Read(dir); err != nil || len(list) != 1 || list[0].State != pipeline.ModelBuilding {
		t.Errorf("in the file: %+v, %v", list, err)
	}
	if b, on := infer.EngineBuild(dir); on && (b.Model != "nanodet-416" || b.PID == os.Getpid()) {
		t.Errorf("%+v", b)
	}
	hear.until(t, "loading", is(pipeline.ModelLoading))
	end := hear.until(t, "the end", is(pipeline.ModelReady))
	if end.Provider != "rehearsal" || end.Target != "" || s.Provider().Name != "rehearsal" || w.States()[0] != end {
		t.Errorf("%+v, %+v", end, w.States())
	}
}

func TestNothingToBuildIsTold(t *testing.T) {
	hear := newTold()
	w := start(t, Options{Tell: hear.tell, Command: shell("exit 1")})
	w.Add(Job{Session: &fake{provider: "cuda"}})
	if s := hear.until(t, "ready", is(pipeline.ModelReady)); s.Provider != "cuda" || s.Schema != pipeline.ModelSchema {
		t.Errorf("%+v", s)
	}
}

func TestBuildThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		script, wantError, wantHint string
		tries                       int
		refuse                      error
	}{
		"killed":            {script: "echo 'no space' >&2; kill -9 $$", wantError: "signal: killed: no space", tries: 3},
		"says why":          {script: `echo '{"error":{"text":"no TensorRT","hint":"install it","kind":4}}'; exit 1`, wantError: "no TensorRT", wantHint: "install it", tries: 3},
		"configuration":     {script: `echo '{"error":{"text":"no such table","kind":1}}'; exit 1`, wantError: "no such table", tries: 1},
		"takes too long":    {script: `echo '{"error":{"text":"longer than 4h","hint":"give it longer","kind":9}}'; exit 1`, wantError: "longer than 4h", wantHint: "give it longer", tries: 1},
		"does not load":     {script: "exit 0", wantError: "out of memory", tries: 3, refuse: errors.New("out of memory")},
		"no program":        {script: "exec /nonexistent", wantError: "exit status 127", tries: 3},
		"talks without end": {script: "yes | head -c 3000000; exit 3", wantError: "exit status 3", tries: 3},
	} {
		t.Run(name, func(t *testing.T) {
			hear := newTold()
			dir := t.TempDir()
			tries := filepath.Join(dir, "tries")
			w := start(t, Options{
				Dir: dir, Tell: hear.tell, Free: plenty, Retry: []time.Duration{time.Millisecond, time.Millisecond},
				Command: shell("cat >/dev/null & echo x >>" + tries + "\n" + c.script),
			})
			w.Add(Job{Session: &fake{provider: "cpu", refuse: c.refuse}})
			s := hear.until(t, "failure", is(pipeline.ModelFailed))
			if !strings.Contains(s.Error, c.wantError) || !strings.Contains(s.Hint, c.wantHint) || s.Provider != "cpu" || s.Target != "tensorrt" || s.ElapsedS != 0 {
				t.Errorf("%+v", s)
			}
			text, err := os.ReadFile(tries)
			if n := strings.Count(string(text), "x"); n != c.tries {
				t.Errorf("tried %d times, want %d (%v)", n, c.tries, err)
			}
			if list, err := Read(dir); err != nil || list[0].State != pipeline.ModelFailed {
				t.Errorf("in the file: %+v, %v", list, err)
			}
		})
	}
}

// While one model waits to be tried again, the others have their turn.
func TestAFailureHoldsNobodyUp(t *testing.T) {
	hear := newTold()
	w := start(t, Options{
		Tell: hear.tell, Free: plenty, Retry: []time.Duration{time.Hour},
		Command: shell(`read -r spec; case "$spec" in *bad*) exit 1 ;; esac`),
	})
	w.Add(Job{Session: &fake{name: "first", provider: "cpu"}, Spec: Spec{Library: "bad"}})
	w.Add(Job{Session: &fake{name: "second", provider: "cpu"}})
	if s := hear.until(t, "the failure", is(pipeline.ModelWaiting)); s.Model != "first" || s.Error == "" {
		t.Errorf("%+v", s)
	}
	if s := hear.until(t, "the other one", is(pipeline.ModelReady)); s.Model != "second" {
		t.Errorf("%+v", s)
	}
}

// Another process builds: that is no failure, however long it takes.
func TestBuildWaitsForAnother(t *testing.T) {
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	hear := newTold()
	w := start(t, Options{
		Tell: hear.tell, Free: plenty, Poll: time.Millisecond, Retry: []time.Duration{},
		Command: shell("[ -e " + gate + ` ] || { echo '{"error":{"text":"another builds","kind":10}}'; exit 1; }`),
	})
	w.Add(Job{Session: &fake{provider: "cpu"}})
	for range 3 {
		if s := hear.until(t, "waiting", is(pipeline.ModelWaiting)); !strings.Contains(s.Error, "another builds") {
			t.Errorf("%+v", s)
		}
	}
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if s := hear.until(t, "ready", is(pipeline.ModelReady)); s.Provider != "tensorrt" {
		t.Errorf("%+v", s)
	}
}

func TestTooLittleMemoryIsRefusedPolitely(t *testing.T) {
	var mu sync.Mutex
	free := int64(100 << 20)
	hear := newTold()
	w := start(t, Options{
		Tell: hear.tell, Poll: time.Millisecond, Command: shell("exit 0"),
		Free: func() (int64, error) { mu.Lock(); defer mu.Unlock(); return free, nil },
	})
	w.Add(Job{Session: &fake{provider: "cpu"}, Spec: Spec{Model: infer.Model{Data: make([]byte, 1<<20)}}})
	s := hear.until(t, "starved", is(pipeline.ModelStarved))
	if s.Error != "100 MiB of memory are free, 1028 MiB are needed to build" || s.Hint == "" || s.Provider != "cpu" {
		t.Errorf("%+v", s)
	}
	mu.Lock()
	free = 2 << 30
	mu.Unlock()
	hear.until(t, "ready", is(pipeline.ModelReady))
}

// An engine that another process has built is taken, however little memory is
// free.
func TestTheEngineOfAnotherIsTaken(t *testing.T) {
	hear := newTold()
	w := start(t, Options{
		Tell: hear.tell, Poll: time.Millisecond, Command: shell("exit 1"),
		Free: func() (int64, error) { return 1 << 20, nil },
	})
	f := &fake{provider: "cpu"}
	w.Add(Job{Session: f})
	hear.until(t, "starved", is(pipeline.ModelStarved))
	f.mu.Lock()
	f.built = true
	f.mu.Unlock()
	if s := hear.until(t, "ready", is(pipeline.ModelReady)); s.Provider != "tensorrt" || s.Error != "" || s.Hint != "" {
		t.Errorf("%+v", s)
	}
}

// A model for which memory is too little does not hold up one for which it is
// enough.
func TestAStarvedModelLetsOthersPass(t *testing.T) {
	hear := newTold()
	w := start(t, Options{
		Tell: hear.tell, Poll: time.Millisecond, Command: shell("exit 0"),
		Free: func() (int64, error) { return 1<<30 + 8<<20, nil },
	})
	w.Add(Job{Session: &fake{name: "large", provider: "cpu"}, Spec: Spec{Model: infer.Model{Data: make([]byte, 10<<20)}}})
	w.Add(Job{Session: &fake{name: "small", provider: "cpu"}, Spec: Spec{Model: infer.Model{Data: make([]byte, 1<<20)}}})
	if s := hear.until(t, "ready", is(pipeline.ModelReady)); s.Model != "small" {
		t.Errorf("%+v", s)
	}
	for _, s := range w.States() {
		if s.Model == "large" && s.State != pipeline.ModelStarved {
			t.Errorf("%+v", s)
		}
	}
}

// The end of the service ends the build.
func TestStopEndsTheChild(t *testing.T) {
	hear := newTold()
	ctx, cancel := context.WithCancel(t.Context())
	w := New(Options{Tell: hear.tell, Free: plenty, Log: slog.New(slog.DiscardHandler),
		Command: shell(`echo '{"building":{"model":"m","started":"2026-01-01T00:00:00Z","expected_ns":60000000000}}'; exec sleep 1000`)})
	w.Add(Job{Session: &fake{provider: "cpu"}})
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	if s := hear.until(t, "building", func(s pipeline.ModelState) bool { return s.ExpectedS == 60 }); s.ElapsedS < 1 {
		t.Errorf("%+v", s)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Run waits for a child that nobody needs")
	}
}

// A child whose parent is killed ends, too.
func TestChildEndsWithItsParent(t *testing.T) {
	lib := os.Getenv("PERCH_ORT_LIB")
	if lib == "" {
		t.Skip("PERCH_ORT_LIB is not set; make test sets it")
	}
	cmd := child(t.Context())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	spec := Spec{Library: lib, Provider: infer.Rehearsal, Options: infer.Options{RehearsalTime: time.Hour, EngineCacheDir: t.TempDir(), InputShape: []int64{1, 3, 416, 416}},
		Model: infer.Model{Path: filepath.Join("..", "..", "..", "packaging", "models", "nanodet-416", "model.onnx")}}
	if err := json.NewEncoder(in).Encode(spec); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); !strings.Contains(line, `"expected_ns":3600000000000`) {
		t.Fatalf("%q, %v", line, err)
	}
	nice, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/stat")
	if fields := strings.Fields(string(nice)); err != nil || len(fields) < 19 || fields[18] != "19" {
		t.Errorf("the child's priority: %q, %v", nice, err)
	}
	if score, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/oom_score_adj"); strings.TrimSpace(string(score)) != "1000" {
		t.Errorf("what the kernel takes when memory runs out: %q, %v", score, err)
	}
	in.Close() // as the kernel does for a parent that was killed
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		cmd.Process.Kill()
		t.Error("it goes on without its parent")
	}
}

func TestCommandLeavesTheServiceManagerOut(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/x")
	t.Setenv("WATCHDOG_USEC", "1")
	t.Setenv("PERCH_KEPT", "1")
	env := strings.Join(Command("true")(t.Context()).Env, "\n")
	if strings.Contains(env, "NOTIFY_SOCKET") || strings.Contains(env, "WATCHDOG") || !strings.Contains(env, "PERCH_KEPT=1") {
		t.Error(env)
	}
}

func TestFreeMemory(t *testing.T) {
	if n, err := freeMemory("/proc/meminfo"); err != nil || n < 1<<20 {
		t.Errorf("%d, %v", n, err)
	}
	path := filepath.Join(t.TempDir(), "meminfo")
	for text, want := range map[string]int64{"MemTotal: 5 kB\nMemAvailable:    1024 kB\n": 1 << 20, "MemTotal: 5 kB\n": -1, "MemAvailable: x kB\n": -1} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if n, err := freeMemory(path); n != want && (err == nil || want >= 0) {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
}

func TestReadNothing(t *testing.T) {
	dir := t.TempDir()
	if list, err := Read(dir); list != nil || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	if err := os.WriteFile(filepath.Join(dir, statesFile), []byte("["), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); pipeline.KindOf(err) != pipeline.BadInput {
		t.Errorf("%v", err)
	}
}

// What an earlier process left half written, or under another's name, is in
// nobody's way.
func TestStatesReplaceWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	aside := filepath.Join(t.TempDir(), "aside")
	if err := os.Symlink(aside, filepath.Join(dir, statesFile+".new")); err != nil {
		t.Fatal(err)
	}
	hear := newTold()
	w := start(t, Options{Dir: dir, Tell: hear.tell, Command: shell("exit 1")})
	w.Add(Job{Session: &fake{provider: "cuda"}})
	hear.until(t, "ready", is(pipeline.ModelReady))
	if list, err := Read(dir); err != nil || len(list) != 1 || list[0].Provider != "cuda" {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := os.Stat(aside); err == nil {
		t.Error("the states were written elsewhere")
	}
}

// A service that runs as another user can replace what root wrote.
func TestStatesOfRootAreTheServices(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	hear := newTold()
	w := start(t, Options{Dir: dir, Tell: hear.tell, Command: shell("exit 1")})
	w.Add(Job{Session: &fake{provider: "cuda"}})
	hear.until(t, "ready", is(pipeline.ModelReady))
	if st, err := os.Stat(filepath.Join(dir, statesFile)); err != nil || st.Sys().(*syscall.Stat_t).Uid != 65534 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestTail(t *testing.T) {
	var b tail
	for range 1000 {
		b.Write([]byte("line of text\n"))
	}
	b.Write([]byte("the end"))
	if s := b.String(); len(s) > maxTail || !strings.HasSuffix(s, "text the end") {
		t.Errorf("%d: %q", len(s), s)
	}
}
