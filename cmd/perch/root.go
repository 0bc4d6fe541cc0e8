package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"perch/cmd/internal/config"
	"perch/pipeline"
	"perch/systemd"
)

const (
	defaultConfig      = "/etc/perch/perch.yaml"
	defaultEnvironment = "/etc/default/perch" // the unit's EnvironmentFile
)

// globals are the flags that every command has.
type globals struct {
	config   string
	dataDir  string
	logLevel string
}

func newRoot() *cobra.Command {
	g := &globals{}
	root := &cobra.Command{
		Use:   "perch",
		Short: "Cameras in, results out: video inference on NVIDIA Jetson and PCs",
		Long: `Perch captures video, runs a neural network on it, keeps the results in a
database, tells a broker about them and shows the pictures live.

Exit statuses: 0 done; 1 failed; 64 wrong command line; 65 bad input (not a
video, damaged model); 66 not found; 69 a decoder or execution provider is
missing; 74 results cannot be kept; 75 a camera or broker is away, or
another process builds an engine, try again; 77 refused; 78 wrong configuration; 130 interrupted.`,
		SilenceErrors: true, SilenceUsage: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			msg := fmt.Sprintf("there is no command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				msg += "; did you mean " + strings.Join(near, " or ") + "?"
			}
			return usageError{errors.New(msg + " (perch --help lists them)")}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (%s --help lists the flags)", err, cmd.CommandPath())}
	})
	f := root.PersistentFlags()
	f.StringVar(&g.config, "config", "", "configuration `file` (default "+defaultConfig+" if there is one)")
	f.StringVar(&g.dataDir, "data-dir", "", "`folder` of results and models, instead of the configuration's")
	f.StringVar(&g.logLevel, "log-level", "", "debug, info, warn or error, instead of the configuration's")
	root.AddCommand(newRun(g), newProcess(g), newCheck(g), newDoctor(g), newModel(g), newWorkflow(g), newExport(g), newBench(g), newVersion(), newClaim(g), newImage(g), newBuildEngine())
	return root
}

// exactly is cobra.ExactArgs with an error that says what is wanted.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s needs %s, and got %d arguments (usage: %s)", cmd.CommandPath(), what, len(args), cmd.UseLine())}
		}
		return nil
	}
}

func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError{fmt.Errorf("%s needs %s (usage: %s)", cmd.CommandPath(), what, cmd.UseLine())}
		}
		return nil
	}
}

// load reads the configuration. Only a file that was asked for must exist. Who
// asks for none sees the service's: its file, and the variables of its own file
// below those of this process.
func (g *globals) load() (*config.Config, error) {
	path, environ := g.config, os.Environ()
	if path == "" {
		if _, err := os.Stat(defaultConfig); err == nil {
			path = defaultConfig
			service, err := config.ReadEnvironment(defaultEnvironment)
			if err != nil {
				return nil, err
			}
			environ = append(service, environ...)
		}
	}
	if g.dataDir != "" {
		abs, err := filepath.Abs(g.dataDir)
		if err != nil {
			return nil, usageError{err}
		}
		environ = append(environ, "PERCH_DATA_DIR="+abs)
	}
	if g.logLevel != "" {
		environ = append(environ, "PERCH_LOG_LEVEL="+g.logLevel)
	}
	return config.Load(path, environ)
}

// loadQuiet is load for commands that people run by hand and that print their
// own results: only warnings are logged unless more was asked for.
func (g *globals) loadQuiet() (*config.Config, error) {
	cfg, err := g.load()
	if err == nil && g.logLevel == "" && cfg.Log.Level == "info" {
		cfg.Log.Level = "warn"
	}
	return cfg, err
}

// logger writes to w as the configuration says; text that would go to systemd's
// journal goes there with its attributes as fields.
func logger(cfg *config.Config, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		return nil, &pipeline.Error{Op: "set log level", On: cfg.Log.Level, Kind: pipeline.BadConfig, Err: err}
	}
	opt := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opt)), nil
	}
	text := slog.NewTextHandler(w, opt)
	if systemd.InJournal(os.Getenv, w) {
		return slog.New(systemd.Journal(level, text)), nil
	}
	return slog.New(text), nil
}
