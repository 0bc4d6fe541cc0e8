package main

import "github.com/spf13/cobra"

func newRun(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the appliance: cameras, console, broker",
		Long: `Runs every camera of the configuration until it is told to stop, serves the
console and the API, and tells the broker.

On SIGHUP (systemctl reload perch) the configuration and the workflows are read
again: cameras that changed, came or went are started and stopped, and the
others are left alone. What else changed takes effect at the next start.

Everything in the configuration can also be said in the environment, as
PERCH_ and the path of the value: PERCH_HTTP_LISTEN, PERCH_CAMERAS_DOOR_URL.`,
		Args: exactly(0, "nothing more; name the configuration with --config"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), g.load, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}
