package models

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"perch/pipeline"
	"perch/pipeline/model"
	"perch/pipeline/track"
)

// What a tracker is told of a stream that does not say how fast it is.
const (
	usualFPS      = 30
	maxTrackedFPS = 240
)

// Detect is the short form of a workflow: one model, what counts, and nothing
// else. Zero values mean the model's own.
type Detect struct {
	Confidence float64
	IoU        float64
	Classes    []string
	Track      bool // follow objects from frame to frame
}

// Engine returns an engine for one run that finds d with the model. It fails
// with Kind BadConfig when the model does not know one of the classes.
func (l *Loaded) Engine(d Detect) (pipeline.Engine, error) {
	params := l.Model.Params()
	if d.Confidence > 0 {
		params.Confidence = float32(d.Confidence)
	}
	if d.IoU > 0 {
		params.IoU = float32(d.IoU)
	}
	labels := l.Model.Labels()
	for _, name := range d.Classes {
		i := slices.Index(labels, name)
		if i < 0 {
			return nil, &pipeline.Error{
				Op: "find class", On: fmt.Sprintf("%q", name), Kind: pipeline.BadConfig,
				Err:  fmt.Errorf("model %s does not know it", l.ID.ID),
				Hint: "it knows " + shortList(labels),
			}
		}
		params.Classes = append(params.Classes, i)
	}
	digest, err := digestOf(struct {
		Model      string   `json:"model"`
		Confidence float32  `json:"confidence"`
		IoU        float32  `json:"iou"`
		Classes    []string `json:"classes"`
		Track      bool     `json:"track"`
	}{l.ID.Digest, params.Confidence, params.IoU, d.Classes, d.Track})
	if err != nil {
		return nil, err
	}
	params.Masks = model.MaskNone // nobody is shown them
	return &engine{
		runner: l.NewRunner(), params: params, track: d.Track, log: l.log,
		about: pipeline.EngineInfo{
			Workflow: pipeline.WorkflowID{Name: "detect", Digest: digest},
			Models:   []pipeline.ModelID{l.ID}, Labels: labels,
		},
	}, nil
}

func digestOf(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("digest workflow: %w", err)
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

func shortList(names []string) string {
	if len(names) > 12 {
		return strings.Join(names[:12], ", ") + fmt.Sprintf(" and %d more", len(names)-12)
	}
	return strings.Join(names, ", ")
}

// engine runs one model on each frame of one run.
type engine struct {
	runner *Runner
	params model.Params
	about  pipeline.EngineInfo
	track  bool
	log    *slog.Logger
	follow *track.Tracker // nil unless objects are followed
}

// WithoutModel makes an engine of this package run the model on the first
// frame only and replay its outputs on the others: what remains is Perch's own
// work, for benchmarks.
func WithoutModel(e pipeline.Engine) pipeline.Engine {
	e.(*engine).runner.Replay()
	return e
}

// About names the provider of this moment: the model may have moved since.
func (e *engine) About() pipeline.EngineInfo {
	about, id := e.about, e.runner.loaded.ID
	id.Provider = e.runner.loaded.Session.Provider().Name
	about.Models = []pipeline.ModelID{id}
	return about
}

func (e *engine) Close() error { return nil }

// Opened makes the tracker, which must know how fast frames come.
func (e *engine) Opened(info pipeline.StreamInfo) {
	if !e.track {
		return
	}
	opt := track.Defaults()
	opt.FrameRate = info.FPS
	if opt.FrameRate <= 0 || opt.FrameRate > maxTrackedFPS {
		opt.FrameRate = usualFPS // a camera that does not say; frames are placed by their time stamps
	}
	var err error
	if e.follow, err = track.New(opt); err != nil {
		e.log.Error("objects are not followed", "error", err)
	}
}

// Begin samples the frame and queues it, so that the model may work on it while
// the frame before is finished.
func (e *engine) Begin(ctx context.Context, f pipeline.Frame) (pipeline.Work, error) {
	p, err := e.runner.Begin(ctx, f.Picture())
	if err != nil {
		return nil, err
	}
	return detecting{e, p}, nil
}

type detecting struct {
	e *engine
	p *Pending
}

func (w detecting) Finish(ctx context.Context, r *pipeline.Result) (err error) {
	e := w.e
	if r.Detections, err = w.p.Finish(ctx, e.params, nil); err != nil {
		return err
	}
	took := w.p.Took()
	start := time.Now()
	if e.follow != nil {
		r.Detections = e.follow.Update(r.Detections, r.Frame.PTS)
	}
	r.Took[pipeline.StagePreprocess] = took.Prepare
	r.Took[pipeline.StageInference] = took.Infer
	r.Took[pipeline.StagePostprocess] = took.Decode + time.Since(start)
	return nil
}
