package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"oriel/clair"
	"oriel/internal/app"
	"oriel/store"
)

func (o *oriel) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and the database without changing anything",
		Args:  usage(cobra.NoArgs),
		RunE:  o.check,
	}
}

func (o *oriel) check(cmd *cobra.Command, _ []string) (err error) {
	cfg, log, err := o.config()
	if err != nil {
		return err
	}
	if _, _, err := app.ReadSecrets(cfg, log); err != nil {
		return usageError{err}
	}
	fmt.Fprintf(o.stdout, "configuration: ok, %d feeds\n", len(cfg.Feeds))
	db, err := store.Open(cmd.Context(), cfg.Store.Path, store.Options{ReadOnly: true})
	if errors.Is(err, clair.ErrNotFound) {
		fmt.Fprintf(o.stdout, "database %s: does not exist yet\n", cfg.Store.Path)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Check(cmd.Context()); err != nil {
		return err
	}
	fmt.Fprintf(o.stdout, "database %s: ok\n", cfg.Store.Path)
	return nil
}
