package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"oriel/server"
	"oriel/store"
)

func (o *oriel) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Write a copy of the database, also beside a running server",
		Long: `Write a copy of the database as it is now, also beside a running server, in place of the file there may be.
The copy is checked before it takes the file's name.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(1)(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.backup(cmd.Context(), args[0]) },
	}
}

func (o *oriel) backup(ctx context.Context, file string) (err error) {
	cfg, _, err := o.config()
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, cfg.Store.Path, store.Options{ReadOnly: true})
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

func (o *oriel) vacuumCommand() *cobra.Command {
	var f serverFlags
	cmd := &cobra.Command{
		Use: "vacuum", Short: "Collect garbage and give free space back to the disk, also beside a running server", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.vacuum(cmd.Context(), f) },
	}
	f.addOwner(cmd)
	return cmd
}

func (o *oriel) vacuum(ctx context.Context, f serverFlags) (err error) {
	cfg, log, err := o.config()
	if err != nil {
		return err
	}
	db, d, err := openOrAsk(ctx, cfg, log, f, takeMemory(cfg))
	if err != nil {
		return err
	}
	var done server.Vacuumed
	if d != nil {
		defer d.Close()
		fmt.Fprintf(o.stderr, "asking the server at %s\n", d.url)
		err = d.call(ctx, http.MethodPost, "/admin/v1/vacuum", &done)
	} else {
		defer func() { err = errors.Join(err, db.Close()) }()
		done.FreedBytes, err = db.Vacuum(ctx, cfg.Updater.Keep)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(o.stdout, "%.1f MB given back to the disk\n", float64(done.FreedBytes)/1e6)
	return nil
}
