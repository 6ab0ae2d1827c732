package cli

import (
	"github.com/spf13/cobra"

	"oriel/internal/app"
)

func (o *oriel) serveCommand() *cobra.Command {
	var demo bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server: update feeds and answer over HTTP",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if demo {
				return app.Demo(cmd.Context(), o.assets, o.stdout, o.stderr)
			}
			cfg, log, err := o.config()
			if err != nil {
				return err
			}
			return app.Serve(cmd.Context(), cfg, o.assets, log, nil)
		},
	}
	cmd.Flags().BoolVar(&demo, "demo", false, "serve sample data from a temporary database, without network")
	return cmd
}
