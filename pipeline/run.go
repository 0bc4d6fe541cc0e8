package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// The causes with which a run's context is cancelled on purpose.
var (
	ErrStopped    = errors.New("stopped on request")
	ErrDeadline   = errors.New("the run's time limit was reached")
	ErrClientGone = errors.New("the client went away")
)

// ErrCameraEnded is inside the error of a live source whose camera said that
// there is no more.
var ErrCameraEnded = errors.New("the camera ended the stream")

const (
	maxErrors        = 20               // error texts kept in a completion record
	maxErrorText     = 500              // bytes of each
	maxFailuresInRow = 10               // frames failing one after the other end a run
	finishGrace      = 10 * time.Second // for what has begun when a run is stopped
	completeTries    = 5                // attempts to store the completion record
	losslessInFlight = 2                // frames begun and not finished with Lossless pace
	shortfall        = 0.9              // of the frames a container promises; fewer are worth a word
)

// A Run is one source processed by one workflow from start to end. Fill in the
// fields, then call Run.Run once.
type Run struct {
	ID       string // ULID
	Device   string
	Camera   string // "" for files and sessions
	Source   Source
	Pace     Pace
	MaxFPS   float64 // frames a second that are worked on, see [CheckMaxFPS]; 0: all. The others are dropped as [DropRate]
	Engine   Engine
	Recorder Recorder
	Viewers  []Viewer      // shown each finished frame, in order
	Limit    time.Duration // 0: none
	// OnFirstFrame delays the run's begin until the source has produced a
	// picture, so that a camera which is away leaves no empty runs behind.
	OnFirstFrame bool
	Keep         Keep // which results are stored
	Log          *slog.Logger
	Now          func() time.Time
	Clock        func() ClockReading
	OnOpen       func(StreamInfo) // may be nil
	OnFrame      func(*Result)    // may be nil; must not block
	OnEnd        func(*Complete)  // may be nil; told once, when the run has ended

	books  books
	begun  bool // owned by Run
	opened bool // owned by Run: the engine knows the stream
	start  time.Time
	errs   []string // owned by Run
	hist   *[NumStages]Histogram
}

// arrived is a frame and when it reached the run.
type arrived struct {
	frame Frame
	at    time.Time
}

// begunFrame is a frame on which the engine has started.
type begunFrame struct {
	arrived
	taken time.Time
	work  Work
}

// Run plays the source until it ends, ctx is done, the limit is reached or
// something fails for good. It stores exactly one completion record, which it
// returns, unless the run never began. The error says what ended the run; it
// is nil at the end of a stream and after [ErrStopped].
func (r *Run) Run(ctx context.Context) (*Complete, error) {
	r.hist = new([NumStages]Histogram)
	r.start = r.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if r.Limit > 0 {
		timer := time.AfterFunc(r.Limit, func() { cancel(ErrDeadline) })
		defer timer.Stop()
	}
	if !r.OnFirstFrame {
		if err := r.begin(ctx, StreamInfo{}); err != nil {
			return nil, errors.Join(err, r.Engine.Close())
		}
	}

	lane := newLane(r.Pace, r.books.drop)
	var sourceErr error
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(ended)
		sourceErr = r.Source.Run(ctx, &inlet{run: r, lane: lane, pacer: pacer{fps: r.MaxFPS}, scale: newScaling(r)})
	})
	loopErr := r.loop(ctx, lane, ended)
	told := context.Cause(ctx) // nil unless somebody ended the run on purpose
	cancel(loopErr)
	wg.Wait()
	lane.close()
	if err := r.Engine.Close(); err != nil {
		r.note(err)
	}

	reason, err := r.verdict(told, sourceErr, loopErr)
	if !r.begun {
		return nil, err
	}
	record, err := r.complete(reason, err)
	if r.OnEnd != nil {
		r.OnEnd(record)
	}
	return record, err
}

// inlet is what the source sees of a run.
type inlet struct {
	run   *Run
	lane  *lane
	pacer pacer
	scale scaling
}

func (in *inlet) Opened(info StreamInfo) {
	info.MaxFPS = in.run.MaxFPS
	in.run.books.opened(info)
	if in.run.OnOpen != nil {
		in.run.OnOpen(info)
	}
}

func (in *inlet) PutFrame(ctx context.Context, f Frame) {
	at := in.run.Now()
	in.run.books.arrived(at) // also what is left out shows that the camera is there
	in.scale.look(f.Info())
	if !in.pacer.takes(f.Info().PTS) {
		in.run.drop(arrived{f, at}, DropRate)
		return
	}
	in.lane.put(ctx, arrived{f, at})
}

// begin stores the start. A run that is told to end at this very moment, which
// a short limit does, is one that took place: its record says why it ended.
func (r *Run) begin(ctx context.Context, info StreamInfo) error {
	ctx, cancel := outlast(ctx)
	defer cancel()
	about := r.Engine.About()
	err := r.Recorder.Begin(ctx, RunStart{
		Run: r.ID, Device: r.Device, Camera: r.Camera, Source: r.Source.ID(), Workflow: about.Workflow,
		Models: about.Models, Labels: about.Labels, Stream: info, Started: r.start, Clock: r.Clock(), Keep: r.Keep,
	})
	if err != nil {
		return fmt.Errorf("begin run %s: %w", r.ID, err)
	}
	r.begun = true
	return nil
}

// loop takes frames and finishes them in order until the source has ended and
// nothing is left, or ctx is done.
func (r *Run) loop(ctx context.Context, l *lane, ended <-chan struct{}) error {
	var flight []begunFrame
	finishCtx, cancel := outlast(ctx)
	defer cancel()

	depth := 1
	if r.Pace == Lossless {
		depth = losslessInFlight
	}
	failures, over := 0, false
	settle := func(err error) error {
		if err == nil {
			return nil
		}
		r.note(err)
		if KindOf(err) == Storage && r.Pace == Realtime {
			return nil // the camera stays up; the frames are in the books
		}
		if failures++; failures >= maxFailuresInRow || KindOf(err) == Stuck || KindOf(err) == Storage {
			return err
		}
		return nil
	}
	drain := func(cause error) error {
		for _, b := range flight {
			r.settleLate(finishCtx, b)
		}
		return cause
	}
	for {
		if ctx.Err() != nil {
			return drain(nil)
		}
		a, ok, held := r.next(l, len(flight))
		switch {
		case ok:
			b, err := r.beginFrame(ctx, a)
			if err = settle(err); err != nil {
				return drain(err)
			}
			if b.work != nil {
				flight = append(flight, b)
			}
			if len(flight) < depth {
				continue
			}
		case len(flight) > 0: // nothing can be begun: finish what was
		case held != nil:
			held.AwaitBegin(ctx)
			continue
		default:
			if over {
				return nil
			}
			select {
			case <-l.arrive:
			case <-ended:
				over = true // look once more: a frame may have come just before
			case <-ctx.Done():
			}
			continue
		}
		b := flight[0]
		flight = append(flight[:0], flight[1:]...)
		err := r.finishFrame(finishCtx, b)
		if err == nil {
			failures = 0
		}
		if err = settle(err); err != nil {
			return drain(err)
		}
	}
}

// outlast returns a context for what has begun, which is finished even when the
// run is stopped: it is done some time after ctx.
func outlast(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(finishGrace, cancel) })
	return longer, func() { stop(); cancel() }
}

// settleLate finishes a frame after the run has been told to end.
func (r *Run) settleLate(ctx context.Context, b begunFrame) {
	if err := r.finishFrame(ctx, b); err != nil {
		r.note(err)
	}
}

func (r *Run) beginFrame(ctx context.Context, a arrived) (begunFrame, error) {
	b := begunFrame{arrived: a, taken: r.Now()}
	if !r.begun {
		if err := r.begin(ctx, r.books.stream()); err != nil {
			r.drop(a, DropStorage)
			return b, err
		}
	}
	if !r.opened {
		r.opened = true
		r.Engine.Opened(r.books.stream())
	}
	work, err := r.Engine.Begin(ctx, a.frame)
	if err != nil {
		cause := DropError
		if ctx.Err() != nil {
			cause, err = DropStopped, nil
		}
		r.drop(a, cause)
		return b, err
	}
	b.work = work
	return b, nil
}

func (r *Run) finishFrame(ctx context.Context, b begunFrame) error {
	res := &Result{Run: r.ID, Frame: b.frame.Info()}
	res.Took[StageQueue] = b.taken.Sub(b.at)
	if err := b.work.Finish(ctx, res); err != nil {
		r.drop(b.arrived, DropError)
		return fmt.Errorf("frame %d: %w", res.Frame.Seq, err)
	}
	for _, text := range res.Errors {
		r.note(fmt.Errorf("frame %d: %s", res.Frame.Seq, text))
	}
	var viewErr error
	for _, v := range r.Viewers {
		viewErr = errors.Join(viewErr, v.Show(b.frame, res))
	}
	stored := r.Now()
	if err := r.record(ctx, res); err != nil {
		r.drop(b.arrived, DropStorage)
		return fmt.Errorf("frame %d: %w", res.Frame.Seq, err)
	}
	now := r.Now()
	res.Took[StageStore] = now.Sub(stored)
	res.Took[StageTotal] = now.Sub(b.at)
	b.frame.Release()
	for s, d := range res.Took {
		if d > 0 {
			r.hist[s].Add(d)
		}
	}
	r.books.processed(res, now)
	if r.OnFrame != nil {
		r.OnFrame(res)
	}
	return viewErr
}

func (r *Run) record(ctx context.Context, res *Result) error {
	if k, ok := res.Outputs.(DataKeeper); ok && res.Data == nil {
		data, err := k.AppendData(nil)
		if err != nil {
			return err
		}
		res.Data = data
	}
	var msgs []Message
	for i := range res.Events {
		m, err := EventMessage(res.Events[i])
		if err != nil {
			return err
		}
		msgs = append(msgs, m)
	}
	return r.Recorder.Record(ctx, res, msgs)
}

func (r *Run) drop(a arrived, c Cause) {
	a.frame.Release()
	r.books.drop(c)
}

// note keeps the first error texts for the completion record.
func (r *Run) note(err error) {
	text := err.Error()
	if len(text) > maxErrorText {
		text = text[:maxErrorText] + "…"
	}
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, text)
		r.Log.Warn("frame failed", "run", r.ID, "error", err)
	}
}
