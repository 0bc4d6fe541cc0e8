package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"perch/cmd/internal/blocks"
	"perch/pipeline"
	"perch/pipeline/infer"
	"perch/pipeline/model"
	"perch/pipeline/workflow"
)

func newModel(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use: "model", Short: "Add, list, inspect, test and remove models",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("perch model has no command %q (perch model --help lists them)", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newModelAdd(g), newModelList(g), newModelInspect(g), newModelTest(g), newModelRemove(g), newModelWarm(g))
	return cmd
}

// registry opens the models without anything else.
func (g *globals) registry(cmd *cobra.Command) (*parts, error) {
	cfg, err := g.loadQuiet()
	if err != nil {
		return nil, err
	}
	log, err := logger(cfg, cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	p := newParts(cfg, log)
	return p, p.openModels()
}

func newModelAdd(g *globals) *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:   "add FILE|FOLDER",
		Short: "Add a model: an ONNX file, or a folder with model.onnx and model.yaml",
		Args:  exactly(1, "one file or folder"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			p, err := g.registry(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, p.Close()) }()
			e, err := p.models.Store().Add(args[0], id)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "Added %s: %s, head family %s, %s.\n", e.Manifest.ID, e.Manifest.Task, e.Manifest.Head.Family, e.Dir)
			if len(e.Manifest.Guessed) > 0 {
				fmt.Fprintf(out, "The graph does not say everything. Look at these in %s:\n", filepath.Join(e.Dir, model.ManifestFile))
				for _, guess := range e.Manifest.Guessed {
					fmt.Fprintf(out, "  %s\n", guess)
				}
			}
			fmt.Fprintf(out, "Try it: perch model test --model %s IMAGE\n", e.Manifest.ID)
			return nil
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "call it `ID` (default: from model.yaml, or the name of the file)")
	return cmd
}

func newModelList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the models", Args: exactly(0, "nothing more"),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			p, err := g.registry(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, p.Close()) }()
			all, err := p.models.Store().List()
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tTASK\tFAMILY\tINPUT\tCLASSES\tMB\tWHERE")
			for _, e := range all {
				where := e.Dir
				if e.Builtin {
					where = "built in"
				}
				m := e.Manifest
				fmt.Fprintf(w, "%s\t%s\t%s\t%dx%d\t%d\t%.1f\t%s\n", m.ID, m.Task, m.Head.Family, m.Input.Width, m.Input.Height, len(m.Labels), float64(e.Bytes)/1e6, where)
			}
			return errors.Join(err, w.Flush())
		},
	}
}

func newModelInspect(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect ID|FILE",
		Short: "Show what a model's graph has and what Perch makes of it",
		Args:  exactly(1, "the id of a model or an ONNX file"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			p, err := g.registry(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, p.Close()) }()
			return inspect(cmd.Context(), p, cmd.OutOrStdout(), args[0])
		},
	}
}

func inspect(ctx context.Context, p *parts, out io.Writer, what string) error {
	src, manifest := infer.Model{Name: what}, (*model.Manifest)(nil)
	if st, err := os.Stat(what); err == nil && !st.IsDir() {
		src.Path = what
	} else {
		e, err := p.models.Store().Get(what)
		if err != nil {
			return err
		}
		manifest = &e.Manifest
		if src.Data, err = e.Graph(); err != nil {
			return err
		}
	}
	g, err := p.models.Runtime().Inspect(ctx, src, model.MaxGraphBytes)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "model\t%s\nproducer\t%s\nopset\t%d\nsize\t%.1f MB\ndigest\t%s\n", what, g.Producer, g.Opset, float64(g.Size)/1e6, g.Digest)
	for _, t := range g.Inputs {
		fmt.Fprintf(w, "input\t%s\t%s%v\n", t.Name, t.Type, t.Shape)
	}
	for _, t := range g.Outputs {
		fmt.Fprintf(w, "output\t%s\t%s%v\n", t.Name, t.Type, t.Shape)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if manifest == nil {
		full, err := p.models.Graph(ctx, src)
		if err != nil {
			return err
		}
		m, err := model.Inspect(full)
		if err != nil {
			return err
		}
		manifest = &m
	}
	b, err := p.models.Store().Encode(manifest)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nmodel.yaml:\n%s", b)
	for _, guess := range manifest.Guessed {
		fmt.Fprintf(out, "# guessed: %s\n", guess)
	}
	return nil
}

func newModelRemove(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "remove ID", Short: "Remove a model that was added", Args: exactly(1, "the id of one model"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			p, err := g.registry(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, p.Close()) }()
			if err := p.models.Store().Remove(args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Removed %s.\n", args[0])
			return err
		},
	}
}

func newModelTest(g *globals) *cobra.Command {
	var asJSON bool
	var s blocks.Short
	cmd := &cobra.Command{
		Use:   "test IMAGE...",
		Short: "Run a model on pictures and print what it finds",
		Args:  atLeastOne("at least one picture"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			p, err := g.registry(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, p.Close()) }()
			if err := p.openMedia(); err != nil {
				return err
			}
			if s.Model == "" {
				s.Model = p.cfg.Models.Default
			}
			w, err := p.shortPlan(cmd.Context(), s)
			if err != nil {
				return err
			}
			t := &modelTest{parts: p, plan: w, out: cmd.OutOrStdout(), json: asJSON}
			var errs []error
			for _, path := range args {
				errs = append(errs, t.picture(cmd.Context(), path))
			}
			return errors.Join(errs...)
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.Model, "model", "", "`id` of the model (default: models.default)")
	f.BoolVar(&asJSON, "json", false, "print one JSON object a picture")
	f.Float64Var(&s.Confidence, "confidence", 0, "smallest score that counts (default: the model's own)")
	f.Float64Var(&s.IoU, "iou", 0, "boxes of a class that overlap more are one (default: the model's own)")
	f.StringSliceVar(&s.Classes, "classes", nil, "only these classes (default: all)")
	return cmd
}

type modelTest struct {
	*parts
	plan *plan
	out  io.Writer
	json bool
}

// foundJSON is one detection as perch model test --json prints it: the form of
// perch export --format jsonl, and what only some models give.
type foundJSON struct {
	Label     string       `json:"label"`
	Class     int          `json:"class"`
	Score     float32      `json:"score"`
	Box       [4]float32   `json:"box"`                 // x0, y0, x1, y1 in pixels
	Keypoints [][3]float32 `json:"keypoints,omitempty"` // x, y in pixels and score, in the order of the model
	MaskArea  int          `json:"mask_area,omitempty"` // pixels
	Polygon   [][2]float32 `json:"polygon,omitempty"`   // x, y in pixels: the outline of the mask's largest part
}

func foundOf(d *pipeline.Detection) foundJSON {
	f := foundJSON{Label: d.Label, Class: d.Class, Score: d.Score, Box: [4]float32{d.Box.X0, d.Box.Y0, d.Box.X1, d.Box.Y1}}
	for _, k := range d.Keypoints {
		f.Keypoints = append(f.Keypoints, [3]float32{k.X, k.Y, k.Score})
	}
	if d.Mask != nil {
		f.MaskArea = d.Mask.Area()
		for _, p := range d.Mask.Polygon() {
			f.Polygon = append(f.Polygon, [2]float32{p.X, p.Y})
		}
	}
	return f
}

// more says in words what a detection has besides its box.
func (f *foundJSON) more() string {
	var all []string
	if f.Keypoints != nil {
		seen := 0
		for _, k := range f.Keypoints {
			if k[2] >= 0.5 {
				seen++
			}
		}
		all = append(all, fmt.Sprintf("%d key points, %d of them above 0.5", len(f.Keypoints), seen))
	}
	if f.MaskArea > 0 {
		all = append(all, fmt.Sprintf("mask of %d pixels", f.MaskArea))
	}
	return strings.Join(all, "; ")
}

func (t *modelTest) picture(ctx context.Context, path string) error {
	pic, err := t.media.DecodeImage(ctx, path)
	if err != nil {
		return err
	}
	engine, err := t.plan.graph.Bind(t.env("", ""), workflow.Options{Name: t.plan.name})
	if err != nil {
		return err
	}
	defer engine.Close()
	start := time.Now()
	r, err := runFrame(ctx, engine, pic, 0)
	if err != nil {
		return err
	}
	found := []foundJSON{}
	for i := range r.Detections {
		found = append(found, foundOf(&r.Detections[i]))
	}
	if !t.json {
		fmt.Fprintf(t.out, "%s: %dx%d, %d found in %.1f ms on %s\n", path, pic.Width, pic.Height, len(r.Detections),
			time.Since(start).Seconds()*1000, engine.About().Models[0].Provider)
		w := tabwriter.NewWriter(t.out, 0, 8, 2, ' ', 0)
		for _, f := range found {
			fmt.Fprintf(w, "  %s\t%.3f\t%.1f,%.1f to %.1f,%.1f\t%s\n", f.Label, f.Score, f.Box[0], f.Box[1], f.Box[2], f.Box[3], f.more())
		}
		return w.Flush()
	}
	b, err := json.Marshal(struct {
		Image      string      `json:"image"`
		Width      int         `json:"width"`
		Height     int         `json:"height"`
		Detections []foundJSON `json:"detections"`
	}{filepath.Base(path), pic.Width, pic.Height, found})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.out, strings.TrimSpace(string(b)))
	return err
}

// still is a picture in Go memory, which nobody needs to give back.
type still struct {
	pic pipeline.Picture
	seq uint64
	pts time.Duration
}

func (s still) Info() pipeline.FrameInfo {
	return pipeline.FrameInfo{Seq: s.seq, PTS: s.pts, Wall: time.Now(), Width: s.pic.Width, Height: s.pic.Height}
}
func (s still) Picture() pipeline.Picture { return s.pic }
func (s still) Retain() pipeline.Frame    { return s }
func (s still) Release()                  {}
