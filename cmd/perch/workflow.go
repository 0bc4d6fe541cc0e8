package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

func newWorkflow(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workflow",
		Short: "Check, show, run and measure workflows; list their blocks",
		Long: `A workflow is a graph of blocks: models, trackers, counters, drawings, sinks.
It is a JSON file as Roboflow's editor writes it. perch process --workflow runs
one on video files, the key workflow of a camera runs one on a camera.`,
		Args: exactly(0, "one of its own commands"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newWorkflowBlocks(g), newWorkflowCheck(g), newWorkflowShow(g), newWorkflowRun(g), newWorkflowBench(g))
	return cmd
}

// withWorkflows lends the parts that workflows need to f.
func (g *globals) withWorkflows(stderr io.Writer, media bool, f func(p *parts) error) (err error) {
	cfg, err := g.loadQuiet()
	if err != nil {
		return err
	}
	log, err := logger(cfg, stderr)
	if err != nil {
		return err
	}
	p := newParts(cfg, log)
	defer func() { err = errors.Join(err, p.Close()) }()
	if media {
		if err := p.openMedia(); err != nil {
			return err
		}
	}
	if err := p.openModels(); err != nil {
		return err
	}
	return f(p)
}

func newWorkflowBlocks(g *globals) *cobra.Command {
	var schema bool
	cmd := &cobra.Command{
		Use:   "blocks [TYPE]",
		Short: "List all blocks, or describe one",
		Example: "  perch workflow blocks\n  perch workflow blocks roboflow_core/line_counter@v2\n" +
			"  perch workflow blocks --schema > workflow.schema.json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("name one block, or none")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.withWorkflows(cmd.ErrOrStderr(), false, func(p *parts) error {
				lib, out := p.library(cmd.Context()), cmd.OutOrStdout()
				switch {
				case schema:
					b, err := lib.Schema()
					if err != nil {
						return err
					}
					_, err = fmt.Fprintf(out, "%s\n", b)
					return err
				case len(args) == 0:
					return listBlocks(out, lib)
				}
				return describeBlock(out, lib, args[0])
			})
		},
	}
	cmd.Flags().BoolVar(&schema, "schema", false, "print a JSON schema of workflows, for editors")
	return cmd
}

func listBlocks(out io.Writer, lib *workflow.Library) error {
	groups := map[string][]*workflow.Manifest{}
	var names []string
	for _, m := range lib.Blocks() {
		if groups[m.Group] == nil {
			names = append(names, m.Group)
		}
		groups[m.Group] = append(groups[m.Group], m)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, name := range names {
		fmt.Fprintf(w, "%s\n", strings.ToUpper(name))
		for _, m := range groups[name] {
			first, _, _ := strings.Cut(m.Doc, ". ")
			fmt.Fprintf(w, "  %s\t%s\n", m.Type, strings.TrimSuffix(first, "."))
		}
	}
	return w.Flush()
}

// findBlock finds a block by its type, with or without prefix and version.
func findBlock(lib *workflow.Library, name string) (*workflow.Manifest, error) {
	if m, ok := lib.Find(name); ok {
		return m, nil
	}
	var found *workflow.Manifest
	for _, m := range lib.Blocks() {
		_, short, _ := strings.Cut(m.Type, "/")
		family, _, _ := strings.Cut(short, "@")
		if name == short || name == family {
			found = m // the newest version comes last
		}
	}
	if found != nil {
		return found, nil
	}
	e := &pipeline.Error{Op: "find block", On: name, Kind: pipeline.NotFound, Err: errors.New("there is none of that type"), Hint: "perch workflow blocks lists them"}
	if near := lib.Nearest(name); near != "" {
		e.Hint = "the nearest is " + near + "; " + e.Hint
	}
	return nil, e
}

func describeBlock(out io.Writer, lib *workflow.Library, name string) error {
	m, err := findBlock(lib, name)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s: %s\n", m.Type, m.Title)
	if len(m.Aliases) > 0 {
		fmt.Fprintf(w, "also written %s\n", strings.Join(m.Aliases, ", "))
	}
	fmt.Fprintf(w, "\n%s\n\nFields\n", m.Doc)
	for i := range m.Fields {
		f := &m.Fields[i]
		note := ""
		switch {
		case f.Required:
			note = " (required)"
		case !f.Default.IsNull():
			b, err := (&workflow.Encoder{}).Append(nil, f.Default)
			if err != nil {
				return err
			}
			note = fmt.Sprintf(" (default %s)", b)
		}
		fmt.Fprintf(w, "  %s%s\t%s\n  \ttakes %s\n", f.Name, note, f.Doc, f.Takes())
	}
	fmt.Fprintln(w, "\nOutputs")
	for _, o := range m.Outputs {
		fmt.Fprintf(w, "  %s\t%s\n", o.Name, o.Doc)
	}
	if m.Ports != nil {
		fmt.Fprintln(w, "  and others, which depend on its fields")
	}
	return w.Flush()
}

func newWorkflowCheck(g *globals) *cobra.Command {
	var params []string
	cmd := &cobra.Command{
		Use: "check FILE", Short: "Check a workflow; report everything that is wrong with it",
		Args: exactly(1, "one workflow file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.withWorkflows(cmd.ErrOrStderr(), false, func(p *parts) error {
				w, err := p.filePlan(cmd.Context(), args[0], params)
				if err != nil {
					return err
				}
				names := strings.Join(w.graph.OutputNames(), ", ")
				pictures := "shrunk to what its models need, where the platform does that"
				if whole := w.graph.WholeFrames(); len(whole) > 0 {
					pictures = "whole frames, for " + strings.Join(whole, ", ")
				}
				if _, err = fmt.Fprintf(cmd.OutOrStdout(), "The workflow is good. Outputs: %s\nPictures: %s\n", names, pictures); err != nil {
					return err
				}
				if missing := w.graph.MissingParameters(w.params); len(missing) > 0 {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "Parameters it needs, which a run must give: %s\n", strings.Join(missing, ", "))
				}
				return err
			})
		},
	}
	cmd.Flags().StringArrayVar(&params, "param", nil, "`name=value` of a parameter; the value is JSON, or else a string")
	return cmd
}

func newWorkflowShow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "show CAMERA", Short: "Print the workflow that a camera runs, its short form written out",
		Args: exactly(1, "the name of a camera"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.withWorkflows(cmd.ErrOrStderr(), false, func(p *parts) error {
				cam := p.cfg.Cameras[args[0]]
				if cam == nil {
					return &pipeline.Error{
						Op: "show workflow of camera", On: args[0], Kind: pipeline.NotFound, Err: errors.New("the configuration has no camera of that name"),
						Hint: "it has " + cmp.Or(strings.Join(p.cfg.CameraNames(), ", "), "no cameras"),
					}
				}
				w, err := p.cameraPlan(cmd.Context(), cam)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", w.text)
				return err
			})
		},
	}
}

// still pictures for a workflow.
type workflowFlags struct {
	image  string
	params []string
	out    string
	frames int
}

func newWorkflowRun(g *globals) *cobra.Command {
	f := &workflowFlags{}
	cmd := &cobra.Command{
		Use: "run FILE --image PICTURE", Short: "Run a workflow on one picture and print its outputs",
		Long: `Runs a workflow on one picture and prints its outputs as one JSON object.
Sinks are not run: nothing is written or sent.`,
		Args: exactly(1, "one workflow file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.withWorkflows(cmd.ErrOrStderr(), true, func(p *parts) error {
				return p.runOnce(cmd.Context(), args[0], f, cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().StringVar(&f.image, "image", "", "the `picture`: JPEG, PNG or anything else that GStreamer reads")
	cmd.Flags().StringVar(&f.out, "out", "", "write the first output that is a picture to this JPEG `file`")
	cmd.Flags().StringArrayVar(&f.params, "param", nil, "`name=value` of a parameter; the value is JSON, or else a string")
	return cmd
}

// onPicture prepares a run of a workflow on one picture.
func (p *parts) onPicture(ctx context.Context, file string, f *workflowFlags) (*workflow.Engine, pipeline.Picture, error) {
	if f.image == "" {
		return nil, pipeline.Picture{}, usageError{errors.New("--image is needed: a picture to run the workflow on")}
	}
	pic, err := p.media.DecodeImage(ctx, f.image)
	if err != nil {
		return nil, pic, err
	}
	w, err := p.filePlan(ctx, file, f.params)
	if err != nil {
		return nil, pic, err
	}
	env := p.env("", "")
	env.DisableSinks = true
	e, err := w.graph.Bind(env, workflow.Options{Name: w.name, Parameters: w.params})
	if err != nil {
		return nil, pic, startError(w, err)
	}
	e.Opened(pipeline.StreamInfo{Width: pic.Width, Height: pic.Height, FPS: 1})
	return e, pic, nil
}

// frame runs a workflow on a picture.
func runFrame(ctx context.Context, e *workflow.Engine, pic pipeline.Picture, n int) (*pipeline.Result, error) {
	f := still{pic: pic, seq: uint64(n + 1), pts: time.Duration(n) * time.Second / 30}
	work, err := e.Begin(ctx, f)
	if err != nil {
		return nil, err
	}
	r := &pipeline.Result{Frame: f.Info()}
	return r, work.Finish(ctx, r)
}

func (p *parts) runOnce(ctx context.Context, file string, f *workflowFlags, out io.Writer) (err error) {
	e, pic, err := p.onPicture(ctx, file, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	r, err := runFrame(ctx, e, pic, 0)
	if err != nil {
		return err
	}
	text := []byte{'{'}
	for i := range r.Outputs.Len() {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(workflow.AppendString(text, r.Outputs.Name(i)), ':')
		if text, err = r.Outputs.AppendJSON(text, i, 80); err != nil {
			return fmt.Errorf("output %q: %w", r.Outputs.Name(i), err)
		}
	}
	if _, err := fmt.Fprintf(out, "%s}\n", text); err != nil || f.out == "" {
		return err
	}
	return p.writeFirstImage(r.Outputs, f.out)
}

func (p *parts) writeFirstImage(outs pipeline.Outputs, path string) error {
	for i := range outs.Len() {
		pic, ok := outs.Image(i)
		if !ok {
			continue
		}
		b, err := p.jpeg(pic, 90)
		if err != nil {
			return err
		}
		return os.WriteFile(path, b, 0o644)
	}
	return &pipeline.Error{Op: "write", On: path, Kind: pipeline.BadInput, Err: errors.New("none of the workflow's outputs is a picture")}
}

func newWorkflowBench(g *globals) *cobra.Command {
	f := &workflowFlags{}
	cmd := &cobra.Command{
		Use: "bench FILE --image PICTURE", Short: "Measure what each step of a workflow costs",
		Long: `Runs a workflow many times on one picture and prints the mean time of each
step. Sinks are not run. Steps share processors with the models' threads.`,
		Args: exactly(1, "one workflow file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.withWorkflows(cmd.ErrOrStderr(), true, func(p *parts) error {
				return p.benchWorkflow(cmd.Context(), args[0], f, cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().StringVar(&f.image, "image", "", "the `picture`: JPEG, PNG or anything else that GStreamer reads")
	cmd.Flags().IntVar(&f.frames, "frames", 100, "how many `times`")
	cmd.Flags().StringArrayVar(&f.params, "param", nil, "`name=value` of a parameter; the value is JSON, or else a string")
	return cmd
}

func (p *parts) benchWorkflow(ctx context.Context, file string, f *workflowFlags, out io.Writer) (err error) {
	if f.frames < 1 || f.frames > 1_000_000 {
		return usageError{fmt.Errorf("--frames is 1 to 1000000, not %d", f.frames)}
	}
	e, pic, err := p.onPicture(ctx, file, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if _, err := runFrame(ctx, e, pic, 0); err != nil { // what is made once is not counted
		return err
	}
	before := e.Times()
	for n := range f.frames {
		if _, err := runFrame(ctx, e, pic, n+1); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "step\ttype\tms a frame\t")
	var sum time.Duration
	for i, t := range e.Times() {
		d := (t.Total - before[i].Total) / time.Duration(f.frames)
		sum += d
		fmt.Fprintf(w, "%s\t%s\t%.3f\t\n", t.Step, t.Type, d.Seconds()*1000)
	}
	fmt.Fprintf(w, "all steps\t\t%.3f\t\n", sum.Seconds()*1000)
	return w.Flush()
}
