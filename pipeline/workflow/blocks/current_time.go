package blocks

import (
	"fmt"
	"time"
	_ "time/tzdata" // devices need not have the time zones installed

	"perch/pipeline/workflow"
)

func currentTime() *workflow.Manifest {
	text := []workflow.Kind{workflow.StringKind}
	return &workflow.Manifest{
		Type: prefix + "current_time@v1", Title: "Current Time", Group: "formatting",
		Doc: "The time of day on the device's clock, in a time zone.",
		Fields: []workflow.Field{
			{Name: "timezone", Kinds: text, Literal: workflow.StringLiteral, Default: workflow.StringOf("UTC"), Doc: "name of the time zone in the IANA data base, for example Europe/Berlin"},
		},
		Outputs: []workflow.Output{
			{Name: "timestamp", Kinds: []workflow.Kind{workflow.TimestampKind}, Doc: "the time"},
			{Name: "iso_string", Kinds: text, Doc: "2026-01-02T03:04:05.123456+00:00"},
			{Name: "date", Kinds: text, Doc: "2026-01-02"},
			{Name: "time", Kinds: text, Doc: "03:04:05"},
		},
		New: func(p *workflow.Params) (workflow.Block, error) {
			b := &timeBlock{zone: p.In("timezone")}
			if v, ok := p.Const("timezone"); ok {
				name, _ := v.Str()
				if err := b.load(name); err != nil {
					return nil, p.Fault("timezone", err.Error(), "a name of the IANA data base, for example Europe/Berlin or UTC")
				}
			}
			return b, nil
		},
	}
}

type timeBlock struct {
	zone workflow.In
	name string
	loc  *time.Location
}

func (b *timeBlock) load(name string) error {
	if b.loc != nil && name == b.name {
		return nil
	}
	// Go has two names of its own, which mean something else on each device.
	if name == "" || name == "Local" {
		return fmt.Errorf("there is no time zone %q", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return fmt.Errorf("there is no time zone %q", name)
	}
	b.name, b.loc = name, loc
	return nil
}

func (b *timeBlock) Run(c *workflow.Call) error {
	name, err := c.Str(b.zone)
	if err != nil {
		return err
	}
	if err := b.load(name); err != nil {
		return err
	}
	now := c.Env().Now().In(b.loc)
	c.Set(0, workflow.TimeOf(now))
	c.Set(1, workflow.StringOf(workflow.ISOTime(now)))
	c.Set(2, workflow.StringOf(now.Format(time.DateOnly)))
	c.Set(3, workflow.StringOf(now.Format(time.TimeOnly)))
	return nil
}
