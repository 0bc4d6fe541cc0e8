package mqtt

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"perch/pipeline"
)

// The ids of our own messages in the ledger; those of the outbox are positive.
const (
	birthID int64 = -1
	deathID int64 = -2
)

var errLost = errors.New("the connection was lost")

// A letter is a message on its way to paho.
type letter struct {
	id      int64
	topic   string
	payload []byte
	retain  bool
}

// A session is one connection to the broker. Its fields belong to the
// goroutine that runs it.
type session struct {
	c         *Client
	turn      <-chan struct{}
	ledger    *ledger
	letters   chan letter // has room for the whole window: putting never blocks
	after     int64       // id of the last message sent
	flying    map[int64]bool
	unsent    chan error // one slot: paho did not take a letter
	confirmed int
	up        bool
}

func newSession(c *Client, turn <-chan struct{}) *session {
	room := c.opt.Window + 2 // and our own two
	return &session{c: c, turn: turn, ledger: newLedger(room), letters: make(chan letter, room), flying: map[int64]bool{}, unsent: make(chan error, 1)}
}

// run connects and delivers until ctx is done, the connection is lost or, with
// untilEmpty, the outbox is empty (nil).
func (s *session) run(ctx context.Context, wg *sync.WaitGroup, untilEmpty bool) error {
	// The connection outlives ctx for as long as a farewell takes.
	line, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	stop := context.AfterFunc(ctx, hangUp) // while connecting there is nothing to say farewell to
	cl, lost, err := s.c.connect(line, s.ledger)
	if err != nil {
		return err
	}
	if !stop() {
		// The connection was cut on our side, which paho takes for intended: it
		// would not call it lost.
		cl.Disconnect(uint(farewell.Milliseconds()))
		return context.Cause(ctx)
	}
	s.up = true
	s.c.become(Connected)
	s.c.opt.Log.Info("connected to broker", "broker", s.c.broker.String())
	defer s.c.inFlight.Store(0)
	defer close(s.letters)
	// A publish in progress may take as long as writeTimeout to see that the
	// connection is gone. The next session does not wait for it; Run does.
	wg.Go(func() { s.send(cl) })

	if err := s.announce(Online, "", birthID); err != nil {
		return err
	}
	err = s.deliver(ctx, lost, untilEmpty)
	if errors.Is(err, errLost) {
		hangUp()
		cl.Disconnect(uint(farewell.Milliseconds())) // returns at once when paho knows of the loss
		s.forget(ctx)                                // what fails stays noted for the next session
		return s.lostError()
	}
	s.farewell(lost, ctx.Err() != nil)
	cl.Disconnect(uint(farewell.Milliseconds()))
	if ferr := s.forget(ctx); ferr != nil {
		s.c.note(ferr)
		s.c.opt.Log.Warn("delivered messages stay in the outbox and will be sent again", "error", ferr)
	}
	return err
}

// send hands letters to paho, one at a time.
func (s *session) send(cl paho.Client) {
	for l := range s.letters {
		s.ledger.announce(l.id)
		// That the token has no error proves nothing; see ledger. But when paho
		// did not take the packet no confirmation can come: start anew.
		if err := cl.Publish(l.topic, 1, l.retain, l.payload).Error(); err != nil {
			select {
			case s.unsent <- err:
			default:
			}
		}
	}
}

// announce sends the device's own status, unless this is a publisher.
func (s *session) announce(state, cause string, id int64) error {
	if s.c.opt.Publisher {
		return nil
	}
	body, err := s.c.statusMessage(state, cause, time.Now())
	if err != nil {
		return err
	}
	s.letters <- letter{id, s.c.topic("status"), body, true}
	s.flying[id] = true
	return nil
}

// deliver moves messages from the outbox to the broker.
func (s *session) deliver(ctx context.Context, lost <-chan struct{}, untilEmpty bool) error {
	turn := s.turn
	mine := false
	retry := time.NewTimer(outboxRetry)
	defer retry.Stop()
	for {
		if mine {
			more, err := s.fill(ctx)
			if err != nil && ctx.Err() == nil {
				s.c.note(err)
				s.c.opt.Log.Warn("outbox is not readable or writable, trying again", "error", err)
			}
			if untilEmpty && err == nil && !more && len(s.flying) == 0 && len(s.c.forgotten) == 0 {
				return nil
			}
			if err != nil {
				retry.Reset(outboxRetry)
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-lost:
			select {
			case id := <-s.ledger.acked:
				s.take(id) // what was confirmed is not sent again
			default:
			}
			return errLost
		case err := <-s.unsent:
			s.c.note(err)
			return errLost
		case id := <-s.ledger.acked:
			s.take(id)
		case <-turn:
			mine, turn = true, nil
		case <-s.c.outbox.Wake():
		case <-retry.C:
		}
	}
}

// take notes confirmations: the one that came and those that came since.
func (s *session) take(id int64) {
	for {
		delete(s.flying, id)
		if id > 0 {
			s.c.forgotten = append(s.c.forgotten, id)
			s.c.delivered.Add(1)
			s.confirmed++
		}
		select {
		case id = <-s.ledger.acked:
		default:
			s.c.inFlight.Store(int64(len(s.flying)))
			return
		}
	}
}

// fill deletes what was confirmed, then sends as much as the window has room
// for. It reports whether there may be more.
func (s *session) fill(ctx context.Context) (more bool, err error) {
	// Nothing new is sent while deleting fails: that would only be repeated.
	if err := s.forget(ctx); err != nil {
		return true, err
	}
	defer func() { s.c.inFlight.Store(int64(len(s.flying))) }()
	for len(s.flying) < s.c.opt.Window {
		room := s.c.opt.Window - len(s.flying)
		msgs, err := s.c.outbox.Pending(ctx, s.after, room)
		if err != nil {
			return true, err
		}
		for _, m := range msgs {
			s.post(m)
		}
		if len(msgs) < room {
			return len(s.c.forgotten) > 0, s.forget(ctx)
		}
	}
	return true, nil
}

func (s *session) post(m pipeline.Message) {
	s.after = m.ID
	topic := s.c.topic(m.Topic)
	if err := checkTopic(topic); err != nil {
		// The broker would cut the connection, now and each time after.
		s.c.undeliverable.Add(1)
		s.c.opt.Log.Error("message dropped that no broker takes", "topic", topic, "error", err)
		s.c.forgotten = append(s.c.forgotten, m.ID)
		return
	}
	s.letters <- letter{m.ID, topic, m.Payload, m.Retain}
	s.flying[m.ID] = true
}

// forget deletes confirmed messages from the outbox. What cannot be deleted
// stays noted, and is deleted before anything else is sent.
func (s *session) forget(ctx context.Context) error {
	if len(s.c.forgotten) == 0 {
		return nil
	}
	// Deleting goes on after ctx: what is confirmed should not be sent again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	if err := s.c.outbox.Delivered(ctx, s.c.forgotten...); err != nil {
		return err
	}
	s.c.forgotten = slices.Delete(s.c.forgotten, 0, len(s.c.forgotten))
	return nil
}

// farewell says "offline" when the client is stopping, and waits a little for
// what is still unconfirmed.
func (s *session) farewell(lost <-chan struct{}, stopping bool) {
	if stopping {
		if err := s.announce(Offline, "stopped", deathID); err != nil {
			s.c.note(err)
		}
	}
	limit := time.NewTimer(farewell)
	defer limit.Stop()
	for len(s.flying) > 0 {
		select {
		case id := <-s.ledger.acked:
			s.take(id)
		case <-lost:
			return
		case <-s.unsent:
			return
		case <-limit.C:
			return
		}
	}
}

// lostError says why the connection went.
func (s *session) lostError() error {
	return &pipeline.Error{Op: "keep connection to broker", On: s.c.broker.String(), Kind: pipeline.Gone, Err: errors.Join(errLost, errors.New(orElse(s.c.Stats().LastError, "no reason given")))}
}
