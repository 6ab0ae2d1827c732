package app

import (
	"oriel/store"
	"oriel/updater"
)

// feeds reports the state of the feeds, and runs them.
type feeds struct {
	updater.Health
	*updater.Manager
}

// Health returns the state of the feeds of a configuration, from the database
// alone if there is no manager.
func Health(cfg *Config, db *store.DB, m *updater.Manager) updater.Health {
	return updater.Health{
		Store:      db,
		Formats:    formats(),
		Config:     cfg.Updater,
		Configured: cfg.Feeds,
		Catalogue:  cfg.Catalogue,
		Manager:    m,
	}
}
