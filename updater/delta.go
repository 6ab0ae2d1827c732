package updater

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
)

// vulnerabilities runs the half of an updater with vulnerabilities, and
// requests only the changes if that is enough.
func (r *run) vulnerabilities(ctx context.Context, optional bool) error {
	whole := source[*clair.Vulnerability]{
		kind: clair.KindVulnerability, fetch: r.updater.Fetch, parse: r.updater.Parse,
		update: r.m.store.UpdateVulnerabilities, name: func(v *clair.Vulnerability) string { return v.Name },
		issued:   func(v *clair.Vulnerability) time.Time { return v.Issued },
		optional: optional,
	}
	last, fp, err := r.last(ctx, clair.KindVulnerability)
	if err != nil {
		return err
	}
	d, ok := r.updater.(feed.DeltaUpdater)
	if !ok || fp == "" {
		return half(ctx, r, whole, fp)
	}
	err = r.delta(ctx, d, whole, last, fp)
	if !errors.Is(err, clair.ErrBase) {
		return err
	}
	r.startOver(ctx, err)
	return half(ctx, r, whole, "")
}

// startOver resets the counts of a delta that cannot be applied.
func (r *run) startOver(ctx context.Context, reason error) {
	r.m.log.InfoContext(ctx, "update starts over", "updater", r.name, "reason", reason.Error())
	r.rows, r.skipped, r.sample, r.kind = 0, 0, nil, ""
}

// enrichments runs the half of an updater with enrichments, and requests only
// the changes if that is enough.
func (r *run) enrichments(ctx context.Context, e clair.EnrichmentUpdater) error {
	last, fp, err := r.last(ctx, clair.KindEnrichment)
	if err != nil {
		return err
	}
	if d, ok := e.(feed.EnrichmentDeltaUpdater); ok && fp != "" {
		err := half(ctx, r, source[clair.EnrichmentChange]{
			kind: clair.KindEnrichment, fetch: d.FetchEnrichmentDelta, parse: d.ParseEnrichmentDelta, partial: true,
			name: func(c clair.EnrichmentChange) string {
				if c.Added != nil {
					return tagsOf(*c.Added)
				}
				return c.ReplacedFrom
			},
			issued: func(c clair.EnrichmentChange) time.Time {
				if c.Added != nil {
					return c.Added.Issued
				}
				return time.Time{}
			},
			update: func(ctx context.Context, _ string, fp clair.Fingerprint, all iter.Seq2[clair.EnrichmentChange, error]) (clair.UpdateResult, error) {
				return r.m.store.UpdateEnrichmentsDelta(ctx, last, fp, all)
			},
		}, fp)
		if !errors.Is(err, clair.ErrBase) {
			return err
		}
		r.startOver(ctx, err)
		fp = ""
	}
	return half(ctx, r, source[clair.EnrichmentRecord]{
		kind: clair.KindEnrichment, fetch: e.FetchEnrichment, parse: e.ParseEnrichment,
		update: r.m.store.UpdateEnrichments, name: tagsOf,
		issued: func(e clair.EnrichmentRecord) time.Time { return e.Issued },
	}, fp)
}

func tagsOf(e clair.EnrichmentRecord) string { return strings.Join(e.Tags, " ") }

// delta fetches what changed since the last operation, whose fingerprint is
// fp, and applies it.
func (r *run) delta(ctx context.Context, d feed.DeltaUpdater, whole source[*clair.Vulnerability], last clair.UpdateOperation, fp clair.Fingerprint) error {
	whole.fetch = d.FetchDelta
	body, next, err := obtain(ctx, r, whole, fp)
	if body == nil {
		return err
	}
	delta, err := d.ParseDelta(ctx, body)
	if err != nil {
		return fmt.Errorf("update %s: %w", r.name, errors.Join(err, body.Close()))
	}
	if delta.Whole {
		whole.parse = func(context.Context, io.ReadCloser) feed.Rows { return delta.Rows }
		return save(ctx, r, whole, body, next)
	}
	return save(ctx, r, source[clair.Change]{
		kind: clair.KindVulnerability, name: changed, issued: issuedOf, partial: true,
		parse: func(context.Context, io.ReadCloser) feed.Changes { return delta.Changes },
		update: func(ctx context.Context, _ string, fp clair.Fingerprint, all feed.Changes) (clair.UpdateResult, error) {
			return r.m.store.UpdateVulnerabilitiesDelta(ctx, last, fp, all)
		},
	}, body, next)
}

// changed returns the name of the advisory that a change is about.
func changed(c clair.Change) string {
	switch {
	case c.Added != nil:
		return c.Added.Name
	case c.Removed != nil:
		return c.Removed.Name
	}
	return c.Replaced
}

// issuedOf returns the date of the advisory that a change adds, zero for other
// changes.
func issuedOf(c clair.Change) time.Time {
	if c.Added == nil {
		return time.Time{}
	}
	return c.Added.Issued
}
