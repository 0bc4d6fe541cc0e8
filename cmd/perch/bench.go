package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"perch/cmd/internal/models"
	"perch/pipeline"
)

func newBench(g *globals) *cobra.Command {
	b := &bench{}
	cmd := &cobra.Command{
		Use:   "bench FILE",
		Short: "Measure this machine: the model alone, decoding alone, and Perch, as ratios",
		Long: `Measures, one after the other and in several rounds, how many frames a second
the model alone does, how many GStreamer alone decodes of FILE, and how many
perch process does of FILE; then the processor time that Perch itself needs for
a frame, and its memory. Figures of one round are compared with each other,
because machines are noisy; medians are printed.`,
		Args: exactly(1, "one video file"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			cfg, err := g.load()
			if err != nil {
				return err
			}
			b.parts = newParts(cfg, slog.New(slog.DiscardHandler))
			defer func() { err = errors.Join(err, b.Close()) }()
			b.out, b.file = cmd.OutOrStdout(), args[0]
			if err := errors.Join(b.openMedia(), b.openModels()); err != nil {
				return err
			}
			return b.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.IntVar(&b.rounds, "rounds", 3, "how often each thing is measured")
	f.IntVar(&b.repeat, "memory-passes", 0, "process FILE so often in one process to see whether memory stays flat; 0: leave out")
	f.StringVar(&b.id, "model", "", "`id` of the model (default: models.default)")
	return cmd
}

type bench struct {
	*parts
	out            io.Writer
	file, id       string
	rounds, repeat int
	loaded         *models.Loaded
}

func (b *bench) run(ctx context.Context) error {
	if b.id == "" {
		b.id = b.cfg.Models.Default
	}
	var err error
	if b.loaded, err = b.models.Load(ctx, b.id); err != nil {
		return err
	}
	info, err := b.media.Probe(ctx, b.file)
	if err != nil {
		return err
	}
	var model, decode, process, ratio, rss []float64
	for range b.rounds {
		m, err := b.modelAlone(ctx, 150)
		if err != nil {
			return err
		}
		p, err := b.process(ctx, 1)
		if err != nil {
			return err
		}
		d, err := b.decodeAlone(ctx, p.record.Frames.In)
		if err != nil {
			return err
		}
		model, decode, process = append(model, m), append(decode, d), append(process, p.record.FPS)
		ratio, rss = append(ratio, p.record.FPS/min(m, d)), append(rss, p.peakMB)
	}
	w := tabwriter.NewWriter(b.out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "file\t%s, %s %dx%d, decoded by %s\n", filepath.Base(b.file), info.Codec, info.Width, info.Height, info.Decoder)
	fmt.Fprintf(w, "model alone\t%.1f frames/s\t%s on %s, %d threads at most\n", median(model), b.id, b.loaded.ID.Provider, b.cfg.Models.Threads)
	fmt.Fprintf(w, "decoding alone\t%.1f frames/s\tgst-launch-1.0 ... ! fakesink\n", median(decode))
	fmt.Fprintf(w, "perch process\t%.1f frames/s\n", median(process))
	fmt.Fprintf(w, "ratio to the slower\t%.3f\tmedian of %d rounds, %.3f to %.3f\n", median(ratio), b.rounds, slices.Min(ratio), slices.Max(ratio))
	fmt.Fprintf(w, "peak memory\t%.0f MB\n", slices.Max(rss))
	if err := w.Flush(); err != nil {
		return err
	}
	if err := b.ownCost(ctx); err != nil || b.repeat == 0 {
		return err
	}
	return b.memory(ctx)
}

// modelAlone returns frames a second of the bare model, as fast as one caller
// can submit.
func (b *bench) modelAlone(ctx context.Context, n int) (float64, error) {
	start := time.Now()
	for range n {
		slot, err := b.loaded.Session.Lease(ctx)
		if err != nil {
			return 0, err
		}
		slot.Submit()
		_, err = slot.Wait(ctx)
		slot.Release()
		if err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// decodeAlone returns frames a second of GStreamer decoding into nothing.
func (b *bench) decodeAlone(ctx context.Context, frames uint64) (float64, error) {
	cmd := exec.CommandContext(ctx, "gst-launch-1.0", "-q", "filesrc", "location="+b.file, "!", "decodebin", "!", "fakesink", "sync=false")
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("run %s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(out))
	}
	return float64(frames) / time.Since(start).Seconds(), nil
}

// processed is what one run of perch process cost.
type processed struct {
	record  pipeline.Complete // of the last file
	peakMB  float64
	samples []float64 // resident MB, one a second
}

// process runs this program on the file, in a process and a folder of its own.
func (b *bench) process(ctx context.Context, times int) (processed, error) {
	dir, err := os.MkdirTemp("", "perch-bench-*")
	if err != nil {
		return processed{}, err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return processed{}, err
	}
	args := []string{"process", "--json", "--data-dir", dir, "--model", b.id}
	for range times {
		args = append(args, b.file)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), "PERCH_MQTT_URL=", "PERCH_MQTT_EMBEDDED_LISTEN=", "PERCH_MODELS_DIR="+modelOptions(b.cfg, nil).Dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		return processed{}, err
	}
	var p processed
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { p.samples = watchMemory(cmd.Process.Pid, ended) })
	err = cmd.Wait()
	close(ended)
	wg.Wait()
	if err != nil {
		return p, fmt.Errorf("run %s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(errs.Bytes()))
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		p.peakMB = float64(usage.Maxrss) / 1000
	}
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	return p, json.Unmarshal(lines[len(lines)-1], &p.record)
}

func watchMemory(pid int, ended <-chan struct{}) (mb []float64) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return mb
		case <-tick.C:
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		var size, resident int
		if _, scanErr := fmt.Sscan(string(b), &size, &resident); err == nil && scanErr == nil {
			mb = append(mb, float64(resident*os.Getpagesize())/1e6)
		}
	}
}

// memory processes the file many times in one process.
func (b *bench) memory(ctx context.Context) error {
	p, err := b.process(ctx, b.repeat)
	if err != nil {
		return err
	}
	k := max(len(p.samples)/10, 1)
	first, last := p.samples[k:2*k], p.samples[len(p.samples)-k:] // the first tenth is warm-up
	_, err = fmt.Fprintf(b.out, "memory over %d frames: %.0f MB in the second tenth, %.0f MB in the last, peak %.0f MB\n",
		uint64(b.repeat)*p.record.Frames.In, median(first), median(last), p.peakMB)
	return err
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
