package track

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"perch/pipeline"
)

func TestDefaultsAreAccepted(t *testing.T) {
	for name, o := range map[string]Options{"defaults": Defaults(), "trackers": Trackers()} {
		if _, err := New(o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptionsThatCannotBeMeant(t *testing.T) {
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"nothing set":         {func(o *Options) { *o = Options{} }, "matching threshold"},
		"negative score":      {func(o *Options) { o.ActivationThreshold = -.1 }, "activation threshold"},
		"not a number":        {func(o *Options) { o.LowScore = nan }, "low score"},
		"percent":             {func(o *Options) { o.BeginThreshold = 35 }, "begin threshold"},
		"cost above 1":        {func(o *Options) { o.MatchingThreshold = 1.1 }, "matching threshold"},
		"cost of nothing":     {func(o *Options) { o.LowThreshold = 0 }, "low threshold"},
		"unconfirmed":         {func(o *Options) { o.UnconfirmedThreshold = nan }, "unconfirmed threshold"},
		"negative buffer":     {func(o *Options) { o.LostBuffer = -1 }, "lost track buffer"},
		"endless buffer":      {func(o *Options) { o.LostBuffer = 1 << 30 }, "lost track buffer"},
		"negative frames":     {func(o *Options) { o.MinConsecutiveFrames = -1 }, "minimum consecutive frames"},
		"negative frame rate": {func(o *Options) { o.FrameRate = -30 }, "frame rate"},
		"a clock's rate":      {func(o *Options) { o.FrameRate = 90000 }, "use 0 when it is not known"},
		"rate not a number":   {func(o *Options) { o.FrameRate = math.NaN() }, "frame rate"},
		"a long gap":          {func(o *Options) { o.MaxGap = time.Hour }, "longest gap"},
		"no tracks":           {func(o *Options) { o.MaxTracks = 0 }, "most tracks"},
		"too many tracks":     {func(o *Options) { o.MaxTracks = 1 << 30 }, "most tracks"},
	} {
		o := Defaults()
		c.change(&o)
		_, err := New(o)
		var e *pipeline.Error
		if !errors.As(err, &e) || e.Kind != pipeline.BadConfig || e.Hint == "" || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The block trackers_bytetrack: overlap alone decides, a low score is offered
// down to 0, and a track has its id on the second frame.
func TestTrackersBlock(t *testing.T) {
	tr, err := New(Trackers())
	if err != nil {
		t.Fatal(err)
	}
	frames := []dets{nil, {walker(0, .75)}, {walker(30, .75)}, {walker(40, .05)}, {walker(40, .65), walker(300, .65)}, {walker(40, .65), walker(300, .65)}}
	if got := play(tr, frames...); got != "|0|1|1|1,0|1,0" {
		t.Error(got)
	}
	if tr, err = New(Trackers()); err != nil {
		t.Fatal(err)
	}
	if got := play(tr, dets{walker(0, .75)}, dets{walker(0, .75)}); got != "0|1" {
		t.Errorf("the first frame: %s", got)
	}
}
