// Package mqtt tells a broker what the outbox holds. A message leaves the
// outbox when the broker has confirmed it with a PUBACK and not before: MQTT's
// "at least once". Without a broker nothing is lost that the outbox can hold,
// and nobody waits.
//
// Topics lie below <prefix>/<device>/: "status" is retained and has a last
// will; all others come from the outbox.
package mqtt

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"perch/pipeline"
)

// An Outbox holds messages until the broker has them. storage implements it.
type Outbox interface {
	// Pending returns up to limit messages in order, beginning after an id.
	Pending(ctx context.Context, after int64, limit int) ([]pipeline.Message, error)
	// Delivered forgets messages; unknown ids are passed over.
	Delivered(ctx context.Context, ids ...int64) error
	// Wake receives after messages were added.
	Wake() <-chan struct{}
	// DrainLock waits until no other process drains the outbox.
	DrainLock(ctx context.Context) (unlock func(), err error)
}

// Options say which broker and how. Zero values mean the defaults named here.
type Options struct {
	URL                string // tcp://, mqtt://, ssl://, tls://, mqtts://, ws:// or wss://; the port may be left out
	Username, Password string // win over those in the URL
	CAFile             string // certificate authorities of the broker, PEM; "" for the system's
	CertFile, KeyFile  string // certificate and key of this device, PEM; both or none

	Prefix   string // first part of each topic; "perch"
	Device   string // second part of each topic
	ClientID string // perch-<device>; for a publisher with a random ending

	// Publisher sends the outbox and nothing else: no status, no last will. It
	// may run beside the daemon of the same device.
	Publisher bool

	Keepalive    time.Duration // 30 s
	Window       int           // messages sent and not confirmed, 1 to 1000; 32
	RetryMin     time.Duration // first delay before connecting again; 1 s, doubled each time
	RetryMax     time.Duration // the longest delay; 1 min
	RetryRefused time.Duration // delay after the broker refused us; 1 min

	// Dial reaches the broker; nil: directly. Not for ws and wss.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Log *slog.Logger // nil: slog.Default()
}

const (
	defaultWindow  = 32
	maxWindow      = 1000
	dialTimeout    = 10 * time.Second // connection, TLS and CONNACK together
	writeTimeout   = 5 * time.Second  // of one packet; a stop may have to wait for it
	pingTimeout    = 10 * time.Second
	farewell       = 3 * time.Second  // for the last confirmations and the status "offline"
	deleteTimeout  = 40 * time.Second // storage itself gives up earlier and says why
	outboxRetry    = time.Second      // after the outbox could not be read or written
	steady         = 10 * time.Second // a connection that lasted so long starts the delays anew
	maxTopicLength = 65535
)

func (o *Options) complete() (*url.URL, error) {
	bad := func(format string, args ...any) error {
		return &pipeline.Error{Op: "configure MQTT", On: "mqtt", Kind: pipeline.BadConfig, Err: fmt.Errorf(format, args...)}
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" {
		// Not err itself: it quotes the URL, which may hold a password.
		return nil, bad("the broker's URL cannot be read, it should look like mqtt://host:1883")
	}
	port, known := map[string]string{
		"tcp": "1883", "mqtt": "1883", "ssl": "8883", "tls": "8883", "mqtts": "8883", "ws": "80", "wss": "443",
	}[u.Scheme]
	if !known {
		return nil, bad("the broker's URL begins with %q, known are tcp, mqtt, ssl, tls, mqtts, ws and wss", u.Scheme)
	}
	if o.Dial != nil && strings.HasPrefix(u.Scheme, "ws") {
		return nil, bad("a broker that is reached in a way of its own cannot be reached over %s", u.Scheme)
	}
	if u.Port() == "" {
		u.Host += ":" + port
	}
	if u.User != nil {
		password, _ := u.User.Password()
		o.Username, o.Password = orElse(o.Username, u.User.Username()), orElse(o.Password, password)
		u.User = nil
	}
	o.Prefix = orElse(o.Prefix, "perch")
	for name, part := range map[string]string{"prefix": o.Prefix, "device": o.Device} {
		if err := checkTopic(part); err != nil {
			return nil, bad("%s %q: %w", name, part, err)
		}
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, bad("cert and key belong together, one is missing")
	}
	o.Window = orElse(o.Window, defaultWindow)
	if o.Window < 1 || o.Window > maxWindow {
		return nil, bad("a window of %d, possible are 1 to %d", o.Window, maxWindow)
	}
	o.Keepalive = orElse(o.Keepalive, 30*time.Second)
	o.RetryMin = orElse(o.RetryMin, time.Second)
	o.RetryMax = max(orElse(o.RetryMax, time.Minute), o.RetryMin)
	o.RetryRefused = orElse(o.RetryRefused, time.Minute)
	o.Log = orElse(o.Log, slog.Default())
	if o.ClientID == "" {
		o.ClientID = "perch-" + o.Device
		if o.Publisher {
			var b [4]byte
			rand.Read(b[:]) // never fails
			o.ClientID += "-" + hex.EncodeToString(b[:])
		}
	}
	return u, nil
}

// checkTopic refuses what a broker would answer by cutting the connection.
func checkTopic(topic string) error {
	switch {
	case topic == "":
		return errors.New("a topic cannot be empty")
	case strings.ContainsAny(topic, "+#\x00"):
		return errors.New("a topic cannot contain +, # or NUL")
	case len(topic) > maxTopicLength:
		return errors.New("a topic cannot be longer than 65535 bytes")
	case strings.ToValidUTF8(topic, "") != topic:
		return errors.New("a topic must be UTF-8")
	}
	return nil
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
