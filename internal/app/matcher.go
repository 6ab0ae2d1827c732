package app

import (
	"context"
	"slices"
	"time"

	"oriel/clair"
	"oriel/enrich"
	"oriel/internal/feed"
	"oriel/match"
	"oriel/store"
	"oriel/updater"
	"oriel/updater/mirror"
)

// formats are all formats of feeds: those of vulnerabilities and those of
// enrichments. Rooms that do not know each other meet here.
func formats() feed.Registry {
	all := append(updater.Formats(), mirror.BundleFormat(openBundle))
	return append(all, enrich.Formats()...)
}

// Matcher makes reports from the store.
type Matcher struct {
	*match.Matcher
	db *store.DB
}

// Initialized reports whether there is any data to match with.
func (m Matcher) Initialized(ctx context.Context) (bool, error) { return m.db.Initialized(ctx) }

// NewMatcher returns a matcher with the enrichers that the configuration
// names. Each reads the feeds of its format, including disabled and
// unconfigured ones, because their data are still used, as with
// vulnerabilities.
func NewMatcher(cfg *Config, db *store.DB) Matcher {
	var on []match.Enriching
	for _, name := range cfg.Matcher.Enrichers {
		for _, e := range enrich.All() {
			if e.Name != name {
				continue
			}
			own, _ := cfg.Matcher.Of(name)
			on = append(on, match.Enriching{
				Enricher: e.Enricher,
				Records:  recordsOf(cfg, db, e.Format),
				Timeout:  time.Duration(own.Timeout),
			})
		}
	}
	return Matcher{match.NewMatcher(db, on...), db}
}

// records reads the records of the feeds of one format only.
type records struct {
	db     *store.DB
	format string
	// configured are the formats of the configured feeds, by name.
	configured map[string]string
}

func recordsOf(cfg *Config, db *store.DB, format string) records {
	r := records{
		db:         db,
		format:     format,
		configured: map[string]string{},
	}
	for _, f := range cfg.Feeds {
		r.configured[f.Name] = f.Format
	}
	return r
}

// feeds returns the names of the feeds of the format, according to the
// configuration or, if it does not have a feed, to what imported it.
func (r records) feeds(ctx context.Context) ([]string, error) {
	all, err := r.db.EnrichmentUpdaters(ctx, r.format)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(name string) bool { _, ok := r.configured[name]; return ok })
	for name, format := range r.configured {
		if format == r.format {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all, nil
}

// GetEnrichment returns the records of all the feeds that carry any of the
// tags.
func (r records) GetEnrichment(ctx context.Context, tags []string) ([]clair.EnrichmentRecord, error) {
	feeds, err := r.feeds(ctx)
	if err != nil {
		return nil, err
	}
	var all []clair.EnrichmentRecord
	for _, feed := range feeds {
		found, err := r.db.GetEnrichment(ctx, feed, tags)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}
