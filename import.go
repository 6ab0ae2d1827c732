package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"oriel/clair"
	"oriel/fetch"
	"oriel/server"
	"oriel/store"
)

// importFlags are the flags of import.
type importFlags struct{ server, tokenFile string }

func (o *oriel) importCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Take in what export, or clairctl export-updaters, wrote; what is there already is left",
		Args:  oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.server != "" {
				return o.importThrough(cmd.Context(), f, args[0])
			}
			return o.importHere(cmd.Context(), args[0])
		},
	}
	cmd.Flags().StringVar(&f.server, "server", "", "address of a running server to import into, such as http://127.0.0.1:6060")
	cmd.Flags().StringVar(&f.tokenFile, "token-file", "", "file with the token to show the server")
	return cmd
}

// importHere imports into the database, which nobody else may own.
func (o *oriel) importHere(ctx context.Context, name string) (err error) {
	cfg, log, err := o.config()
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, cfg.Store.Path, store.Options{Schema: schema, Memory: takeBundleMemory(cfg).sqlite, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p := newProgress(o.stderr)
	m, done, err := newManager(cfg, db, log, p.show)
	if err != nil {
		return err
	}
	defer done()
	b, err := newBundles(cfg, db, m)
	if err != nil {
		return err
	}
	f, err := openInput(ctx, name, int64(cfg.Bundle.MaxSize))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	results, err := b.apply(ctx, f)
	p.clear()
	for _, r := range results {
		o.printImported(imported(r))
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

// printImported prints how the feeds of an import went.
func (o *oriel) printImported(feeds []server.Imported) {
	for _, f := range feeds {
		switch f.Result {
		case "imported":
			fmt.Fprintf(o.stdout, "%s: operation %s: %d added, %d removed, %d unchanged\n", f.Name, f.Operation, f.Added, f.Removed, f.Unchanged)
		case "older":
			fmt.Fprintf(o.stdout, "%s: older than what is here, left\n", f.Name)
		case "failed":
			fmt.Fprintf(o.stdout, "%s: failed: %s\n", f.Name, f.Error)
		default:
			fmt.Fprintf(o.stdout, "%s: %s\n", f.Name, f.Result)
		}
	}
}

// importThrough sends a file to a running server.
func (o *oriel) importThrough(ctx context.Context, f importFlags, name string) (err error) {
	base, err := url.Parse(f.server)
	if err != nil || base.Host == "" {
		return usageError{clair.Invalid("--server", "%.80q is not the address of a server", f.server)}
	}
	body := io.NopCloser(os.Stdin)
	size := int64(-1)
	if name != standard {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		info, err := file.Stat()
		if err != nil {
			return errors.Join(err, file.Close())
		}
		body, size = file, info.Size()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath("/matcher/api/v1/bundle").String(), body)
	if err != nil {
		return err
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/zstd")
	if f.tokenFile != "" {
		token, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer res.Body.Close()
	return o.readImported(res)
}

// maxImported bounds what a server answers.
const maxImported = 16 << 20

// readImported prints what a server answered to an import.
func (o *oriel) readImported(res *http.Response) error {
	var answer struct {
		Message string            `json:"message"`
		Feeds   []server.Imported `json:"feeds"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxImported)).Decode(&answer); err != nil {
		return fmt.Errorf("import: the server answered %s: %w", res.Status, err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("import: the server answered %s: %s", res.Status, answer.Message)
	}
	o.printImported(answer.Feeds)
	failed := 0
	for _, f := range answer.Feeds {
		if f.Result == "failed" {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("import: %d of %d feeds failed", failed, len(answer.Feeds))
	}
	return nil
}
