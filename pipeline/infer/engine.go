package infer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"perch/pipeline"
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
	if dir, _ := op.found(e); dir != "" {
		return "", nil
	}
	if op.waits == "" {
		op.waits = provider
	}
	return "its engine is not built yet", nil
}

// found is the folder of an engine that is whole. One that is there and may not
// be read is an error: there is no room for another.
func (op *opening) found(e engine) (string, error) {
	dir, damaged := engines{op.o.EngineCacheDir}.find(e.facts)
	if damaged != nil {
		op.o.Log.Warn("a damaged engine is not used", "model", op.name, "error", damaged)
	}
	if errors.Is(damaged, fs.ErrPermission) {
		return "", &pipeline.Error{Op: "read engine", On: op.name, Kind: pipeline.BadConfig, Err: damaged, Hint: chownHint(op.o.EngineCacheDir)}
	}
	if dir != "" { // from before root gave away what it wrote
		op.giveAway(filepath.Base(dir), buildLock)
	}
	return dir, nil
}

// prepare finds the engine for provider, or a place to build it in.
func (op *opening) prepare(provider string) (e engine, err error) {
	if !needsEngine(provider) {
		return engine{}, nil
	}
	if e, err = op.describe(provider); err != nil {
		return e, err
	}
	if op.o.EngineCacheDir == "" {
		if provider == Rehearsal || e.table != nil {
			return e, badOption(errors.New("this needs a folder for engines, and none is given"), "set EngineCacheDir")
		}
		op.building()
		return e, nil
	}
	if e.dir, err = op.found(e); err != nil {
		return e, err
	}
	if e.dir == "" {
		err = op.begin(provider, &e)
		return e, err
	}
	e.keptIn(e.dir)
	return e, nil
}

// building gives op the time that a build takes.
func (op *opening) building() {
	select {
	case op.begun <- struct{}{}:
	default:
	}
}

// begin makes a place to build e in.
func (op *opening) begin(provider string, e *engine) (err error) {
	b := Building{Model: op.name, Provider: provider, Started: time.Now(), Expected: op.expected(provider), PID: os.Getpid()}
	if e.stage, err = (engines{op.o.EngineCacheDir}).begin(b, e.facts); err != nil {
		return err
	}
	e.dir = e.stage.dir
	op.giveAway(buildLock)
	op.building()
	op.o.Log.Info("building an engine, which may take minutes", "model", op.name, "provider", provider, "expected", b.Expected)
	if op.o.Building != nil {
		op.o.Building(b)
	}
	e.options["trt_timing_cache_enable"], e.options["trt_timing_cache_path"] = "1", e.dir
	if e.table != nil {
		if err := os.WriteFile(filepath.Join(e.dir, calibrationFile), e.table, 0o644); err != nil {
			err = errors.Join(err, e.stage.discard())
			e.stage = nil
			return err
		}
	}
	e.keptIn(e.dir)
	return nil
}

// loadAgain ends loading an engine that was there already, with what came of it.
// That its checksums are right and it did not load may be for want of memory, or
// because the driver was not up: it stays, and the failure is noted. Where this
// process may build, and another could not load it long before, it builds one
// that takes its place when it is whole. A process that is to serve with this
// provider or not at all does not wait so long: it would not be started again.
func (op *opening) loadAgain(provider string, failed error) error {
	cache := engines{op.o.EngineCacheDir}
	if failed == nil {
		if err := cache.forget(op.engine.facts); err != nil {
			op.o.Log.Warn("that an engine loads again was not noted", "model", op.name, "error", err)
		}
		return nil
	}
	log := op.o.Log.With("model", op.name, "provider", provider, "engine", op.engine.dir)
	before, _ := cache.failure(op.engine.facts) // one that cannot be read is written anew
	if before.Process == "" {
		f := failure{Process: op.rt.process, At: time.Now().UTC(), Model: op.name, Error: oneLine(failed), moment: op.rt.machine.now()}
		if err := cache.noteFailure(op.engine.facts, f); err != nil {
			log.Warn("that an engine did not load was not noted", "error", err)
		}
	}
	hasty := op.o.Strict && op.o.OnlyReady
	another := before.Process != "" && before.Process != op.rt.process && (hasty || before.longBefore(op.rt.machine.now()))
	if !another || !op.o.builds() {
		if op.waits == "" {
			op.waits = provider
		}
		log.Warn("an engine did not load; it stays until another process cannot load it either, ten minutes later or after a restart of the machine, and builds another", "error", failed)
		return failed
	}
	log.Warn("an engine did not load, as in a process before; another is built in its place", "before", before.Error, "error", failed)
	var err error
	if op.plan, err = newPlan(op.graph, op.o); err != nil { // the warm-up may have settled the other one
		return err
	}
	if op.engine, err = op.describe(provider); err != nil {
		return err
	}
	if err := op.begin(provider, &op.engine); err != nil {
		return err
	}
	return op.loadWith(provider)
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

// discard gives up what was begun. An engine that was there before stays.
func (e *engine) discard() error {
	if e.stage == nil {
		return nil
	}
	return e.stage.discard()
}

// ready reports whether the engine was there already.
func (e *engine) ready() bool { return e.dir != "" && e.stage == nil }

// keptIn tells TensorRT where the engine is or comes to be.
func (e *engine) keptIn(dir string) {
	e.options["trt_engine_cache_enable"], e.options["trt_engine_cache_path"] = "1", dir
}
