package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"sync"
	"time"

	"perch/cmd/internal/api"
	"perch/cmd/internal/api/console"
	"perch/cmd/internal/clock"
	"perch/cmd/internal/config"
	"perch/cmd/internal/warmup"
	"perch/pipeline"
	"perch/pipeline/draw"
	"perch/pipeline/schemas"
	"perch/pipeline/webrtc"
	"perch/systemd"
)

// app is the daemon: it knows everybody.
type app struct {
	*parts
	started time.Time
	load    func() (*config.Config, error) // the configuration as it is on disk now
	webrtc  *webrtc.Server
	session *sessions // nil when clients may not start any
	lines   lines
	mqtt    *teller
	set     cameraSet
	ended   tally
	listen  net.Listener
	http    *api.Server
	notify  *systemd.Notifier
	warm    *warmup.Warmer
	claim   api.Claimer // nil when the device asks for no owner
}

// serve runs the appliance until ctx is done or a part fails for good.
func serve(ctx context.Context, load func() (*config.Config, error), stdout, stderr io.Writer) (err error) {
	cfg, err := load()
	if err != nil {
		return err
	}
	log, err := logger(cfg, stderr)
	if err != nil {
		return err
	}
	a := &app{parts: newParts(cfg, log), started: time.Now(), load: load}
	for _, note := range cfg.Notes() {
		log.Warn("configuration", "note", note)
	}
	if _, err := clock.Synchronised(); err != nil {
		log.Warn("times cannot be trusted", "error", err)
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.open(ctx); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "Perch %s is ready. Console: %s\n", version, consoleURL(a.listen.Addr()))
	return a.run(ctx)
}

// open opens each part in order; Close undoes it.
func (a *app) open(ctx context.Context) error {
	var err error
	if a.notify, err = systemd.New(os.Getenv); err != nil {
		return err
	}
	// The port first: a second Perch must not touch the first one's database.
	if a.listen, err = api.Listen(ctx, a.cfg.HTTP.Listen); err != nil {
		return err
	}
	a.onClose(func() error { a.listen.Close(); return nil }) // the server has closed it already
	// A database of an older Perch is copied before its schema changes.
	if err := a.notify.During(ctx, a.log, "opening the database", storeLimit, a.openStore); err != nil {
		return err
	}
	if err := a.openMedia(); err != nil {
		return err
	}
	if err := a.openModels(); err != nil {
		return err
	}
	a.warm = a.newWarmer(engineDir(a.cfg), func(s pipeline.ModelState) { a.tellModel(context.WithoutCancel(ctx), s) })
	if err := a.openViewing(); err != nil {
		return err
	}
	var check func(context.Context, string) (string, error)
	if a.cfg.Sessions.Enabled {
		if a.session, err = a.newSessions(); err != nil {
			return err
		}
		check = a.session.guard.Check
	}
	if err := a.openDeliveries(check); err != nil {
		return err
	}
	if err := a.openTelling(); err != nil {
		return err
	}
	for _, name := range a.cfg.CameraNames() {
		if !a.cfg.Cameras[name].Enabled {
			continue
		}
		err := a.notify.During(ctx, a.log, "loading the model of camera "+name, loadLimit(a.cfg), func(ctx context.Context) error {
			c, err := a.newCamera(ctx, name, a.cfg.Cameras[name])
			if err == nil {
				a.set.add(c)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(a.cameras()) == 0 {
		a.log.Warn("no camera is configured or enabled; the console and the API are up, and nothing is processed")
	}
	if a.claim, err = a.openClaim(); err != nil {
		return err
	}
	a.http, err = api.New(api.Options{
		Sessions: a.sessionPort(), SessionOptions: a.sessionOptions(),
		Device: device{a}, Cameras: cameras{a}, Runs: runs{a}, Events: events{a}, Viewers: viewers{a},
		Stats: a.stats, Console: console.Files(), Schemas: schemas.FS, Claim: a.claim, Private: a.cfg.HTTP.Private, AllowedOrigins: a.cfg.HTTP.AllowedOrigins, Log: a.log,
	})
	return err
}

func (a *app) openViewing() (err error) {
	if a.lines.drawer, err = draw.New(); err != nil {
		return err
	}
	opt := webrtc.Options{Addresses: a.cfg.WebRTC.Addresses, MaxViewers: a.cfg.Preview.MaxViewers, Log: a.log}
	opt.Listen = fmt.Sprintf(":%d", a.cfg.WebRTC.UDPPort)
	opt.Sessions = a.peerOptions()
	if host, _, err := net.SplitHostPort(a.cfg.HTTP.Listen); err == nil && host != "" {
		opt.Listen = net.JoinHostPort(host, fmt.Sprint(a.cfg.WebRTC.UDPPort)) // media is no more public than the console
	}
	if a.webrtc, err = webrtc.Open(opt); err != nil {
		return err
	}
	a.onClose(a.webrtc.Close)
	return nil
}

// run starts everything and stops it in order: cameras first, so that their
// last records reach the database, then the broker, then the console.
func (a *app) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var outer, inner sync.WaitGroup
	outerCtx, stopOuter := context.WithCancel(context.WithoutCancel(ctx))
	outer.Go(func() { failOn(fail, a.http.Serve(outerCtx, a.listen)) })
	if a.mqtt != nil {
		outer.Go(func() { failOn(fail, a.mqtt.run(outerCtx)) })
	}
	a.set.start = func(c *camera) { a.play(ctx, fail, c) }
	for _, c := range a.cameras() {
		a.set.start(c)
	}
	inner.Go(func() { a.followReloads(ctx) })
	inner.Go(func() { failOn(fail, a.watchdog(ctx)) })
	inner.Go(func() { failOn(fail, a.warm.Run(ctx)) })
	inner.Go(func() { a.deliveries.Run(ctx) })
	a.sayTo("ready", a.notify.Ready(fmt.Sprintf("%d cameras", len(a.cameras()))))

	<-ctx.Done()
	a.log.Info("stopping", "reason", context.Cause(ctx))
	a.sayTo("stopping", a.notify.Stopping("stopping"))
	if a.session != nil {
		a.session.close()
	}
	inner.Wait()
	a.set.wait()
	if a.mqtt != nil {
		a.mqtt.settle(drainLimit)
	}
	stopOuter()
	outer.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// storeLimit is how long the database may take to open, copy included: 8 GiB on
// a slow SD card.
const storeLimit = 30 * time.Minute

// modelLimit is how long a model may take to load, two providers tried.
const modelLimit = 45 * time.Minute

// loadLimit is how long a model may take at the start. With models.strict its
// first use builds a TensorRT engine.
func loadLimit(cfg *config.Config) time.Duration {
	if cfg.Models.Strict {
		return modelLimit + time.Duration(cfg.Models.BuildTime)
	}
	return modelLimit
}

// drainLimit is how long the last messages may take to reach the broker; what
// does not make it is sent at the next start.
const drainLimit = 3 * time.Second

// sayTo logs when systemd could not be told; that is no reason to stop.
func (a *app) sayTo(what string, err error) {
	if err != nil {
		a.log.Warn("systemd was not told", "what", what, "error", err)
	}
}

func failOn(fail context.CancelCauseFunc, err error) {
	if err != nil {
		fail(err)
	}
}

// watchdog pets systemd for as long as each camera that claims to be live
// really has sent something lately.
func (a *app) watchdog(ctx context.Context) error {
	return a.notify.Watch(ctx, func() error {
		for _, c := range a.cameras() {
			state, run := c.Camera.Status()
			if state.State != pipeline.Live || run == nil {
				continue
			}
			limit := 4 * time.Duration(c.cfg.StallAfter)
			if last := run.Status().LastFrame; !last.IsZero() && time.Since(last) > limit {
				return &pipeline.Error{Op: "watch", On: "camera " + c.Name, Kind: pipeline.Stuck, Err: fmt.Errorf("it is live but has sent nothing for %v", limit)}
			}
		}
		return nil
	})
}

// tally counts ended runs by reason.
type tally struct {
	mu   sync.Mutex
	runs map[pipeline.Reason]uint64 // guarded by mu
}

func (t *tally) count(c *pipeline.Complete) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.runs == nil {
		t.runs = map[pipeline.Reason]uint64{}
	}
	t.runs[c.Termination]++
}

func (t *tally) read() map[pipeline.Reason]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.runs)
}

func consoleURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}
