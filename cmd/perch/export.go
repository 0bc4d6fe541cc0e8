package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"perch/storage"
)

func newExport(g *globals) *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "export RUN",
		Short: "Write the results of a run as CSV, JSON lines or COCO",
		Args:  exactly(1, "the id of one run"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			f := storage.Format(format)
			if f != storage.CSV && f != storage.JSONL && f != storage.COCO {
				return usageError{fmt.Errorf("--format is csv, jsonl or coco, not %q", format)}
			}
			cfg, err := g.loadQuiet()
			if err != nil {
				return err
			}
			log, err := logger(cfg, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			store, err := storage.Open(cmd.Context(), storage.Options{Dir: string(cfg.DataDir), ReadOnly: true, Log: log})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			dst := cmd.OutOrStdout()
			if out != "" {
				file, err := os.Create(out)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, file.Close()) }()
				dst = file
			}
			w := bufio.NewWriter(dst)
			return errors.Join(store.Export(cmd.Context(), w, args[0], f), w.Flush())
		},
	}
	cmd.Flags().StringVar(&format, "format", "jsonl", "csv, jsonl or coco")
	cmd.Flags().StringVar(&out, "out", "", "write to this `file` instead of standard output")
	return cmd
}
