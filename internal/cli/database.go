package cli

import (
	"context"
	"errors"
	"fmt"

	"oriel/clair"
	"oriel/internal/app"
	"oriel/store"
)

// openReadOnly opens the configured database for reading.
func (o *oriel) openReadOnly(ctx context.Context, cfg *app.Config, memory app.Budget) (*store.DB, error) {
	db, err := store.Open(ctx, cfg.Store.Path, store.Options{ReadOnly: true, Memory: memory.SQLite})
	if errors.Is(err, clair.ErrNotFound) {
		return nil, noDatabase(cfg.Store.Path)
	}
	return db, err
}

// noDatabase returns the error of every command that needs a database if there
// is none yet.
func noDatabase(path string) error {
	return fmt.Errorf("%w: there is no database yet at %s: run \"oriel update\" first", clair.ErrNotFound, path)
}
