package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
)

func TestDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"0s": 0, "250ms": 250 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "90s": 90 * time.Second,
		"2h": 2 * time.Hour, "1h30m": 90 * time.Minute, "30d": 30 * 24 * time.Hour, "0.5d": 12 * time.Hour, " 10s ": 10 * time.Second,
	} {
		var d, again Duration
		if err := d.UnmarshalText([]byte(in)); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v, %v", in, d, err)
		}
		if b, _ := d.MarshalText(); again.UnmarshalText(b) != nil || again != d {
			t.Errorf("%s is written as %s and read as %v", in, b, again)
		}
	}
	for in, want := range map[time.Duration]string{time.Hour: "1h", 10 * time.Minute: "10m", 100 * time.Second: "1m40s", 48 * time.Hour: "2d", 20 * time.Hour: "20h"} {
		if got := Duration(in).String(); got != want {
			t.Errorf("%v is written as %s, want %s", in, got, want)
		}
	}
	for _, in := range []string{"", "10", "d", "xd", "NaNd", "1e300d", "ten seconds", "99999999h"} {
		var d Duration
		if d.UnmarshalText([]byte(in)) == nil {
			t.Errorf("%q is %v", in, d)
		}
	}
}

func TestByteSize(t *testing.T) {
	for in, want := range map[string]ByteSize{"0": 0, "12": 12, "12 B": 12, "1 kB": 1000, "500 MB": 500e6, "2 GiB": 2 << 30, "1.5gib": 3 << 29, "1TiB": 1 << 40} {
		var b, again ByteSize
		if err := b.UnmarshalText([]byte(in)); err != nil || b != want {
			t.Errorf("%s: %d, %v", in, int64(b), err)
		}
		if text, _ := b.MarshalText(); again.UnmarshalText(text) != nil || again != b {
			t.Errorf("%s is written as %s and read as %d", in, text, int64(again))
		}
	}
	for _, in := range []string{"", "GiB", "-1", "1 PiB", "NaN", "1e30", "9999999999 GiB", "two GiB"} {
		var b ByteSize
		if b.UnmarshalText([]byte(in)) == nil {
			t.Errorf("%q is %v", in, b)
		}
	}
}

// TestNothingPrintsCredentials prints what holds credentials in every way that
// Go has.
func TestNothingPrintsCredentials(t *testing.T) {
	const pw = "hunter2"
	c, err := Parse("perch.yaml", []byte(`
mqtt: {url: 'mqtts://me:hunter2@b:8883', prefix: p}
smtp: {host: mail.example.org, from: a@example.org, username: me, password: hunter2}
sessions: {rtsp_placeholder: demo, rtsp_placeholder_url: 'rtsp://admin:hunter2@192.0.2.1/'}
cameras:
  w: {url: 'rtsp://h/', workflow: count, workflow_parameters: {slack_token: hunter2, limit: 5}}
  a: {url: 'rtsp://admin:hunter2@192.0.2.1:554/s1?channel=1'}
  b: {url: 'http://h/mjpg?usr=x&pwd=hunter2&res=1'}
  c: {url: 'rtsp://h/user=admin_password=hunter2'}
  d: {url: 'rtsp://admin:p%40hunter2@h/'}
  e: {url: 'rtsp://admin:p@hunter2@h/'}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Cameras["a"]; got.URL.Reveal() != "rtsp://192.0.2.1:554/s1?channel=1" || got.Username != "admin" || got.Password.Reveal() != pw {
		t.Errorf("a: %s, %s", got.URL.Reveal(), got.Username)
	}
	for _, name := range []string{"d", "e"} {
		if got := c.Cameras[name]; got.URL.Reveal() != "rtsp://h/" || got.Password.Reveal() != "p@hunter2" {
			t.Errorf("%s: %s, %s", name, got.URL.Reveal(), got.Password.Reveal())
		}
	}
	if got := c.Cameras["b"].URL; !strings.Contains(got.Reveal(), pw) || got.String() != "http://h/mjpg?usr=x&pwd=***&res=1" {
		t.Errorf("b: %s", got)
	}
	if got := c.Cameras["w"].WorkflowParameters; got["slack_token"] != pw || got["limit"] != int64(5) {
		t.Error("the workflow does not get its parameters as they are")
	}
	things := []any{c, *c, c.MQTT, c.MQTT.URL, c.MQTT.Password, &c.MQTT.Password, c.SMTP, &c.SMTP, c.Sessions, c.Sessions.RTSPPlaceholderURL}
	for _, cam := range c.Cameras {
		things = append(things, *cam, cam, cam.URL, cam.Password, []Secret{cam.Password}, map[string]URL{"x": cam.URL})
	}
	for _, x := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
			out := fmt.Sprintf(verb, x)
			if strings.Contains(out, pw) || strings.Contains(out, fmt.Sprintf("%x", pw)) {
				t.Errorf("%s of a %T prints %s", verb, x, out)
			}
		}
		j, err := json.Marshal(x)
		if err != nil || bytes.Contains(j, []byte(pw)) {
			t.Errorf("JSON of a %T: %s, %v", x, j, err)
		}
		for _, h := range []func(*bytes.Buffer) slog.Handler{
			func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var b bytes.Buffer
			slog.New(h(&b)).Info("x", "value", x)
			if b.Len() == 0 || strings.Contains(b.String(), pw) {
				t.Errorf("log of a %T: %s", x, b.String())
			}
		}
	}
	if Secret("").String() != "" || Secret("x").String() != hidden {
		t.Error("an empty secret must look empty, another hidden")
	}
}

func TestSource(t *testing.T) {
	for url, want := range map[URL]struct {
		kind  pipeline.SourceKind
		where string
	}{
		"/a/b.mp4":            {pipeline.SourceFile, "/a/b.mp4"},
		"file:///a/b%20c.mp4": {pipeline.SourceFile, "/a/b c.mp4"},
		"RTSP://h/x":          {pipeline.SourceRTSP, "RTSP://h/x"},
		"rtsps://h/x":         {pipeline.SourceRTSP, "rtsps://h/x"},
		"https://h/x.mjpg":    {pipeline.SourceHTTP, "https://h/x.mjpg"},
		"v4l2:///dev/video2":  {pipeline.SourceV4L2, "/dev/video2"},
		"csi://1":             {pipeline.SourceCSI, "1"},
		"test://":             {pipeline.SourceTest, ""},
		"test://ball":         {pipeline.SourceTest, "ball"},
		"gopher://h/":         {"", "gopher://h/"},
	} {
		if kind, where := url.Source(); kind != want.kind || where != want.where {
			t.Errorf("%s: %s %q", url, kind, where)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"listen", "level", "latency", "url", "iou"}
	for in, want := range map[string]string{"listn": "listen", "Listen": "listen", "lvl": "", "levle": "level", "ulr": "url", "uri": "url", "x": "", "": "", "latencies": "latency"} {
		if got := nearest(in, words); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

type manifest struct {
	ID     string    `yaml:"id"`
	Kind   string    `json:"kind,omitempty"`
	Sizes  [2]int    `yaml:"sizes,flow"`
	Mean   []float32 `yaml:"mean,flow,omitempty"`
	Offset *float64  `yaml:"offset,omitempty"`
	Nested struct {
		On bool
	} `yaml:"nested"`
	inner  `yaml:",inline"`
	Extra  map[string]any `yaml:"extra,omitempty"`
	Port   uint16         `yaml:"port,omitempty"`
	Custom either         `yaml:"custom,omitempty"`
	Text   string         `yaml:"text,omitempty"`
	Hidden string         `yaml:"-"`
}

type inner struct {
	Inlined string `yaml:"inlined"`
}

// either is a word or a list of words.
type either []string

func (e *either) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if unmarshal(&one) == nil {
		*e = either{one}
		return nil
	}
	return unmarshal((*[]string)(e))
}

func TestDecodeYAML(t *testing.T) {
	const doc = `
id: 007
kind: "x: y"
sizes: [416, 320]
mean: [1, 2.5]
offset: -0.5
nested: {on: true}
inlined: here
extra: {a: 1, b: [x, 2.5, true, ~, "3"], c: {d: e}}
port: 8080
custom: word
text: |
  a
  	b
`
	var m, again manifest
	if err := DecodeYAML([]byte(doc), &m); err != nil {
		t.Fatal(err)
	}
	half := -0.5
	want := manifest{ID: "007", Kind: "x: y", Sizes: [2]int{416, 320}, Mean: []float32{1, 2.5}, Offset: &half,
		Extra: map[string]any{"a": int64(1), "b": []any{"x", 2.5, true, nil, "3"}, "c": map[string]any{"d": "e"}},
		Port:  8080, Custom: either{"word"}, Text: "a\n\tb\n"}
	want.Nested.On, want.Inlined = true, "here"
	if !reflect.DeepEqual(m, want) {
		t.Errorf("%+v\nwant %+v", m, want)
	}
	out, err := EncodeYAML(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := DecodeYAML(out, &again); err != nil || !reflect.DeepEqual(m, again) {
		t.Errorf("%s\nreads as %+v, %v", out, again, err)
	}
}

func TestDecodeYAMLMistakes(t *testing.T) {
	for doc, want := range map[string]string{
		"idd: x\n":                     "line 1, column 1: idd: is not a known key; did you mean id?",
		"listen: x\n":                  "listen: is not a known key; known here are custom, extra, id",
		"sizes: [1]\n":                 "sizes: has 1 values, but must have 2",
		"id: a\nid: b\n":               "line 2, column 1: id: is here a second time",
		"port: 70000\n":                "port: \"70000\" is too large",
		"port: -1\n":                   "not a whole number",
		"mean: [1, x]\n":               "line 1, column 11: mean[1]: \"x\" is not a number",
		"hidden: x\n":                  "hidden: is not a known key",
		"nested:\n\ton: true\n":        "line 2, column 1: there is a tab",
		"custom: {a: b}\n":             "custom: is a group of keys, but must be a list",
		"offset: .nan\n":               "is not a number",
		"id: \"a\\0b\"\n":              "zero byte",
		"id: [1]\nport: x\nkind: {}\n": "3 mistakes",
	} {
		if err := DecodeYAML([]byte(doc), new(manifest)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", doc, err, want)
		}
	}
	if DecodeYAML([]byte("a: 1\n"), manifest{}) == nil || DecodeYAML([]byte("a: 1\n"), nil) == nil {
		t.Error("decoded into something that is no pointer")
	}
	if err := DecodeYAML([]byte("c: 1\n"), new(struct{ C chan int })); err == nil {
		t.Error("decoded a channel")
	}
}
