package enrich

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
	"oriel/internal/quantity"
)

// Enrichment is a kind of feed and the enricher of its records.
type Enrichment struct {
	// Name is what the configuration calls the enricher.
	Name string
	// Format is what the configuration calls the format of its feeds.
	Format string
	// NewFeed makes the updater of a feed, which is a clair.EnrichmentUpdater
	// too. It does no I/O.
	NewFeed func(feed.Feed, *fetch.Client) clair.Updater
	// Enricher adds the records of those feeds to reports.
	Enricher clair.Enricher
}

// All are the enrichments of this package.
func All() []Enrichment { return []Enrichment{cvss(), epss(), kev()} }

// Formats are the formats of the enrichments' feeds.
func Formats() []feed.Format {
	var out []feed.Format
	for _, e := range All() {
		out = append(out, feed.Format{
			Name: e.Format, Kind: clair.KindEnrichment,
			New: func(f feed.Feed, c *fetch.Client) (clair.Updater, error) { return e.NewFeed(f, c), nil },
		})
	}
	return out
}

// Config is the [matcher] table of the configuration.
type Config struct {
	// Enrichers are the names of those to run, in the order of their keys in
	// a report; CVSS is always first.
	Enrichers []string `toml:"enrichers"`
	// AllowIncomplete has patterns of the places that gates may leave without
	// a feed.
	AllowIncomplete []string `toml:"allow_incomplete"`
	// CVSS, EPSS and KEV are the enrichers' own tables.
	CVSS EnricherConfig `toml:"cvss"`
	EPSS EnricherConfig `toml:"epss"`
	KEV  EnricherConfig `toml:"kev"`
}

// EnricherConfig is one enricher's own table.
type EnricherConfig struct {
	// Timeout is how long the enricher may take for one report. The report
	// goes out without it then.
	Timeout quantity.Duration `toml:"timeout"`
}

// Default is the configuration where the file says nothing.
func Default() Config {
	own := EnricherConfig{Timeout: quantity.Duration(2 * time.Second)}
	return Config{Enrichers: []string{"cvss", "epss", "kev"}, AllowIncomplete: []string{}, CVSS: own, EPSS: own, KEV: own}
}

// Of gives an enricher's own table; ok is false where there is none.
func (c Config) Of(name string) (own EnricherConfig, ok bool) {
	own, ok = map[string]EnricherConfig{"cvss": c.CVSS, "epss": c.EPSS, "kev": c.KEV}[name]
	return own, ok
}

// Validate names the first key with an impossible value.
func (c Config) Validate() error {
	var known []string
	for _, e := range All() {
		known = append(known, e.Name)
		if own, ok := c.Of(e.Name); ok && own.Timeout <= 0 {
			return clair.Invalid(fmt.Sprintf("matcher.%s.timeout", e.Name), "%v: must be more than 0s", own.Timeout)
		}
	}
	for i, name := range c.Enrichers {
		switch {
		case !slices.Contains(known, name):
			return clair.Invalid("matcher.enrichers", "%.40q is not one of %s", name, strings.Join(known, ", "))
		case slices.Contains(c.Enrichers[:i], name):
			return clair.Invalid("matcher.enrichers", "%q stands there twice", name)
		}
	}
	return nil
}
