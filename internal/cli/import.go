package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"oriel/internal/api"
	"oriel/internal/app"
	"oriel/internal/client"
	"oriel/internal/fetch"
	"oriel/internal/sanitize"
)

func (o *oriel) importCommand() *cobra.Command {
	var f serverFlags
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Import a bundle, or a file of clairctl export-updaters; existing operations are kept",
		Long: `Import a file that "oriel export" or "clairctl export-updaters" wrote. Operations that exist already, or that
are older than the existing ones, are skipped. If a server owns the database, it imports the file.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return o.importFile(cmd.Context(), args[0], f) },
	}
	f.addOwner(cmd)
	return cmd
}

func (o *oriel) importFile(ctx context.Context, name string, flags serverFlags) (err error) {
	cfg, log, err := o.config()
	if err != nil {
		return err
	}
	db, d, err := o.openOrAsk(ctx, cfg, log, flags, app.TakeBundleMemory(cfg))
	if err != nil {
		return err
	}
	if d != nil {
		defer d.Close()
		return o.importThrough(ctx, d, name)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p := newProgress(o.stderr)
	m, done, err := app.NewManager(cfg, db, log, showFeeds(p))
	if err != nil {
		return err
	}
	defer done()
	b, err := app.NewBundles(cfg, db, m)
	if err != nil {
		return err
	}
	f, err := openInput(ctx, name, int64(cfg.Bundle.MaxSize))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	results, err := b.Apply(ctx, f)
	p.clear()
	for _, r := range results {
		o.printImported(app.Imported(r))
	}
	return err
}

// openInput opens a file, or spools standard input.
func openInput(ctx context.Context, name string, maxSize int64) (*fetch.File, error) {
	if name == standard {
		return fetch.Spool(os.Stdin, "", maxSize)
	}
	f, _, err := fetch.New(fetch.Config{}).Get(ctx, fetch.Request{URL: name, MaxSize: maxSize})
	return f, err
}

// printImported prints the outcome of an import for each feed.
func (o *oriel) printImported(feeds []api.Imported) {
	for _, f := range feeds {
		switch f.Result {
		case api.ImportDone:
			fmt.Fprintf(o.stdout, "%s: operation %s: %d added, %d removed, %d unchanged\n", f.Name, f.Operation, f.Added, f.Removed, f.Unchanged)
		case api.ImportOlder:
			fmt.Fprintf(o.stdout, "%s: older than what is here, skipped\n", f.Name)
		case api.ImportFailed:
			fmt.Fprintf(o.stdout, "%s: failed: %s\n", f.Name, sanitize.Text(f.Error))
		default:
			fmt.Fprintf(o.stdout, "%s: %s\n", f.Name, f.Result)
		}
	}
}

// importThrough sends a file to a running server.
func (o *oriel) importThrough(ctx context.Context, d *client.Client, name string) (err error) {
	fmt.Fprintf(o.stderr, "asking the server at %s\n", d.URL())
	in := os.Stdin
	if name != standard {
		if in, err = os.Open(name); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, in.Close()) }()
	}
	feeds, err := d.Import(ctx, in)
	if err != nil {
		return err
	}
	o.printImported(feeds)
	failed := 0
	for _, f := range feeds {
		if f.Result == api.ImportFailed {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("import: %d of %d feeds failed", failed, len(feeds))
	}
	return nil
}
