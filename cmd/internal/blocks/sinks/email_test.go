package sinks

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"

	"perch/cmd/internal/deliver"
	"perch/pipeline/workflow"
)

const (
	emailOne = "roboflow_core/email_notification@v1"
	emailTwo = "roboflow_core/email_notification@v2"
	ownSMTP  = `"sender_email": "me@example.org", "smtp_server": "smtp.example.org", "sender_email_password": "secret"`
)

// letter is what one frame of a mail step owes.
func letter(t *testing.T, typ, properties string, value workflow.Value) deliver.Letter {
	t.Helper()
	h := harness(t, Options{MailFrom: "perch@device.example.org"}, newEnv(), typ, properties, value)
	r := h.Blank()
	if len(r.Deliveries) != 1 {
		t.Fatalf("%d deliveries, %s", len(r.Deliveries), status(h))
	}
	var l deliver.Letter
	if err := json.Unmarshal(r.Deliveries[0].Body, &l); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(l.Text), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line that mail may not have: %q", line)
		}
	}
	return l
}

// parts reads a mail's parts, one of which may hold parts itself: type,
// disposition, content id and content of each.
func parts(t *testing.T, contentType string, body io.Reader) (list []string) {
	t.Helper()
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	for r := multipart.NewReader(body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		kind := p.Header.Get("Content-Type")
		if strings.HasPrefix(kind, "multipart/") {
			list = append(list, parts(t, kind, p)...)
			continue
		}
		var content io.Reader = quotedprintable.NewReader(p)
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			content = base64.NewDecoder(base64.StdEncoding, p)
		}
		b, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s|%s|%s|%s", kind, p.Header.Get("Content-Disposition"), p.Header.Get("Content-Id"), b))
	}
}

func TestPlainMail(t *testing.T) {
	l := letter(t, emailOne, ownSMTP+`, "subject": "Tür\r\nBcc: evil@example.org", "receiver_email": ["a@example.org", "b@example.org"], "cc_receiver_email": "c@example.org",
		"smtp_port": 587, "message": "Größe {{ $parameters.n }}, {{$parameters.p}}\n.\nend",
		"message_parameters": {"n": "$steps.v.value", "p": "$inputs.p"}, "message_parameters_operations": {"n": [{"type": "SequenceLength"}]},
		"attachments": {"report ü.csv": "$inputs.p", "frame": "$inputs.image"}`, workflow.ListOf(make([]workflow.Value, 3)))
	m, err := mail.ReadMessage(strings.NewReader(string(l.Text)))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "Tür\r\nBcc: evil@example.org" || m.Header.Get("Bcc") != "" {
		t.Errorf("subject %q, Bcc %q, %v", subject, m.Header.Get("Bcc"), err)
	}
	for name, want := range map[string]string{"From": "<me@example.org>", "To": "<a@example.org>, <b@example.org>", "Cc": "<c@example.org>", "Mime-Version": "1.0"} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if at, err := m.Header.Date(); err != nil || at.Year() != 2026 || !strings.HasSuffix(m.Header.Get("Message-Id"), "@example.org>") {
		t.Errorf("date %v, %v, id %s", at, err, m.Header.Get("Message-Id"))
	}
	got := parts(t, m.Header.Get("Content-Type"), m.Body)
	want := []string{
		"text/plain; charset=utf-8|||Größe 3, P & p\r\n.\r\nend",
		"application/octet-stream|attachment; filename*=utf-8''report%20%C3%BC.csv||P & p",
		"image/jpeg|attachment; filename=frame.jpg||JPEG\x0064x48 q95",
	}
	if strings.ReplaceAll(strings.Join(got, "\n~"), "\r\n", "\n") != strings.ReplaceAll(strings.Join(want, "\n~"), "\r\n", "\n") {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if s := l.Server; s == nil || s.Host != "smtp.example.org" || s.Port != 587 || s.Username != "me@example.org" || s.Password != "secret" || s.From != "me@example.org" || s.Plain {
		t.Errorf("server %+v", s)
	}
	if strings.Join(l.To, " ") != "a@example.org b@example.org c@example.org" {
		t.Errorf("recipients %v", l.To)
	}
}

func TestHTMLMail(t *testing.T) {
	l := letter(t, emailTwo, `"subject": "s", "receiver_email": "a@example.org", "bcc_receiver_email": ["d@example.org"], "message": "<b>Seen</b> {{ $parameters.v }}\n{{ $parameters.pic }} again {{ $parameters.pic }}",
		"message_parameters": {"v": "$steps.v.value", "pic": "$inputs.image", "unused": "$inputs.image"}, "attachments": {"a.jpeg": "$inputs.image"}`, workflow.StringOf("<script>"))
	m, err := mail.ReadMessage(strings.NewReader(string(l.Text)))
	if err != nil {
		t.Fatal(err)
	}
	const img = `<img src="cid:image_cGlj" alt="pic" style="max-width: 600px; height: auto;">`
	got := parts(t, m.Header.Get("Content-Type"), m.Body)
	want := []string{
		"text/html; charset=utf-8|||<b>Seen</b> &lt;script&gt;<br>\n" + img + " again " + img,
		"image/jpeg|inline; filename=pic.jpg|<image_cGlj>|JPEG\x0064x48 q95",
		"image/jpeg|attachment; filename=a.jpeg||JPEG\x0064x48 q95",
	}
	if strings.ReplaceAll(strings.Join(got, "\n~"), "\r\n", "\n") != strings.Join(want, "\n~") {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	// Through the device's own server; Bcc is in the envelope only.
	if l.Server != nil || m.Header.Get("From") != "<perch@device.example.org>" || strings.Contains(string(l.Text), "d@example.org") || len(l.To) != 2 {
		t.Errorf("server %+v, from %s, to %v", l.Server, m.Header.Get("From"), l.To)
	}
}

func TestMailMistakes(t *testing.T) {
	const base = `"subject": "s", "message": "m", "receiver_email": "a@example.org"`
	with := Options{MailFrom: "perch@example.org"}
	for name, c := range map[string]struct {
		o                Options
		typ, props, says string
	}{
		"no server of the device": {Options{}, emailTwo, base, `smtp.host`},
		"custom, no server":       {with, emailTwo, base + `, "email_provider": "Custom SMTP"`, `property "sender_email": it is missing`},
		"v1, no password":         {with, emailOne, base + `, "sender_email": "a@example.org", "smtp_server": "x"`, `"sender_email_password": it is missing`},
		"receiver":                {with, emailTwo, strings.Replace(base, "a@example.org", "a@example.org\\r\\nBcc: x@example.org", 1), `property "receiver_email"`},
		"nobody":                  {with, emailTwo, strings.Replace(base, `"a@example.org"`, "[]", 1), "names nobody"},
		"place without a value":   {with, emailTwo, strings.Replace(base, `"m"`, `"{{ $parameters.n }}"`, 1), `there is no value "n"`},
		"port":                    {with, emailTwo, base + `, "smtp_port": 0`, "smtp_port"},
	} {
		if got := refused(t, c.o, newEnv(), c.typ, c.props); !strings.Contains(got, c.says) {
			t.Errorf("%s: %s", name, got)
		}
	}
	// An address that only a frame can show.
	h := harness(t, with, newEnv(), emailTwo, strings.Replace(base, `"a@example.org"`, `"$steps.v.value"`, 1), workflow.ListOf(nil))
	if h.Blank(); h.JSON("error") != "true" || !strings.Contains(h.JSON("message"), "no recipient") {
		t.Error(status(h))
	}
}
