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
)

// DeltaUpdater is an updater whose feed tells what changed since an operation,
// so that only that need be fetched.
type DeltaUpdater interface {
	clair.Updater
	// FetchDelta is Fetch, but may return what changed since the fingerprint,
	// which is not "", instead of everything. It is an ErrBase where the feed
	// does not reach back so far; then everything is fetched.
	FetchDelta(context.Context, clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error)
	// ParseDelta reads what FetchDelta returned. The rows are to be read
	// before the reader is closed, and once.
	ParseDelta(context.Context, io.ReadCloser) (Delta, error)
}

// Delta is what a fetch brought: everything, or what changed.
type Delta struct {
	// Whole says that Rows are all there are and Changes nil. Otherwise it is
	// the other way round.
	Whole   bool
	Rows    rows
	Changes changes
}

// changes is a stream of changes and of the records that could not be used.
type changes = iter.Seq2[clair.Change, error]

// vulnerabilities runs the half of an updater that brings vulnerabilities,
// asking for what changed if that is enough.
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
	d, ok := r.updater.(DeltaUpdater)
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

// startOver forgets what was counted of a delta that cannot be applied.
func (r *run) startOver(ctx context.Context, reason error) {
	r.m.log.InfoContext(ctx, "update starts over", "updater", r.name, "reason", reason.Error())
	r.rows, r.skipped, r.sample, r.kind = 0, 0, nil, ""
}

// EnrichmentDeltaUpdater is to enrichments what DeltaUpdater is to
// vulnerabilities, but for a fetch that always brings what changed. It is an
// ErrBase where the feed cannot tell.
type EnrichmentDeltaUpdater interface {
	clair.EnrichmentUpdater
	FetchEnrichmentDelta(context.Context, clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error)
	ParseEnrichmentDelta(context.Context, io.ReadCloser) iter.Seq2[clair.EnrichmentChange, error]
}

// enrichments runs the half of an updater that brings enrichments, asking for
// what changed if that is enough.
func (r *run) enrichments(ctx context.Context, e clair.EnrichmentUpdater) error {
	last, fp, err := r.last(ctx, clair.KindEnrichment)
	if err != nil {
		return err
	}
	if d, ok := e.(EnrichmentDeltaUpdater); ok && fp != "" {
		err := half(ctx, r, source[clair.EnrichmentChange]{
			kind: clair.KindEnrichment, fetch: d.FetchEnrichmentDelta, parse: d.ParseEnrichmentDelta, partial: true,
			name: func(c clair.EnrichmentChange) string {
				if c.Added != nil {
					return tagsOf(*c.Added)
				}
				return c.ReplacedFrom
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
	}, fp)
}

func tagsOf(e clair.EnrichmentRecord) string { return strings.Join(e.Tags, " ") }

// delta fetches what changed since the last operation, whose fingerprint is
// fp, and applies it.
func (r *run) delta(ctx context.Context, d DeltaUpdater, whole source[*clair.Vulnerability], last clair.UpdateOperation, fp clair.Fingerprint) error {
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
		whole.parse = func(context.Context, io.ReadCloser) rows { return delta.Rows }
		return save(ctx, r, whole, body, next)
	}
	return save(ctx, r, source[clair.Change]{
		kind: clair.KindVulnerability, name: changed, issued: issuedOf, partial: true,
		parse: func(context.Context, io.ReadCloser) changes { return delta.Changes },
		update: func(ctx context.Context, _ string, fp clair.Fingerprint, all changes) (clair.UpdateResult, error) {
			return r.m.store.UpdateVulnerabilitiesDelta(ctx, last, fp, all)
		},
	}, body, next)
}

// changed names the advisory that a change is about.
func changed(c clair.Change) string {
	switch {
	case c.Added != nil:
		return c.Added.Name
	case c.Removed != nil:
		return c.Removed.Name
	}
	return c.Replaced
}

// issuedOf is the date of the advisory that a change adds, zero for others.
func issuedOf(c clair.Change) time.Time {
	if c.Added == nil {
		return time.Time{}
	}
	return c.Added.Issued
}

// replacing makes a change of a name.
func replacing(name string) clair.Change { return clair.Change{Replaced: name} }
