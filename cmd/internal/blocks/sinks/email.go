package sinks

import (
	"fmt"
	"net/mail"
	"time"

	"perch/cmd/internal/deliver"
	"perch/pipeline/workflow"
)

const (
	managed     = "Roboflow Managed API Key" // here: the device's own mail server
	ownServer   = "Custom SMTP"
	mailTimeout = 20 * time.Second // while a frame waits
)

func emailV1(o *Options) *workflow.Manifest { return email(o, 1) }
func emailV2(o *Options) *workflow.Manifest { return email(o, 2) }

func email(o *Options, version int) *workflow.Manifest {
	receivers := func(name, doc string) workflow.Field {
		return workflow.Field{Name: name, Kinds: []workflow.Kind{workflow.StringKind, workflow.ListKind}, Literal: workflow.AnyLiteral, Doc: doc + ": an address or a list of addresses"}
	}
	server := []workflow.Field{
		text("sender_email", "the sender's address, which is also the user at the mail server"),
		text("smtp_server", "host name of the mail server"),
		secret("sender_email_password", "the password at the mail server"),
	}
	fields := []workflow.Field{
		{Name: "subject", Required: true, Literal: workflow.StringLiteral, Doc: "subject of the mail"},
		required(receivers("receiver_email", "who gets it")),
	}
	form := "Sends a mail through a mail server of your own, as plain text."
	if version == 1 {
		for i := range server {
			server[i] = required(server[i])
		}
	} else {
		form = "Sends a mail, as HTML in which images can be shown."
		fields = append(fields, workflow.Field{
			Name: "email_provider", Literal: workflow.EnumLiteral, Enum: []string{managed, ownServer}, Default: workflow.StringOf(managed),
			Doc: managed + ": the mail server of this device's configuration (smtp), nothing goes to Roboflow; " + ownServer + ": the one that sender_email, smtp_server and sender_email_password name",
		})
	}
	fields = append(fields, server...)
	fields = append(fields,
		whole("smtp_port", 465, 1, 65535, "port of the mail server; 465 is encrypted from the first byte, on all others STARTTLS is required"),
		receivers("cc_receiver_email", "who gets a copy"), receivers("bcc_receiver_email", "who gets a copy that the others do not see"))
	fields = append(fields, messageFields()...)
	return &workflow.Manifest{
		Type: fmt.Sprintf("%semail_notification@v%d", prefix, version), Title: "Email Notification", Group: "sink", Sink: true,
		Doc:     form + " In the background it is tried until the server takes it, refuses it (5xx), or a day has passed.",
		Fields:  append(fields, noticeFields()...),
		Outputs: noticeOutputs(),
		New:     func(p *workflow.Params) (workflow.Block, error) { return newEmail(o, p, version) },
	}
}

type emailBlock struct {
	notice
	message
	html                           bool
	device                         bool // through the device's own mail server
	subject                        string
	to, cc, bcc                    workflow.In
	sender, server, password, port workflow.In
}

func newEmail(o *Options, p *workflow.Params, version int) (workflow.Block, error) {
	m, err := newMessage(p)
	if err != nil {
		return nil, err
	}
	b := &emailBlock{
		notice: newNotice(o, p, "e-mail"), message: m, html: version > 1, to: p.In("receiver_email"), cc: p.In("cc_receiver_email"), bcc: p.In("bcc_receiver_email"),
		sender: p.In("sender_email"), server: p.In("smtp_server"), password: p.In("sender_email_password"), port: p.In("smtp_port"),
	}
	subject, _ := p.Const("subject")
	b.subject, _ = subject.Str()
	for _, field := range []string{"receiver_email", "cc_receiver_email", "bcc_receiver_email"} {
		if v, ok := p.Const(field); ok {
			if list, err := addresses(v); err != nil {
				return nil, p.Fault(field, err.Error(), "for example alarm@example.org")
			} else if field == "receiver_email" && len(list) == 0 {
				return nil, p.Fault(field, "it names nobody", "an address or a list of addresses")
			}
		}
	}
	if version == 1 {
		return b, nil
	}
	provider, _ := p.Const("email_provider")
	if s, _ := provider.Str(); s == managed {
		b.device = true
		if o.MailFrom == "" && !p.Env().DisableSinks {
			return nil, p.Fault("email_provider", "mail of this kind goes through the device's own mail server, and none is configured", "set smtp.host and smtp.from in the configuration, or choose "+ownServer)
		}
		return b, nil
	}
	for _, field := range []string{"sender_email", "smtp_server", "sender_email_password"} {
		if v, ok := p.Const(field); ok {
			if s, _ := v.Str(); s == "" {
				return nil, p.Fault(field, "it is missing, and "+ownServer+" needs it", "")
			}
		}
	}
	return b, nil
}

func (b *emailBlock) Run(c *workflow.Call) error {
	return b.run(c, mailTimeout, func() (job, error) { return b.letter(c) })
}

func (b *emailBlock) letter(c *workflow.Call) (*deliver.Letter, error) {
	e := envelope{subject: b.subject, from: b.opt.MailFrom, date: c.Env().Now()}
	l := &deliver.Letter{Guarded: b.opt.Guarded}
	if !b.device {
		var err error
		if l.Server, err = b.mailServer(c); err != nil {
			return nil, err
		}
		e.from = l.Server.From
	}
	var bcc []string
	for _, f := range []struct {
		in workflow.In
		to *[]string
	}{{b.to, &e.to}, {b.cc, &e.cc}, {b.bcc, &bcc}} {
		list, err := addresses(c.Value(f.in))
		if err != nil {
			return nil, err
		}
		*f.to = list
	}
	l.To = append(append(append(l.To, e.to...), e.cc...), bcc...)
	var err error
	if b.html {
		e.kind = "text/html"
		e.text, e.files, err = b.message.html(c)
	} else {
		e.kind = "text/plain"
		e.text, err = b.plain(c)
	}
	if err != nil {
		return nil, err
	}
	more, err := b.files(c)
	if err != nil {
		return nil, err
	}
	e.files = append(e.files, more...)
	l.Text, err = e.compose()
	return l, err
}

func (b *emailBlock) mailServer(c *workflow.Call) (*deliver.MailServer, error) {
	s := &deliver.MailServer{}
	for _, f := range []struct {
		in workflow.In
		to *string
	}{{b.sender, &s.From}, {b.server, &s.Host}, {b.password, &s.Password}} {
		var err error
		if *f.to, err = optional(c, f.in); err != nil {
			return nil, err
		}
	}
	if s.Password != "" {
		s.Username = s.From
	}
	var err error
	s.Port, err = c.Int(b.port)
	return s, err
}

// addresses reads one address, a list of them, or none.
func addresses(v workflow.Value) ([]string, error) {
	items, ok := v.Items()
	if !ok {
		items = []workflow.Value{v}
	}
	var list []string
	for _, item := range items {
		s, isText := item.Str()
		if item.IsNull() || isText && s == "" {
			continue
		}
		a, err := mail.ParseAddress(s)
		if !isText || err != nil || a.Address != s {
			return nil, fmt.Errorf("%s is not an address", item.Describe())
		}
		list = append(list, s)
	}
	return list, nil
}
