package mqtt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"perch/pipeline"
)

// A peer is a broker that does only what a test tells it to.
type peer struct {
	ln   net.Listener
	conn net.Conn
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &peer{ln: ln}
}

func (p *peer) url() string { return "mqtt://" + p.ln.Addr().String() }

// accept takes the next connection and greets it.
func (p *peer) accept(t *testing.T) {
	t.Helper()
	var err error
	if p.conn, err = p.ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.conn.Close() })
	if _, ok := p.read(t).(*packets.ConnectPacket); !ok {
		t.Fatal("the first packet is no CONNECT")
	}
	p.send(t, packets.NewControlPacket(packets.Connack))
}

func (p *peer) read(t *testing.T) packets.ControlPacket {
	t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	pk, err := packets.ReadPacket(p.conn)
	if err != nil {
		t.Fatal(err)
	}
	return pk
}

func (p *peer) send(t *testing.T, pk packets.ControlPacket) {
	t.Helper()
	if err := pk.Write(p.conn); err != nil {
		t.Fatal(err)
	}
}

// publishes reads n PUBLISH packets of the outbox, without answering.
func (p *peer) publishes(t *testing.T, n int) []*packets.PublishPacket {
	t.Helper()
	var all []*packets.PublishPacket
	for len(all) < n {
		if pub, ok := p.read(t).(*packets.PublishPacket); ok && pub.TopicName == events {
			all = append(all, pub)
		}
	}
	return all
}

func (p *peer) confirm(t *testing.T, pub *packets.PublishPacket) {
	t.Helper()
	ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	ack.MessageID = pub.MessageID
	p.send(t, ack)
}

// A row goes when its PUBACK has come: not when it was sent, not when the
// connection is lost, not for another packet's confirmation.
func TestOnlyAPubackDeletes(t *testing.T) {
	p := newPeer(t)
	out := newMemory(3)
	c, _ := run(t, options(p.url()), out)
	p.accept(t)
	first := p.publishes(t, 3)
	p.confirm(t, first[1])
	p.confirm(t, first[1]) // and again
	stray := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	stray.MessageID = 4711
	p.send(t, stray)
	eventually(t, "one row goes", func() bool { return out.left() == 2 })
	p.conn.Close() // two are in flight
	p.accept(t)
	second := p.publishes(t, 2)
	if string(second[0].Payload) != "1" || string(second[1].Payload) != "3" || out.left() != 2 {
		t.Errorf("sent again: %s, %s; %d rows left", second[0].Payload, second[1].Payload, out.left())
	}
	p.confirm(t, second[0])
	p.confirm(t, second[1])
	eventually(t, "all rows are gone", func() bool { return out.left() == 0 })
	if out.deleted[1] != 1 || out.deleted[2] != 1 || out.deleted[3] != 1 || c.Stats().Delivered != 3 {
		t.Errorf("deleted %v, stats %+v", out.deleted, c.Stats())
	}
}

// A broker that confirms nothing is sent the window and no more.
func TestTheWindowIsBounded(t *testing.T) {
	p := newPeer(t)
	opt := options(p.url())
	opt.Window = 5
	out := newMemory(100)
	c, _ := run(t, opt, out)
	p.accept(t)
	got := p.publishes(t, 4) // the fifth is the status, which has not been confirmed either
	p.conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if pk, err := packets.ReadPacket(p.conn); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("more than the window: %v, %v", pk, err)
	}
	if st := c.Stats(); st.InFlight != 5 {
		t.Errorf("stats %+v", st)
	}
	p.confirm(t, got[0])
	p.publishes(t, 1)
}

// While confirmed rows cannot be deleted, nothing is sent that would only be
// repeated, and nothing that was confirmed is sent again.
func TestRowsThatCannotBeDeleted(t *testing.T) {
	p := newPeer(t)
	out := newMemory(1)
	out.fail = &pipeline.Error{Op: "forget", Kind: pipeline.Storage, Err: errors.New("disk full")}
	c, _ := run(t, options(p.url()), out)
	p.accept(t)
	p.confirm(t, p.publishes(t, 1)[0])
	eventually(t, "the failure is seen", func() bool { return c.Stats().LastError != "" && c.Stats().Delivered == 1 })
	out.add(1)
	p.conn.Close()
	p.accept(t)
	out.mu.Lock()
	out.fail = nil
	out.mu.Unlock()
	if pub := p.publishes(t, 1)[0]; string(pub.Payload) != "2" {
		t.Errorf("sent %s, want the second row", pub.Payload)
	}
}

// A camera named "door#1" must not keep all others from being heard.
func TestATopicThatNoBrokerTakes(t *testing.T) {
	p := newPeer(t)
	out := newMemory(0)
	out.msgs = []pipeline.Message{{ID: 1, Topic: "cameras/door#1/state", Payload: []byte("x")}, {ID: 2, Topic: "events", Payload: []byte("2")}}
	c, _ := run(t, options(p.url()), out)
	p.accept(t)
	p.confirm(t, p.publishes(t, 1)[0])
	eventually(t, "both are gone", func() bool { return out.left() == 0 })
	if st := c.Stats(); st.Undeliverable != 1 || st.Delivered != 1 {
		t.Errorf("stats %+v", st)
	}
}

// A broker that reads nothing more must not hold the outbox for ever.
func TestABrokerThatStopsReading(t *testing.T) {
	p := newPeer(t)
	out := newMemory(0)
	for n := range int64(40) {
		out.msgs = append(out.msgs, pipeline.Message{ID: n + 1, Topic: "events", Payload: make([]byte, 1<<20)})
	}
	c, err := New(options(p.url()), out)
	if err != nil {
		t.Fatal(err)
	}
	c.write = 2 * time.Second // long enough for a busy machine to read on
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { c.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	p.accept(t) // and then nothing
	stuck := p.conn
	p.accept(t) // it comes again
	stuck.Close()
	for id := range int64(40) {
		pub := p.publishes(t, 1)[0]
		if len(pub.Payload) != 1<<20 {
			t.Fatalf("message %d has %d bytes", id+1, len(pub.Payload))
		}
		p.confirm(t, pub)
	}
	eventually(t, "all rows are gone", func() bool { return out.left() == 0 })
}

// A publisher has neither status nor last will, and a client id of its own.
func TestPublisherIsNobody(t *testing.T) {
	opt := options("mqtt://host")
	opt.Publisher = true
	a, err := New(opt, newMemory(0))
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(opt, newMemory(0))
	if err != nil {
		t.Fatal(err)
	}
	if a.opt.ClientID == b.opt.ClientID || a.opt.ClientID == "perch-jetson-1" {
		t.Errorf("client ids %s and %s", a.opt.ClientID, b.opt.ClientID)
	}
}

// A proxy stands between client and broker, so that a test can cut the line.
type proxy struct {
	ln     net.Listener
	refuse atomic.Bool
	mu     sync.Mutex
	conns  []net.Conn
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln}
	var wg sync.WaitGroup
	t.Cleanup(func() { ln.Close(); p.cut(); wg.Wait() })
	wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil || p.refuse.Load() {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			wg.Go(func() { io.Copy(out, in); out.Close() })
			wg.Go(func() { io.Copy(in, out); in.Close() })
		}
	})
	return p
}

func (p *proxy) addr() string { return p.ln.Addr().String() }

// cut ends all connections without a word of MQTT.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// passwordFile makes a file as mosquitto_passwd does.
func passwordFile(t *testing.T, dir, user, password string) string {
	t.Helper()
	path := filepath.Join(dir, "passwords")
	if out, err := exec.CommandContext(t.Context(), "mosquitto_passwd", "-b", "-c", path, user, password).CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
	}
	readable(t, path)
	return path
}

// readable lets mosquitto's own user read a file of the test.
func readable(t *testing.T, path string) {
	t.Helper()
	for dir := filepath.Dir(path); len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
}

// An authority signs certificates for one test.
type authority struct {
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(dir, "ca.pem")}
	a.cert = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Perch test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, key := signed(t, a.cert, a.cert, nil)
	a.key = key
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// issue makes a certificate for 127.0.0.1.
func (a *authority) issue(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	der, key := signed(t, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, a.cert, a.key)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	writePEM(t, certFile, "CERTIFICATE", der)
	writePEM(t, keyFile, "PRIVATE KEY", raw)
	return certFile, keyFile
}

// signed signs with the new key itself when by is nil.
func signed(t *testing.T, cert, parent *x509.Certificate, by *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	readable(t, path)
}
