package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newCheck(g *globals) *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration; report every mistake with its line",
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
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The configuration is good: %d cameras, data in %s.\n", len(cfg.Cameras), cfg.DataDir)
			return err
		},
	}
	cmd.Flags().BoolVar(&show, "show", false, "print every value that is in force, without credentials")
	return cmd
}
