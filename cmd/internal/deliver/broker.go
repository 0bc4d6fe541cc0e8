package deliver

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"perch/mqtt"
	"perch/pipeline"
)

const (
	maxBrokers = 16          // connections kept, and as many more as are in use
	brokerIdle = time.Minute // after which a connection is closed
	mqtts      = 8883        // encrypted
)

// A Publication is a message to a broker.
type Publication struct {
	Host     string `json:"host,omitempty"` // "": the device's own broker, and the next four do not count
	Port     int    `json:"port,omitempty"` // 8883 is encrypted
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	Guarded  bool   `json:"guarded,omitempty"` // only where the guard allows
	Topic    string `json:"topic"`             // exactly this one
	Payload  []byte `json:"payload"`
	QoS      byte   `json:"qos"`
	Retain   bool   `json:"retain,omitempty"`
}

// Delivery is the message as something owed, to be kept for so long.
func (p *Publication) Delivery(created time.Time, keep time.Duration) (pipeline.Delivery, error) {
	to := "the device's broker"
	if p.Host != "" {
		to = p.url()
	}
	return owed(MQTT, to, p, created, keep)
}

func (p *Publication) url() string {
	scheme := "mqtt"
	if p.Port == mqtts {
		scheme = "mqtts"
	}
	return scheme + "://" + net.JoinHostPort(p.Host, strconv.Itoa(p.Port))
}

func (w *Worker) sendPublication(ctx context.Context, p *Publication) error {
	link, err := w.broker(p)
	if err != nil {
		return final(pipeline.KindOf(err), err)
	}
	defer w.brokers.giveBack(link)
	err = link.Send(ctx, p.Topic, p.Payload, p.QoS, p.Retain)
	_, never := errors.AsType[forbidden](err)
	switch {
	case err == nil:
		return nil
	case never || pipeline.KindOf(err) == pipeline.BadInput:
		return final(pipeline.KindOf(err), err)
	}
	return passing(pipeline.KindOf(err), err, 0) // a password is mended at the broker, and then it should go
}

// brokerKey is what makes a connection of its own.
type brokerKey struct {
	url, user, password string
	guarded             bool
}

// brokers are the connections that are kept.
type brokers struct {
	mu  sync.Mutex
	all map[brokerKey]*link
}

// A link is one of them; its fields are guarded by brokers.mu.
type link struct {
	*mqtt.Sender
	users int
	used  time.Time // the last time
}

func (w *Worker) broker(p *Publication) (*link, error) {
	key, opt := brokerKey{}, w.opt.Broker
	if p.Host != "" {
		key = brokerKey{p.url(), p.Username, p.Password, p.Guarded}
		opt = mqtt.Options{URL: key.url, Username: p.Username, Password: p.Password}
		if p.Guarded {
			opt.Dial = w.dialGuarded
		}
	}
	if opt.URL == "" {
		return nil, &pipeline.Error{Op: "publish", Kind: pipeline.BadConfig, Err: errors.New("the device has no broker"), Hint: "set mqtt.url or name the broker's host in the workflow"}
	}
	opt.Device, opt.ClientID, opt.Log = w.opt.Device, "", w.opt.Log
	return w.brokers.take(key, opt)
}

// take returns the connection of a key, which must be given back.
func (b *brokers) take(key brokerKey, opt mqtt.Options) (*link, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.all[key]
	if l == nil {
		s, err := mqtt.NewSender(opt)
		if err != nil {
			return nil, err
		}
		l = &link{Sender: s}
		b.all[key] = l
	}
	l.users++
	return l, nil
}

// giveBack ends the use of a connection. When too many are kept, the one that
// is idle longest is closed.
func (b *brokers) giveBack(l *link) {
	b.mu.Lock()
	l.users--
	l.used = time.Now()
	var oldest *link
	if len(b.all) > maxBrokers {
		var at brokerKey
		for key, l := range b.all {
			if l.users == 0 && (oldest == nil || l.used.Before(oldest.used)) {
				at, oldest = key, l
			}
		}
		delete(b.all, at)
	}
	b.mu.Unlock()
	if oldest != nil {
		oldest.Close()
	}
}

// close ends the connections that were idle for so long.
func (b *brokers) close(idle time.Duration) {
	b.mu.Lock()
	var old []*link
	for key, l := range b.all {
		if l.users == 0 && time.Since(l.used) >= idle {
			old = append(old, l)
			delete(b.all, key)
		}
	}
	b.mu.Unlock()
	var wg sync.WaitGroup
	for _, l := range old {
		wg.Go(l.Close)
	}
	wg.Wait()
}
