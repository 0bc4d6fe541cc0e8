package blocks

import (
	"time"

	"perch/pipeline/workflow"
)

func rateLimiter() *workflow.Manifest {
	return &workflow.Manifest{
		Type: prefix + "rate_limiter@v1", Title: "Rate Limiter", Group: "flow",
		Doc: "Lets the next steps run once, and then not again for some seconds.",
		Fields: []workflow.Field{
			{Name: "cooldown_seconds", Literal: workflow.NumberLiteral, Kinds: workflow.Numbers(), Default: workflow.FloatOf(1), Max: 1e9, Doc: "seconds between two runs of the next steps; 0 lets every run through"},
			{Name: "depends_on", Required: true, Kinds: workflow.Anything(), Doc: "an output of the step before; while that is null, the next steps do not run"},
			{Name: "next_steps", Required: true, Form: workflow.Steps, Doc: "the steps that are held back"},
			{Name: "video_reference_image", Kinds: []workflow.Kind{workflow.ImageKind}, Pixels: workflow.NoPixels, Doc: "an image of the video: seconds are then those of the video (frame number / frame rate of a file, the frame's time of a camera) instead of those of the clock"},
		},
		Flow: true,
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &rateBlock{cooldown: p.In("cooldown_seconds"), next: p.Targets("next_steps"), video: p.Given("video_reference_image")}, nil
		},
	}
}

type rateBlock struct {
	cooldown workflow.In
	next     []workflow.Target
	video    bool
	ran      bool
	last     float64   // seconds of the video
	clock    time.Time // with its monotonic part: setting the clock changes nothing
}

func (b *rateBlock) Run(c *workflow.Call) error {
	cooldown, err := c.Float(b.cooldown)
	if err != nil {
		return err
	}
	now, clock := c.Frame().Seconds(), c.Env().Now()
	passed := clock.Sub(b.clock).Seconds()
	if b.video {
		passed = now - b.last
	}
	// A time before the last one is a clock that was set back.
	if b.ran && passed >= 0 && passed < cooldown-tinyTime {
		return nil
	}
	b.ran, b.last, b.clock = true, now, clock
	for _, t := range b.next {
		c.Allow(t)
	}
	return nil
}

// tinyTime is what sums of frame times are off by, in seconds: a second of 30
// frames must count as one.
const tinyTime = 1e-6
