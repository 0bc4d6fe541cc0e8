package webrtc

import (
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A message is cut into chunks, each behind a header of three little-endian
// numbers of 32 bits: the frame's id, the chunk's index and how many there are.
const (
	headerSize = 12
	chunkSize  = 48 << 10
)

var (
	errNoChannel = errors.New("no channel for results is open")
	errNotRead   = errors.New("the client does not read")
)

// results sends messages over the newest of the client's channels.
type results struct {
	ctx    context.Context // of the session
	opt    SessionOptions
	count  *sessionCounters
	opened chan struct{} // closed when the first channel has opened
	low    chan struct{} // told when a full channel has drained
	zip    *gzip.Writer  // owned by whoever sends

	mu   sync.Mutex
	open []*channel // guarded by mu, newest last
	seen bool       // guarded by mu: opened is closed
}

func newResults(ctx context.Context, o SessionOptions, count *sessionCounters) *results {
	return &results{ctx: ctx, opt: o, count: count, opened: make(chan struct{}), low: make(chan struct{}, 1)}
}

func (r *results) attach(c *channel) {
	c.SetBufferedAmountLowThreshold(uint64(r.opt.BufferLimit / 4))
	c.OnBufferedAmountLow(func() { signal(r.low) })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open, c)
	if !r.seen {
		r.seen = true
		close(r.opened)
	}
}

func (r *results) detach(c *channel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = slices.DeleteFunc(r.open, func(o *channel) bool { return o == c })
}

// newest returns the channel that messages go to, nil when there is none.
func (r *results) newest() *channel {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open) == 0 {
		return nil
	}
	return r.open[len(r.open)-1]
}

// send sends the message in page, whose first headerSize bytes are free. It
// waits while more than limit bytes are queued. When that takes too long, when
// ctx is done or the channel closes, the rest of the message is abandoned.
func (r *results) send(ctx context.Context, id uint32, page []byte, limit uint64) error {
	c := r.newest()
	if c == nil {
		return errNoChannel
	}
	size := len(page) - headerSize
	total := max((size+chunkSize-1)/chunkSize, 1)
	for i := range total {
		if c.BufferedAmount() > limit {
			if err := r.drain(ctx, c, limit/4, r.opt.SendTimeout); err != nil {
				return fmt.Errorf("chunk %d of %d: %w", i+1, total, err)
			}
		}
		// Each header takes the place of the end of the chunk before, which
		// SCTP has copied: the message itself is copied nowhere.
		from := i * chunkSize
		chunk := page[from:min(from+headerSize+chunkSize, len(page))]
		binary.LittleEndian.PutUint32(chunk, id)
		binary.LittleEndian.PutUint32(chunk[4:], uint32(i))
		binary.LittleEndian.PutUint32(chunk[8:], uint32(total))
		if _, err := c.WriteDataChannel(chunk, false); err != nil {
			return fmt.Errorf("chunk %d of %d: %w", i+1, total, err)
		}
		r.count.bytes.Add(uint64(len(chunk)))
	}
	r.count.messages.Add(1)
	return nil
}

// drain waits until at most want bytes are queued in c.
func (r *results) drain(ctx context.Context, c *channel, want uint64, limit time.Duration) error {
	end := time.NewTimer(limit)
	defer end.Stop()
	poll := time.NewTicker(r.opt.DrainPoll)
	defer poll.Stop()
	for c.BufferedAmount() > want {
		select {
		case <-r.low:
		case <-poll.C:
		case <-c.gone:
			return errNoChannel
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		case <-end.C:
			return fmt.Errorf("%w: %d bytes wait after %v", errNotRead, c.BufferedAmount(), limit)
		}
	}
	return nil
}

// flush waits until everything has reached the client, at most limit.
func (r *results) flush(limit time.Duration) error {
	c := r.newest()
	if c == nil {
		return nil
	}
	c.SetBufferedAmountLowThreshold(0)
	defer c.SetBufferedAmountLowThreshold(uint64(r.opt.BufferLimit / 4))
	return r.drain(r.ctx, c, 0, limit)
}

// compress returns page's message compressed, on a page of its own.
func (r *results) compress(page, zipped []byte) ([]byte, error) {
	out := appender(append(zipped[:0], make([]byte, headerSize)...))
	if r.zip == nil {
		r.zip, _ = gzip.NewWriterLevel(nil, 6) // the level is valid
	}
	r.zip.Reset(&out)
	if _, err := r.zip.Write(page[headerSize:]); err != nil {
		return nil, err
	}
	err := r.zip.Close()
	return out, err
}

// appender is a slice that can be written to.
type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}
