package cli

import (
	"context"
	"errors"
	"fmt"
	"oriel/internal/app"

	"github.com/spf13/cobra"
)

func (o *oriel) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the database, also while a server runs",
		Long:  `Copy the database as it is now, also while a server runs. The copy is checked before it replaces FILE.`,
		Args:  usage(cobra.ExactArgs(1)),
		RunE:  func(cmd *cobra.Command, args []string) error { return o.backup(cmd.Context(), args[0]) },
	}
}

func (o *oriel) backup(ctx context.Context, file string) (err error) {
	cfg, _, err := o.config()
	if err != nil {
		return err
	}
	db, err := o.openReadOnly(ctx, cfg, app.Budget{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	size, err := db.Backup(ctx, file)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.stdout, "%s: %.1f MB, checked\n", file, float64(size)/1e6)
	return nil
}
