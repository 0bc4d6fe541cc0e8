package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// verdict says why the run ended: told is the cause with which its context was
// cancelled from outside.
func (r *Run) verdict(told, sourceErr, loopErr error) (Reason, error) {
	switch {
	case loopErr != nil:
		return Failed, loopErr
	case errors.Is(told, ErrDeadline):
		return TimeoutReached, ErrDeadline
	case errors.Is(told, ErrClientGone):
		return ClientGone, ErrClientGone
	case errors.Is(told, ErrStalled):
		return SourceLost, told
	case told != nil:
		return Stopped, nil
	case sourceErr == nil && r.books.stream().Live:
		return SourceLost, &Error{Op: "play", On: r.Source.ID().Name, Kind: Gone, Err: ErrCameraEnded}
	case sourceErr == nil:
		return EndOfStream, nil
	case KindOf(sourceErr) == Gone || KindOf(sourceErr) == Timeout:
		return SourceLost, sourceErr
	}
	return Failed, sourceErr
}

// complete stores the completion record. It does not listen to the run's
// context: the record is owed whatever ended the run.
func (r *Run) complete(reason Reason, cause error) (*Complete, error) {
	about := r.Engine.About()
	c := Complete{
		Schema: CompleteSchema, Run: r.ID, Device: r.Device, Source: r.Source.ID(),
		Workflow: about.Workflow, Models: append([]ModelID{}, about.Models...),
		StartedAt: r.start.UTC(), EndedAt: r.Now().UTC(), Termination: reason,
		LatencyMS: map[string]LatencyFigure{}, Errors: append([]string{}, r.errs...),
	}
	if cause != nil && reason != TimeoutReached && reason != ClientGone && !slices.Contains(c.Errors, cause.Error()) {
		c.Errors = append(c.Errors, cause.Error())
	}
	c.DurationS = round3(c.EndedAt.Sub(c.StartedAt).Seconds())
	c.Frames, c.Detections = r.books.close()
	if want := r.books.stream().Frames; reason == EndOfStream && float64(c.Frames.In) < float64(want)*shortfall {
		c.Errors = append(c.Errors, fmt.Sprintf("the file says it has about %d frames and %d came: it may be cut off", want, c.Frames.In))
	}
	if c.DurationS > 0 {
		c.FPS = round3(float64(c.Frames.Processed) / c.DurationS)
	}
	for s := range NumStages {
		if r.hist[s].Count() > 0 {
			c.LatencyMS[s.String()] = r.hist[s].Figure()
		}
	}
	body, err := json.Marshal(c)
	if err != nil {
		return &c, fmt.Errorf("encode completion record of run %s: %w", r.ID, err)
	}
	msg := Message{Topic: "runs/" + r.ID + "/complete", Payload: body, Created: c.EndedAt}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for try := range completeTries {
		if err = r.Recorder.Complete(ctx, c, msg); err == nil || ctx.Err() != nil {
			break
		}
		r.Log.Error("completion record not stored yet", "run", r.ID, "error", err)
		select {
		case <-time.After(time.Second << try):
		case <-ctx.Done():
		}
	}
	if err != nil {
		return &c, errors.Join(cause, fmt.Errorf("store completion record of run %s: %w", r.ID, err))
	}
	return &c, cause
}
