package deliver

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"perch/mqtt"
	"perch/pipeline"
)

// An ear hears what a broker passes on.
type ear struct {
	mu    sync.Mutex
	heard map[string][]string
}

func listen(t *testing.T, port int) *ear {
	t.Helper()
	e := &ear{heard: map[string][]string{}}
	o := paho.NewClientOptions().AddBroker("tcp://127.0.0.1:" + strconv.Itoa(port)).SetClientID("ear").SetOrderMatters(true)
	cl := paho.NewClient(o)
	if tok := cl.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	tok := cl.Subscribe("#", 2, func(_ paho.Client, m paho.Message) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.heard[m.Topic()] = append(e.heard[m.Topic()], string(m.Payload()))
	})
	if !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	t.Cleanup(func() { cl.Disconnect(100) })
	return e
}

func (e *ear) on(topic string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.heard[topic]...)
}

func publish(t *testing.T, p Publication) pipeline.Delivery {
	t.Helper()
	d, err := p.Delivery(time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBrokersGetMessagesInOrder(t *testing.T) {
	other, own := startBroker(t, "allow_anonymous true"), startBroker(t, "allow_anonymous true")
	a, b := listen(t, other), listen(t, own)
	s := openStore(t, t.TempDir())
	const n = 50
	for i := range n {
		owe(t, s, publish(t, Publication{Host: "127.0.0.1", Port: other, Topic: "plant/a", Payload: fmt.Append(nil, i), QoS: 1}),
			publish(t, Publication{Topic: "plant/own", Payload: fmt.Append(nil, i), QoS: 1, Host: ""}))
	}
	w := worker(t, Options{Store: s, Broker: mqtt.Options{URL: "mqtt://127.0.0.1:" + strconv.Itoa(own)}})
	run(t, w)
	eventually(t, "all is heard", func() bool { return len(a.on("plant/a")) == n && len(b.on("plant/own")) == n })
	for i := range n {
		if a.on("plant/a")[i] != strconv.Itoa(i) || b.on("plant/own")[i] != strconv.Itoa(i) {
			t.Fatalf("not in order: %v, %v", a.on("plant/a"), b.on("plant/own"))
		}
	}
}

func TestWhatABrokerSays(t *testing.T) {
	locked := startBroker(t, "allow_anonymous false")
	w := worker(t, Options{Check: nil})
	for name, c := range map[string]struct {
		p     Publication
		final bool
		says  string
	}{
		"bad topic":       {Publication{Host: "127.0.0.1", Port: 1, Topic: "a/+"}, true, "cannot contain"},
		"no own broker":   {Publication{Topic: "a"}, true, "no broker"},
		"away":            {Publication{Host: "127.0.0.1", Port: 1, Topic: "a"}, false, "refused"},
		"wrong password":  {Publication{Host: "127.0.0.1", Port: locked, Topic: "a", Username: "u", Password: "secret"}, false, "mqtt://127.0.0.1"},
		"guard":           {Publication{Host: "127.0.0.1", Port: locked, Topic: "a", Guarded: true}, true, "may not reach"},
		"no such address": {Publication{Host: "no such host", Port: 1883, Topic: "a"}, true, "cannot be read"},
	} {
		d := publish(t, c.p)
		err := w.Send(t.Context(), d)
		if err == nil || asFailure(err).final != c.final || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error()+d.To, "secret") {
			t.Errorf("%s: final %v, %v", name, asFailure(err).final, err)
		}
	}
}

// However many brokers there are, few connections stay open.
func TestConnectionsToBrokersAreBounded(t *testing.T) {
	port := startBroker(t, "allow_anonymous true")
	e := listen(t, port)
	w := worker(t, Options{})
	const n = maxBrokers + 5
	for i := range n { // as many users are as many connections
		d := publish(t, Publication{Host: "127.0.0.1", Port: port, Username: fmt.Sprint("user", i), Topic: "a", Payload: []byte("x"), QoS: 1})
		if err := w.Send(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all is heard", func() bool { return len(e.on("a")) == n })
	w.brokers.mu.Lock()
	kept := len(w.brokers.all)
	w.brokers.mu.Unlock()
	if kept > maxBrokers {
		t.Errorf("%d connections are kept", kept)
	}
	w.Close()
	if len(w.brokers.all) != 0 {
		t.Error("closing leaves connections")
	}
}
