package app

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/internal/bundle"
	"oriel/internal/fetch"
	"oriel/server"
	"oriel/store"
	"oriel/updater"
	"oriel/updater/mirror"
)

// openBundle reads a bundle for the feeds of that format.
func openBundle(ctx context.Context, f *fetch.File, publicKey string) (mirror.Contents, error) {
	var keys []ed25519.PublicKey
	if publicKey != "" {
		key, err := bundle.ReadPublicKey(publicKey)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return bundle.Open(ctx, f, f.Size(), keys...)
}

// Bundles exports from and imports into one database.
type Bundles struct {
	db      *store.DB
	updates *updater.Manager // nil where nothing is imported
	key     ed25519.PrivateKey
	trusted []ed25519.PublicKey
	maxSize int64
}

// NewBundles reads the keys that the configuration names.
func NewBundles(cfg *Config, db *store.DB, updates *updater.Manager) (*Bundles, error) {
	b := &Bundles{
		db:      db,
		updates: updates,
		maxSize: int64(cfg.Bundle.MaxSize),
	}
	var err error
	if b.key, err = cfg.Bundle.SigningKey(); err != nil {
		return nil, err
	}
	b.trusted, err = cfg.Bundle.TrustedKeys()
	return b, err
}

// Export takes the current state of all feeds.
func (b *Bundles) Export(ctx context.Context) (server.Export, error) {
	l, err := b.db.Latest(ctx)
	if err != nil {
		return server.Export{}, err
	}
	tag, err := b.tag(l.States())
	if err != nil {
		l.Close()
		return server.Export{}, err
	}
	return server.Export{
		Tag:   tag,
		Close: l.Close,
		Write: func(ctx context.Context, w io.Writer) error {
			_, err := b.Write(ctx, w, l)
			return err
		},
	}, nil
}

// Write writes the states to w.
func (b *Bundles) Write(ctx context.Context, w io.Writer, l *store.Latest) (bundle.Written, error) {
	return bundle.Write(ctx, w, l, bundle.Options{Key: b.key, By: program()})
}

// program names this program in bundles.
func program() string { return "oriel " + Version() }

// tag returns the bundle's ETag, which depends on the states, the writer and
// the signing key.
func (b *Bundles) tag(states []clair.FeedState) (string, error) {
	text, err := json.Marshal(states)
	if err != nil {
		return "", fmt.Errorf("name a bundle: %w", err)
	}
	text = append(text, program()...)
	if b.key != nil {
		text = append(text, b.key.Public().(ed25519.PublicKey)...)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

// Import spools an export, so that it is applied only once all of it has been
// checked.
func (b *Bundles) Import(ctx context.Context, body io.Reader) (_ []api.Imported, err error) {
	f, err := fetch.Spool(body, "", b.maxSize)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	results, err := b.Apply(ctx, f)
	if results == nil {
		return nil, err
	}
	out := []api.Imported{}
	for _, r := range results {
		out = append(out, Imported(r)...)
	}
	return out, nil // results contain the failures
}

// Apply applies the new operations of a file, which is recognized by its
// content: a bundle, or a file of clairctl export-updaters. It returns no
// results if it began nothing.
func (b *Bundles) Apply(ctx context.Context, f *fetch.File) ([]updater.Result, error) {
	is, err := isBundle(f)
	if err != nil {
		return nil, err
	}
	if !is {
		if len(b.trusted) > 0 {
			return nil, fmt.Errorf("%w: a file by clairctl cannot be signed, and a signature is required here", clair.ErrInvalid)
		}
		return b.updates.ImportLines(ctx, io.NewSectionReader(f, 0, f.Size()))
	}
	bu, err := bundle.Open(ctx, f, f.Size(), b.trusted...)
	if err != nil {
		return nil, err
	}
	return b.updates.ImportContents(ctx, bu)
}

// isBundle looks at the first plain bytes of a file. If they belong to neither
// format, the error is an ErrInvalid.
func isBundle(f *fetch.File) (bool, error) {
	r, err := fetch.Decompress(io.NewSectionReader(f, 0, f.Size()))
	if err != nil {
		return false, fmt.Errorf("%w: %w", errNoExport, err)
	}
	var head [64]byte
	n, err := io.ReadFull(r, head[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, errors.Join(fmt.Errorf("%w: %w", errNoExport, err), r.Close())
	}
	if bundle.Is(head[:n]) {
		return true, r.Close()
	}
	if !strings.HasPrefix(strings.TrimSpace(string(head[:n])), "{") {
		return false, errors.Join(errNoExport, r.Close())
	}
	return false, r.Close()
}

var errNoExport = fmt.Errorf("%w: it is damaged, or neither a bundle nor a file by clairctl export-updaters", clair.ErrInvalid)

// Imported describes one run for clients.
func Imported(r updater.Result) []api.Imported {
	one := api.Imported{Name: r.Updater}
	switch {
	case r.Err != nil:
		one.Result, one.Error = api.ImportFailed, r.Err.Error()
	case r.Older:
		one.Result = api.ImportOlder
	case r.Unchanged():
		one.Result = api.ImportUnchanged
	}
	if one.Result != "" {
		return []api.Imported{one}
	}
	var out []api.Imported
	for _, op := range r.Operations {
		out = append(out, api.Imported{
			Name:      r.Updater,
			Result:    api.ImportDone,
			Operation: &op.Ref,
			Kind:      op.Kind,
			Added:     op.Added,
			Removed:   op.Removed,
			Unchanged: op.Unchanged,
		})
	}
	return out
}

// Signs reports whether exports are signed.
func (b *Bundles) Signs() bool { return b.key != nil }
