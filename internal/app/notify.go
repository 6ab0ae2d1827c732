package app

import (
	"context"
	"log/slog"
	"time"

	"oriel/clair"
	"oriel/enrich"
	"oriel/internal/api"
	"oriel/notify"
	"oriel/store"
)

// newNotifier returns the notifier of a server at an address. notCovered returns
// the places of all manifests that are not covered.
func newNotifier(cfg *Config, db *store.DB, url string, notCovered func(context.Context) ([]clair.Place, error), log *slog.Logger) (*notify.Notifier, error) {
	sign, err := signer(cfg)
	if err != nil {
		return nil, err
	}
	return notify.New(cfg.Notify, notify.Options{
		Store:         db,
		Completed:     db.Completed(),
		Callback:      url + api.PathNotification,
		Exploited:     exploited(cfg, db),
		NotCovered:    notCovered,
		Authorization: sign,
		UserAgent:     "oriel/" + Version(),
		Log:           log,
	})
}

// signer returns a function that makes the token for receivers, as Clair does if
// there is a key. It is nil if there is none.
func signer(cfg *Config) (func() (string, error), error) {
	key, err := cfg.Auth.Key()
	if err != nil || key.IsZero() {
		return nil, err
	}
	return func() (string, error) {
		token, err := key.SignWebhook(time.Now())
		return "Bearer " + token, err
	}, nil
}

// exploited looks vulnerabilities up in the feeds of format "kev".
func exploited(cfg *Config, db *store.DB) notify.Exploited {
	r := recordsOf(cfg, db, "kev")
	return func(ctx context.Context, v *clair.Vulnerability) (bool, error) {
		cves := enrich.CVEs(v)
		if len(cves) == 0 {
			return false, nil
		}
		found, err := r.GetEnrichment(ctx, cves)
		return len(found) > 0, err
	}
}
