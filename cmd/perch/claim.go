package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"perch/cmd/internal/api"
	"perch/cmd/internal/claim"
)

// openClaim finds out whose this device is; without http.claim it is everybody's.
func (p *parts) openClaim() (api.Claimer, error) {
	if !p.cfg.HTTP.Claim {
		return nil, nil
	}
	c, err := claim.Open(string(p.cfg.DataDir))
	if err != nil {
		return nil, err
	}
	if _, claimed := c.Owner(); !claimed {
		p.log.Warn("this device has no owner yet: open its page from a computer in the same network and claim it")
	}
	return c, nil
}

// name is what people call this device: its owner's word counts.
func (a *app) name() string {
	if a.claim != nil {
		if name, _ := a.claim.Owner(); name != "" {
			return name
		}
	}
	return a.cfg.Device.Name
}

func newClaim(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "claim",
		Short: "Say whether this device has an owner",
		Args:  exactly(0, "nothing more, or reset"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.loadQuiet()
			if err != nil {
				return err
			}
			c, err := claim.Open(string(cfg.DataDir))
			if err != nil {
				return err
			}
			name, claimed := c.Owner()
			switch out := cmd.OutOrStdout(); {
			case !cfg.HTTP.Claim:
				fmt.Fprintln(out, "This device asks for no owner (http.claim is false).")
			case claimed:
				fmt.Fprintf(out, "This device is claimed, under the name %q.\n", name)
			default:
				fmt.Fprintln(out, "This device waits for an owner: open its page and claim it.")
			}
			return nil
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "reset",
		Short: "Let this device be claimed again, when its token is lost",
		Args:  exactly(0, "nothing more"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.loadQuiet()
			if err != nil {
				return err
			}
			was, err := claim.Reset(string(cfg.DataDir))
			if err != nil {
				return err
			}
			if !was {
				fmt.Fprintln(cmd.OutOrStdout(), "Nobody had claimed it.")
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The token counts no more after: systemctl restart perch. Then claim the device on its page.")
			return nil
		},
	})
	return cmd
}
