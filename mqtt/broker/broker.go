// Package broker is a small MQTT broker inside Perch, for trying things out on
// one machine. It listens on the loopback interface only, asks nobody for a
// password and keeps nothing on the disk.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"

	"perch/pipeline"
)

// What one broker may take up; beyond it clients are refused or cut.
const (
	maxClients  = 64
	maxPacket   = 2 << 20 // bytes
	maxWaiting  = 1024    // messages waiting for one client
	maxSessionS = 3600    // seconds that a session waits for its client
)

const listenerID = "loopback"

// How long clients may take to get what was published before they are cut. The
// server tells of messages that await an acknowledgement; of others, that are only
// written, it tells when nothing has been written for a moment.
const (
	settleLimit = 2 * time.Second
	settleQuiet = 50 * time.Millisecond
	settlePoll  = 5 * time.Millisecond
)

// A Broker is running until it is closed.
type Broker struct {
	server *mochi.Server
	addr   string
	once   sync.Once // the server panics when it is closed twice
}

// Start listens on addr, for example "127.0.0.1:1883"; port 0 takes a free one.
// An address that others could reach is refused.
func Start(addr string, log *slog.Logger) (*Broker, error) {
	fail := func(kind pipeline.Kind, err error, hint string) error {
		return &pipeline.Error{Op: "start MQTT broker on", On: addr, Kind: kind, Err: err, Hint: hint}
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fail(pipeline.BadConfig, err, "")
	}
	if !tcp.IP.IsLoopback() {
		return nil, fail(pipeline.BadConfig, errors.New("it would be open to the network"), "use a loopback address such as 127.0.0.1:1883, or a broker of your own")
	}
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", tcp.String())
	if err != nil {
		return nil, fail(pipeline.Other, err, "another program may be using the port")
	}
	caps := mochi.NewDefaultServerCapabilities()
	caps.MaximumClients, caps.MaximumPacketSize = maxClients, maxPacket
	caps.MaximumClientWritesPending, caps.MaximumInflight = maxWaiting, maxWaiting
	caps.MaximumSessionExpiryInterval = maxSessionS
	caps.MaximumMessageExpiryInterval = int64(time.Hour / time.Second)
	server := mochi.New(&mochi.Options{Capabilities: caps, Logger: log})
	b := &Broker{server: server, addr: ln.Addr().String()}
	err = errors.Join(server.AddHook(&auth.AllowHook{}, nil), server.AddListener(listeners.NewNet(listenerID, ln)))
	if err == nil {
		err = server.Serve() // returns at once
	}
	if err != nil {
		return nil, errors.Join(fail(pipeline.Other, err, ""), server.Close(), ln.Close())
	}
	return b, nil
}

// Addr returns the address that the broker listens on.
func (b *Broker) Addr() string { return b.addr }

// URL returns the address as clients write it.
func (b *Broker) URL() string { return "mqtt://" + b.addr }

// Close waits until connected clients have what was published, for two seconds
// at most, cuts them and stops listening.
func (b *Broker) Close() error {
	var err error
	b.once.Do(func() {
		b.settle()
		err = b.server.Close()
	})
	if err != nil {
		return fmt.Errorf("stop MQTT broker: %w", err)
	}
	return nil
}

func (b *Broker) settle() {
	began := time.Now()
	still, sent := began, int64(-1)
	for now := began; now.Sub(began) < settleLimit; now = time.Now() {
		clients, waiting := b.waiting()
		if clients == 0 {
			return
		}
		if n := atomic.LoadInt64(&b.server.Info.PacketsSent); n != sent || waiting > 0 {
			still, sent = now, n
		}
		if now.Sub(still) >= settleQuiet {
			return
		}
		time.Sleep(settlePoll)
	}
}

// waiting is how many clients are connected, and how many messages they have not
// acknowledged yet.
func (b *Broker) waiting() (clients, messages int) {
	for _, c := range b.server.Clients.GetByListener(listenerID) {
		if !c.Closed() {
			clients++
			messages += c.State.Inflight.Len()
		}
	}
	return clients, messages
}
