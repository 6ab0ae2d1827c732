package app

import (
	"slices"

	"oriel/clair"
	"oriel/enrich"
	"oriel/match"
	"oriel/store"
	"oriel/updater"
)

// NewCoverer makes the coverer of reports, by the feeds of the configuration and
// the contents of the store. The manager may be nil.
func NewCoverer(cfg *Config, db *store.DB, m *updater.Manager) *match.Coverer {
	c := &match.Coverer{Holdings: db, Feeds: Health(cfg, db, m).Feeds}
	if cfg.Catalogue != nil {
		c.Catalogue = cfg.Catalogue
	}
	return c
}

// NeverFetched returns the names of the enrichers of whose feeds none has ever
// succeeded.
func NeverFetched(feeds clair.Feeds) []string {
	var out []string
	for _, e := range enrich.All() {
		if !slices.ContainsFunc(feeds, func(f clair.Feed) bool { return f.Format == e.Format && !f.LastSuccess.IsZero() }) {
			out = append(out, e.Name)
		}
	}
	return out
}
