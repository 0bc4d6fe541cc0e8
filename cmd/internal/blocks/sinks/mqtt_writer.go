package sinks

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"perch/cmd/internal/deliver"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
	"perch/storage"
)

func mqttWriter(o *Options) *workflow.Manifest {
	return &workflow.Manifest{
		Type: "roboflow_enterprise/mqtt_writer_sink@v1", Aliases: []string{"mqtt_writer_sink@v1"}, Title: "MQTT Writer", Group: "sink", Sink: true,
		Doc: "Publishes a message on an MQTT broker. The message is stored with the frame's result, so that no frame waits for the broker, and is sent in order until the broker has confirmed it " +
			"(with QoS 0: until it was written to the connection) or a day has passed.",
		Fields: []workflow.Field{
			text("host", "the broker's host name or address; empty: the device's own broker, with its credentials. The name of that broker means the same while there is no username"),
			whole("port", 1883, 1, 65535, "the broker's port; 8883 is encrypted"),
			required(text("topic", "where to publish: exactly this topic, nothing is put in front")),
			{Name: "message", Required: true, Kinds: workflow.Anything(), Literal: workflow.StringLiteral, Doc: "what to publish; a value that is no string is written as text"},
			whole("qos", 0, 0, 2, "quality of service: 0 at most once, 1 at least once, 2 exactly once per attempt"),
			flag("retain", false, "the broker keeps the message and gives it to those who subscribe later"),
			{Name: "timeout", Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Default: workflow.FloatOf(0.5), MinOpen: true, Doc: "seconds; has no effect, because nothing waits for the broker"},
			text("username", "who to be at the broker; empty: nobody"),
			secret("password", "the password"),
		},
		Outputs: []workflow.Output{errorOutput(), messageOutput()},
		New:     func(p *workflow.Params) (workflow.Block, error) { return newMQTT(o, p), nil },
	}
}

type mqttBlock struct {
	opt                                                     *Options
	host, port, topic, message, qos, retain, user, password workflow.In
}

func newMQTT(o *Options, p *workflow.Params) *mqttBlock {
	return &mqttBlock{
		opt: o, host: p.In("host"), port: p.In("port"), topic: p.In("topic"), message: p.In("message"), qos: p.In("qos"), retain: p.In("retain"),
		user: p.In("username"), password: p.In("password"),
	}
}

func (b *mqttBlock) Run(c *workflow.Call) error {
	if c.Env().DisableSinks {
		b.say(c, false, disabledByPolicy)
		return nil
	}
	p, err := b.publication(c)
	if err != nil {
		return err
	}
	if why := badTopic(p.Topic); why != "" {
		b.say(c, true, "The topic "+why)
		return nil
	}
	if p.Password != "" && p.Username == "" {
		b.say(c, true, "Password provided without username")
		return nil
	}
	d, err := p.Delivery(c.Env().Now(), b.opt.Keep)
	if err != nil {
		return err
	}
	if len(d.Body) > storage.MaxDelivery {
		b.say(c, true, fmt.Sprintf("The message would have %d bytes, the most is %d", len(d.Body), storage.MaxDelivery))
		return nil
	}
	c.Deliver(d)
	b.say(c, false, "Message published in the background")
	return nil
}

func (b *mqttBlock) say(c *workflow.Call, failed bool, message string) {
	c.Set(0, workflow.BoolOf(failed))
	c.Set(1, workflow.StringOf(message))
}

func (b *mqttBlock) publication(c *workflow.Call) (*deliver.Publication, error) {
	p := &deliver.Publication{Guarded: b.opt.Guarded}
	for _, f := range []struct {
		in workflow.In
		to *string
	}{{b.host, &p.Host}, {b.topic, &p.Topic}, {b.user, &p.Username}, {b.password, &p.Password}} {
		s, err := optional(c, f.in)
		if err != nil {
			return nil, err
		}
		*f.to = s
	}
	qos, err := c.Int(b.qos)
	if err != nil {
		return nil, err
	}
	p.QoS = byte(qos)
	if p.Port, err = c.Int(b.port); err != nil {
		return nil, err
	}
	if p.Retain, err = c.Bool(b.retain); err != nil {
		return nil, err
	}
	if p.Payload, err = query.AppendText(nil, c.Value(b.message)); err != nil {
		return nil, err
	}
	if p.Host == "" || p.Username == "" && b.opt.own(p.Host, p.Port) {
		p.Host, p.Port, p.Username, p.Password, p.Guarded = "", 0, "", "", false
	}
	return p, nil
}

// own reports whether host and port are those of the device's own broker.
func (o *Options) own(host string, port int) bool {
	name := func(host string, port string) string {
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		if ip := net.ParseIP(host); host == "localhost" || ip.IsLoopback() {
			host = "127.0.0.1"
		}
		return net.JoinHostPort(host, port)
	}
	want := name(host, strconv.Itoa(port))
	return slices.ContainsFunc(o.Brokers, func(b string) bool {
		h, p, err := net.SplitHostPort(b)
		return err == nil && name(h, p) == want
	})
}

// badTopic says why no broker takes a topic; brokers cut the connection.
func badTopic(topic string) string {
	switch {
	case topic == "":
		return "is empty"
	case strings.ContainsAny(topic, "+#\x00"):
		return "contains +, # or NUL, which only subscriptions may"
	case len(topic) > 65535 || strings.ToValidUTF8(topic, "") != topic:
		return "is longer than 65535 bytes or not UTF-8"
	}
	return ""
}

// optional reads a string that may be null.
func optional(c *workflow.Call, in workflow.In) (string, error) {
	if c.Value(in).IsNull() {
		return "", nil
	}
	return c.Str(in)
}
