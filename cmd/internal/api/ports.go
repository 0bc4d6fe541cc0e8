package api

import (
	"context"
	"time"

	"perch/pipeline"
)

// A Device answers for the appliance as a whole.
type Device interface {
	Status() Status
	// Ready returns why the device cannot do its work, or nil.
	Ready() error
	Models() []Model
}

// Cameras are the configured cameras.
type Cameras interface {
	// List returns all, in the order of the configuration.
	List() []Camera
	// Snapshot returns a copy of a camera's newest picture and when it was
	// taken. Errors: NotFound, Gone (no picture now).
	Snapshot(ctx context.Context, camera string) (pipeline.Picture, time.Time, error)
}

// Runs are what was and is being processed.
type Runs interface {
	// List returns runs that match, newest first.
	List(ctx context.Context, q RunQuery) ([]Run, error)
	// Get fails with NotFound when there is no such run.
	Get(ctx context.Context, id string) (Run, error)
	// Stop ends a run that is going on. It fails with NotFound when there is no
	// such run or it has ended.
	Stop(ctx context.Context, id string) error
}

// Events are what happened.
type Events interface {
	// List returns events that match, newest first.
	List(ctx context.Context, q EventQuery) ([]pipeline.Event, error)
}

// Viewers connects people with previews.
type Viewers interface {
	// WatchCamera and WatchRun answer an SDP offer; id names the view in End.
	// Errors: NotFound, BadInput, Unsupported, Busy, Timeout, Gone.
	WatchCamera(ctx context.Context, camera string, offer []byte) (id, answer string, err error)
	WatchRun(ctx context.Context, run string, offer []byte) (id, answer string, err error)
	// End fails with NotFound when there is no such view.
	End(id string) error
}

// RunQuery selects runs.
type RunQuery struct {
	Camera string // "" for all
	Before string // only runs with an id that sorts before this one; "" for the newest
	Limit  int    // 1 to [MaxPage]
}

// EventQuery selects events.
type EventQuery struct {
	Camera, Run, Kind string // "" for all
	Before            string // only events with an id that sorts before this one
	Limit             int    // 1 to [MaxPage]
}

// MaxPage is the most rows that one request returns.
const MaxPage = 500
