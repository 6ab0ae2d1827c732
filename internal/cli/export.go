package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"oriel/clair"
	"oriel/internal/app"
	"oriel/internal/bundle"
)

func (o *oriel) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export FILE|-",
		Short: "Write the latest state of all feeds into a file, also while a server runs",
		Args:  usage(cobra.ExactArgs(1)),
		RunE:  func(cmd *cobra.Command, args []string) error { return o.export(cmd.Context(), args[0]) },
	}
}

func (o *oriel) export(ctx context.Context, name string) (err error) {
	cfg, _, err := o.config()
	if err != nil {
		return err
	}
	db, err := o.openReadOnly(ctx, cfg, app.TakeBundleMemory(cfg))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	b, err := app.NewBundles(cfg, db, nil)
	if err != nil {
		return err
	}
	l, err := db.Latest(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	if len(l.States()) == 0 {
		return fmt.Errorf("export: %w: no feed has data in %s yet", clair.ErrNotFound, cfg.Store.Path)
	}
	start := time.Now()
	var w bundle.Written
	err = o.writeWhole(name, func(out io.Writer) (err error) {
		w, err = b.Write(ctx, out, l)
		return err
	})
	if err != nil {
		return err
	}
	signed := "not signed"
	if b.Signs() {
		signed = "signed"
	}
	fmt.Fprintf(o.stderr, "exported %d feeds, %d rows: %d bytes, %s (%v)\n",
		len(w.Feeds), w.Rows, w.Bytes, signed, time.Since(start).Round(time.Millisecond))
	return nil
}
