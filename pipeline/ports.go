package pipeline

import (
	"context"
	"time"
)

// Keep says which of a run's results are stored. Events, counts and the
// completion record are kept whatever is chosen.
type Keep string

// The choices of what to keep.
const (
	KeepEvery   Keep = "every"   // each frame's result
	KeepChanges Keep = "changes" // results that differ from the last one kept
	KeepEvents  Keep = "events"  // only results that carry events
)

// A Recorder keeps runs. storage implements it.
type Recorder interface {
	// Begin records that a run has started. It is durable when it returns.
	Begin(ctx context.Context, s RunStart) error
	// Record takes one frame's result, its events and their messages, which
	// become one transaction together. It may return before they are durable
	// (group commit) and blocks while its bounded queue is full. An error
	// means that this and maybe earlier results could not be kept.
	Record(ctx context.Context, r *Result, msgs []Message) error
	// Complete waits for all results of the run, then records its end and the
	// message in one transaction. It is durable when it returns.
	Complete(ctx context.Context, c Complete, msg Message) error
}

// An EventLog keeps events that belong to no frame, with their messages, in
// one transaction that is durable when Append returns.
type EventLog interface {
	Append(ctx context.Context, events []Event, msgs []Message) error
}

// A TensorType is the element type of a model's input or output.
type TensorType string

// The element types that models have.
const (
	Float32 TensorType = "float32"
	Float16 TensorType = "float16"
	Int32   TensorType = "int32"
	Int64   TensorType = "int64"
	Uint8   TensorType = "uint8"
)

// TensorInfo describes one input or output of a model's graph.
type TensorInfo struct {
	Name  string
	Type  TensorType
	Shape []int64 // -1 where the graph leaves a dimension open
}

// A ProviderChoice says what a model runs on and why not on something better.
type ProviderChoice struct {
	Name string // "tensorrt", "cuda" or "cpu"
	Why  string // reasons against each better provider; "" when there is none better asked for
}

// A Codec is a way to encode a preview.
type Codec string

// The codecs of previews and annotated files.
const (
	CodecH264 Codec = "H264"
	CodecVP8  Codec = "VP8"
)

// EncoderSpec asks for an encoder.
type EncoderSpec struct {
	Codec         Codec
	Width, Height int     // pixels of the pictures that will be encoded
	FPS           float64 // a hint for rate control; 0 when unknown
	Bitrate       int     // bits per second
}

// An Encoder turns pictures into access units, which it hands to the function
// that it was opened with.
type Encoder interface {
	// Encode copies pic before it returns. It never blocks; it reports false
	// when its bounded queue was full and pic was dropped.
	Encode(pic Picture, pts time.Duration) (bool, error)
	// ForceKey asks for a key frame soon. Requests are coalesced.
	ForceKey()
	// Close stops the encoder; put is not called after it has returned.
	Close() error
}

// OpenEncoder opens an encoder that hands its units to put. It fails with Kind
// Unsupported when the platform has no such encoder.
type OpenEncoder func(spec EncoderSpec, put func(AccessUnit)) (Encoder, error)

// A VideoWriter writes an annotated file. Write copies pic and blocks while the
// encoder is behind; Close finishes the file (index written, synced).
type VideoWriter interface {
	Write(pic Picture, pts time.Duration) error
	Close() error
}
