package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// ErrStalled ends a run whose camera stayed open without sending pictures.
var ErrStalled = errors.New("no picture arrived in time")

// A Camera keeps one camera running: its time until it is lost is a [Run], and
// between two of them it waits longer and longer. A loss of a [Persistent] source
// that is over before StallAfter and LostAfter is an interruption of the run and
// not its end. Fill in the fields, then call Camera.Run once.
type Camera struct {
	Name   string
	Device string
	// Start returns a run that is ready to go; it is called for each attempt.
	Start      func(ctx context.Context) (*Run, error)
	StallAfter time.Duration // live without a frame for this long is Stalled
	LostAfter  time.Duration // for this much longer is given up and reconnected
	Retry      Backoff       // between attempts at a camera that is away
	Refused    Backoff       // between attempts at a camera that says no
	Events     EventLog
	NewID      func() string
	Log        *slog.Logger
	Now        func() time.Time
	Clock      func() ClockReading

	mu    sync.Mutex
	state CameraState             // guarded by mu
	run   *Run                    // guarded by mu: nil between runs
	stop  context.CancelCauseFunc // guarded by mu: ends the present run

	// Of the present run's source.
	away   error         // guarded by mu: why it is, nil if it is not
	opened time.Time     // guarded by mu
	news   chan struct{} // guarded by mu: one of them changed
}

// Backoff is a growing wait with a limit and jitter, so that many cameras that
// went away together do not come back together.
type Backoff struct{ Min, Max time.Duration }

// After returns how long to wait before attempt n (1 is the first retry):
// between half and all of min(Min·2^(n-1), Max).
func (b Backoff) After(n int) time.Duration {
	d := b.Max
	if shift := min(max(n-1, 0), 30); b.Min<<shift>>shift == b.Min && b.Min<<shift < b.Max {
		d = b.Min << shift
	}
	return d/2 + rand.N(d/2+1)
}

// Status is a camera as it stands now; Run is nil between runs.
func (c *Camera) Status() (CameraState, *Run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.run
}

// StopRun ends the present run, after which the camera connects again and a
// new run begins. It reports false when run id is not the present one.
func (c *Camera) StopRun(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run == nil || c.run.ID != id {
		return false
	}
	c.stop(ErrStopped)
	return true
}

// Run keeps the camera going until ctx is done, the configuration turns out to
// be wrong, or C code hangs (Kind Stuck: the process should be restarted).
func (c *Camera) Run(ctx context.Context) error {
	c.enter(Connecting, "", StreamInfo{})
	for attempt := 1; ; attempt++ {
		reason, live, err := c.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if live {
			attempt = 0
		}
		switch reason {
		case Stopped:
			continue // somebody asked for a new run
		case EndOfStream:
			c.enter(Lost, "the file has ended; it would play again with loop: true", StreamInfo{})
			<-ctx.Done()
			return nil
		}
		phase, backoff := Lost, c.Retry
		switch KindOf(err) {
		case Stuck:
			c.enter(Lost, text(err), StreamInfo{})
			return err
		case Refused:
			phase, backoff = RefusedBy, c.Refused
		case BadConfig, NotFound, Unsupported, BadInput:
			backoff = c.Refused // only a person can mend it; look again now and then
		}
		wait := backoff.After(attempt + 1)
		c.enter(phase, text(err), StreamInfo{})
		c.retrying(attempt+1, wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// Interrupted says that the source of the present run went away, and is tried
// again. It fits [Persistent.Lost].
func (c *Camera) Interrupted(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away = err; err == nil {
		c.away = ErrCameraEnded
	}
	signal(c.news)
}

// back notes that the present run's source is open.
func (c *Camera) back() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away, c.opened = nil, c.Now()
	signal(c.news)
}

// source returns when the present run's source was opened last, and why it is
// away, if it is.
func (c *Camera) source() (opened time.Time, away error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened, c.away
}

// once makes one run and reports why it ended and whether pictures came.
func (c *Camera) once(ctx context.Context) (reason Reason, live bool, err error) {
	run, err := c.Start(ctx)
	if err != nil {
		return Failed, false, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	news := make(chan struct{}, 1)
	c.mu.Lock()
	c.run, c.stop, c.news = run, cancel, news
	c.away, c.opened = nil, time.Time{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.run, c.stop = nil, nil
		c.mu.Unlock()
	}()

	var wg sync.WaitGroup
	watched, done := context.WithCancel(ctx)
	told := run.OnOpen
	run.OnOpen = func(info StreamInfo) {
		if told != nil {
			told(info)
		}
		c.back()
	}
	wg.Go(func() { live = c.watch(watched, run, news, cancel) })
	record, err := run.Run(ctx)
	done()
	wg.Wait()
	if record != nil {
		reason = record.Termination
	}
	return reason, live, err
}

// watch follows the frames of a run: the first, right before which the stream is
// opened, makes the camera Live, a gap makes it Stalled, and a longer one ends
// the run.
func (c *Camera) watch(ctx context.Context, run *Run, news <-chan struct{}, end context.CancelCauseFunc) (live bool) {
	tick := time.NewTicker(min(c.StallAfter/4, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return live || run.Status().Books.In > 0
		case <-news:
		case <-tick.C:
		}
		opened, away := c.source() // before the status, which then is of the stream that is open
		s := run.Status()
		if opened.IsZero() {
			continue // the source's own open deadline is at work
		}
		live = true
		seen := opened
		if s.LastFrame.After(seen) {
			seen = s.LastFrame
		}
		gap := c.Now().Sub(seen)
		switch {
		case gap >= c.StallAfter+c.LostAfter:
			err := fmt.Errorf("%w: nothing for %v", ErrStalled, gap.Round(time.Second))
			if away != nil {
				err = fmt.Errorf("%w; %w", err, away)
			}
			end(&Error{Op: "read", On: "camera " + c.Name, Kind: Gone, Err: err})
			return true
		case away != nil:
			c.enter(Stalled, away.Error(), s.Stream)
		case gap >= c.StallAfter:
			c.enter(Stalled, fmt.Sprintf("no picture for %v", c.StallAfter), s.Stream)
		default:
			c.enter(Live, "", s.Stream)
		}
	}
}

// enter moves to phase and tells the world, unless it is there already.
func (c *Camera) enter(phase CameraPhase, cause string, info StreamInfo) {
	c.mu.Lock()
	old := c.state
	if old.State == phase && old.Cause == cause && (phase != Live || old.Decoder == info.Decoder && old.Fallback == info.Fallback) {
		c.mu.Unlock()
		return
	}
	now := c.Now().UTC()
	next := CameraState{
		Schema: CameraSchema, Camera: c.Name, State: phase, Since: now, Cause: cause,
		Decoder: info.Decoder, Hardware: info.Hardware, Fallback: info.Fallback, Attempt: old.Attempt,
	}
	if phase == Live {
		next.Attempt = 0
	}
	if old.State == phase {
		next.Since = old.Since
	}
	c.state = next
	c.mu.Unlock()

	if phase == Live || phase == Connecting {
		c.Log.Info("camera state", "camera", c.Name, "state", phase, "decoder", info.Decoder)
	} else {
		c.Log.Warn("camera state", "camera", c.Name, "state", phase, "cause", cause)
	}
	if info.Fallback != "" && phase == Live {
		c.Log.Warn("lesser decoder in use", "camera", c.Name, "decoder", info.Decoder, "why", info.Fallback)
	}
	c.tell(old.State, next)
}

// tell stores the state, retained, and an event when the phase changed.
func (c *Camera) tell(old CameraPhase, s CameraState) {
	msg, err := StateMessage(s)
	msgs, events := []Message{msg}, []Event(nil)
	if old != s.State && s.State != Connecting {
		detail, _ := json.Marshal(map[string]string{"cause": s.Cause}) // strings always marshal
		e := Event{
			Schema: EventSchema, ID: c.NewID(), Device: c.Device, Time: s.Since, Clock: c.Clock(),
			Kind: "camera." + string(s.State), Camera: c.Name, Detail: detail,
		}
		var m Message
		if m, err = EventMessage(e); err == nil {
			events, msgs = append(events, e), append(msgs, m)
		}
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = c.Events.Append(ctx, events, msgs)
	}
	if err != nil {
		c.Log.Error("camera state not stored", "camera", c.Name, "state", s.State, "error", err)
	}
}

// retrying notes the next attempt; it is shown, but not worth a message.
func (c *Camera) retrying(attempt int, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Attempt, c.state.NextRetryS = attempt, round3(wait.Seconds())
}

func text(err error) string {
	if err == nil {
		return "the stream ended"
	}
	return err.Error()
}
