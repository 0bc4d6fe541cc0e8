// Package models keeps the models that runs share: it finds them in the store,
// loads each once into ONNX Runtime, and makes engines of them.
package models

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"perch/cmd/internal/config"
	builtin "perch/packaging/models"
	"perch/pipeline"
	"perch/pipeline/infer"
	"perch/pipeline/model"
)

// Options say where models are and what they run on.
type Options struct {
	Dir       string   // of added models
	Library   string   // ONNX Runtime; "" searches
	Providers []string // best first
	Strict    bool
	Threads   int
	Engine    infer.EngineOptions            // of models that EngineOf does not name
	EngineOf  map[string]infer.EngineOptions // by id
	EngineDir string
	MaxBatch  int           // cameras that may share one inference
	Deadline  time.Duration // of one inference; 0 is 30 s
	Rehearsal time.Duration // that the provider "rehearsal" takes to build; 0 is 60 s
	BuildTime time.Duration // that an engine may take to build; 0 is 4 h
	// Loaded is called with each model that was loaded; nil is not called.
	Loaded func(Upgradable)
	// Aliases maps names that foreign workflows use to ids of models here, for
	// example "yolov8n-640" to "nanodet-416".
	Aliases map[string]string
	Log     *slog.Logger
}

// An Upgradable is a model with all that its engine is built from.
type Upgradable struct {
	Session *infer.Session
	Model   infer.Model
	Options infer.Options
}

// A Registry loads models when they are first asked for and keeps them until
// it is closed.
type Registry struct {
	opt   Options
	store *model.Store
	rt    *infer.Runtime

	load   sync.Mutex // held while a model loads, so that each loads once
	mu     sync.Mutex
	loaded map[string]*Loaded // guarded by mu
}

// Loaded is a model that is ready to run.
type Loaded struct {
	ID      pipeline.ModelID
	Model   *model.Model
	Session *infer.Session
	places  places
	replays bool // see Replaying
	log     *slog.Logger
}

// Open returns a registry. ONNX Runtime itself starts with the first model.
func Open(opt Options) (*Registry, error) {
	r := &Registry{opt: opt, rt: infer.New(infer.Config{Library: opt.Library, Log: opt.Log}), loaded: map[string]*Loaded{}}
	r.store = &model.Store{
		Dir: opt.Dir, Builtin: builtin.Files, Decode: config.DecodeYAML, Encode: config.EncodeYAML,
		ReadGraph: func(path string) (model.Graph, error) { return r.Graph(context.Background(), infer.Model{Path: path}) },
	}
	return r, nil
}

// Store is where the models are.
func (r *Registry) Store() *model.Store { return r.store }

// Runtime is ONNX Runtime, for the doctor.
func (r *Registry) Runtime() *infer.Runtime { return r.rt }

// Graph says what a model file, or its bytes, has.
func (r *Registry) Graph(ctx context.Context, m infer.Model) (model.Graph, error) {
	g, err := r.rt.Inspect(ctx, m, model.MaxGraphBytes)
	if err != nil {
		return model.Graph{}, err
	}
	if !slices.ContainsFunc(g.Outputs, shapeless) {
		return graphOf(g, g.Outputs), nil
	}
	// The file does not say how large its outputs are; running it once does.
	session, err := r.rt.Open(ctx, m, infer.Options{Providers: []string{infer.CPU}, Threads: 1, MaxBatch: 1, Log: r.opt.Log})
	if err != nil {
		return graphOf(g, g.Outputs), nil // it has open inputs too: only a manifest can tell
	}
	return graphOf(g, session.Outputs()), session.Close()
}

func shapeless(t pipeline.TensorInfo) bool { return t.Shape == nil }

// graphOf is what the file says, with outputs from elsewhere where it is silent.
func graphOf(g infer.Graph, outputs []pipeline.TensorInfo) model.Graph {
	out := model.Graph{Inputs: g.Inputs, Metadata: g.Metadata}
	for i, t := range g.Outputs {
		if shapeless(t) && i < len(outputs) {
			t = outputs[i]
		}
		out.Outputs = append(out.Outputs, t)
	}
	return out
}

// Load returns the model of that id or alias, ready to run. The first call for
// an id may take minutes on a Jetson, while TensorRT builds an engine.
func (r *Registry) Load(ctx context.Context, name string) (*Loaded, error) {
	id, err := r.Resolve(name)
	if err != nil {
		return nil, err
	}
	r.load.Lock()
	defer r.load.Unlock()
	if l := r.get(id); l != nil {
		return l, nil
	}
	digest, m, src, err := r.source(id)
	if err != nil {
		return nil, err
	}
	opt := r.options(id, m)
	session, err := r.open(ctx, src, opt)
	if err != nil {
		return nil, err
	}
	if err := m.Check(graphOf(session.Graph(), session.Outputs())); err != nil {
		return nil, errors.Join(err, session.Close())
	}
	choice := session.Provider()
	if choice.Why != "" {
		r.opt.Log.Warn("lesser execution provider in use", "model", id, "provider", choice.Name, "why", choice.Why)
	}
	l := &Loaded{
		ID:    pipeline.ModelID{ID: id, Digest: digest, Provider: choice.Name},
		Model: m, Session: session, places: newPlaces(session.Stats().Slots), log: r.opt.Log,
	}
	r.mu.Lock()
	r.loaded[id] = l
	r.mu.Unlock()
	if r.opt.Loaded != nil {
		r.opt.Loaded(Upgradable{Session: session, Model: src, Options: opt})
	}
	return l, nil
}

// lookAgain is how often a build of another process is looked at.
const lookAgain = 2 * time.Second

// open opens the model. Where nothing but the best provider will do and another
// process builds an engine, it waits, as long as a build may take: there can be
// only one at a time.
func (r *Registry) open(ctx context.Context, src infer.Model, opt infer.Options) (*infer.Session, error) {
	limit := cmp.Or(r.opt.BuildTime, 4*time.Hour)
	started := time.Now()
	for said := false; ; said = true {
		session, err := r.rt.Open(ctx, src, opt)
		if !opt.Strict || pipeline.KindOf(err) != pipeline.Busy || time.Since(started) > limit {
			return session, err
		}
		if !said {
			r.opt.Log.Info("model waits for another process that builds an engine", "model", src.Name, "at_most", limit)
		}
		select {
		case <-ctx.Done():
			return nil, &pipeline.Error{Op: "open model", On: src.Name, Err: fmt.Errorf("%w, while another process builds an engine", context.Cause(ctx))}
		case <-time.After(lookAgain):
		}
	}
}

// source is what the store has of the model of that id.
func (r *Registry) source(id string) (digest string, m *model.Model, src infer.Model, err error) {
	entry, err := r.store.Get(id)
	if err != nil {
		return "", nil, src, err
	}
	if m, err = model.Open(entry.Manifest); err != nil {
		return "", nil, src, err
	}
	src.Name = id
	if !entry.Builtin {
		src.Path = filepath.Join(entry.Dir, model.GraphFile)
		return entry.Digest, m, src, nil
	}
	src.Data, err = entry.Graph()
	return entry.Digest, m, src, err
}

// Foresee says what Load would run the model on now, and which better provider
// only lacks its engine: see [infer.Runtime.Foresee].
func (r *Registry) Foresee(ctx context.Context, name string) (choice pipeline.ProviderChoice, waits string, err error) {
	id, err := r.Resolve(name)
	if err != nil {
		return choice, "", err
	}
	_, m, src, err := r.source(id)
	if err != nil {
		return choice, "", err
	}
	return r.rt.Foresee(ctx, src, r.options(id, m))
}

// options are how the model of that id is to run.
func (r *Registry) options(id string, m *model.Model) infer.Options {
	engine, ok := r.opt.EngineOf[id]
	if !ok {
		engine = r.opt.Engine
	}
	in := m.InputInfo()
	return infer.Options{
		Providers: r.opt.Providers, Strict: r.opt.Strict, OnlyReady: true, Threads: r.opt.Threads, Engine: engine,
		EngineCacheDir: r.opt.EngineDir, MaxBatch: r.opt.MaxBatch, Input: in.Name, InputShape: in.Shape, ExtraShapes: extraShapes(m),
		Deadline: r.opt.Deadline, RehearsalTime: r.opt.Rehearsal, BuildTimeout: r.opt.BuildTime, Log: r.opt.Log,
		Progress: func(stage string, elapsed time.Duration) {
			r.opt.Log.Info("model is loading", "model", id, "stage", stage, "elapsed", elapsed)
		},
	}
}

func extraShapes(m *model.Model) map[string][]int64 {
	shapes := map[string][]int64{}
	for _, x := range m.ExtraInputs() {
		shapes[x.Name] = x.Shape
	}
	return shapes
}

func (r *Registry) get(id string) *Loaded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loaded[id]
}

// All returns the models that are loaded, by id.
func (r *Registry) All() []*Loaded {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*Loaded
	for _, l := range r.loaded {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *Loaded) int { return cmp.Compare(a.ID.ID, b.ID.ID) })
	return all
}

// Close frees all models. Runs that use them must have ended.
func (r *Registry) Close() error {
	var errs []error
	for _, l := range r.All() {
		errs = append(errs, l.Session.Close())
	}
	return errors.Join(errs...)
}
