package sinks

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"

	"perch/cmd/internal/deliver"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

func webhook(o *Options) *workflow.Manifest {
	plain := []workflow.Kind{
		workflow.StringKind, workflow.IntegerKind, workflow.FloatKind, workflow.FractionKind, workflow.BooleanKind, workflow.ModelKind,
		workflow.SecretKind, workflow.TimestampKind,
	}
	named := func(name, doc string, kinds []workflow.Kind) workflow.Field {
		return workflow.Field{Name: name, Form: workflow.Named, Kinds: kinds, Literal: workflow.AnyLiteral, Doc: doc}
	}
	operations := func(of string) workflow.Field {
		return workflow.Field{Name: of + "_operations", Literal: workflow.ObjectLiteral, Doc: "operations on the values of " + of + ", by name"}
	}
	fields := []workflow.Field{
		required(text("url", "where the request goes, http:// or https://")),
		{Name: "method", Required: true, Literal: workflow.EnumLiteral, Enum: []string{"GET", "POST", "PUT"}, Doc: "HTTP method"},
		named("query_parameters", "parameters added to the URL, by name; a list becomes several of the same name", append(plain, workflow.ListKind)),
		named("headers", "header fields, by name", plain),
		named("json_payload", "the body, a JSON object, by key", workflow.Anything()), operations("json_payload"),
		named("multi_part_encoded_files", "files of a multipart/form-data body, by name; the body is then not JSON", workflow.Anything()), operations("multi_part_encoded_files"),
		named("form_data", "form fields, by name; without files the body is a URL-encoded form", workflow.Anything()), operations("form_data"),
		{Name: "request_timeout", Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Default: workflow.IntOf(2), MinOpen: true, Max: 60, Doc: "seconds until one attempt is given up"},
	}
	return &workflow.Manifest{
		Type: prefix + "webhook_sink@v1", Title: "Webhook Sink", Group: "sink", Sink: true,
		Doc: "Sends an HTTP request with results. In the background it is tried until the server answers 2xx, refuses it (4xx other than 408 and 429), or a day has passed; " +
			"it may then arrive twice, and the header Idempotency-Key of POST and PUT is the same on each attempt. Redirects to other servers are not followed.",
		Fields:  append(fields, noticeFields()...),
		Outputs: noticeOutputs(),
		New:     func(p *workflow.Params) (workflow.Block, error) { return newWebhook(o, p) },
	}
}

type webhookBlock struct {
	notice
	url, timeout         workflow.In
	method               string
	params, headers      []workflow.NamedIn
	payload, files, form *query.Inputs
	given                bool // json_payload is written, even if it is empty
}

func newWebhook(o *Options, p *workflow.Params) (workflow.Block, error) {
	b := &webhookBlock{
		notice: newNotice(o, p, "webhook notification"), url: p.In("url"), timeout: p.In("request_timeout"),
		params: p.Named("query_parameters"), headers: p.Named("headers"), given: p.Given("json_payload"),
	}
	method, _ := p.Const("method")
	b.method, _ = method.Str()
	for _, f := range []struct {
		name string
		to   **query.Inputs
	}{{"json_payload", &b.payload}, {"multi_part_encoded_files", &b.files}, {"form_data", &b.form}} {
		in, err := query.CompileInputs(p, f.name, f.name+"_operations")
		if err != nil {
			return nil, err
		}
		*f.to = in
	}
	if v, ok := p.Const("url"); ok {
		s, _ := v.Str()
		if err := (&deliver.Request{URL: s}).Check(); err != nil {
			return nil, p.Fault("url", err.Error(), "")
		}
	}
	return b, nil
}

func (b *webhookBlock) Run(c *workflow.Call) error {
	seconds, err := c.Float(b.timeout)
	if err != nil {
		return err
	}
	timeout := time.Duration(seconds * float64(time.Second))
	return b.run(c, timeout, func() (job, error) { return b.request(c, timeout) })
}

func (b *webhookBlock) request(c *workflow.Call, timeout time.Duration) (*deliver.Request, error) {
	to, err := c.Str(b.url)
	if err != nil {
		return nil, err
	}
	r := &deliver.Request{Method: b.method, URL: to, Timeout: timeout, Guarded: b.opt.Guarded}
	if err := addQuery(c, r, b.params); err != nil {
		return nil, err
	}
	contentType, err := b.fill(c, r)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		r.Headers = append(r.Headers, deliver.Header{Name: "Content-Type", Value: contentType})
	}
	if b.method != http.MethodGet {
		r.Headers = append(r.Headers, deliver.Header{Name: "Idempotency-Key", Value: rand.Text()})
	}
	for _, h := range b.headers { // last, so that they win
		v := c.Value(h.In)
		if v.IsNull() {
			continue
		}
		s, err := query.Text(v)
		if err != nil {
			return nil, err
		}
		r.Headers = append(r.Headers, deliver.Header{Name: h.Key, Value: s})
	}
	return r, nil
}

// addQuery adds parameters to the URL in the order written: lists as several of
// the same name, null not at all.
func addQuery(c *workflow.Call, r *deliver.Request, params []workflow.NamedIn) error {
	var b strings.Builder
	for _, p := range params {
		for _, v := range several(c.Value(p.In)) {
			s, err := query.Text(v)
			if err != nil {
				return err
			}
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			b.WriteString(url.QueryEscape(p.Key) + "=" + url.QueryEscape(s))
		}
	}
	if b.Len() == 0 {
		return nil
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil // the request's own check says so
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += b.String()
	r.URL = u.String()
	return nil
}

// several are the values that a form takes for one: a list's items, without
// null.
func several(v workflow.Value) []workflow.Value {
	items, ok := v.Items()
	if !ok {
		items = []workflow.Value{v}
	}
	out := make([]workflow.Value, 0, len(items))
	for _, v := range items {
		if !v.IsNull() {
			out = append(out, v)
		}
	}
	return out
}
