package sinks

import (
	"time"

	"perch/cmd/internal/deliver"
	"perch/pipeline/workflow"
)

const slackTimeout = 10 * time.Second // while a frame waits

func slack(o *Options) *workflow.Manifest {
	fields := append([]workflow.Field{
		required(secret("slack_token", "token of a bot or user with the right chat:write (and files:write for attachments), or the URL of an incoming webhook, https://hooks.slack.com/...")),
		required(text("channel", "the channel's id (C1234567890; attachments need it) or its name with #; an incoming webhook has its own")),
	}, messageFields()...)
	fields = append(fields, noticeFields()...)
	fields = append(fields, text("cooldown_session_key", "has no effect: each step has a cooldown of its own"))
	return &workflow.Manifest{
		Type: prefix + "slack_notification@v1", Title: "Slack Notification", Group: "sink", Sink: true,
		Doc:     "Sends a message to a Slack channel. In the background it is tried until Slack takes it, refuses it, or a day has passed.",
		Fields:  fields,
		Outputs: noticeOutputs(),
		New:     func(p *workflow.Params) (workflow.Block, error) { return newSlack(o, p) },
	}
}

type slackBlock struct {
	notice
	message
	token, channel workflow.In
}

func newSlack(o *Options, p *workflow.Params) (workflow.Block, error) {
	m, err := newMessage(p)
	if err != nil {
		return nil, err
	}
	if v, ok := p.Const("slack_token"); ok {
		s, _ := v.Str()
		if (&deliver.Post{Token: s}).Incoming() && len(m.attachments) > 0 {
			return nil, p.Fault("attachments", "an incoming webhook of Slack takes none", "use the token of a bot")
		}
	}
	return &slackBlock{notice: newNotice(o, p, "Slack notification"), message: m, token: p.In("slack_token"), channel: p.In("channel")}, nil
}

func (b *slackBlock) Run(c *workflow.Call) error {
	return b.run(c, slackTimeout, func() (job, error) { return b.post(c) })
}

func (b *slackBlock) post(c *workflow.Call) (*deliver.Post, error) {
	p := &deliver.Post{Guarded: b.opt.Guarded}
	var err error
	if p.Token, err = c.Str(b.token); err != nil {
		return nil, err
	}
	if p.Channel, err = c.Str(b.channel); err != nil {
		return nil, err
	}
	if p.Text, err = b.plain(c); err != nil {
		return nil, err
	}
	p.Files, err = b.files(c)
	return p, err
}
