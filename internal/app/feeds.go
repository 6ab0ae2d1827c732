package app

import (
	"oriel/store"
	"oriel/updater"
)

// feeds tells how the feeds are doing, and runs them.
type feeds struct {
	updater.Health
	*updater.Manager
}

// Health reports how the feeds of a configuration are doing, from the database
// alone if there is no manager.
func Health(cfg *Config, db *store.DB, m *updater.Manager) updater.Health {
	return updater.Health{Store: db, Formats: formats(), Config: cfg.Updater, Configured: cfg.Feeds, Manager: m}
}
