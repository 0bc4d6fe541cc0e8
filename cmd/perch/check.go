package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"perch/cmd/internal/config"
	"perch/pipeline"
)

func newCheck(g *globals) *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and the cameras' workflows; report every mistake",
		Args:  exactly(0, "nothing more; name the file with --config"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.load()
			if err != nil {
				return err
			}
			if show {
				b, err := cfg.YAML()
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(b)
				return err
			}
			if err := g.checkWorkflows(cmd.Context(), cfg, cmd.ErrOrStderr()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The configuration is good: %d cameras, data in %s.\n", len(cfg.Cameras), cfg.DataDir)
			return err
		},
	}
	cmd.Flags().BoolVar(&show, "show", false, "print every value that is in force, without credentials")
	return cmd
}

// checkWorkflows compiles what each camera runs, without loading a model.
func (g *globals) checkWorkflows(ctx context.Context, cfg *config.Config, stderr io.Writer) (err error) {
	log, err := logger(cfg, stderr)
	if err != nil {
		return err
	}
	p := newParts(cfg, log)
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.openModels(); err != nil {
		return err
	}
	var faults []error
	for _, name := range cfg.CameraNames() {
		if _, err := p.cameraPlan(ctx, cfg.Cameras[name]); err != nil {
			faults = append(faults, &pipeline.Error{Op: "check camera", On: name, Kind: pipeline.BadConfig, Err: err})
		}
	}
	return errors.Join(faults...)
}
