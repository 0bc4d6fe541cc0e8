package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"perch/pipeline"
)

// Watch pets the watchdog for as long as alive returns nil, which it should only
// while real work gets done: every stream that should have produced frames did.
// A ticker alone would prove that the ticker works.
//
// alive is asked four times in the interval, so that one slow moment is
// forgiven. When it has failed, or nothing could be sent, for so long that the
// next question would come too late, Watch gives up and returns an error of Kind
// Stuck around the last reason: the caller should exit, a little before systemd
// would kill it without a word. Should alive itself not return, systemd kills.
//
// Watch returns nil when ctx is done. Without a watchdog it only waits for that.
func (n *Notifier) Watch(ctx context.Context, alive func() error) error {
	return watch(ctx, n.watchdog, n.pet, alive)
}

func watch(ctx context.Context, interval time.Duration, pet, alive func() error) error {
	if interval <= 0 {
		<-ctx.Done()
		return nil
	}
	every := max(interval/4, time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	petted := time.Now()
	for {
		asked := time.Now()
		err := alive()
		if err == nil {
			if err = pet(); err == nil {
				petted = asked // alive's own time counts
			}
		}
		if silent := time.Since(petted); err != nil && silent+every >= interval {
			return &pipeline.Error{Op: "watch the work", Kind: pipeline.Stuck,
				Err:  fmt.Errorf("no progress for %v: %w", silent.Round(time.Millisecond), err),
				Hint: "systemd restarts perch; if this comes back, perch doctor may say why"}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// How During asks for time: so much, so often.
const (
	extendBy    = 30 * time.Second
	extendEvery = 10 * time.Second
)

// During runs work, which may take minutes and cannot say how far it is, such as
// building a TensorRT engine, and keeps asking systemd for time meanwhile. It
// stops asking after limit, so that work which hangs does not hang for ever: work's
// context is then done, with an error of Kind Timeout as its cause. During
// returns when work has, with work's error. A message that cannot be sent is
// logged once; work goes on.
func (n *Notifier) During(ctx context.Context, log *slog.Logger, status string, limit time.Duration, work func(context.Context) error) error {
	return during(ctx, log, status, limit, n, work)
}

type extender interface {
	Status(string) error
	Extend(time.Duration) error
}

func during(ctx context.Context, log *slog.Logger, status string, limit time.Duration, n extender, work func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &pipeline.Error{
		Op: "wait for " + status, Kind: pipeline.Timeout, Err: fmt.Errorf("took longer than %v", limit)})
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- work(ctx) }()
	tick := time.NewTicker(extendEvery)
	defer tick.Stop()
	err := n.Status(status)
	for err == nil && ctx.Err() == nil {
		if err = n.Extend(extendBy); err != nil {
			break
		}
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	if err != nil {
		log.Warn("systemd does not hear that the start takes longer", "doing", status, "error", err)
	}
	return <-done
}
