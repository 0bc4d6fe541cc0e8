package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"perch/cmd/internal/config"
	"perch/cmd/internal/doctor"
	"perch/cmd/internal/warmup"
	"perch/pipeline"
	"perch/pipeline/infer"
)

// checkModels looks at ONNX Runtime, at what it would load, and at the models.
// Those are loaded unless Perch runs, which has them already: a second copy may
// not fit into a GPU's memory. No engine is built.
func checkModels(ctx context.Context, cfg *config.Config, host doctor.Host) (list []doctor.Finding) {
	lax := *cfg
	lax.Models.Strict = false // or loading would build
	p := newParts(&lax, slog.New(slog.DiscardHandler))
	if err := p.openModels(); err != nil {
		return []doctor.Finding{doctor.FromError("", err, doctor.Missing)}
	}
	defer func() {
		if err := p.Close(); err != nil {
			list = append(list, doctor.FromError("", err, doctor.Warning))
		}
	}()
	lib, err := p.models.Runtime().Start()
	if err != nil {
		f := doctor.FromError("", err, doctor.Missing)
		f.Name = "ONNX Runtime"
		return []doctor.Finding{f}
	}
	list = []doctor.Finding{{Name: "ONNX Runtime", Status: doctor.Good, Found: fmt.Sprintf("version %s, %s", lib.Version, lib.Path)}}
	for _, passed := range lib.Passed {
		list = append(list, doctor.Finding{Name: "ONNX Runtime", Status: doctor.Warning, Found: "passed over " + passed})
	}
	list = append(list, providerFindings(p, host)...)
	serving := false
	switch doctor.WhoListens(ctx, cfg.HTTP.Listen) {
	case doctor.Perch:
		serving = true
	case doctor.Another:
		list = append(list, doctor.Finding{Name: "http.listen", Status: doctor.Warning, Found: "something else than Perch listens at " + cfg.HTTP.Listen, Hint: "set http.listen to another port, or stop what has it: sudo ss -ltnp"})
	}
	for _, id := range p.modelIDs() {
		m := modelCheck{id: id, cfg: cfg}
		if serving {
			err = m.look(ctx, p)
		} else {
			err = m.load(ctx, p)
		}
		if err != nil {
			f := doctor.FromError("", err, doctor.Missing)
			f.Name = "model " + id
			list = append(list, f)
			continue
		}
		list = append(list, m.findings()...)
	}
	return list
}

// providerFindings says of each provider that is allowed what it would load.
func providerFindings(p *parts, host doctor.Host) (list []doctor.Finding) {
	files, err := p.models.Runtime().ProviderFiles(p.cfg.Models.Providers)
	if err != nil {
		return []doctor.Finding{doctor.FromError("", err, doctor.Warning)}
	}
	told := map[string]bool{} // providers share libraries
	for _, f := range files {
		needs := providerOf(f)
		list = append(list, host.Provider(needs))
		for _, l := range needs.Needs {
			if !told[l.Name] {
				told[l.Name] = true
				list = append(list, host.Library(l))
			}
		}
	}
	return list
}

func providerOf(f infer.ProviderFiles) doctor.Provider {
	p := doctor.Provider{Name: f.Provider, Path: f.Path, Why: f.Why, NoGPU: f.NoGPU}
	if f.Err != nil {
		p.Why = "its library cannot be read: " + f.Err.Error()
	}
	for _, s := range f.Needs {
		p.Needs = append(p.Needs, doctor.Library(s))
	}
	return p
}

// A modelCheck is what is known of one model.
type modelCheck struct {
	id  string
	cfg *config.Config

	how    string // "runs on", or how else it is known
	choice pipeline.ProviderChoice
	waits  string // the better provider that lacks its engine
}

// load loads the model, as a start would.
func (m *modelCheck) load(ctx context.Context, p *parts) error {
	l, err := p.models.Load(ctx, m.id)
	if err != nil {
		return err
	}
	m.how, m.choice, m.waits = "runs on", l.Session.Provider(), l.Session.Waits()
	return nil
}

// look finds out by files what the model runs on: what the service said, else
// what a start would take.
func (m *modelCheck) look(ctx context.Context, p *parts) (err error) {
	m.how = "not loaded beside the one that runs; a start would take"
	if m.choice, m.waits, err = p.models.Foresee(ctx, m.id); err != nil {
		return err
	}
	states, err := warmup.Read(engineDir(m.cfg))
	if err != nil {
		return err
	}
	for _, s := range states {
		if s.Model != m.id {
			continue
		}
		m.how = "the service said at " + s.Since.Local().Format(time.DateTime) + " that it runs on"
		if s.Provider != m.choice.Name || s.Target != m.waits {
			m.choice, m.waits = pipeline.ProviderChoice{Name: s.Provider}, s.Target
		}
	}
	return nil
}

func (m *modelCheck) findings() []doctor.Finding {
	f := doctor.Finding{Name: "model " + m.id, Status: doctor.Good, Found: m.how + " " + m.choice.Name}
	first := m.cfg.Models.Providers[0]
	if m.choice.Why != "" || m.choice.Name != first {
		f.Status = doctor.Warning
		f.Hint = "see the lines of the providers above; on a Jetson, put a GPU build of ONNX Runtime into /usr/lib/perch/gpu or name it with models.onnxruntime"
	}
	if m.choice.Why != "" {
		f.Found += "; " + m.choice.Why
	}
	if m.cfg.Models.Strict && m.choice.Name != first && m.waits != first {
		f.Status, f.Found = doctor.Missing, f.Found+"; models.strict refuses that"
	}
	engine := engineFindings(m.cfg, m.id, m.choice.Name, m.waits)
	if len(engine) > 0 {
		f.Hint = ""
	}
	return append([]doctor.Finding{f}, engine...)
}
