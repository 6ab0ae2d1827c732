package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"oriel/clair"
	"oriel/enrich"
	"oriel/internal/feed"
	"oriel/match"
	"oriel/updater"
)

// Need is the feeds that a report needs and that have never been fetched.
type Need struct {
	// Places are those whose automatic feeds are needed, in the words of
	// updater.Manager.UpdateNeeded.
	Places []string
	// Automatic are the names of these feeds, and Always those of needed feeds
	// with enabled = true.
	Automatic, Always []string
}

// IsZero reports whether nothing is needed.
func (n *Need) IsZero() bool { return len(n.Automatic) == 0 && len(n.Always) == 0 }

// Feeds returns the names of all feeds that are needed.
func (n *Need) Feeds() []string { return slices.Concat(n.Automatic, n.Always) }

// severityFormat is the format of the enrichments with severities. They are
// needed only by a report with findings that have none.
const severityFormat = "nvd"

// NeededFor returns what a report of the packages of an index report needs, by
// the state of the feeds. The feeds that are enabled = true need no report, so
// that a configuration without automatic feeds needs nothing; if others are to be
// fetched anyway, those with the enrichments that every report shows are, too.
func NeededFor(cfg *Config, index *clair.IndexReport, known clair.Feeds, now time.Time) *Need {
	n := &Need{}
	for _, p := range match.Places(index) {
		if p.Reason == "" {
			n.add(cfg, p.Platform(), known, now)
		}
	}
	formats := usedFormats(cfg)
	for _, format := range formats {
		if format != severityFormat {
			n.add(cfg, format, known, now)
		}
	}
	if len(n.Automatic) == 0 {
		return n
	}
	for _, f := range cfg.Feeds {
		if f.Enabled && !f.Auto && f.Format != severityFormat && slices.Contains(formats, f.Format) && unfetched(known, f.Name, now) {
			n.Always = append(n.Always, f.Name)
		}
	}
	return n
}

// NeededForSeverity returns what a report needs that has findings without a
// severity.
func NeededForSeverity(cfg *Config, report *clair.VulnerabilityReport, known clair.Feeds, now time.Time) *Need {
	n := &Need{}
	for _, v := range report.Vulnerabilities {
		if v.NormalizedSeverity == clair.Unknown && slices.Contains(usedFormats(cfg), severityFormat) {
			n.add(cfg, severityFormat, known, now)
			break
		}
	}
	return n
}

// FetchesAutomatically reports whether the configuration lets any feed be fetched
// once something needs it.
func (c *Config) FetchesAutomatically() bool {
	return c.Updater.Auto && slices.ContainsFunc(c.Feeds, func(f feed.Feed) bool { return f.Auto })
}

// FeedNames returns the names of the enabled feeds, without those that exist for
// every release.
func (c *Config) FeedNames() []string {
	var names []string
	for _, f := range c.Feeds {
		if f.Enabled && !strings.Contains(f.Name, feed.ReleaseVariable) {
			names = append(names, f.Name)
		}
	}
	return names
}

// usedFormats returns the formats of the feeds that the configured enrichers
// read.
func usedFormats(cfg *Config) []string {
	var out []string
	for _, e := range enrich.All() {
		if slices.Contains(cfg.Matcher.Enrichers, e.Name) {
			out = append(out, e.Format)
		}
	}
	return out
}

// add adds the automatic feeds of a place that are to be fetched.
func (n *Need) add(cfg *Config, place string, known clair.Feeds, now time.Time) {
	if cfg.Catalogue == nil {
		return
	}
	for _, f := range cfg.Catalogue.Auto(place) {
		if !unfetched(known, f.Name, now) || slices.Contains(n.Automatic, f.Name) {
			continue
		}
		n.Automatic = append(n.Automatic, f.Name)
		if !slices.Contains(n.Places, place) {
			n.Places = append(n.Places, place)
		}
	}
}

// unfetched reports whether a feed has never been fetched, or is no longer
// updated, and has not failed just now.
func unfetched(known clair.Feeds, name string, now time.Time) bool {
	i := slices.IndexFunc(known, func(f clair.Feed) bool { return f.Updater == name })
	if i < 0 {
		return true
	}
	f := &known[i]
	if f.Error != "" && now.Sub(f.LastAttempt) < updater.RetryAfter {
		return false
	}
	return f.LastSuccess.IsZero() || f.Condition(now) == clair.FeedIdle
}

// demand fetches the automatic feeds of the platforms that scanners read.
type demand struct {
	updates   *updater.Manager
	feeds     func(context.Context) (clair.Feeds, error)
	catalogue *updater.Catalogue
}

// Fetch starts fetching the feeds of a platform that were never fetched. The
// error is why one of them could not be fetched.
func (d demand) Fetch(ctx context.Context, platform string) (pending bool, err error) {
	if d.catalogue == nil {
		return false, nil
	}
	auto := d.catalogue.Auto(platform)
	if len(auto) == 0 {
		return false, nil
	}
	if _, err := d.updates.Need(ctx, platform); err != nil {
		return false, err
	}
	known, err := d.feeds(ctx)
	if err != nil {
		return false, err
	}
	var errs []error
	for i := range known {
		f := &known[i]
		if !f.LastSuccess.IsZero() || !slices.ContainsFunc(auto, func(a feed.Feed) bool { return a.Name == f.Updater }) {
			continue
		}
		if f.Running {
			pending = true
		} else if f.Error != "" {
			errs = append(errs, errors.New(f.Error))
		}
	}
	return pending, errors.Join(errs...)
}

// Fetch has a manager fetch what is needed, and returns the outcome for each
// feed. The error is that of a fetch that could not begin.
func Fetch(ctx context.Context, m *updater.Manager, need *Need) ([]updater.Result, error) {
	results, err := m.UpdateNeeded(ctx, need.Places...)
	if results != nil {
		err = nil // each has its own
	}
	if len(need.Always) == 0 || err != nil {
		return results, err
	}
	always, err := m.Update(ctx, need.Always...)
	if always != nil {
		err = nil
	}
	return append(results, always...), err
}
