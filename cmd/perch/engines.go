package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"perch/cmd/internal/config"
	"perch/cmd/internal/doctor"
	"perch/cmd/internal/models"
	"perch/cmd/internal/warmup"
	"perch/pipeline"
	"perch/pipeline/infer"
)

// buildCommand is the name under which perch runs itself to build an engine.
const buildCommand = "build-engine"

// engineDir is where built engines are kept.
func engineDir(cfg *config.Config) string { return filepath.Join(string(cfg.CacheDir), "engines") }

func engineOptions(of config.Engines) map[string]infer.EngineOptions {
	out := map[string]infer.EngineOptions{}
	for id, e := range of {
		out[id] = infer.EngineOptions{
			FP16: e.FP16, INT8: e.INT8, Calibration: e.Calibration, Workspace: int64(e.Workspace), DLA: e.DLA >= 0, DLACore: max(e.DLA, 0),
		}
	}
	return out
}

func newBuildEngine() *cobra.Command {
	return &cobra.Command{
		Use: buildCommand, Short: "Build one engine, described on standard input", Hidden: true, Args: exactly(0, "nothing more"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := warmup.Child(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout()); err != nil {
				return statusError{errSilent, exitStatus(err)}
			}
			return nil
		},
	}
}

// newWarmer returns what builds engines for the models that p loads from now on.
// It writes the models' states to states, "" for nowhere.
func (p *parts) newWarmer(states string, tell func(pipeline.ModelState)) *warmup.Warmer {
	w := warmup.New(warmup.Options{
		Dir: states, MinFree: int64(p.cfg.Models.BuildFree), Tell: tell, Log: p.log,
		// Not by its path: an upgrade may have put another version there.
		Command: warmup.Command("/proc/self/exe", buildCommand),
	})
	p.onModel = func(u models.Upgradable) {
		w.Add(warmup.Job{Session: u.Session, Spec: warmup.Spec{Library: string(p.cfg.Models.Library), Model: u.Model, Options: u.Options}})
	}
	return w
}

// tellModel says where a model stands to systemd, the journal and the broker.
func (a *app) tellModel(ctx context.Context, s pipeline.ModelState) {
	if s.State == pipeline.ModelBuilding {
		a.sayTo("what is built", a.notify.Status(modelLine(s)))
	} else {
		a.sayTo("what is built", a.notify.Status(fmt.Sprintf("%d cameras", len(a.cameras()))))
	}
	a.log.Info("model state", "model", s.Model, "state", s.State, "provider", s.Provider, "target", s.Target,
		"elapsed_s", int(s.ElapsedS), "expected_s", int(s.ExpectedS), "error", s.Error)
	if !a.tells() {
		return
	}
	msg, err := pipeline.ModelMessage(s, time.Now())
	if err == nil {
		err = a.store.Append(ctx, nil, []pipeline.Message{msg})
	}
	if err != nil && ctx.Err() == nil {
		a.log.Warn("state of a model was not sent", "model", s.Model, "error", err)
	}
}

// modelLine says a state in one line for people.
func modelLine(s pipeline.ModelState) string {
	line := fmt.Sprintf("model %s runs on %s", s.Model, s.Provider)
	if s.Target == "" {
		return line
	}
	line += fmt.Sprintf("; %s for %s", s.State, s.Target)
	if s.ElapsedS > 0 {
		line += ", " + time.Duration(s.ElapsedS*float64(time.Second)).Round(time.Second).String()
		if s.ExpectedS > 0 {
			line += " of about " + time.Duration(s.ExpectedS*float64(time.Second)).Round(time.Second).String()
		} else {
			line += " so far; none like it was built here before"
		}
	}
	if s.Error != "" {
		line += ": " + s.Error
	}
	return line
}

// warmStates are the models' states by their ids.
func (a *app) warmStates() map[string]*pipeline.ModelState {
	all := map[string]*pipeline.ModelState{}
	for _, s := range a.warm.States() {
		all[s.Model] = &s
	}
	return all
}

// engineFindings says how far the engine of a model is that runs without it: by
// what is being built now, else by what the service said last.
func engineFindings(cfg *config.Config, id, provider, target string) []doctor.Finding {
	if target == "" {
		return nil
	}
	f := doctor.Finding{Name: "model " + id, Status: doctor.Warning}
	if b, on := infer.EngineBuild(engineDir(cfg)); on && b.Model == id {
		f.Found = modelLine(pipeline.ModelState{
			Model: id, State: pipeline.ModelBuilding, Provider: provider, Target: b.Provider,
			ElapsedS: time.Since(b.Started).Seconds(), ExpectedS: b.Expected.Seconds(),
		})
		f.Hint = "nothing to do: it moves there when the engine is built"
		if cfg.Models.Strict {
			f.Hint = "nothing to do: a service with models.strict waits for it when it starts"
		}
		return []doctor.Finding{f}
	}
	states, err := warmup.Read(engineDir(cfg))
	if err != nil {
		return []doctor.Finding{doctor.FromError("", err, doctor.Warning)}
	}
	for _, s := range states {
		if s.Model == id && s.Target == target && s.Error != "" {
			f.Found = modelLine(s) + "; said " + s.Since.Local().Format(time.DateTime)
			f.Hint = s.Hint
			return []doctor.Finding{f}
		}
	}
	f.Found = "waits for its engine for " + target
	f.Hint = "the service builds it beside its work; perch model warm " + id + " builds it now"
	if cfg.Models.Strict {
		f.Hint = "the service builds it when it starts; perch model warm " + id + " builds it now"
	}
	return []doctor.Finding{f}
}

func newModelWarm(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "warm [ID...]",
		Short: "Build the engines that models lack, and wait for them",
		Long: `Builds what the best execution provider of a model needs, so that the service
finds it: the service does the same beside its work. Without names, it is done
for models.default and the models of all cameras. What root builds is given to
the owner of cache_dir.`,
		RunE: func(cmd *cobra.Command, ids []string) (err error) {
			p, err := g.registry(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, p.Close()) }()
			if len(ids) == 0 {
				ids = p.modelIDs()
			}
			for _, id := range ids {
				if err := p.warmModel(cmd.Context(), cmd.OutOrStdout(), id); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// modelIDs are the models that the configuration names.
func (p *parts) modelIDs() []string {
	ids := []string{p.cfg.Models.Default}
	for _, name := range p.cfg.CameraNames() {
		ids = append(ids, cmp.Or(p.cfg.Cameras[name].Model, p.cfg.Models.Default))
	}
	return unique(ids)
}

// warmModel builds the engine of one model and says how it goes.
func (p *parts) warmModel(ctx context.Context, out io.Writer, id string) error {
	ended := make(chan pipeline.ModelState, 1)
	w := p.newWarmer("", func(s pipeline.ModelState) { // the file there says what the service's models run on
		fmt.Fprintln(out, modelLine(s))
		if s.State == pipeline.ModelReady || s.State == pipeline.ModelFailed {
			ended <- s
		}
	})
	if _, err := p.models.Load(ctx, id); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	select {
	case s := <-ended:
		cancel()
		err := <-done
		if s.State == pipeline.ModelFailed {
			err = errors.Join(err, &pipeline.Error{Op: "warm up model", On: id, Err: errors.New(s.Error), Hint: s.Hint})
		}
		return err
	case err := <-done:
		return errors.Join(err, ctx.Err())
	}
}
