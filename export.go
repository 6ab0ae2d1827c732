package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"oriel/clair"
	"oriel/internal/bundle"
	"oriel/store"
)

func (o *oriel) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export FILE|-",
		Short: "Write the feeds' latest state into one file; works beside a running server",
		Args:  oneArg,
		RunE:  func(cmd *cobra.Command, args []string) error { return o.export(cmd.Context(), args[0]) },
	}
}

// oneArg wants one argument.
func oneArg(cmd *cobra.Command, args []string) error {
	if err := cobra.ExactArgs(1)(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}

// standard stands for standard input or output where a file is named.
const standard = "-"

func (o *oriel) export(ctx context.Context, name string) (err error) {
	cfg, log, err := o.config()
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, cfg.Store.Path, store.Options{ReadOnly: true, Memory: takeBundleMemory(cfg).sqlite, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	b, err := newBundles(cfg, db, nil)
	if err != nil {
		return err
	}
	l, err := db.Latest(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	if len(l.States()) == 0 {
		return fmt.Errorf("export: %w: there is no feed's data in %s", clair.ErrNotFound, cfg.Store.Path)
	}
	start := time.Now()
	var w bundle.Written
	err = o.into(name, func(out io.Writer) (err error) {
		w, err = b.write(ctx, out, l)
		return err
	})
	if err != nil {
		return err
	}
	signed := "not signed"
	if b.key != nil {
		signed = "signed"
	}
	fmt.Fprintf(o.stderr, "exported %d feeds, %d rows: %d bytes, %s (%v)\n",
		len(w.Feeds), w.Rows, w.Bytes, signed, time.Since(start).Round(time.Millisecond))
	return nil
}

// into writes a file, which is there only if all of it is, or standard output.
func (o *oriel) into(name string, write func(io.Writer) error) error {
	if name == standard {
		return write(o.stdout)
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	if err = write(tmp); err == nil {
		err = errors.Join(tmp.Chmod(0o644), tmp.Sync()) // it holds nothing secret
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
