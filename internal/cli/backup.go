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
		Use: "backup FILE", Short: "Write a copy of the database, also beside a running server",
		Long: `Write a copy of the database as it is now, also beside a running server, in place of the file there may be.
The copy is checked before it takes the file's name.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return o.backup(cmd.Context(), args[0]) },
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
