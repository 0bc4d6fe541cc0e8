// Package sinks has the blocks of workflows that have an effect outside:
// webhooks, mail, Slack, messages to brokers, files. Each is one file, its
// manifest beside its code.
//
// What is sent without waiting for the answer becomes a [pipeline.Delivery]: it
// is stored with the frame's result and tried until it arrives, is refused or
// expires.
package sinks

import (
	"context"
	"time"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

const prefix = "roboflow_core/"

// What outputs say.
const (
	disabledByPolicy = "Sink was disabled by workflow execution policy"
	disabledByField  = "Sink was disabled by parameter `disable_sink`"
	coolingDown      = "Sink cooldown applies"
	sentLater        = "Notification sent in the background task"
	sentNow          = "Notification sent successfully"
)

const defaultKeep = 24 * time.Hour

// Options are what the sinks need of the program.
type Options struct {
	// Send makes one attempt at a delivery, for steps that wait for the answer.
	Send func(ctx context.Context, d pipeline.Delivery) error
	// Guarded limits where workflows may reach to what the guard of the
	// deliverer allows. It is for workflows that clients send; those of the
	// device's owner are trusted.
	Guarded bool
	// Keep is how long a delivery is tried; 24 h.
	Keep time.Duration

	Brokers    []string // host:port under which the device's own broker is known
	MailFrom   string   // sender of mail through the device's own mail server; "": there is none
	AllowWrite []string // folders below which files may be written; relative targets lie in the first
}

// Manifests returns the manifests of this package's blocks.
func Manifests(o Options) []*workflow.Manifest {
	if o.Keep <= 0 {
		o.Keep = defaultKeep
	}
	return []*workflow.Manifest{
		mqttWriter(&o),
		webhook(&o),
		localFile(&o),
		emailV1(&o),
		emailV2(&o),
		slack(&o),
	}
}

// text is a field of a string.
func text(name, doc string) workflow.Field {
	return workflow.Field{Name: name, Kinds: []workflow.Kind{workflow.StringKind}, Literal: workflow.StringLiteral, Default: workflow.StringOf(""), Doc: doc}
}

// secret is a field of a string that should come from a parameter.
func secret(name, doc string) workflow.Field {
	f := text(name, doc+"; better a parameter than written into the workflow")
	f.Kinds = append(f.Kinds, workflow.SecretKind)
	return f
}

func flag(name string, standard bool, doc string) workflow.Field {
	return workflow.Field{Name: name, Kinds: []workflow.Kind{workflow.BooleanKind}, Literal: workflow.BoolLiteral, Default: workflow.BoolOf(standard), Doc: doc}
}

func whole(name string, standard, low, high int64, doc string) workflow.Field {
	return workflow.Field{
		Name: name, Kinds: workflow.Numbers(), Literal: workflow.IntegerLiteral, Default: workflow.IntOf(standard), Min: float64(low), Max: float64(high), Doc: doc,
	}
}

func required(f workflow.Field) workflow.Field {
	f.Required, f.Default = true, workflow.Value{}
	return f
}

func errorOutput() workflow.Output {
	return workflow.Output{Name: "error_status", Kinds: []workflow.Kind{workflow.BooleanKind}, Doc: "true if it failed; false for what is sent in the background"}
}

func messageOutput() workflow.Output {
	return workflow.Output{Name: "message", Kinds: []workflow.Kind{workflow.StringKind}, Doc: "what was done, or why not"}
}

// quietFor is how long a sink says nothing more of what keeps failing.
const quietFor = 30 * time.Second

// A journal logs failures, but not each frame's: what lasts for hours must not
// fill the log.
type journal struct {
	said time.Time
	text string
}

func (j *journal) warn(c *workflow.Call, sink string, err error) {
	now, text := c.Env().Now(), err.Error()
	if since := now.Sub(j.said); text == j.text && since >= 0 && since < quietFor {
		return
	}
	j.said, j.text = now, text
	c.Env().Log.Warn("a sink failed", "sink", sink, "error", err)
}
