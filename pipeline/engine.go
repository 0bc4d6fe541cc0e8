package pipeline

import "context"

// An Engine says what pictures show: a compiled workflow for one run. Its
// methods are called from one goroutine. An engine may also be a [Sampler].
type Engine interface {
	About() EngineInfo
	// Opened says what the source is; it is called once, before the first Begin.
	Opened(info StreamInfo)
	// Begin starts on f with whatever needs no memory of earlier frames, for
	// example sampling it into a model's input. A run may begin the next frame
	// before it has finished this one. f is on loan until Finish returns.
	Begin(ctx context.Context, f Frame) (Work, error)
	// Close gives back what the engine holds. No Work is open any more.
	Close() error
}

// Work is one frame that an [Engine] has begun. Finish is called exactly once
// for each, in the order of the frames, also when ctx is done.
type Work interface {
	Finish(ctx context.Context, r *Result) error
}

// EngineInfo names what an engine runs.
type EngineInfo struct {
	Workflow WorkflowID
	Models   []ModelID
	Labels   []string // class names by index
}

// A Viewer is shown each finished frame while it is still on loan. It may also
// be a [Dozer] or a [Gate].
type Viewer interface {
	Show(f Frame, r *Result) error
}
