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
	return &match.Coverer{Holdings: db, Feeds: Health(cfg, db, m).Feeds}
}

// NeededBy returns the feeds that a report with a coverage depends on: those of
// its places, and all enrichments.
func NeededBy(c *clair.Coverage, feeds clair.Feeds) clair.Feeds {
	names := map[string]bool{}
	for _, p := range c.Places {
		for _, name := range p.Feeds {
			names[name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(feeds), func(f clair.Feed) bool {
		return !names[f.Updater] && f.Kind != clair.KindEnrichment && !isEnrichment(f.Format)
	})
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

// isEnrichment reports whether feeds of a format have enrichments.
func isEnrichment(format string) bool {
	return slices.ContainsFunc(enrich.All(), func(e enrich.Enrichment) bool { return e.Format == format })
}
