package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"perch/pipeline"
)

const events = "perch/jetson-1/events"

func TestDelivery(t *testing.T) {
	m := startMosquitto(t, "")
	e := listen(t, m.url(), nil)
	out := newMemory(100)
	c, stop := run(t, options(m.url()), out)
	eventually(t, "the backlog is delivered", func() bool { return out.left() == 0 })
	out.add(50)
	eventually(t, "new messages are delivered", func() bool { return out.left() == 0 && len(e.on(events)) >= 150 })
	if st := c.Stats(); st.State != Connected || st.Delivered != 150 || st.ConnectedSince.IsZero() || st.Retries != 0 {
		t.Errorf("stats %+v", st)
	}
	stop()
	got := e.on(events)
	if len(got) != 150 || got[0] != "1" || got[149] != "150" {
		t.Errorf("%d messages for 150 rows, %v", len(got), got)
	}
	eventually(t, "offline is heard", func() bool { return len(e.on("perch/jetson-1/status")) == 2 })
	want := []Status{{State: Online}, {State: Offline, Cause: "stopped"}}
	for i, text := range e.on("perch/jetson-1/status") {
		var s Status
		if err := json.Unmarshal([]byte(text), &s); err != nil || s.Schema != StatusSchema || s.Device != "jetson-1" || s.State != want[i].State || s.Cause != want[i].Cause || s.Time.IsZero() {
			t.Errorf("status %d: %s, %v", i, text, err)
		}
	}
	if c.Stats().State != Idle {
		t.Error("a client that stopped is not idle")
	}
}

func TestRetained(t *testing.T) {
	m := startMosquitto(t, "")
	out := newMemory(0)
	out.msgs = []pipeline.Message{
		{ID: 1, Topic: "cameras/door/state", Payload: []byte(`{"state":"live"}`), Retain: true},
		{ID: 2, Topic: "events", Payload: []byte(`{}`)},
	}
	run(t, options(m.url()), out)
	eventually(t, "all is delivered", func() bool { return out.left() == 0 })
	late := listen(t, m.url(), nil) // hears what is retained, and nothing else
	eventually(t, "state and status are heard", func() bool {
		return len(late.on("perch/jetson-1/cameras/door/state")) == 1 && len(late.on("perch/jetson-1/status")) == 1
	})
	if n := len(late.on(events)); n != 0 {
		t.Errorf("%d events were retained", n)
	}
}

func TestTenThousandWaiting(t *testing.T) {
	m := startMosquitto(t, "")
	e := listen(t, m.url(), nil)
	out := newMemory(10_000)
	c, _ := run(t, options(m.url()), out)
	eventually(t, "all is delivered and heard", func() bool { return out.left() == 0 && len(e.on(events)) >= 10_000 })
	got := e.on(events)
	if len(got) != 10_000 || !slices.IsSortedFunc(got, func(a, b string) int { return len(a)*10 - len(b)*10 + strings.Compare(a, b) }) {
		t.Errorf("%d messages, or not in order", len(got))
	}
	if st := c.Stats(); st.Delivered != 10_000 {
		t.Errorf("stats %+v", st)
	}
}

// The broker goes and comes back, three times in mid-stream.
func TestBrokerRestarts(t *testing.T) {
	m := startMosquitto(t, "")
	e := listen(t, m.url(), nil)
	out := newMemory(0)
	c, stop := run(t, options(m.url()), out)
	var wg sync.WaitGroup
	const total = 3000
	wg.Go(func() {
		for range total / 10 {
			out.add(10)
			time.Sleep(2 * time.Millisecond)
		}
	})
	for round := range 3 {
		eventually(t, "a part is delivered", func() bool { return c.Stats().Delivered > uint64(200*(round+1)) })
		m.stop(t, syscall.SIGTERM) // it saves what it has confirmed
		eventually(t, "the loss is noticed", func() bool { st := c.Stats(); return st.State != Connected && st.LastError != "" })
		m.start(t)
	}
	wg.Wait()
	seen := map[string]int{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%d rows left, %d of %d heard, %+v", out.left(), len(seen), total, c.Stats())
		}
	})
	eventually(t, "all is delivered and heard", func() bool {
		clear(seen)
		for _, p := range e.on(events) {
			seen[p]++
		}
		return out.left() == 0 && len(seen) == total
	})
	again := 0
	for _, n := range seen {
		again += n - 1
	}
	// At each loss the window may have been confirmed without our hearing it,
	// here and between broker and listener.
	if limit := 3 * (defaultWindow + 100); again > limit {
		t.Errorf("%d messages came twice, at most %d can have been on their way", again, limit)
	}
	if st := c.Stats(); st.Retries < 3 || st.State != Connected {
		t.Errorf("stats %+v", st)
	}
	stop()
	for id, n := range out.deleted {
		if n != 1 {
			t.Errorf("row %d was deleted %d times", id, n)
		}
	}
}

func TestWrongPassword(t *testing.T) {
	dir := t.TempDir()
	m := startMosquitto(t, "allow_anonymous false\npassword_file "+passwordFile(t, dir, "perch", "right"))
	opt := options(strings.Replace(m.url(), "mqtt://", "mqtt://perch:wr0ng-secret@", 1))
	out := newMemory(1)
	c, stop := run(t, opt, out)
	eventually(t, "it is tried again", func() bool { st := c.Stats(); return st.Retries >= 2 && st.LastError != "" })
	st := c.Stats()
	if !strings.Contains(st.LastError, "check mqtt.username and mqtt.password") || strings.Contains(st.LastError, "secret") {
		t.Errorf("error %q", st.LastError)
	}
	eventually(t, "the state is seen", func() bool { return c.Stats().State == Refused })
	stop()
	if out.left() != 1 {
		t.Error("the message is gone")
	}

	pub := opt
	pub.Publisher = true
	p, err := New(pub, out)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Drain(t.Context()); pipeline.KindOf(err) != pipeline.Refused {
		t.Errorf("drain: %v", err)
	}
	opt.Password = "right"
	run(t, opt, out)
	eventually(t, "the right password works", func() bool { return out.left() == 0 })
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, dir)
	cert, key := ca.issue(t, dir, "broker")
	m := startMosquitto(t, "allow_anonymous true\nrequire_certificate true\ncafile "+ca.file+"\ncertfile "+cert+"\nkeyfile "+key)
	opt := options(strings.Replace(m.url(), "mqtt:", "mqtts:", 1))
	opt.CAFile = ca.file
	opt.CertFile, opt.KeyFile = ca.issue(t, dir, "device")
	out := newMemory(20)
	run(t, opt, out)
	eventually(t, "all is delivered", func() bool { return out.left() == 0 })

	for name, spoil := range map[string]func(*Options){
		"an authority that did not sign it": func(o *Options) { o.CAFile = newAuthority(t, t.TempDir()).file },
		"a name that is not in it":          func(o *Options) { o.URL = strings.Replace(o.URL, "127.0.0.1", "localhost", 1) },
		"an authority's file that is empty": func(o *Options) { o.CAFile = passwordFile(t, t.TempDir(), "a", "b") },
	} {
		bad := opt
		spoil(&bad)
		bad.Publisher, bad.ClientID = true, ""
		c, err := New(bad, newMemory(1))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Drain(t.Context()); pipeline.KindOf(err) != pipeline.Refused || !strings.Contains(err.Error(), "check mqtt.ca") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The device's power is cut: the broker speaks for it.
func TestLastWill(t *testing.T) {
	m := startMosquitto(t, "")
	e := listen(t, m.url(), nil)
	proxy := newProxy(t, m.addr())
	run(t, options("mqtt://"+proxy.addr()), newMemory(0))
	eventually(t, "online is heard", func() bool { return len(e.on("perch/jetson-1/status")) == 1 })
	proxy.refuse.Store(true)
	proxy.cut()
	eventually(t, "the last will is heard", func() bool { return len(e.on("perch/jetson-1/status")) == 2 })
	var s Status
	if err := json.Unmarshal([]byte(e.on("perch/jetson-1/status")[1]), &s); err != nil || s.State != Offline || s.Cause != "connection_lost" {
		t.Errorf("last will %+v, %v", s, err)
	}
	proxy.refuse.Store(false)
	eventually(t, "online is heard again", func() bool { return len(e.on("perch/jetson-1/status")) == 3 })
}

func TestDrain(t *testing.T) {
	m := startMosquitto(t, "")
	e := listen(t, m.url(), nil)
	opt := options(m.url())
	opt.Publisher = true
	out := newMemory(500)
	c, err := New(opt, out)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Drain(t.Context()); err != nil || out.left() != 0 {
		t.Fatalf("%v, %d left", err, out.left())
	}
	if err := c.Drain(t.Context()); err != nil {
		t.Error("an empty outbox:", err)
	}
	eventually(t, "all is heard", func() bool { return len(e.on(events)) >= 500 })
	if n, s := len(e.on(events)), len(e.on("perch/jetson-1/status")); n != 500 || s != 0 {
		t.Errorf("%d events and %d statuses", n, s)
	}

	// While another process drains, its work counts as ours.
	out.add(3)
	unlock, err := out.DrainLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { out.Delivered(context.Background(), 501, 502, 503) })
	if err := c.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	unlock()

	// Without a broker it ends with the caller's patience and says why.
	out.add(1)
	m.stop(t, syscall.SIGKILL)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err = c.Drain(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || pipeline.KindOf(err) != pipeline.Timeout || !strings.Contains(err.Error(), "connection refused") || out.left() != 1 {
		t.Errorf("%v, %d left", err, out.left())
	}
}

func TestStoppingDuringAnAttempt(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, stop := run(t, options("mqtt://"+ln.Addr().String()), newMemory(1))
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if st := c.Stats(); st.State != Connecting {
		t.Errorf("stats %+v", st)
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took >= dialTimeout {
		t.Errorf("stopping took as long as the attempt may: %v", took)
	}
}

func TestOptions(t *testing.T) {
	good := options("mqtt://u:p@host")
	c, err := New(good, newMemory(0))
	if err != nil {
		t.Fatal(err)
	}
	if c.broker.String() != "mqtt://host:1883" || c.opt.Username != "u" || c.opt.Password != "p" || c.topic("events") != events {
		t.Errorf("%s %+v", c.broker, c.opt)
	}
	for name, spoil := range map[string]func(*Options){
		"no URL":          func(o *Options) { o.URL = "" },
		"no host":         func(o *Options) { o.URL = "mqtt://" },
		"a strange one":   func(o *Options) { o.URL = "http://host" },
		"a broken one":    func(o *Options) { o.URL = "mqtt://u:secret@ho st" },
		"no device":       func(o *Options) { o.Device = "" },
		"wildcard device": func(o *Options) { o.Device = "a/#" },
		"wildcard prefix": func(o *Options) { o.Prefix = "+" },
		"half a pair":     func(o *Options) { o.CertFile = "x.pem" },
		"a huge window":   func(o *Options) { o.Window = 70000 },
	} {
		bad := good
		spoil(&bad)
		_, err := New(bad, newMemory(0))
		if pipeline.KindOf(err) != pipeline.BadConfig || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{min: time.Second, max: time.Minute}
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		want *= time.Second
		if got := b.next(); got < want || got > want+want/4 {
			t.Errorf("%v, want %v and up to a quarter more", got, want)
		}
	}
	b.reset()
	if got := b.next(); got > 1250*time.Millisecond {
		t.Errorf("%v after a reset", got)
	}
}
