// Package warmup builds the engines that models lack while the models run
// without: one at a time, each in a process of low priority, and moves the
// models over when they are there.
package warmup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"sync"
	"time"

	"perch/pipeline"
	"perch/pipeline/infer"
)

// maxModels bounds how many models can wait; more than fit in a Jetson's memory.
const maxModels = 64

// A Session is a model that runs; *[infer.Session] is one.
type Session interface {
	Name() string
	Provider() pipeline.ProviderChoice
	// Waits is the provider that lacks its engine, "" for none.
	Waits() string
	// Built reports whether that engine is there meanwhile.
	Built() bool
	// Upgrade moves to the best provider that is ready.
	Upgrade(ctx context.Context) error
}

// Job is a model that may get a better provider.
type Job struct {
	Session Session
	Spec    Spec // what the child is told; Provider is filled in
}

// Options say how engines are built.
type Options struct {
	// Dir is where the states are kept, for [Read]; "" keeps none. Only one
	// process may: whose models others want to know of.
	Dir string
	// Command makes the process that builds: see [Child].
	Command func(ctx context.Context) *exec.Cmd
	// MinFree is the memory that must be free before a build begins, in bytes; 0
	// is the workspace and four times the model.
	MinFree int64
	// Free is how much memory is free now; nil reads /proc/meminfo.
	Free func() (int64, error)
	// Tell is called with each change of state, and every TellEvery while an
	// engine is built. It may take its time; nil is not called.
	Tell      func(pipeline.ModelState)
	TellEvery time.Duration // 0 is 30 s
	// Retry are the pauses before a build that failed is tried again; nil is
	// after 1 and 10 minutes.
	Retry []time.Duration
	// Poll is how often memory, and a build of another process, are looked at
	// again; 0 is 10 s.
	Poll time.Duration
	Log  *slog.Logger
}

// A Warmer builds engines. Add may be called before Run and while it runs.
type Warmer struct {
	opt  Options
	jobs chan *job

	saving sync.Mutex // held while the states are written
	mu     sync.Mutex
	states []*job // guarded by mu, with the state of each; in the order of Add
}

type job struct {
	Job
	state   pipeline.ModelState // guarded by the Warmer's mu
	started time.Time           // guarded by the Warmer's mu; zero while nothing is built
	tries   int                 // builds that failed; owned by whoever took it from jobs
}

// New returns a Warmer that does nothing until Run.
func New(opt Options) *Warmer {
	if opt.TellEvery == 0 {
		opt.TellEvery = 30 * time.Second
	}
	if opt.Retry == nil {
		opt.Retry = []time.Duration{time.Minute, 10 * time.Minute}
	}
	if opt.Poll == 0 {
		opt.Poll = 10 * time.Second
	}
	if opt.Free == nil {
		opt.Free = func() (int64, error) { return freeMemory("/proc/meminfo") }
	}
	return &Warmer{opt: opt, jobs: make(chan *job, maxModels)}
}

// Add takes a model in. One that waits for no engine is ready; beyond 64 that
// wait, the model stays on what it runs on, and its state says so. Adding never
// blocks.
func (w *Warmer) Add(j Job) {
	job := &job{Job: j, state: pipeline.ModelState{
		Schema: pipeline.ModelSchema, Model: j.Session.Name(), State: pipeline.ModelReady, Since: time.Now().UTC(),
		Provider: j.Session.Provider().Name, Target: j.Session.Waits(),
	}}
	if job.state.Target != "" {
		job.state.State = pipeline.ModelWaiting
	}
	job.Spec.Provider = job.state.Target
	w.mu.Lock()
	w.states = append(w.states, job)
	w.mu.Unlock()
	w.queue(job)
}

func (w *Warmer) queue(job *job) {
	select {
	case w.jobs <- job:
	default:
		w.fail(job, fmt.Errorf("more than %d models wait for an engine", maxModels), "use fewer models, or restart Perch when the others are done")
	}
}

// States returns where each model stands, with the time that has gone.
func (w *Warmer) States() []pipeline.ModelState {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := []pipeline.ModelState{}
	for _, j := range w.states {
		list = append(list, j.now())
	}
	return list
}

// now is the state with the time that has gone. The Warmer's mu is held.
func (j *job) now() pipeline.ModelState {
	s := j.state
	if !j.started.IsZero() {
		s.ElapsedS = time.Since(j.started).Seconds()
	}
	return s
}

// Run builds until ctx is done; the build that goes on is then ended.
func (w *Warmer) Run(ctx context.Context) error {
	var later sync.WaitGroup
	defer later.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case j := <-w.jobs:
			if j.state.Target == "" {
				w.set(j, func(*pipeline.ModelState) {}) // so that it is told
				continue
			}
			again := w.warm(ctx, j)
			if again == 0 {
				continue
			}
			later.Go(func() { // meanwhile the others have their turn
				if pause(ctx, again) {
					w.queue(j)
				}
			})
		}
	}
}

// warm brings one model to its better provider, or says why not. It returns the
// pause after which it is worth another try, 0 for none.
func (w *Warmer) warm(ctx context.Context, j *job) (again time.Duration) {
	err := w.attempt(ctx, j, j.tries+1)
	switch {
	case err == nil || ctx.Err() != nil:
		return 0
	case errors.Is(err, errStarved):
		return w.opt.Poll
	}
	j.tries++
	hint := "perch doctor may say more; the model goes on as it is"
	if e, ok := errors.AsType[*pipeline.Error](err); ok && e.Hint != "" {
		hint = e.Hint
	}
	w.opt.Log.Error("engine was not built", "model", j.state.Model, "provider", j.state.Target, "attempt", j.tries, "error", err)
	// What took longer than it may takes as long again.
	kind := pipeline.KindOf(err)
	if j.tries > len(w.opt.Retry) || kind == pipeline.BadConfig || kind == pipeline.Stuck {
		w.fail(j, err, hint)
		return 0
	}
	w.set(j, func(s *pipeline.ModelState) { s.State, s.Error, s.Hint = pipeline.ModelWaiting, err.Error(), hint })
	return w.opt.Retry[j.tries-1]
}

func (w *Warmer) attempt(ctx context.Context, j *job, attempt int) error {
	if !j.Session.Built() { // another process may have built it
		if err := w.built(ctx, j, attempt); err != nil {
			return err
		}
	}
	w.set(j, func(s *pipeline.ModelState) { s.State, s.Error, s.Hint = pipeline.ModelLoading, "", "" })
	if err := j.Session.Upgrade(ctx); err != nil {
		return err
	}
	w.set(j, func(s *pipeline.ModelState) {
		s.State, s.Provider, s.Target, s.Error, s.Hint = pipeline.ModelReady, j.Session.Provider().Name, "", "", ""
	})
	return nil
}

// built builds the engine once there is memory for that and no other process
// builds.
func (w *Warmer) built(ctx context.Context, j *job, attempt int) error {
	if err := w.enoughMemory(j); err != nil {
		return err
	}
	for {
		w.set(j, func(s *pipeline.ModelState) {
			s.State, s.Attempt, s.Error, s.Hint = pipeline.ModelBuilding, attempt, "", ""
		})
		err := w.build(ctx, j)
		if pipeline.KindOf(err) != pipeline.Busy {
			return err
		}
		w.set(j, func(s *pipeline.ModelState) { s.State, s.Error = pipeline.ModelWaiting, err.Error() })
		if !pause(ctx, w.opt.Poll) {
			return ctx.Err()
		}
	}
}

// errStarved is no failure: the model has its turn again when others had theirs.
var errStarved = errors.New("too little memory is free")

// enoughMemory reports whether a build would not starve what runs.
func (w *Warmer) enoughMemory(j *job) error {
	need := w.opt.MinFree
	if need == 0 {
		need = j.Spec.memory()
	}
	free, err := w.opt.Free()
	if err != nil {
		return &pipeline.Error{Op: "look for free memory", Kind: pipeline.Other, Err: err}
	}
	if free >= need {
		return nil
	}
	why := fmt.Sprintf("%d MiB of memory are free, %d MiB are needed to build", free>>20, need>>20)
	w.mu.Lock()
	known := j.state.State == pipeline.ModelStarved
	w.mu.Unlock()
	if known { // how much is free changes with each look, and is not worth a message
		return errStarved
	}
	w.opt.Log.Warn("engine waits for memory", "model", j.state.Model, "provider", j.state.Target, "why", why)
	w.set(j, func(s *pipeline.ModelState) {
		s.State, s.Error, s.Hint = pipeline.ModelStarved, why, "stop other programs, add swap, or lower the workspace of the model in models.tensorrt"
	})
	return errStarved
}

func (w *Warmer) fail(j *job, err error, hint string) {
	w.set(j, func(s *pipeline.ModelState) { s.State, s.Error, s.Hint = pipeline.ModelFailed, err.Error(), hint })
}

// set changes a state and tells of it.
func (w *Warmer) set(j *job, change func(*pipeline.ModelState)) {
	w.mu.Lock()
	before := j.state
	change(&j.state)
	if j.state.State != pipeline.ModelBuilding && j.state.State != pipeline.ModelLoading {
		j.started = time.Time{}
	}
	if j.state.State != before.State {
		j.state.Since = time.Now().UTC()
	}
	s := j.now()
	w.mu.Unlock()
	if s == before && s.State != pipeline.ModelReady {
		return // it still waits for the same
	}
	if err := w.save(); err != nil {
		w.opt.Log.Warn("states of the models were not written; perch doctor does not see them", "error", err)
	}
	w.tell(s)
}

func (w *Warmer) tell(s pipeline.ModelState) {
	if w.opt.Tell != nil {
		w.opt.Tell(s)
	}
}

// pause reports whether it was not cut short.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// memory is what building is taken to need: what TensorRT may use for trying
// variants, and the model in the forms that it goes through.
func (s Spec) memory() int64 {
	size := int64(len(s.Model.Data))
	if s.Model.Path != "" {
		size = fileSize(s.Model.Path)
	}
	if s.Provider == infer.Rehearsal {
		return size
	}
	return s.Options.Engine.Memory() + 4*size
}

// Command is a process of program, found by its arguments, that builds: see
// [Child]. It does not inherit what belongs to this process's service manager.
func Command(program string, args ...string) func(context.Context) *exec.Cmd {
	return func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Env = slices.DeleteFunc(cmd.Environ(), func(kv string) bool { return ofService(kv) })
		return cmd
	}
}
