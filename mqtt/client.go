package mqtt

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"perch/pipeline"
)

// A State says where the connection to the broker stands.
type State string

// The states of a [Client].
const (
	Idle       State = "idle" // before Run and after it
	Connecting State = "connecting"
	Connected  State = "connected"
	Lost       State = "lost"    // the broker is away; trying again
	Refused    State = "refused" // the broker does not let us in; trying again, slowly
)

// Stats are a client's figures.
type Stats struct {
	State          State
	LastError      string // of the last attempt or connection that failed; no credentials
	Delivered      uint64 // messages that the broker confirmed
	Undeliverable  uint64 // messages dropped because no broker can take their topic
	Retries        uint64 // connection attempts after the first
	InFlight       int    // messages sent and not confirmed
	ConnectedSince time.Time
}

// A Client drains an outbox into a broker.
type Client struct {
	opt    Options
	broker *url.URL
	outbox Outbox
	write  time.Duration // writeTimeout, shorter in tests

	delivered, undeliverable, retries atomic.Uint64
	inFlight                          atomic.Int64

	mu    sync.Mutex // guards what follows
	state State
	since time.Time
	last  string

	forgotten []int64 // confirmed, but not yet deleted from the outbox; owned by Run or Drain
}

// New checks the options. It opens nothing. Errors have Kind BadConfig.
func New(opt Options, outbox Outbox) (*Client, error) {
	u, err := opt.complete()
	if err != nil {
		return nil, err
	}
	return &Client{opt: opt, broker: u, outbox: outbox, write: writeTimeout, state: Idle}, nil
}

// Stats returns the client's figures.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{
		State: c.state, LastError: c.last, ConnectedSince: c.since,
		Delivered: c.delivered.Load(), Undeliverable: c.undeliverable.Load(), Retries: c.retries.Load(), InFlight: int(c.inFlight.Load()),
	}
}

func (c *Client) become(s State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.since = s, time.Time{}
	if s == Connected {
		c.since = time.Now()
	}
}

// note keeps an error for Stats.
func (c *Client) note(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = err.Error()
}

// Run keeps a connection to the broker and delivers what the outbox holds,
// until ctx is done. Whatever happens to the broker, it tries again. On the
// way out it says "offline". Call Run or Drain, once at a time.
func (c *Client) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer c.become(Idle)
	turn := make(chan struct{}) // closed when this process may drain
	wg.Go(func() { c.hold(ctx, turn) })
	delays := backoff{min: c.opt.RetryMin, max: c.opt.RetryMax}
	for attempt := 0; ; attempt++ {
		if attempt > 0 {
			c.retries.Add(1)
		}
		c.become(Connecting)
		s := newSession(c, turn)
		began := time.Now()
		err := s.run(ctx, &wg, false)
		if ctx.Err() != nil {
			return
		}
		if s.confirmed > 0 || s.up && time.Since(began) > steady {
			delays.reset()
		}
		if !sleep(ctx, c.failed(err, &delays)) {
			return
		}
	}
}

// hold waits for this process' turn to drain and keeps it until ctx is done.
func (c *Client) hold(ctx context.Context, turn chan<- struct{}) {
	for {
		unlock, err := c.outbox.DrainLock(ctx)
		if err == nil {
			close(turn)
			<-ctx.Done()
			unlock()
			return
		}
		if ctx.Err() != nil {
			return
		}
		c.note(err)
		c.opt.Log.Error("outbox cannot be drained", "error", err)
		if !sleep(ctx, c.opt.RetryMax) {
			return
		}
	}
}

// failed notes why a session ended and returns how long to wait.
func (c *Client) failed(err error, delays *backoff) time.Duration {
	c.note(err)
	state, wait := Lost, delays.next()
	if pipeline.KindOf(err) == pipeline.Refused {
		state, wait = Refused, jitter(c.opt.RetryRefused)
	}
	c.become(state)
	c.opt.Log.Warn("broker is not reachable", "state", state, "error", err, "retry_in", wait.Round(time.Millisecond))
	return wait
}

// Drain delivers what the outbox holds and returns when it is empty, whether
// this process or another one emptied it. A broker that is away is tried again
// until ctx is done; one that refuses us is an error at once.
func (c *Client) Drain(ctx context.Context) error {
	defer c.become(Idle)
	unlock, err := c.waitTurn(ctx)
	if unlock == nil {
		return err
	}
	defer unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	turn := make(chan struct{})
	close(turn)
	delays := backoff{min: c.opt.RetryMin, max: c.opt.RetryMax}
	for attempt := 0; ; attempt++ {
		if attempt > 0 {
			c.retries.Add(1)
		}
		c.become(Connecting)
		s := newSession(c, turn)
		err := s.run(ctx, &wg, true)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return c.leftOver(ctx)
		}
		if pipeline.KindOf(err) == pipeline.Refused {
			c.note(err)
			return err
		}
		if s.confirmed > 0 {
			delays.reset()
		}
		if !sleep(ctx, c.failed(err, &delays)) {
			return c.leftOver(ctx)
		}
	}
}

// waitTurn returns nil and no error when another process emptied the outbox.
func (c *Client) waitTurn(ctx context.Context) (unlock func(), err error) {
	for {
		left, err := c.outbox.Pending(ctx, 0, 1)
		if err != nil || len(left) == 0 {
			return nil, err
		}
		brief, cancel := context.WithTimeout(ctx, time.Second)
		unlock, err := c.outbox.DrainLock(brief)
		cancel()
		if err == nil {
			return unlock, nil
		}
		if ctx.Err() != nil {
			return nil, c.leftOver(ctx)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
	}
}

func (c *Client) leftOver(ctx context.Context) error {
	err := context.Cause(ctx)
	if last := c.Stats().LastError; last != "" {
		err = errors.Join(err, errors.New(last))
	}
	return &pipeline.Error{Op: "deliver messages to", On: c.broker.String(), Kind: pipeline.Timeout, Err: err,
		Hint: "what was not delivered waits in the database and is sent the next time"}
}

// backoff gives delays that double up to a limit.
type backoff struct {
	min, max, last time.Duration
}

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, b.min), b.max)
	return jitter(b.last)
}

func (b *backoff) reset() { b.last = 0 }

// jitter spreads devices that lost the same broker over a quarter of the delay.
func jitter(d time.Duration) time.Duration { return d + rand.N(d/4+1) }

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
