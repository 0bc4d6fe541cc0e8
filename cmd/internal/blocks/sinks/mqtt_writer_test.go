package sinks

import (
	"encoding/json"
	"strings"
	"testing"

	"perch/cmd/internal/deliver"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

func TestMQTTMessages(t *testing.T) {
	own := Options{Brokers: []string{"127.0.0.1:1883", "Broker.example.org:8883"}}
	type pub = deliver.Publication
	for name, c := range map[string]struct {
		typ, properties string
		value           workflow.Value
		to              string
		want            pub
	}{
		"another broker": {"roboflow_enterprise/mqtt_writer_sink@v1", `"host": "plant.example.org", "port": 1884, "topic": "a/b", "message": "$steps.v.value", "qos": 2, "retain": true, "username": "u", "password": "secret"`,
			workflow.StringOf("héllo"), "mqtt://plant.example.org:1884", pub{Host: "plant.example.org", Port: 1884, Username: "u", Password: "secret", Topic: "a/b", Payload: []byte("héllo"), QoS: 2, Retain: true}},
		"encrypted":           {"mqtt_writer_sink@v1", `"host": "x", "port": 8883, "topic": "$inputs.p", "message": "m"`, workflow.IntOf(1), "mqtts://x:8883", pub{Host: "x", Port: 8883, Topic: "P & p", Payload: []byte("m")}},
		"no host":             {"mqtt_writer_sink@v1", `"topic": "a", "message": "$steps.v.value", "username": "u"`, workflow.FloatOf(1), "the device's broker", pub{Topic: "a", Payload: []byte("1.0")}},
		"its own, by name":    {"mqtt_writer_sink@v1", `"host": "broker.example.org", "port": 8883, "topic": "a", "message": "m"`, workflow.IntOf(1), "the device's broker", pub{Topic: "a", Payload: []byte("m")}},
		"its own, localhost":  {"mqtt_writer_sink@v1", `"host": "localhost", "port": 1883, "topic": "a", "message": "m"`, workflow.IntOf(1), "the device's broker", pub{Topic: "a", Payload: []byte("m")}},
		"its own, as another": {"mqtt_writer_sink@v1", `"host": "localhost", "port": 1883, "topic": "a", "message": "m", "username": "u"`, workflow.IntOf(1), "mqtt://localhost:1883", pub{Host: "localhost", Port: 1883, Username: "u", Topic: "a", Payload: []byte("m")}},
		"another port":        {"mqtt_writer_sink@v1", `"host": "127.0.0.1", "port": 1999, "topic": "a", "message": "m"`, workflow.IntOf(1), "mqtt://127.0.0.1:1999", pub{Host: "127.0.0.1", Port: 1999, Topic: "a", Payload: []byte("m")}},
		"a list":              {"mqtt_writer_sink@v1", `"topic": "a", "message": "$steps.v.value"`, workflow.ListOf([]workflow.Value{workflow.StringOf("x"), workflow.BoolOf(true)}), "the device's broker", pub{Topic: "a", Payload: []byte("['x', True]")}},
	} {
		t.Run(name, func(t *testing.T) {
			h := harness(t, own, newEnv(), c.typ, c.properties, c.value)
			r := h.Blank()
			if len(r.Deliveries) != 1 || h.JSON("error") != "false" || h.JSON("all") != `{"error_status":false,"message":"Message published in the background"}` {
				t.Fatalf("%d deliveries, %s", len(r.Deliveries), h.JSON("all"))
			}
			d := r.Deliveries[0]
			var got pub
			if err := json.Unmarshal(d.Body, &got); err != nil {
				t.Fatal(err)
			}
			g, _ := json.Marshal(got)
			w, _ := json.Marshal(c.want)
			if string(g) != string(w) || d.To != c.to || d.Kind != deliver.MQTT {
				t.Errorf("%s to %s\ngot  %s\nwant %s", d.Kind, d.To, g, w)
			}
		})
	}
}

func TestMQTTMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		properties string
		value      workflow.Value
		says       string // of the sink
		fails      string // the step
	}{
		"wildcard":       {`"topic": "a/#", "message": "m"`, workflow.IntOf(1), "The topic contains", ""},
		"no topic":       {`"topic": "", "message": "m"`, workflow.IntOf(1), "The topic is empty", ""},
		"password alone": {`"host": "x", "topic": "a", "message": "m", "password": "secret"`, workflow.IntOf(1), "without username", ""},
		"qos of a frame": {`"topic": "a", "message": "m", "qos": "$steps.v.value"`, workflow.IntOf(3), "", "from 0 to 2"},
		"an image":       {`"topic": "a", "message": "$inputs.image"`, workflow.IntOf(1), "", "image"},
	} {
		h := harness(t, Options{}, newEnv(), "mqtt_writer_sink@v1", c.properties, c.value)
		_, err := h.Try(workflowtest.Picture(8, 8, 0))
		switch {
		case c.fails != "":
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || h.JSON("error") != "true" || !strings.Contains(h.JSON("message"), c.says) || strings.Contains(h.JSON("message"), "secret"):
			t.Errorf("%s: %s, %v", name, h.JSON("all"), err)
		}
	}
	for properties, says := range map[string]string{
		`"message": "m"`: `"topic": it is missing`,
		`"topic": "a", "message": "m", "port": 70000`:   "port",
		`"topic": "a", "message": "m", "qos": 3`:        "qos",
		`"topic": "a", "message": "m", "retain": "yes"`: "retain",
	} {
		if got := refused(t, Options{}, newEnv(), "mqtt_writer_sink@v1", properties); !strings.Contains(got, says) {
			t.Errorf("%s: %s", properties, got)
		}
	}
}

func TestSlackPosts(t *testing.T) {
	h := harness(t, Options{}, newEnv(), "roboflow_core/slack_notification@v1", `"slack_token": "$inputs.p", "channel": "C1", "message": "n: {{ $parameters.n }}", "message_parameters": {"n": "$steps.v.value"},
		"attachments": {"a.csv": "$inputs.p", "b": "$inputs.image"}, "cooldown_session_key": "x"`, workflow.IntOf(5))
	// The parameter has spaces, which no token has.
	if h.Blank(); h.JSON("error") != "true" || !strings.Contains(h.JSON("message"), "token") {
		t.Error(status(h))
	}
	h = harness(t, Options{}, newEnv(), "roboflow_core/slack_notification@v1", `"slack_token": "xoxb-1", "channel": "C1", "message": "n: {{ $parameters.n }}", "message_parameters": {"n": "$steps.v.value"},
		"attachments": {"a.csv": "$inputs.p", "b": "$inputs.image"}`, workflow.IntOf(5))
	r := h.Blank()
	var p deliver.Post
	if err := json.Unmarshal(r.Deliveries[0].Body, &p); err != nil {
		t.Fatal(err)
	}
	if p.Token != "xoxb-1" || p.Channel != "C1" || p.Text != "n: 5" || len(p.Files) != 2 || p.Files[0].Name != "a.csv" || string(p.Files[0].Data) != "P & p" ||
		p.Files[1].Name != "b.jpg" || string(p.Files[1].Data) != "JPEG\x0064x48 q95" || r.Deliveries[0].To != "Slack channel C1" {
		t.Errorf("%+v to %s", p, r.Deliveries[0].To)
	}
	got := refused(t, Options{}, newEnv(), "roboflow_core/slack_notification@v1", `"slack_token": "https://hooks.slack.com/services/T/B/x", "channel": "", "message": "m", "attachments": {"b": "$inputs.image"}`)
	if !strings.Contains(got, `property "attachments"`) {
		t.Error(got)
	}
}
