package infer

import (
	"context"
	"errors"
	"time"

	"perch/pipeline"
)

// Foresee says what Open, with OnlyReady, would take for the model now, and which
// provider lacks only its engine, "" for none. It looks at files and loads
// nothing on a GPU: a model that runs there already would have to share its
// memory.
func (rt *Runtime) Foresee(ctx context.Context, m Model, o Options) (choice pipeline.ProviderChoice, waits string, err error) {
	if o, err = o.withDefaults(rt); err != nil {
		return choice, "", err
	}
	g, err := readGraph(m, o.MaxBytes)
	if err != nil {
		return choice, "", err
	}
	lib, err := rt.Start()
	if err != nil {
		return choice, "", err
	}
	op := &opening{rt: rt, lib: lib, model: m, name: m.name(), o: o, graph: g}
	err = op.exclusively(ctx, func() (err error) {
		op.askShapes()
		choice, err = op.foresee()
		return named(op.name, err)
	}, func() {})
	if err != nil {
		return pipeline.ProviderChoice{}, "", err
	}
	return choice, op.waits, nil
}

func (op *opening) foresee() (choice pipeline.ProviderChoice, err error) {
	var reasons []string
	for _, p := range op.o.Providers {
		why := op.rt.machine.missing(p, op.lib.Path)
		if why == "" {
			if why, err = op.lacks(p); err != nil {
				return choice, err
			}
		}
		if why == "" {
			return pipeline.ProviderChoice{Name: p, Why: reasonsLine(reasons)}, nil
		}
		reasons = append(reasons, p+": "+why)
	}
	return choice, &pipeline.Error{Op: "open model", Kind: pipeline.Unsupported, Err: errors.New(reasonsLine(reasons))}
}

// Built reports whether the engine that the session waits for is there now and
// nothing is known against it: whether [Session.Upgrade] is worth trying. It
// looks at files only.
func (s *Session) Built() bool {
	r := s.current()
	if r.waits == "" {
		return false
	}
	o, err := s.opt.withDefaults(s.rt)
	if err != nil {
		return false // Open had the same options, so this does not happen
	}
	lib, err := s.rt.Start()
	if err != nil {
		return false
	}
	op := &opening{rt: s.rt, lib: lib, model: s.model, name: s.name, o: o, graph: r.graph}
	why, err := op.lacks(r.waits)
	return err == nil && why == ""
}

// lacks says why the engine for provider cannot be loaded, "" when it can.
func (op *opening) lacks(provider string) (why string, err error) {
	if !needsEngine(provider) {
		return "", nil
	}
	if op.plan, err = newPlan(op.graph, op.o); err != nil {
		return "", err
	}
	e, err := op.describe(provider)
	if err != nil {
		return "", err
	}
	cache := engines{op.o.EngineCacheDir}
	dir, _, damaged := cache.look(e.facts)
	failed, _ := cache.failure(e.facts) // one that cannot be read says nothing
	switch {
	case damaged != nil:
		why = "its engine is of no use: " + damaged.Error()
	case dir == "":
		why = "its engine is not built yet"
	case failed.Process != "":
		why = "its engine did not load (" + failed.At.Local().Format(time.DateTime) + "): " + failed.Error
	default:
		return "", nil
	}
	if op.waits == "" {
		op.waits = provider
	}
	return why, nil
}
