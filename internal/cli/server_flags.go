package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"oriel/clair"
	"oriel/internal/app"
	"oriel/internal/client"
	"oriel/store"
	"oriel/store/owner"
)

// serverFlags describe how a command reaches a running server.
type serverFlags struct {
	server, tokenFile, caFile string
}

// add registers the flags; address is the server's default.
func (f *serverFlags) add(flags *pflag.FlagSet, address, usage string) {
	flags.StringVar(&f.server, "server", address, usage)
	flags.StringVar(&f.tokenFile, "token-file", "", "file with the bearer token to send (default: the variable "+app.TokenVariable+")")
	flags.StringVar(&f.caFile, "ca-file", "", "file with the certificates to trust, as PEM (default: the system's)")
}

// addOwner registers the flags of a command for the server that owns the
// database.
func (f *serverFlags) addOwner(cmd *cobra.Command) {
	f.add(cmd.Flags(), "", "address of a running server to ask (default: the one that owns the database, if any)")
}

// token returns the token to send, "" if none is configured.
func (f *serverFlags) token() (string, error) {
	if f.tokenFile == "" {
		return os.Getenv(app.TokenVariable), nil
	}
	text, err := os.ReadFile(f.tokenFile)
	if err != nil {
		return "", usageError{fmt.Errorf("read the token: %w", err)}
	}
	return strings.TrimSpace(string(text)), nil
}

// openOrAsk opens the database as its owner, or returns a client of the server
// to ask instead: the one that is named, or the one that owns the database.
// Exactly one of the two is returned, for the caller to close.
func (o *oriel) openOrAsk(ctx context.Context, cfg *app.Config, log *slog.Logger, f serverFlags, memory app.Budget) (*store.DB, *client.Client, error) {
	if f.server != "" {
		c, err := newClient(client.Options{URL: f.server, Proxy: true}, f)
		return nil, c, err
	}
	db, err := store.Open(ctx, cfg.Store.Path, app.StoreOptions(cfg, o.assets, memory, log))
	if !errors.Is(err, clair.ErrConflict) {
		return db, nil, err
	}
	owner, oerr := owner.Read(cfg.Store.Path)
	if errors.Is(oerr, clair.ErrNotFound) {
		return nil, nil, err // another command owns it, and cannot be asked
	}
	if oerr != nil {
		return nil, nil, errors.Join(err, oerr)
	}
	c, err := newClient(client.Options{
		URL:         owner.URL,
		Token:       owner.Token,
		Certificate: owner.Certificate,
	}, f)
	return nil, c, err
}

// openExistingOrAsk is openOrAsk for commands that have nothing to do in a new
// database, and therefore do not make one.
func (o *oriel) openExistingOrAsk(ctx context.Context, cfg *app.Config, log *slog.Logger, f serverFlags, memory app.Budget) (*store.DB, *client.Client, error) {
	if _, err := os.Stat(cfg.Store.Path); f.server == "" && errors.Is(err, os.ErrNotExist) {
		return nil, nil, noDatabase(cfg.Store.Path)
	}
	return o.openOrAsk(ctx, cfg, log, f, memory)
}

// newClient returns a client with the token and certificates that the flags
// name, which win over those of o.
func newClient(o client.Options, f serverFlags) (*client.Client, error) {
	token, err := f.token()
	if err != nil {
		return nil, err
	}
	o.Token, o.CAFile, o.UserAgent = cmp.Or(token, o.Token), f.caFile, "oriel/"+app.Version()
	c, err := client.New(o)
	if errors.Is(err, clair.ErrInvalid) {
		return nil, usageError{err}
	}
	return c, err
}
