package sinks

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"perch/cmd/internal/deliver"
	"perch/pipeline/workflow"
)

// A call is a request as it reached the server.
type call struct {
	method, target, body string
	header               http.Header
}

// receiver is a server that keeps what it is sent.
func receiver(t *testing.T) (url string, calls func() []call) {
	t.Helper()
	var mu sync.Mutex
	var all []call
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, call{r.Method, r.RequestURI, string(body), r.Header})
	}))
	t.Cleanup(srv.Close)
	return srv.URL, func() []call { mu.Lock(); defer mu.Unlock(); return all }
}

// sent runs a frame of a webhook step and lets a worker send what it owes.
func sent(t *testing.T, properties string, values ...workflow.Value) call {
	t.Helper()
	url, calls := receiver(t)
	h := harness(t, Options{}, newEnv(), "roboflow_core/webhook_sink@v1", fmt.Sprintf(`"url": %q, %s`, url+"/data-sink", properties), values...)
	r := h.Blank()
	if len(r.Deliveries) != 1 {
		t.Fatalf("%d deliveries, status %s", len(r.Deliveries), status(h))
	}
	w, err := deliver.New(deliver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	if err := w.Send(t.Context(), r.Deliveries[0]); err != nil {
		t.Fatal(err)
	}
	return calls()[0]
}

func TestWebhookRequests(t *testing.T) {
	list := func(v ...workflow.Value) workflow.Value { return workflow.ListOf(v) }
	object := &workflow.Fields{Keys: []string{"b", "a"}, Values: []workflow.Value{workflow.FloatOf(1), {}}}
	for name, c := range map[string]struct {
		properties string
		value      workflow.Value
		method     string
		target     string
		kind, body string
	}{
		// The parameters of example 06.
		"query": {`"method": "GET", "query_parameters": {"static": "static-query-param", "list-param": ["a", "b", "c"], "bool-param": true, "numeric-param": 21.37, "dynamic-input": "$inputs.p", "count-out": "$steps.v.value"}`,
			workflow.IntOf(3), "GET", "/data-sink?static=static-query-param&list-param=a&list-param=b&list-param=c&bool-param=True&numeric-param=21.37&dynamic-input=P+%26+p&count-out=3", "", ""},
		"odd query": {`"method": "GET", "query_parameters": {"a b&": "ü/~", "l": "$steps.v.value", "n": null, "z": 1.0}`,
			list(workflow.IntOf(1), workflow.Value{}, workflow.BoolOf(false)), "GET", "/data-sink?a+b%26=%C3%BC%2F~&l=1&l=False&z=1.0", "", ""},
		"json": {`"method": "PUT", "json_payload": {"n": "$steps.v.value", "p": "$inputs.p", "l": [1, "x", null, {"k": true}], "f": 0.5}`,
			workflow.IntOf(3), "PUT", "/data-sink", "application/json", `{"n":3,"p":"P & p","l":[1,"x",null,{"k":true}],"f":0.5}`},
		"json of an object": {`"method": "POST", "json_payload": {"v": "$steps.v.value"}`, workflow.ObjectOf(object), "POST", "/data-sink", "application/json", `{"v":{"b":1.0,"a":null}}`},
		"json with operations": {`"method": "POST", "json_payload": {"n": "$steps.v.value", "i": "$inputs.image"}, "json_payload_operations": {"n": [{"type": "SequenceLength"}], "i": [{"type": "ConvertImageToBase64"}]}`,
			list(workflow.IntOf(1), workflow.IntOf(1)), "POST", "/data-sink", "application/json", `{"n":2,"i":"SlBFRwA2NHg0OCBxOTU="}`},
		"GET with json":     {`"method": "GET", "json_payload": {"n": 1}`, workflow.IntOf(3), "GET", "/data-sink", "application/json", `{"n":1}`},
		"POST with nothing": {`"method": "POST"`, workflow.IntOf(3), "POST", "/data-sink", "application/json", `{}`},
		"form": {`"method": "POST", "json_payload": {"ignored": 1}, "form_data": {"a": "x y", "l": [1, 2], "n": "$steps.v.value"}, "form_data_operations": {"n": [{"type": "ToString"}]}`,
			workflow.IntOf(3), "POST", "/data-sink", "application/x-www-form-urlencoded", "a=x+y&l=1&l=2&n=3"},
	} {
		t.Run(name, func(t *testing.T) {
			got := sent(t, c.properties, c.value)
			if got.method != c.method || got.target != c.target || got.header.Get("Content-Type") != c.kind || got.body != c.body {
				t.Errorf("got  %s %s %q %s\nwant %s %s %q %s", got.method, got.target, got.header.Get("Content-Type"), got.body, c.method, c.target, c.kind, c.body)
			}
			if key := got.header.Get("Idempotency-Key"); (key == "") != (c.method == "GET") {
				t.Errorf("Idempotency-Key %q", key)
			}
		})
	}
}

// The multipart bodies of example 06, byte by byte.
func TestWebhookMultipart(t *testing.T) {
	for _, method := range []string{"GET", "POST", "PUT"} {
		got := sent(t, fmt.Sprintf(`"method": %q, "multi_part_encoded_files": {"image": "$inputs.image", "odd \"name\"": "$steps.v.value"}, "multi_part_encoded_files_operations": {"image": [{"type": "ConvertImageToJPEG"}]},
			"form_data": {"form_field": "$inputs.p", "list": ["a", 1.5]}`, method), workflow.BytesOf([]byte("\x00\xff")))
		kind, params, err := mime.ParseMediaType(got.header.Get("Content-Type"))
		if err != nil || kind != "multipart/form-data" || got.method != method {
			t.Fatalf("%s %s, %v", got.method, kind, err)
		}
		b := params["boundary"]
		part := func(name, content string) string {
			return "--" + b + "\r\nContent-Disposition: form-data; " + name + "\r\n\r\n" + content + "\r\n"
		}
		want := part(`name="form_field"`, "P & p") + part(`name="list"`, "a") + part(`name="list"`, "1.5") +
			part(`name="image"; filename="image"`, "JPEG\x0064x48 q95") + part(`name="odd %22name%22"; filename="odd %22name%22"`, "\x00\xff") + "--" + b + "--\r\n"
		if got.body != want {
			t.Errorf("got\n%q\nwant\n%q", got.body, want)
		}
		form, err := multipart.NewReader(bytes.NewReader([]byte(got.body)), b).ReadForm(1 << 20)
		if err != nil || len(form.File["image"]) != 1 || form.Value["form_field"][0] != "P & p" {
			t.Errorf("form %+v, %v", form, err)
		}
	}
}

func TestWebhookHeaders(t *testing.T) {
	got := sent(t, `"method": "POST", "headers": {"x-data-origin": "workflows", "x-dynamic-header": "$inputs.p", "x-n": 21.37, "x-null": null, "content-type": "application/vnd.x+json", "Idempotency-Key": "mine"}`)
	for name, want := range map[string]string{
		"x-data-origin": "workflows", "x-dynamic-header": "P & p", "x-n": "21.37", "Content-Type": "application/vnd.x+json", "Idempotency-Key": "mine", "User-Agent": "Perch",
	} {
		if v := got.header.Values(name); len(v) != 1 || v[0] != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	if _, ok := got.header["X-Null"]; ok {
		t.Error("null became a header")
	}
}

func TestWebhookMistakes(t *testing.T) {
	const ok = `"url": "http://127.0.0.1:1/x", "method": "POST"`
	for name, c := range map[string]struct{ properties, says string }{
		"URL":             {`"url": "ftp://x", "method": "POST"`, `property "url": the URL must look like`},
		"method":          {`"url": "http://x", "method": "PATCH"`, "one of GET, POST, PUT"},
		"operation":       {ok + `, "json_payload": {"a": 1}, "json_payload_operations": {"a": [{"type": "Sequencelength"}]}`, "SequenceLength"},
		"operation of":    {ok + `, "json_payload": {"a": 1}, "json_payload_operations": {"b": []}`, "json_payload_operations.b"},
		"image in header": {ok + `, "headers": {"a": "$inputs.image"}`, "$inputs.image is image"},
		"timeout":         {ok + `, "request_timeout": 0`, "request_timeout"},
		"cooldown":        {ok + `, "cooldown_seconds": -1`, "cooldown_seconds"},
	} {
		if got := refused(t, Options{}, newEnv(), "roboflow_core/webhook_sink@v1", c.properties); !strings.Contains(got, c.says) {
			t.Errorf("%s: %s", name, got)
		}
	}
	// What only a frame can show is an error of the sink, not of the frame.
	h := harness(t, Options{}, newEnv(), "roboflow_core/webhook_sink@v1", ok+`, "headers": {"a": "$steps.v.value"}`, workflow.StringOf("x\r\nEvil: 1"))
	if r := h.Blank(); len(r.Deliveries) != 0 || h.JSON("error") != "true" || !strings.Contains(h.JSON("message"), "header a has a line break") {
		t.Errorf("%d deliveries, %s", len(r.Deliveries), status(h))
	}
	// A step whose input is null does not run: no webhook without an aggregate.
	h = harness(t, Options{}, newEnv(), "roboflow_core/webhook_sink@v1", ok+`, "json_payload": {"a": "$steps.v.value"}`, workflow.Value{})
	if r := h.Blank(); len(r.Deliveries) != 0 || h.JSON("message") != "null" {
		t.Errorf("%d deliveries, %s", len(r.Deliveries), status(h))
	}
}
