package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"perch/cmd/internal/blocks"
	"perch/cmd/internal/config"
	"perch/cmd/internal/models"
	"perch/pipeline"
	"perch/pipeline/model"
	"perch/pipeline/workflow"
)

// modelSource is where blocks find models: the registry, within the time of
// whoever is starting a run.
type modelSource struct {
	ctx    context.Context
	reg    *models.Registry
	replay bool // for benchmarks, see [models.Loaded.Replaying]
}

func (m modelSource) Manifest(name string) (model.Manifest, error) { return m.reg.Manifest(name) }

func (m modelSource) Ready(name string) (*models.Loaded, error) {
	l, err := m.reg.Load(m.ctx, name)
	if err == nil && m.replay {
		l = l.Replaying()
	}
	return l, err
}

// library returns the blocks there are. ctx bounds the loading of models.
func (p *parts) library(ctx context.Context) *workflow.Library {
	return blocks.Library(p.blockOptions(modelSource{ctx: ctx, reg: p.models}))
}

func (p *parts) blockOptions(m modelSource) blocks.Options {
	return blocks.Options{Models: m, Sinks: p.sinkOptions()}
}

// env is what the blocks of one run are lent.
func (p *parts) env(camera, run string) *workflow.Env {
	return &workflow.Env{
		JPEG: p.jpeg, Now: time.Now, Log: p.log.With("run", run),
		Event: func(kind string) pipeline.Event { return p.event(kind, camera, run) },
	}
}

// event makes an event that happens now.
func (p *parts) event(kind, camera, run string) pipeline.Event {
	return pipeline.Event{
		Schema: pipeline.EventSchema, ID: p.ids.next(), Device: p.device, Time: time.Now().UTC(), Clock: p.clock.Read(),
		Kind: kind, Camera: camera, Run: run,
	}
}

// jpeg encodes a picture; commands that only look at a graph have no encoder.
func (p *parts) jpeg(pic pipeline.Picture, quality int) ([]byte, error) {
	if p.media == nil {
		return nil, errors.New("GStreamer is not running")
	}
	return p.media.EncodeJPEGQuality(pic, quality)
}

// maxWorkflowFile is the largest workflow file that is read.
const maxWorkflowFile = workflow.MaxBytes

// readWorkflow reads a workflow file.
func readWorkflow(path string) ([]byte, error) {
	fail := func(err error, hint string) error {
		kind := pipeline.BadConfig
		if errors.Is(err, fs.ErrNotExist) {
			kind = pipeline.NotFound
		}
		return &pipeline.Error{Op: "read workflow", On: path, Kind: kind, Err: err, Hint: hint}
	}
	f, err := os.Open(path)
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err // the path is said already
	}
	if err != nil {
		return nil, fail(err, "")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxWorkflowFile+1))
	switch {
	case err != nil:
		return nil, fail(err, "")
	case len(text) > maxWorkflowFile:
		return nil, fail(fmt.Errorf("it is larger than %d bytes", maxWorkflowFile), "a workflow is the JSON that the editor shows, a few KB")
	}
	return unwrap(text), nil
}

// unwrap takes the specification out of the forms in which it is handed
// around: itself, or an object that has it under "specification".
func unwrap(text []byte) []byte {
	var o struct {
		Specification json.RawMessage `json:"specification"`
		Steps         json.RawMessage `json:"steps"`
	}
	if json.Unmarshal(text, &o) == nil && o.Steps == nil && len(o.Specification) > 0 {
		return o.Specification
	}
	return text
}

// A plan is a workflow that has been checked, with what a run of it needs.
type plan struct {
	name   string
	text   []byte
	graph  *workflow.Graph
	params map[string]workflow.Value
	models []pipeline.ModelID // once a run of it could begin
}

// cameraPlan compiles what a camera runs: its workflow file, or the short form.
func (p *parts) cameraPlan(ctx context.Context, cfg *config.Camera) (*plan, error) {
	if cfg.Workflow == "" {
		id := cfg.Model
		if id == "" {
			id = p.cfg.Models.Default
		}
		return p.shortPlan(ctx, shortOf(cfg, id))
	}
	text, err := readWorkflow(p.cfg.WorkflowFile(cfg.Workflow))
	if err != nil {
		return nil, err
	}
	params, err := workflow.FromGoMap(cfg.WorkflowParameters)
	if err != nil {
		return nil, &pipeline.Error{Op: "read workflow_parameters", Kind: pipeline.BadConfig, Err: err}
	}
	return p.plan(ctx, cfg.Workflow, text, params)
}

func (p *parts) shortPlan(ctx context.Context, s blocks.Short) (*plan, error) {
	m, err := p.models.Manifest(s.Model)
	if err != nil {
		return nil, err
	}
	text, err := s.Expand(m)
	if err != nil {
		return nil, &pipeline.Error{Op: "make workflow", Kind: pipeline.BadConfig, Err: err}
	}
	return p.plan(ctx, "detect", text, nil)
}

func (p *parts) plan(ctx context.Context, name string, text []byte, params map[string]workflow.Value) (*plan, error) {
	g, err := workflow.Compile(text, p.library(ctx), p.env("", ""))
	if err == nil {
		err = g.CheckParameters(params)
	}
	if err != nil {
		return nil, &pipeline.Error{Op: "compile", On: name, Kind: pipeline.BadConfig, Err: err}
	}
	return &plan{name: name, text: text, graph: g, params: params}, nil
}

func shortOf(cfg *config.Camera, id string) blocks.Short {
	s := blocks.Short{Model: id, Confidence: cfg.Confidence, IoU: cfg.IoU, Classes: cfg.Classes, Track: cfg.Track}
	for name, z := range cfg.Zones {
		if s.Zones == nil {
			s.Zones = map[string][][2]float64{}
		}
		for _, p := range z {
			s.Zones[name] = append(s.Zones[name], [2]float64(p))
		}
	}
	for name, l := range cfg.Lines {
		if s.Lines == nil {
			s.Lines = map[string][2][2]float64{}
		}
		s.Lines[name] = [2][2]float64{l[0], l[1]}
	}
	return s
}

// engine makes the engine of one run.
func (p *parts) engine(w *plan, camera, run string) (*workflow.Engine, error) {
	e, err := w.graph.Bind(p.env(camera, run), workflow.Options{Name: w.name, Parameters: w.params, Tolerant: true})
	if err != nil {
		return nil, startError(w, err)
	}
	return e, nil
}

// startError is the error about a workflow whose run cannot begin: parameters
// that are missing are for its user to give.
func startError(w *plan, err error) error {
	e := &pipeline.Error{Op: "start", On: w.name, Kind: pipeline.KindOf(err), Err: err}
	if _, ok := errors.AsType[*workflow.SpecError](err); ok {
		e.Kind = pipeline.BadConfig
	}
	return e
}

// filePlan compiles a workflow file with parameters from the command line.
func (p *parts) filePlan(ctx context.Context, path string, params []string) (*plan, error) {
	text, err := readWorkflow(path)
	if err != nil {
		return nil, err
	}
	values, err := parseParams(params)
	if err != nil {
		return nil, err
	}
	return p.plan(ctx, path, text, values)
}

// parseParams reads name=value; what is no JSON is a string.
func parseParams(list []string) (map[string]workflow.Value, error) {
	values := map[string]workflow.Value{}
	for _, s := range list {
		name, text, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, usageError{fmt.Errorf("--param %s must be name=value", s)}
		}
		v, err := workflow.ParseJSON([]byte(text))
		if err != nil {
			v = workflow.StringOf(text)
		}
		values[name] = v
	}
	return values, nil
}
