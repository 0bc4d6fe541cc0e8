package infer

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// needsEngine reports whether provider builds something before it runs a model.
func needsEngine(provider string) bool { return provider == TensorRT || provider == Rehearsal }

// An engine is what a provider built of the model, or will build while it loads.
type engine struct {
	dir     string            // where it is or comes to be; "" when it is not kept
	options map[string]string // for TensorRT
	facts   map[string]string
	table   []byte // of INT8's ranges
	stage   *stage // nil when it was there already
}

// describe says what the engine of the model for provider is. The plan must be
// there.
func (op *opening) describe(provider string) (e engine, err error) {
	e.options = map[string]string{}
	if provider == TensorRT {
		e.options = tensorRTOptions(op.o, op.plan)
	}
	e.facts = op.rt.machine.engineFacts(provider, op.graph.Digest, op.lib, e.options)
	if provider == TensorRT {
		e.table, err = op.o.Engine.calibration(e.options, e.facts)
	}
	return e, err
}

// notReady says why provider cannot be used at once, "" when it can. A provider
// that only lacks its engine is noted.
func (op *opening) notReady(provider string) (why string, err error) {
	if !needsEngine(provider) {
		return "", nil
	}
	if op.o.EngineCacheDir == "" {
		return "engines are not kept, and building one takes too long", nil
	}
	if op.plan, err = newPlan(op.graph, op.o); err != nil {
		return "", err
	}
	e, err := op.describe(provider)
	if err != nil {
		return "", err
	}
	if op.found(e) != "" {
		return "", nil
	}
	if op.waits == "" {
		op.waits = provider
	}
	return "its engine is not built yet", nil
}

// found is the folder of an engine that is whole.
func (op *opening) found(e engine) string {
	dir, damaged := engines{op.o.EngineCacheDir}.find(e.facts)
	if damaged != nil {
		op.o.Log.Warn("a damaged engine is not used", "model", op.name, "error", damaged)
	}
	return dir
}

// prepare finds the engine for provider, or a place to build it in.
func (op *opening) prepare(provider string) (e engine, err error) {
	if !needsEngine(provider) {
		return engine{}, nil
	}
	if e, err = op.describe(provider); err != nil {
		return e, err
	}
	cache := engines{op.o.EngineCacheDir}
	if cache.dir == "" {
		if provider == Rehearsal || e.table != nil {
			return e, badOption(errors.New("this needs a folder for engines, and none is given"), "set EngineCacheDir")
		}
		return e, nil
	}
	if e.dir = op.found(e); e.dir == "" {
		b := Building{Model: op.name, Provider: provider, Started: time.Now(), Expected: op.expected(provider), PID: os.Getpid()}
		if e.stage, err = cache.begin(b, e.facts); err != nil {
			return e, err
		}
		e.dir = e.stage.dir
		op.o.Log.Info("building an engine, which may take minutes", "model", op.name, "provider", provider, "expected", b.Expected)
		if op.o.Building != nil {
			op.o.Building(b)
		}
		e.options["trt_timing_cache_enable"], e.options["trt_timing_cache_path"] = "1", e.dir
		if e.table != nil {
			if err := os.WriteFile(filepath.Join(e.dir, calibrationFile), e.table, 0o644); err != nil {
				return e, errors.Join(err, e.stage.discard())
			}
		}
	}
	e.options["trt_engine_cache_enable"], e.options["trt_engine_cache_path"] = "1", e.dir
	return e, nil
}

// expected is how long a build will take, 0 when nobody can say.
func (op *opening) expected(provider string) time.Duration {
	if provider == Rehearsal {
		return op.o.RehearsalTime
	}
	return engines{op.o.EngineCacheDir}.took(provider, op.graph.Digest)
}

// keep publishes what was built.
func (e *engine) keep() (err error) {
	if e.stage != nil {
		e.dir, err = e.stage.publish()
	}
	return err
}

// discard gives up what was begun, or removes what did not load.
func (e *engine) discard() error {
	switch {
	case e.stage != nil:
		return e.stage.discard()
	case e.dir != "":
		return os.RemoveAll(e.dir)
	}
	return nil
}
