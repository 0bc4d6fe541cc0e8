package main

import (
	"context"
	"sync/atomic"
	"time"

	"perch/cmd/internal/config"
	"perch/gst"
	"perch/pipeline"
	"perch/pipeline/draw"
)

// How a camera that is away is tried again: soon at first, at most every half
// minute, and rarely when it says no, because cameras lock accounts.
var (
	retryAway    = pipeline.Backoff{Min: time.Second, Max: 30 * time.Second}
	retryRefused = pipeline.Backoff{Min: time.Minute, Max: 10 * time.Minute}
)

// previewLinger is how long an encoder outlives its last viewer, so that a
// page which is loaded again does not start it anew.
const previewLinger = 5 * time.Second

// camera is one configured camera with what belongs to it.
type camera struct {
	*pipeline.Camera
	cfg     *config.Camera
	id      pipeline.SourceID
	plan    atomic.Pointer[plan] // what the next run runs
	preview *pipeline.Preview

	end  context.CancelFunc // ends it; set when it is started
	done chan struct{}      // closed when it has ended
}

// newCamera checks what can be checked without the camera; it does not open it.
func (a *app) newCamera(ctx context.Context, name string, cfg *config.Camera) (*camera, error) {
	w, err := a.readyPlan(ctx, cfg)
	if err != nil {
		return nil, &pipeline.Error{Op: "start camera", On: name, Kind: pipeline.KindOf(err), Err: err}
	}
	src, err := a.media.NewSource(a.sourceSpec(name, cfg))
	if err != nil {
		return nil, &pipeline.Error{Op: "start camera", On: name, Err: err}
	}
	c := &camera{cfg: cfg, id: src.ID()}
	c.plan.Store(w)
	drawer, err := draw.New()
	if err != nil {
		return nil, err
	}
	c.preview = pipeline.NewPreview(a.previewOptions(), a.media.OpenEncoder, drawer, a.log.With("camera", name))
	stall := time.Duration(cfg.StallAfter)
	c.Camera = &pipeline.Camera{
		Name: name, Device: a.device, StallAfter: stall, LostAfter: stall,
		Retry: retryAway, Refused: retryRefused, Events: a.store, NewID: a.ids.next,
		Log: a.log, Now: time.Now, Clock: a.clock.Read,
		Start: func(context.Context) (*pipeline.Run, error) { return a.newRun(name, c) },
	}
	return c, nil
}

// readyPlan compiles what a camera runs and makes sure that a run of it can
// begin: its models are loaded, its parameters are there.
func (a *app) readyPlan(ctx context.Context, cfg *config.Camera) (*plan, error) {
	w, err := a.cameraPlan(ctx, cfg)
	if err != nil {
		return nil, err
	}
	e, err := a.engine(w, "", "")
	if err != nil {
		return nil, err
	}
	w.models = e.About().Models
	return w, e.Close()
}

func (a *app) newRun(name string, c *camera) (*pipeline.Run, error) {
	src, err := a.cameraSource(name, c)
	if err != nil {
		return nil, err
	}
	id := a.ids.next()
	engine, err := a.engine(c.plan.Load(), name, id)
	if err != nil {
		return nil, err
	}
	return &pipeline.Run{
		ID: id, Device: a.device, Camera: name, Source: src, Pace: pipeline.Realtime, MaxFPS: c.cfg.MaxFPS, OnFirstFrame: true,
		Engine: engine, Recorder: a.store, Viewers: []pipeline.Viewer{c.preview}, Keep: pipeline.Keep(c.cfg.Keep),
		Log: a.log.With("camera", name), Now: time.Now, Clock: a.clock.Read, OnEnd: a.ended.count,
	}, nil
}

// cameraSource returns what a run of a camera plays. What is live is opened again
// when it is lost: the camera says when it has been away for too long.
func (a *app) cameraSource(name string, c *camera) (pipeline.Source, error) {
	spec := a.sourceSpec(name, c.cfg)
	src, err := a.media.NewSource(spec)
	if err != nil || spec.Kind == pipeline.SourceFile {
		return src, err
	}
	return &pipeline.Persistent{
		First: src, Again: func() (pipeline.Source, error) { return a.media.NewSource(spec) },
		Wait: reconnect, Lost: c.Interrupted, Log: a.log.With("camera", name),
		// Each pass of a recording that a server plays over and over is a run.
		Enough: func(info pipeline.StreamInfo, _ time.Duration, _ error) bool { return info.Duration > 0 },
	}, nil
}

func (a *app) sourceSpec(name string, cfg *config.Camera) gst.SourceSpec {
	kind, where := cfg.URL.Source()
	user, password := cfg.Credentials()
	stall := time.Duration(cfg.StallAfter)
	spec := gst.SourceSpec{
		Kind: kind, Name: name, Username: user, Password: password.Reveal(), Transport: gst.Transport(cfg.Transport),
		LatencyMS: int(time.Duration(cfg.Latency).Milliseconds()), Loop: cfg.Loop, RealTime: true,
		Width: cfg.Width, Height: cfg.Height, FPS: cfg.FPS, Pace: pipeline.Realtime, Decoder: cfg.Decoder,
		// The camera's own watch ends a stalled run and says so; this one is
		// for a pipeline that does not even notice that.
		StallTimeout: 3 * stall,
	}
	switch kind {
	case pipeline.SourceFile:
		spec.Path = where
	case pipeline.SourceV4L2, pipeline.SourceCSI:
		spec.Device = where
	default:
		spec.URL = where
	}
	return spec
}

func (a *app) previewOptions() pipeline.PreviewOptions {
	opt := pipeline.PreviewOptions{
		MaxWidth: a.cfg.Preview.MaxWidth, FPS: a.cfg.Preview.FPS, Bitrate: a.cfg.Preview.Bitrate, Linger: previewLinger,
	}
	for _, c := range []struct {
		name  string
		codec pipeline.Codec
	}{{"h264", pipeline.CodecH264}, {"vp8", pipeline.CodecVP8}} {
		if want := a.cfg.Preview.Codec; want != "auto" && want != c.name {
			continue
		}
		if element, _ := a.media.EncoderChoice(c.codec); element != "" {
			opt.Codecs = append(opt.Codecs, c.codec)
		}
	}
	return opt
}
