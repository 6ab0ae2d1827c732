package main

import (
	"context"

	"oriel/clair"
	"oriel/store"
	"oriel/updater"
)

// feeds tells how the feeds are doing, and runs them where there is a manager.
type feeds struct {
	cfg     *Config
	db      *store.DB
	updates *updater.Manager // nil where another process runs the feeds
}

// Feeds tells how all feeds are doing.
func (f feeds) Feeds(ctx context.Context) (clair.Feeds, error) {
	return formats().Health(ctx, f.cfg.Updater, f.cfg.Feeds, f.db, f.updates)
}

// Start starts runs; see updater.Manager.Start.
func (f feeds) Start(names ...string) ([]string, error) { return f.updates.Start(names...) }
