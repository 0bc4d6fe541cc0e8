package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"perch/cmd/internal/clock"
	"perch/cmd/internal/config"
	"perch/cmd/internal/deliver"
	"perch/cmd/internal/models"
	"perch/gst"
	"perch/pipeline"
	"perch/pipeline/infer"
	"perch/storage"
)

// parts is what the commands are made of, opened one by one and closed in the
// opposite order.
type parts struct {
	cfg    *config.Config
	log    *slog.Logger
	clock  clock.Clock
	device string
	store  *storage.Store
	media  *gst.Media
	models *models.Registry
	ids    *ids
	// deliveries sends what workflows owe to others; nil while none may run.
	deliveries *deliver.Worker
	// onModel is called with each model that was loaded; nil is not called.
	onModel func(models.Upgradable)

	closers []func() error
}

func newParts(cfg *config.Config, log *slog.Logger) *parts {
	return &parts{cfg: cfg, log: log, clock: clock.New(), ids: newIDs()}
}

// onClose pushes what must be undone.
func (p *parts) onClose(f func() error) { p.closers = append(p.closers, f) }

// Close undoes everything, last first, and reports every failure.
func (p *parts) Close() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i]())
	}
	p.closers = nil
	return errors.Join(errs...)
}

// openStore opens the database and finds out who this device is.
func (p *parts) openStore(ctx context.Context) error {
	dir := string(p.cfg.DataDir)
	store, err := storage.Open(ctx, storage.Options{
		Dir: dir, Keep: pipeline.Keep(p.cfg.Storage.Keep), Commit: time.Duration(p.cfg.Storage.CommitInterval),
		MaxBytes: int64(p.cfg.Storage.MaxSize), MaxAge: time.Duration(p.cfg.Storage.MaxAge),
		NoOutbox: !p.tells(), Log: p.log,
		Event: func(kind string) pipeline.Event { return p.event(kind, "", "") }, // asked for once p.device is known
	})
	if err != nil {
		return err
	}
	p.store = store
	p.onClose(store.Close)
	p.device, err = deviceID(p.cfg.Device.ID, dir)
	return err
}

// tells reports whether messages go anywhere.
func (p *parts) tells() bool {
	return p.cfg.MQTT.URL.Reveal() != "" || p.cfg.MQTT.Embedded.Listen != ""
}

// openMedia starts GStreamer.
func (p *parts) openMedia() (err error) {
	if p.media, err = gst.Open(mediaOptions(p.cfg, p.log)); err != nil {
		return err
	}
	p.onClose(func() error { p.media.Close(); return nil })
	return nil
}

func mediaOptions(cfg *config.Config, log *slog.Logger) gst.Options {
	opt := gst.Options{Log: log, Elements: map[string]string{}}
	if cfg.Platform.Name != "auto" {
		opt.Platform = cfg.Platform.Name
	}
	for codec, element := range cfg.Platform.Decoders {
		opt.Elements["decode-"+codec] = element
	}
	if cfg.Platform.Encoder != "" {
		opt.Elements["encode-h264"] = cfg.Platform.Encoder
	}
	return opt
}

// openModels starts ONNX Runtime; models load when they are first asked for.
func (p *parts) openModels() error {
	opt := modelOptions(p.cfg, p.log)
	opt.Loaded = func(u models.Upgradable) {
		if p.onModel != nil {
			p.onModel(u)
		}
	}
	reg, err := models.Open(opt)
	if err != nil {
		return err
	}
	p.models = reg
	p.onClose(reg.Close)
	return nil
}

func modelOptions(cfg *config.Config, log *slog.Logger) models.Options {
	dir := string(cfg.Models.Dir)
	if dir == "" {
		dir = filepath.Join(string(cfg.DataDir), "models")
	}
	return models.Options{
		Dir: dir, Library: string(cfg.Models.Library), Providers: cfg.Models.Providers, Strict: cfg.Models.Strict,
		Aliases: cfg.Workflows.Models, Threads: cfg.Models.Threads, Engine: infer.EngineOptions{FP16: cfg.Models.FP16}, EngineOf: engineOptions(cfg.Models.TensorRT),
		EngineDir: engineDir(cfg), Deadline: time.Duration(cfg.Models.Deadline), Rehearsal: time.Duration(cfg.Models.Rehearsal), BuildTime: time.Duration(cfg.Models.BuildTime), Log: log,
	}
}

// deviceIDName is the file in data_dir that keeps the device's name.
const deviceIDName = "device-id"

// deviceID returns what the configuration says, else what was made at the
// first start, else makes it.
func deviceID(configured, dir string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	path := filepath.Join(dir, deviceIDName)
	b, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(b)); err == nil && id != "" {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", &pipeline.Error{Op: "read", On: path, Kind: pipeline.Storage, Err: err}
	}
	raw := make([]byte, 5)
	rand.Read(raw) // never fails
	id := "perch-" + hex.EncodeToString(raw)
	if err := writeSynced(path, id+"\n"); err != nil {
		return "", &pipeline.Error{Op: "write", On: path, Kind: pipeline.Storage, Err: err, Hint: "the device's name must survive a restart; set device.id instead if the folder is read-only"}
	}
	return id, nil
}

// writeSynced replaces a small file so that a power cut leaves the old or the
// new one.
func writeSynced(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails when it has been renamed
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ids makes ULIDs that sort in the order in which they were made.
type ids struct {
	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy // guarded by mu
}

func newIDs() *ids { return &ids{entropy: ulid.Monotonic(rand.Reader, 0)} }

func (g *ids) next() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	id, err := ulid.New(ulid.Now(), g.entropy)
	if err != nil { // more than 2^80 in a millisecond
		panic(fmt.Sprintf("make id: %v", err))
	}
	return id.String()
}
