package pipeline

import (
	"context"
	"time"
)

// Outputs are what a workflow put out for one frame, in the workflow's order.
// They are valid while the frame is on loan, which is as long as a [Viewer] is
// being shown it, and belong to the run's goroutine.
type Outputs interface {
	Len() int
	Name(i int) string
	// Image returns output i if its value is one image, or an object with an
	// image in it (the last one counts).
	Image(i int) (Picture, bool)
	// IsImage reports whether output i itself is one image.
	IsImage(i int) bool
	// AppendJSON appends output i's JSON form; images become base64 JPEG of
	// the given quality (1..100).
	AppendJSON(dst []byte, i int, jpegQuality int) ([]byte, error)
}

// A DataKeeper is [Outputs] of which something is kept with the result.
type DataKeeper interface {
	// AppendData appends what is worth keeping as a JSON object: no images,
	// and not what the result's Detections say already. Without any it appends
	// nothing.
	AppendData(dst []byte) ([]byte, error)
}

// A Delivery is a message owed to somebody other than the device's own broker:
// a webhook, a mail server, another broker. It is stored with the result that
// caused it and tried until it succeeds or its time is over.
type Delivery struct {
	ID      int64
	Kind    string // who delivers it: "webhook", "mqtt", "smtp", "slack"
	To      string // for people: the destination without credentials
	Body    []byte // JSON; only the deliverer of this Kind reads it
	Created time.Time
	Expires time.Time // given up after this moment, with an event
	Tries   int       // attempts so far
	Error   string    // of the last attempt
}

// A Feed is a source whose pictures somebody pushes: a browser's track. Run
// decodes what is pushed and ends when End was called and all is decoded.
type Feed interface {
	Source
	// Push queues a copy of au, whose PTS is kept to the nanosecond. It never
	// blocks; it reports false when the bounded queue was full, after which
	// the feed waits for the next key frame.
	Push(au AccessUnit) bool
	// End says that nothing more comes.
	End()
}

// OpenFeed makes a feed of a codec; name is for people. It fails with Kind
// Unsupported when the platform cannot decode it.
type OpenFeed func(ctx context.Context, codec Codec, name string) (Feed, error)
