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
	// Name is the enricher's name in the configuration.
	Name string
	// Format is the name of the format of its feeds.
	Format string
	// NewFeed returns the updater of a feed, which is also a
	// clair.EnrichmentUpdater. It does no I/O.
	NewFeed func(feed.Feed, *fetch.Client) clair.Updater
	// Enricher adds the records of those feeds to reports.
	Enricher clair.Enricher
}

// All returns the enrichments of this package.
func All() []Enrichment { return []Enrichment{cvss(), epss(), kev()} }

// Formats returns the formats of the enrichments' feeds.
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
	// Enrichers are the names of the enrichers to run, in the order of their
	// keys in a report; CVSS is always first.
	Enrichers []string `toml:"enrichers"`
	// AllowIncomplete has patterns of the places that gates accept without a
	// feed.
	AllowIncomplete []string `toml:"allow_incomplete"`
	// CVSS, EPSS and KEV are the enrichers' own tables.
	CVSS EnricherConfig `toml:"cvss"`
	EPSS EnricherConfig `toml:"epss"`
	KEV  EnricherConfig `toml:"kev"`
}

// EnricherConfig is one enricher's own table.
type EnricherConfig struct {
	// Timeout is how long the enricher may take for one report. After that, the
	// report does not include it.
	Timeout quantity.Duration `toml:"timeout"`
}

// Default returns the default configuration.
func Default() Config {
	own := EnricherConfig{Timeout: quantity.Duration(2 * time.Second)}
	return Config{Enrichers: []string{"cvss", "epss", "kev"}, AllowIncomplete: []string{}, CVSS: own, EPSS: own, KEV: own}
}

// Of returns an enricher's own table; ok is false if there is none.
func (c Config) Of(name string) (own EnricherConfig, ok bool) {
	own, ok = map[string]EnricherConfig{"cvss": c.CVSS, "epss": c.EPSS, "kev": c.KEV}[name]
	return own, ok
}

// Validate returns an error that names the first impossible value.
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
			return clair.Invalid("matcher.enrichers", "duplicate entry %q", name)
		}
	}
	return nil
}
