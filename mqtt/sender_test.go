package mqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"perch/pipeline"
)

func sender(t *testing.T, opt Options) *Sender {
	t.Helper()
	s, err := NewSender(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestASenderReachesAnotherBroker(t *testing.T) {
	m := startMosquitto(t, "")
	e := listen(t, m.url(), nil)
	s := sender(t, options(m.url()))
	for i := range 9 {
		if err := s.Send(t.Context(), "plant/door", fmt.Appendf(nil, "%d", i), byte(i%3), false); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Send(t.Context(), "plant/kept", []byte("last"), 2, true); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is heard", func() bool { return len(e.on("plant/door")) == 9 && len(e.on("plant/kept")) == 1 })
	if got := strings.Join(e.on("plant/door"), ""); got != "012345678" {
		t.Errorf("heard %s", got)
	}
	if len(e.on("perch/jetson-1/status")) != 0 {
		t.Error("a sender spoke of itself")
	}
	late := listen(t, m.url(), func(o *paho.ClientOptions) { o.SetClientID("late ear") })
	eventually(t, "what is retained is heard later", func() bool { return len(late.on("plant/kept")) == 1 })

	m.stop(t, syscall.SIGKILL)
	wantGone := s.Send(t.Context(), "plant/door", []byte("lost"), 1, false)
	if k := pipeline.KindOf(wantGone); k != pipeline.Gone && k != pipeline.Timeout {
		t.Errorf("a broker that is away: %v", wantGone)
	}
	m.start(t)
	if err := s.Send(t.Context(), "plant/door", []byte("back"), 1, false); err != nil {
		t.Errorf("the broker is back: %v", err)
	}
	s.Close()
	if err := s.Send(t.Context(), "plant/door", []byte("again"), 0, false); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

// A message counts as delivered when its PUBACK, or for QoS 2 its PUBCOMP, has
// come.
func TestASenderWaitsForTheConfirmation(t *testing.T) {
	p := newPeer(t)
	s := sender(t, options(p.url()))
	sent := make(chan error, 1)
	send := func(ctx context.Context, qos byte) {
		go func() { sent <- s.Send(ctx, "a", []byte("x"), qos, false) }()
	}
	pending := func(what string) {
		t.Helper()
		select {
		case err := <-sent:
			t.Fatalf("%s: delivered before it was confirmed: %v", what, err)
		default:
		}
	}
	publish := func() *packets.PublishPacket {
		t.Helper()
		pub, ok := p.read(t).(*packets.PublishPacket)
		if !ok {
			t.Fatal("no PUBLISH")
		}
		return pub
	}
	send(t.Context(), 1)
	p.accept(t)
	pub := publish()
	pending("QoS 1")
	p.confirm(t, pub)
	if err := <-sent; err != nil {
		t.Error(err)
	}

	send(t.Context(), 2)
	pub = publish()
	rec := packets.NewControlPacket(packets.Pubrec).(*packets.PubrecPacket)
	rec.MessageID = pub.MessageID
	p.send(t, rec)
	if _, ok := p.read(t).(*packets.PubrelPacket); !ok {
		t.Fatal("no PUBREL")
	}
	pending("QoS 2")
	comp := packets.NewControlPacket(packets.Pubcomp).(*packets.PubcompPacket)
	comp.MessageID = pub.MessageID
	p.send(t, comp)
	if err := <-sent; err != nil {
		t.Error(err)
	}

	// The connection is lost instead; the confirmation of the lost message,
	// late and on a new connection, is not that of the next one.
	send(t.Context(), 1)
	lost := publish()
	p.conn.Close()
	if err := <-sent; pipeline.KindOf(err) != pipeline.Gone {
		t.Errorf("the connection was lost: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	send(ctx, 1)
	p.accept(t)
	next := publish()
	lost.MessageID = next.MessageID + 1
	p.confirm(t, lost)
	if err := <-sent; pipeline.KindOf(err) != pipeline.Timeout {
		t.Errorf("nobody confirmed: %v", err)
	}
}

func TestASenderSaysWhatIsWrong(t *testing.T) {
	m := startMosquitto(t, "allow_anonymous false\n")
	nobody := "mqtt://127.0.0.1:1"
	forbidden := errors.New("that host is not allowed")
	refuse := options(nobody)
	refuse.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &pipeline.Error{Op: "open", Kind: pipeline.Refused, Err: forbidden}
	}
	for name, c := range map[string]struct {
		opt   Options
		topic string
		qos   byte
		kind  pipeline.Kind
		says  string
	}{
		"topic":     {options(nobody), "a/#", 1, pipeline.BadInput, "cannot contain"},
		"qos":       {options(nobody), "a", 3, pipeline.BadInput, "QoS 3"},
		"away":      {options(nobody), "a", 0, pipeline.Gone, "127.0.0.1:1"},
		"refused":   {options(m.url()), "a", 1, pipeline.Refused, "publish to broker"},
		"forbidden": {refuse, "a", 1, pipeline.Refused, "not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			err := sender(t, c.opt).Send(t.Context(), c.topic, nil, c.qos, false)
			if pipeline.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "mqtt.") {
				t.Errorf("kind %v, %v", pipeline.KindOf(err), err)
			}
		})
	}
	ws := options("ws://127.0.0.1:80")
	ws.Dial = refuse.Dial
	if _, err := NewSender(ws); pipeline.KindOf(err) != pipeline.BadConfig {
		t.Errorf("a way of its own over ws: %v", err)
	}
}
