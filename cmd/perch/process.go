package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"perch/cmd/internal/blocks"
	"perch/gst"
	"perch/pipeline"
	"perch/pipeline/draw"
)

// processFlags are what perch process was asked for.
type processFlags struct {
	json       bool
	out        string
	model      string
	workflow   string
	params     []string
	confidence float64
	iou        float64
	classes    []string
	keep       string
	maxFPS     float64
	track      bool
	decoder    string
}

func newProcess(g *globals) *cobra.Command {
	f := &processFlags{}
	cmd := &cobra.Command{
		Use:   "process FILE...",
		Short: "Run the model on video files and keep the results",
		Long: `Runs the model on every frame of each file, in order, and keeps the results;
with --max-fps on no more than so many frames of each second of the video.
Each file is a run of its own and ends with one completion record, which is
stored, sent to the broker if one is configured, and with --json printed.

A file that fails does not keep the others from being processed; the exit
status is that of the first that failed.`,
		Example: "  perch process gate.mp4\n  perch process --json --classes person,car *.mkv > runs.jsonl\n  perch process --out annotated.mp4 gate.mp4",
		Args:    atLeastOne("at least one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), g, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.json, "json", false, "print one completion record a file and nothing else")
	fl.StringVar(&f.out, "out", "", "write the video to this `file`, as the workflow has drawn it or else with what was found; with several inputs, into this folder")
	fl.StringVar(&f.workflow, "workflow", "", "run the workflow in this JSON `file` instead of a model")
	fl.StringArrayVar(&f.params, "param", nil, "`name=value` of a workflow's parameter; the value is JSON, or else a string")
	fl.StringVar(&f.model, "model", "", "`id` of the model (default: models.default)")
	fl.Float64Var(&f.confidence, "confidence", 0, "smallest score that counts, 0 to 1 (default: the model's own)")
	fl.Float64Var(&f.iou, "iou", 0, "boxes of a class that overlap more are one, 0 to 1 (default: the model's own)")
	fl.StringSliceVar(&f.classes, "classes", nil, "only these `classes`, comma separated (default: all)")
	fl.StringVar(&f.keep, "keep", "", "every, changes or events (default: storage.keep)")
	fl.Float64Var(&f.maxFPS, "max-fps", 0, "frames a second of the video to work on, at most; 0.5 is one every two seconds (default: every frame)")
	fl.BoolVar(&f.track, "track", true, "follow objects from frame to frame and give each a number")
	fl.StringVar(&f.decoder, "decoder", "", "`element` that must decode, or software (default: the platform's best)")
	return cmd
}

// processor runs files one after the other.
type processor struct {
	*processFlags
	*parts
	plan *plan
	out  io.Writer
	err  io.Writer
	bar  bool // standard error is a terminal
}

func (f *processFlags) run(ctx context.Context, g *globals, files []string, stdout, stderr io.Writer) (err error) {
	if err := f.check(files); err != nil {
		return err
	}
	cfg, err := g.loadQuiet()
	if err != nil {
		return err
	}
	log, err := logger(cfg, stderr)
	if err != nil {
		return err
	}
	p := &processor{processFlags: f, parts: newParts(cfg, log), out: stdout, err: stderr}
	p.bar = isTerminal(stderr) && !f.json
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := errors.Join(p.openMedia(), p.openModels()); err != nil {
		return err
	}
	if err := p.makePlan(ctx); err != nil {
		return err
	}
	if err := p.openStore(ctx); err != nil {
		return err
	}
	if err := p.openDeliveries(nil); err != nil {
		return err
	}
	var first error
	for i, file := range files {
		if ctx.Err() != nil {
			break
		}
		if err := p.file(ctx, file); err != nil {
			if errors.Is(err, errNotMade) || len(files) > 1 {
				fmt.Fprintln(stderr, "perch:", err)
			}
			first = errors.Join(first, err)
			if pipeline.KindOf(err) == pipeline.Storage { // the next would fail as well
				if n := len(files) - i - 1; n > 0 {
					fmt.Fprintf(stderr, "perch: %d more files were not processed\n", n)
				}
				break
			}
		}
	}
	if err := p.settleDeliveries(ctx, deliverLimit); err != nil {
		fmt.Fprintln(stderr, "perch: warning:", err)
	}
	// The records are safe; a broker that is away does not undo that.
	if err := p.deliver(ctx); err != nil {
		fmt.Fprintln(stderr, "perch: warning:", err)
	}
	if ctx.Err() != nil {
		return statusError{errors.Join(first, errors.New("interrupted; what was processed is kept")), exitInterrupted}
	}
	if first != nil && len(files) > 1 {
		return statusError{errSilent, exitStatus(first)}
	}
	return first
}

// errNotMade marks failures that have not been printed.
var errNotMade = errors.New("run was not made")

func (f *processFlags) check(files []string) error {
	switch f.keep {
	case "", string(pipeline.KeepEvery), string(pipeline.KeepChanges), string(pipeline.KeepEvents):
	default:
		return usageError{fmt.Errorf("--keep is every, changes or events, not %q", f.keep)}
	}
	for name, v := range map[string]float64{"--confidence": f.confidence, "--iou": f.iou} {
		if v < 0 || v > 1 {
			return usageError{fmt.Errorf("%s is between 0 and 1, not %v", name, v)}
		}
	}
	if err := pipeline.CheckMaxFPS(f.maxFPS); err != nil {
		return usageError{fmt.Errorf("--max-fps %w", err)}
	}
	if f.workflow != "" && (f.model != "" || f.confidence != 0 || f.iou != 0 || f.classes != nil) {
		return usageError{errors.New("--workflow says which models run and what counts, so --model, --confidence, --iou and --classes cannot be given with it")}
	}
	if len(f.params) > 0 && f.workflow == "" {
		return usageError{errors.New("--param is for the workflow that --workflow names")}
	}
	if f.out != "" && len(files) > 1 {
		if st, err := os.Stat(f.out); err != nil || !st.IsDir() {
			return usageError{fmt.Errorf("--out %s must be an existing folder when there are several files", f.out)}
		}
	}
	return nil
}

// makePlan compiles what the flags ask for and loads its models, before any
// file is touched.
func (p *processor) makePlan(ctx context.Context) error {
	var err error
	if p.workflow != "" {
		p.plan, err = p.filePlan(ctx, p.workflow, p.params)
	} else {
		id := p.processFlags.model
		if id == "" {
			id = p.cfg.Models.Default
		}
		p.plan, err = p.shortPlan(ctx, blocks.Short{Model: id, Confidence: p.confidence, IoU: p.iou, Classes: p.classes, Track: p.track})
	}
	if err != nil {
		return err
	}
	e, err := p.engine(p.plan, "", "")
	if err != nil {
		return err
	}
	return e.Close()
}

// file makes one run and prints what came of it.
func (p *processor) file(ctx context.Context, path string) error {
	src, err := p.media.NewSource(gst.SourceSpec{
		Kind: pipeline.SourceFile, Path: path, Name: filepath.Base(path), Pace: pipeline.Lossless, Decoder: p.decoder,
	})
	if err != nil {
		return errors.Join(err, errNotMade)
	}
	id := p.ids.next()
	engine, err := p.engine(p.plan, "", id)
	if err != nil {
		return errors.Join(err, errNotMade)
	}
	run := &pipeline.Run{
		ID: id, Device: p.device, Source: src, Pace: pipeline.Lossless, MaxFPS: p.maxFPS, Engine: engine, Recorder: p.store,
		Keep: pipeline.Keep(p.keep), Log: p.log, Now: time.Now, Clock: p.clock.Read,
	}
	var bar atomic.Pointer[progressbar.ProgressBar]
	run.OnOpen = func(info pipeline.StreamInfo) {
		if info.Fallback != "" {
			p.log.Warn("lesser decoder in use", "file", path, "decoder", info.Decoder, "why", info.Fallback)
		}
		bar.Store(p.progress(path, info))
	}
	run.OnFrame = func(*pipeline.Result) {
		if b := bar.Load(); b != nil {
			b.Add(1) //nolint:errcheck // a bar that cannot be drawn is no reason to stop
		}
	}
	var annotated *pipeline.Annotator
	if p.processFlags.out != "" {
		if annotated, err = p.annotator(run, path); err != nil {
			return errors.Join(err, errNotMade)
		}
		run.Viewers = []pipeline.Viewer{annotated}
	}
	c, err := run.Run(ctx)
	if annotated != nil {
		err = errors.Join(err, annotated.Close())
	}
	if c == nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), errNotMade)
	}
	// What is printed is what was stored. A record that could not be is made
	// again at the next start, and then with other numbers.
	stored, readErr := p.store.CompleteJSON(context.WithoutCancel(ctx), c.Run)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if p.json {
		_, writeErr := fmt.Fprintf(p.out, "%s\n", stored)
		return errors.Join(err, writeErr)
	}
	p.summary(path, c)
	return err
}

// annotator writes a file beside the run that shows what was found.
func (p *processor) annotator(run *pipeline.Run, path string) (*pipeline.Annotator, error) {
	drawer, err := draw.New()
	if err != nil {
		return nil, err
	}
	out := p.processFlags.out
	if st, err := os.Stat(out); err == nil && st.IsDir() {
		base := filepath.Base(path)
		out = filepath.Join(out, base[:len(base)-len(filepath.Ext(base))]+".annotated.mp4")
	}
	return &pipeline.Annotator{Drawer: drawer, Open: func(w, h int) (pipeline.VideoWriter, error) {
		info := run.Status().Stream
		if info.FPS <= 0 {
			info.FPS = 25
		}
		return p.media.NewVideoWriter(out, w, h, info.Rate())
	}}, nil
}

// progress shows a bar on a terminal; elsewhere it is nil.
func (p *processor) progress(path string, info pipeline.StreamInfo) *progressbar.ProgressBar {
	if !p.bar {
		return nil
	}
	total := int64(info.Expected())
	if total == 0 {
		total = -1 // a spinner
	}
	return progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.err), progressbar.OptionSetDescription(filepath.Base(path)),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("frames"),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
