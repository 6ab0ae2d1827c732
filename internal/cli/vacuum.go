package cli

import (
	"context"
	"errors"
	"fmt"
	"oriel/internal/api"
	"oriel/internal/app"

	"github.com/spf13/cobra"
)

func (o *oriel) vacuumCommand() *cobra.Command {
	var f serverFlags
	cmd := &cobra.Command{
		Use:   "vacuum",
		Short: "Collect garbage and return free space to the disk, also while a server runs",
		Args:  usage(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.vacuum(cmd.Context(), f) },
	}
	f.addOwner(cmd)
	return cmd
}

func (o *oriel) vacuum(ctx context.Context, f serverFlags) (err error) {
	cfg, log, err := o.config()
	if err != nil {
		return err
	}
	db, d, err := o.openExistingOrAsk(ctx, cfg, log, f, app.TakeMemory(cfg))
	if err != nil {
		return err
	}
	var done api.Vacuumed
	if d != nil {
		defer d.Close()
		fmt.Fprintf(o.stderr, "asking the server at %s\n", d.URL())
		done, err = d.Vacuum(ctx)
	} else {
		defer func() { err = errors.Join(err, db.Close()) }()
		done.FreedBytes, err = db.Vacuum(ctx, cfg.Updater.Keep)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(o.stdout, "%.1f MB returned to the disk\n", float64(done.FreedBytes)/1e6)
	return nil
}
