package mqtt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"perch/pipeline"
)

// A Sender publishes single messages to one broker, one after the other, over
// a connection that it opens when it is needed. It says nothing of its own: no
// status, no last will.
type Sender struct {
	c *Client

	mu   sync.Mutex // held while a message is sent: their order is kept
	line *line      // nil while there is no connection
	last int64      // id of the last message
}

// line is a connection of a Sender.
type line struct {
	cl     paho.Client
	ledger *ledger
	lost   <-chan struct{}
	hangUp context.CancelFunc
}

// NewSender checks the options, of which the topics' prefix and the outbox's
// window do not count. It opens nothing. Errors have Kind BadConfig.
func NewSender(opt Options) (*Sender, error) {
	opt.Publisher = true
	opt.Device = orElse(opt.Device, "sender")
	c, err := New(opt, nil)
	if err != nil {
		return nil, err
	}
	return &Sender{c: c}, nil
}

// Send publishes one message on exactly this topic. With QoS 1 and 2 it
// returns nil when the broker has confirmed the message and not before; with
// QoS 0, which nobody confirms, when it was written to the connection.
//
// Errors: Kind BadInput for a topic or QoS that no broker takes, Refused when
// the broker does not let us in, Gone and Timeout when it may work later. After
// these two the message may have arrived all the same.
func (s *Sender) Send(ctx context.Context, topic string, payload []byte, qos byte, retain bool) error {
	err := checkTopic(topic)
	if err == nil && qos > 2 {
		err = fmt.Errorf("there is no QoS %d", qos)
	}
	if err != nil {
		return &pipeline.Error{Op: "publish on topic", On: topic, Kind: pipeline.BadInput, Err: err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line != nil && closed(s.line.lost) {
		s.drop(0)
	}
	if s.line == nil {
		if err := s.connect(ctx); err != nil {
			return s.explain(ctx, err)
		}
	}
	if err := s.publish(ctx, topic, payload, qos, retain); err != nil {
		s.drop(0)
		return s.explain(ctx, err)
	}
	return nil
}

func (s *Sender) connect(ctx context.Context) error {
	wire, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, hangUp)
	l := &line{ledger: newLedger(1), hangUp: hangUp}
	var err error
	if l.cl, l.lost, err = s.c.connect(wire, l.ledger); err != nil {
		hangUp()
		return err
	}
	s.line = l
	if !stop() {
		s.drop(0)
		return context.Cause(ctx)
	}
	return nil
}

func (s *Sender) publish(ctx context.Context, topic string, payload []byte, qos byte, retain bool) error {
	l := s.line
	stop := context.AfterFunc(ctx, l.hangUp) // what is being written ends with ctx too
	defer stop()
	s.last++
	l.ledger.announce(s.last)
	token := l.cl.Publish(topic, qos, retain, payload)
	var acked <-chan int64
	var written <-chan struct{}
	if qos == 0 {
		written = token.Done()
	} else {
		acked = l.ledger.acked
		if err := token.Error(); err != nil { // paho did not take it
			return err
		}
	}
	select {
	case <-acked: // of this message: there is no other on this connection
		return nil
	case <-written:
		return token.Error()
	case <-l.lost:
		return errLost
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// drop ends the connection; grace is for a farewell.
func (s *Sender) drop(grace time.Duration) {
	l := s.line
	if l == nil {
		return
	}
	s.line = nil
	if grace == 0 {
		l.hangUp()
	}
	l.cl.Disconnect(uint(grace.Milliseconds()))
	l.hangUp()
}

// explain says what an error means. The hints of the device's own connection
// name settings that have nothing to do with this one.
func (s *Sender) explain(ctx context.Context, err error) error {
	e := &pipeline.Error{Op: "publish to broker", On: s.c.broker.String(), Kind: pipeline.Gone, Err: err}
	if was, ok := errors.AsType[*pipeline.Error](err); ok {
		e.Kind, e.Err = was.Kind, was.Err
	}
	if ctx.Err() != nil {
		e.Kind, e.Err = pipeline.Timeout, errors.New("it did not answer in time")
	}
	return e
}

// Close takes leave of the broker. The sender can be used again.
func (s *Sender) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(farewell)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
