package mqtt

import (
	"sync"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A ledger is paho's store for one connection. It exists for one call: Del of
// a PUBLISH, which paho makes when its PUBACK has come. Nothing else proves a
// delivery: tokens complete without an error when the connection is lost.
//
// It never keeps packets for another connection. What was not confirmed is
// still in the outbox and is sent again from there.
type ledger struct {
	acked chan int64 // ids of confirmed messages; has room for all that may be open

	mu   sync.Mutex
	next int64 // id of the message being handed to paho
	ids  map[string]int64
}

var _ paho.Store = (*ledger)(nil)

func newLedger(room int) *ledger {
	return &ledger{acked: make(chan int64, room), ids: map[string]int64{}}
}

// announce says which message the next PUBLISH is. Publish calls Put before it
// returns, and one goroutine publishes.
func (l *ledger) announce(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = id
}

func (l *ledger) Put(key string, p packets.ControlPacket) {
	// SUBSCRIBE and UNSUBSCRIBE have the same kind of key.
	if _, ok := p.(*packets.PublishPacket); !ok || key[:2] != "o." {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids[key] = l.next
}

func (l *ledger) Del(key string) {
	l.mu.Lock()
	id, ok := l.ids[key]
	delete(l.ids, key)
	l.mu.Unlock()
	if ok {
		l.acked <- id
	}
}

func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.ids)
}

func (l *ledger) Open()                            {}
func (l *ledger) Get(string) packets.ControlPacket { return nil }
func (l *ledger) All() []string                    { return nil }
func (l *ledger) Close()                           { l.forget() }

// Reset is called when a connection with a clean session is up.
func (l *ledger) Reset() { l.forget() }
