package main

import (
	"oriel/store"
	"oriel/updater"
)

// feeds tells how the feeds are doing, and runs them.
type feeds struct {
	updater.Health
	*updater.Manager
}

// health tells how the feeds of a configuration are doing, from the database
// alone where there is no manager.
func health(cfg *Config, db *store.DB, m *updater.Manager) updater.Health {
	return updater.Health{Store: db, Formats: formats(), Config: cfg.Updater, Configured: cfg.Feeds, Manager: m}
}
