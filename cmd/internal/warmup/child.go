package warmup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"perch/pipeline"
	"perch/pipeline/infer"
)

// Spec is what a child is to build. It goes to its standard input as JSON; the
// child ends when that is closed, so that none outlives its parent.
type Spec struct {
	Library  string // ONNX Runtime; "" searches
	Model    infer.Model
	Options  infer.Options
	Provider string
}

// report is a line of the child's standard output.
type report struct {
	Building *infer.Building `json:"building,omitempty"` // it has begun
	Error    *failure        `json:"error,omitempty"`    // it ended; without, all is well
}

type failure struct {
	Text string        `json:"text"`
	Hint string        `json:"hint,omitempty"`
	Kind pipeline.Kind `json:"kind"`
}

// Child is the process that builds one engine: it reads a [Spec] from in, gives
// everything else on the machine precedence, builds, and says on out how it
// goes. Its error has been said on out already.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := json.NewEncoder(out)
	var spec Spec
	dec := json.NewDecoder(in)
	if err := dec.Decode(&spec); err != nil {
		return fmt.Errorf("read what to build: %w", err)
	}
	go func() { // ends with the process
		_, err := io.Copy(io.Discard, in)
		cancel(fmt.Errorf("the parent went away: %w", errors.Join(io.EOF, err)))
		// C code does not notice; whoever wanted the engine has gone.
		time.Sleep(time.Second)
		os.Exit(1)
	}()
	yieldToOthers()
	spec.Options.Building = func(b infer.Building) { _ = w.Encode(report{Building: &b}) } // a parent that has gone is noticed above
	err := infer.New(infer.Config{Library: spec.Library}).Build(ctx, spec.Model, spec.Options, spec.Provider)
	if err == nil {
		return nil
	}
	f := failure{Text: err.Error(), Kind: pipeline.KindOf(err)}
	if e, ok := errors.AsType[*pipeline.Error](err); ok {
		plain := *e
		plain.Hint = ""
		f.Text, f.Hint = plain.Error(), e.Hint
	}
	return errors.Join(err, w.Encode(report{Error: &f}))
}

// yieldToOthers lowers this process's claim on processor, disk and memory. What
// the system forbids is left: it only means that others get less.
func yieldToOthers() {
	const (
		lowest      = 19
		ioWhoSelf   = 1       // IOPRIO_WHO_PROCESS
		ioIdleClass = 3 << 13 // IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)
	)
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, lowest)
	_, _, _ = syscall.Syscall(syscall.SYS_IOPRIO_SET, ioWhoSelf, 0, ioIdleClass)
	// When memory runs out, this process goes and not the one that serves.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
}

// ofService reports whether a variable belongs to one process of a service.
func ofService(kv string) bool {
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if strings.HasPrefix(kv, name+"=") {
			return true
		}
	}
	return false
}

// build runs the child and waits for it.
func (w *Warmer) build(ctx context.Context, j *job) error {
	fail := func(err error) error {
		return &pipeline.Error{Op: "build engine", On: j.state.Model, Kind: pipeline.Other, Err: err}
	}
	spec, err := json.Marshal(j.Spec)
	if err != nil {
		return fail(err)
	}
	cmd := w.opt.Command(ctx)
	last := &tail{}
	cmd.Stderr = last
	in, err := cmd.StdinPipe()
	if err != nil {
		return fail(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fail(err)
	}
	if err := cmd.Start(); err != nil {
		return fail(err)
	}
	w.opt.Log.Info("building an engine", "model", j.state.Model, "provider", j.state.Target, "pid", cmd.Process.Pid)
	said := make(chan *failure, 1)
	go func() { said <- w.listen(j, out) }()
	// A child that does not read is noticed by its end.
	_, _ = in.Write(append(spec, '\n'))
	f := w.await(j, said)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case f != nil:
		return &pipeline.Error{Op: "build engine for " + j.state.Target, On: j.state.Model, Kind: f.Kind, Err: errors.New(f.Text), Hint: f.Hint}
	case err != nil:
		if text := last.String(); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return fail(err)
	}
	return nil
}

// listen reads the child's lines until it ends.
func (w *Warmer) listen(j *job, out io.Reader) (f *failure) {
	dec := json.NewDecoder(io.LimitReader(out, 1<<20))
	for {
		var r report
		if dec.Decode(&r) != nil {
			_, _ = io.Copy(io.Discard, out) // or a child that says too much would hang
			return f
		}
		if r.Error != nil {
			f = r.Error
		}
		if r.Building != nil {
			w.mu.Lock()
			j.started, j.state.ExpectedS = r.Building.Started, r.Building.Expected.Seconds()
			s := j.now()
			w.mu.Unlock()
			w.tell(s)
		}
	}
}

// await waits for the end of what the child says, and tells how it goes
// meanwhile.
func (w *Warmer) await(j *job, said <-chan *failure) *failure {
	tick := time.NewTicker(w.opt.TellEvery)
	defer tick.Stop()
	for {
		select {
		case f := <-said:
			return f
		case <-tick.C:
			w.mu.Lock()
			s := j.now()
			w.mu.Unlock()
			w.tell(s)
		}
	}
}

// A tail keeps the end of what is written to it.
type tail struct{ buf bytes.Buffer }

const maxTail = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.buf.Write(p)
	if over := t.buf.Len() - maxTail; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(t.buf.String(), "?")), " ")
}
