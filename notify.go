package main

import (
	"context"
	"log/slog"

	"oriel/clair"
	"oriel/enrich"
	"oriel/notify"
	"oriel/store"
)

// notifications is where the notifier's rows are read.
const notifications = "/notifier/api/v1/notification"

// newNotifier makes the notifier of a server at an address.
func newNotifier(cfg *Config, db *store.DB, url string, log *slog.Logger) (*notify.Notifier, error) {
	return notify.New(cfg.Notify, notify.Options{
		Store: db, Completed: db.Completed(), Callback: url + notifications, Exploited: exploited(cfg, db),
		UserAgent: "oriel/" + version(), Log: log,
	})
}

// exploited looks vulnerabilities up in the feeds of format "kev".
func exploited(cfg *Config, db *store.DB) notify.Exploited {
	r := records{db: db}
	for _, f := range cfg.Feeds {
		if f.Format == "kev" {
			r.feeds = append(r.feeds, f.Name)
		}
	}
	return func(ctx context.Context, v *clair.Vulnerability) (bool, error) {
		cves := enrich.CVEs(v)
		if len(cves) == 0 {
			return false, nil
		}
		found, err := r.GetEnrichment(ctx, cves)
		return len(found) > 0, err
	}
}
