package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"perch/cmd/internal/config"
	"perch/pipeline"
)

// cameraSet is the cameras that are configured now.
type cameraSet struct {
	start func(*camera) // set before the first reload

	mu  sync.Mutex
	all []*camera // guarded by mu: by name
}

func (s *cameraSet) add(c *camera) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, c)
	slices.SortFunc(s.all, func(a, b *camera) int { return cmp.Compare(a.Name, b.Name) })
}

func (s *cameraSet) remove(c *camera) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(o *camera) bool { return o == c })
}

func (s *cameraSet) list() []*camera {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// wait returns when all cameras have ended.
func (s *cameraSet) wait() {
	for _, c := range s.list() {
		<-c.done
	}
}

// cameras are those that are configured now, by name.
func (a *app) cameras() []*camera { return a.set.list() }

// play starts a camera, which ends with ctx or when it is taken away.
func (a *app) play(ctx context.Context, fail context.CancelCauseFunc, c *camera) {
	ctx, c.end = context.WithCancel(ctx)
	c.done = make(chan struct{})
	go func() { // c.done is what cameraSet.wait and reload wait for
		defer close(c.done)
		defer c.end()
		var wg sync.WaitGroup
		wg.Go(func() { failOn(fail, c.Camera.Run(ctx)) })
		wg.Go(func() { c.preview.Run(ctx) })
		wg.Wait()
	}()
}

// followReloads reads the configuration again on each SIGHUP.
func (a *app) followReloads(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		}
		cfg, err := a.load()
		if err != nil {
			a.log.Error("configuration not read again; everything goes on as it was", "error", err)
			continue
		}
		if err := a.reload(ctx, cfg); err != nil {
			a.log.Error("configuration read again, with faults", "error", err)
			continue
		}
		a.log.Info("configuration read again", "cameras", len(a.cameras()))
	}
}

// reload makes the cameras those of cfg. A camera whose new settings cannot
// work goes on with its old ones.
func (a *app) reload(ctx context.Context, cfg *config.Config) error {
	if other := changedSections(a.cfg, cfg); len(other) > 0 {
		a.log.Warn("settings changed that take effect at the next start", "sections", strings.Join(other, ", "))
	}
	var faults []string
	old := map[string]*camera{}
	for _, c := range a.cameras() {
		old[c.Name] = c
	}
	for _, name := range cfg.CameraNames() {
		set := cfg.Cameras[name]
		if !set.Enabled {
			continue
		}
		before := old[name]
		delete(old, name)
		if err := a.renew(ctx, name, before, set); err != nil {
			faults = append(faults, fmt.Sprintf("camera %s: %v", name, err))
		}
	}
	for _, c := range old {
		a.log.Info("camera taken away", "camera", c.Name)
		a.set.remove(c)
		c.end()
		<-c.done
		a.tellTakenAway(ctx, c)
	}
	if faults != nil {
		return &pipeline.Error{Op: "reload", Kind: pipeline.BadConfig, Err: fmt.Errorf("%s", strings.Join(faults, "; "))}
	}
	return nil
}

// tellTakenAway replaces the state that the broker retains of a camera.
func (a *app) tellTakenAway(ctx context.Context, c *camera) {
	s, _ := c.Status()
	s.Schema, s.Camera, s.State, s.Since, s.Cause = pipeline.CameraSchema, c.Name, pipeline.Lost, time.Now().UTC(), "it was taken out of the configuration"
	msg, err := pipeline.StateMessage(s)
	if err == nil {
		err = a.store.Append(ctx, nil, []pipeline.Message{msg})
	}
	if err != nil {
		a.log.Error("camera state not stored", "camera", c.Name, "error", err)
	}
}

// renew starts a camera that is new or has new settings; one whose workflow
// alone changed gets a new run.
func (a *app) renew(ctx context.Context, name string, before *camera, set *config.Camera) error {
	if before != nil && sameButWorkflow(before.cfg, set) {
		w, err := a.readyPlan(ctx, set)
		if err != nil {
			return err
		}
		was := before.plan.Load()
		if string(was.text) == string(w.text) && reflect.DeepEqual(was.params, w.params) {
			return nil
		}
		before.plan.Store(w)
		if _, run := before.Status(); run != nil {
			before.StopRun(run.ID)
		}
		a.log.Info("camera has a new workflow", "camera", name, "workflow", w.name)
		return nil
	}
	c, err := a.newCamera(ctx, name, set)
	if err != nil {
		return err
	}
	if before != nil {
		a.set.remove(before)
		before.end()
		<-before.done
	}
	a.set.add(c)
	a.set.start(c)
	a.log.Info("camera started anew", "camera", name)
	return nil
}

// sameButWorkflow reports whether two settings of a camera differ at most in
// what is done with its pictures.
func sameButWorkflow(a, b *config.Camera) bool {
	x, y := *a, *b
	for _, c := range []*config.Camera{&x, &y} {
		c.Workflow, c.WorkflowParameters, c.Zones, c.Lines = "", nil, nil, nil
		c.Model, c.Classes, c.Confidence, c.IoU, c.Track = "", nil, 0, 0, false
	}
	return reflect.DeepEqual(x, y)
}

// changedSections names the parts of the configuration that a reload leaves
// alone.
func changedSections(a, b *config.Config) []string {
	var names []string
	x, y := reflect.ValueOf(*a), reflect.ValueOf(*b)
	for i := range x.NumField() {
		f := x.Type().Field(i)
		if f.Name != "Cameras" && f.IsExported() && !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			names = append(names, strings.Split(f.Tag.Get("yaml"), ",")[0])
		}
	}
	return names
}
