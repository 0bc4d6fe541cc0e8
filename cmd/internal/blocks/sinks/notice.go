package sinks

import (
	"context"
	"fmt"
	"time"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/storage"
)

// noticeFields are the fields of every block that notifies somebody.
func noticeFields() []workflow.Field {
	return []workflow.Field{
		flag("fire_and_forget", true, "true: what is to be sent is stored with the frame's result and sent in the background, again and again for a day until it arrives; false: it is sent once while the frame waits, and error_status tells what came of it"),
		flag("disable_sink", false, "true sends nothing"),
		{Name: "cooldown_seconds", Kinds: workflow.Numbers(), Literal: workflow.NumberLiteral, Default: workflow.IntOf(5), Min: 0, Max: 86400,
			Doc: "seconds after an attempt during which nothing more is sent; 0 for none. Attempts count, whether they succeed or not"},
	}
}

func noticeOutputs() []workflow.Output {
	return []workflow.Output{
		errorOutput(),
		{Name: "throttling_status", Kinds: []workflow.Kind{workflow.BooleanKind}, Doc: "true if nothing was sent because of cooldown_seconds"},
		messageOutput(),
	}
}

// notice is what all blocks that notify somebody have in common.
type notice struct {
	opt                    *Options
	what                   string // in errors: "webhook notification"
	forget, disable, pause workflow.In
	fired                  bool
	last                   time.Time // of the last attempt
	log                    journal
}

func newNotice(o *Options, p *workflow.Params, what string) notice {
	return notice{opt: o, what: what, forget: p.In("fire_and_forget"), disable: p.In("disable_sink"), pause: p.In("cooldown_seconds")}
}

// job is something that can be sent.
type job interface {
	Check() error // why it can never be sent
	Delivery(created time.Time, keep time.Duration) (pipeline.Delivery, error)
}

// run sends what build makes, unless the sink is turned off or has to wait.
// Errors of build fail the step: its inputs are not what they must be.
func (n *notice) run(c *workflow.Call, timeout time.Duration, build func() (job, error)) error {
	now := c.Env().Now()
	wait, err := n.closed(c, now)
	if err != nil || wait {
		return err
	}
	forget, err := c.Bool(n.forget)
	if err != nil {
		return err
	}
	j, err := build()
	if err != nil {
		return err
	}
	n.fired, n.last = true, now
	if err := j.Check(); err != nil {
		n.failed(c, err)
		return nil
	}
	d, err := j.Delivery(now, n.opt.Keep)
	if err != nil {
		return err
	}
	if len(d.Body) > storage.MaxDelivery {
		n.failed(c, fmt.Errorf("it would have %d bytes, the most is %d", len(d.Body), storage.MaxDelivery))
		return nil
	}
	if forget {
		c.Deliver(d)
		n.say(c, false, false, sentLater)
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context(), timeout)
	defer cancel()
	if err := n.opt.Send(ctx, d); err != nil {
		n.failed(c, err)
		return nil
	}
	n.say(c, false, false, sentNow)
	return nil
}

// closed reports whether nothing may be sent now, and says why.
func (n *notice) closed(c *workflow.Call, now time.Time) (bool, error) {
	if c.Env().DisableSinks {
		n.say(c, false, false, disabledByPolicy)
		return true, nil
	}
	off, err := c.Bool(n.disable)
	if err != nil {
		return false, err
	}
	if off {
		n.say(c, false, false, disabledByField)
		return true, nil
	}
	seconds, err := c.Float(n.pause)
	if err != nil {
		return false, err
	}
	if n.fired && now.Sub(n.last).Seconds() < seconds {
		n.say(c, false, true, coolingDown)
		return true, nil
	}
	return false, nil
}

func (n *notice) failed(c *workflow.Call, err error) {
	n.say(c, true, false, fmt.Sprintf("Failed to send %s. Internal error details: %v", n.what, err))
	n.log.warn(c, n.what, err)
}

func (n *notice) say(c *workflow.Call, failed, throttled bool, message string) {
	c.Set(0, workflow.BoolOf(failed))
	c.Set(1, workflow.BoolOf(throttled))
	c.Set(2, workflow.StringOf(message))
}
