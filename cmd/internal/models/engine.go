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
	"perch/pipeline/infer"
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
	return &engine{
		loaded: l, params: params, track: d.Track, log: l.log, pre: l.Model.NewPreprocessor(), dec: l.Model.NewDecoder(),
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
	loaded *Loaded
	params model.Params
	pre    *model.Preprocessor
	dec    *model.Decoder
	about  pipeline.EngineInfo
	track  bool
	log    *slog.Logger
	follow *track.Tracker // nil unless objects are followed
	outs   []model.Tensor // reused
	replay bool           // see WithoutModel
	kept   []model.Tensor // outputs that are replayed
}

// WithoutModel makes an engine of this package run the model on the first
// frame only and replay its outputs on the others: what remains is Perch's own
// work, for benchmarks.
func WithoutModel(e pipeline.Engine) pipeline.Engine {
	e.(*engine).replay = true
	return e
}

func (e *engine) About() pipeline.EngineInfo { return e.about }

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

// Begin samples the frame into a free slot and queues it, so that the model
// may work on it while the frame before is finished.
func (e *engine) Begin(ctx context.Context, f pipeline.Frame) (pipeline.Work, error) {
	slot, err := e.loaded.Session.Lease(ctx)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	tr, err := e.fill(slot, f.Picture())
	if err != nil {
		slot.Release()
		return nil, &pipeline.Error{Op: "prepare frame", Kind: pipeline.BadInput, Err: err}
	}
	w := &detecting{e: e, slot: slot, tr: tr, prepared: time.Since(start)}
	if e.kept == nil {
		slot.Submit()
		w.submitted = true
	}
	return w, nil
}

func (e *engine) fill(slot *infer.Slot, pic pipeline.Picture) (model.Transform, error) {
	for _, x := range e.loaded.Model.ExtraInputs() {
		in, ok := slot.Extra(x.Name)
		if !ok {
			return model.Transform{}, fmt.Errorf("the graph has no input %q", x.Name)
		}
		for i, v := range x.Ints {
			switch {
			case in.Int64() != nil:
				in.Int64()[i] = v
			case in.Int32() != nil:
				in.Int32()[i] = int32(v)
			case in.Float32() != nil:
				in.Float32()[i] = float32(v)
			default:
				return model.Transform{}, fmt.Errorf("input %q is %s, which cannot be filled", x.Name, in.Type)
			}
		}
	}
	switch {
	case slot.Float32() != nil:
		padded, _ := slot.Note().(model.Padding)
		t, padded, err := e.pre.Refill(slot.Float32(), pic, padded)
		slot.SetNote(padded)
		return t, err
	case slot.Uint8() != nil:
		return e.pre.FillBytes(slot.Uint8(), pic)
	case slot.Int32() != nil:
		return e.pre.FillInt32(slot.Int32(), pic)
	}
	return model.Transform{}, fmt.Errorf("the model's input is %s, which cannot be filled", slot.Input().Type)
}

type detecting struct {
	e         *engine
	slot      *infer.Slot
	tr        model.Transform
	prepared  time.Duration
	submitted bool // false when outputs are replayed
}

func (w *detecting) Finish(ctx context.Context, r *pipeline.Result) error {
	defer w.slot.Release()
	outs, took, err := w.outputs(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	r.Detections, err = w.e.dec.Decode(outs, w.tr, w.e.params)
	if err == nil && w.e.follow != nil {
		r.Detections = w.e.follow.Update(r.Detections, r.Frame.PTS)
	}
	r.Took[pipeline.StagePreprocess] = w.prepared
	r.Took[pipeline.StageInference] = took
	r.Took[pipeline.StagePostprocess] = time.Since(start)
	return err
}

// outputs waits for the model's outputs, valid until the slot is released.
func (w *detecting) outputs(ctx context.Context) ([]model.Tensor, time.Duration, error) {
	e := w.e
	if e.kept != nil && !w.submitted {
		return e.kept, 0, nil
	}
	took, err := w.slot.Wait(ctx)
	if err != nil {
		return nil, took, err
	}
	e.outs = e.outs[:0]
	for _, o := range w.slot.Outputs() {
		e.outs = append(e.outs, model.Tensor{Name: o.Name, Shape: o.Shape, Data: o.Data})
	}
	if e.replay && e.kept == nil {
		for _, o := range e.outs {
			o.Data = slices.Clone(o.Data)
			e.kept = append(e.kept, o)
		}
	}
	return e.outs, took, nil
}
