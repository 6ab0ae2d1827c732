package store

import (
	"context"
	"fmt"
	"iter"

	"oriel/clair"
	"oriel/store/enrichment"
	"oriel/store/history"
	"oriel/store/vulnerability"
)

// UpdateVulnerabilities makes an operation of the updater's feed as vulns
// streams it, and returns its changes. A vulnerability without a package name
// is dropped, and duplicates count once. The first error that vulns yields
// ends the import; then, as after any other error, there is no operation. A
// second import of the same updater at the same time is an ErrConflict.
func (db *DB) UpdateVulnerabilities(ctx context.Context, updater string, fp clair.Fingerprint,
	vulns iter.Seq2[*clair.Vulnerability, error],
) (clair.UpdateResult, error) {
	t, err := vulnerability.New(ctx, db.DB, db.zip)
	if err != nil {
		return clair.UpdateResult{}, fmt.Errorf("update %s: %w", updater, err)
	}
	defer t.Close()
	h := &history.Hasher{}
	return history.Import(ctx, db.engine(), vulnerability.Relation, t, history.State{Updater: updater, Fingerprint: fp}, func(add func(history.Row[vulnerability.Row]) error) error {
		for v, err := range vulns {
			if err != nil {
				return err
			}
			if v.Package == nil || v.Package.Name == "" {
				continue
			}
			if err := add(vulnerability.Hash(h, v)); err != nil {
				return err
			}
		}
		return nil
	})
}

// UpdateVulnerabilitiesDelta makes an operation of the rows of the operation
// base with the changes applied, and returns how it differs from the base. An
// added row must not be in the base, and a removed one must be; otherwise, or
// if the base is no longer listed, the error is an ErrBase, and as after any
// other error there is no operation. Apart from that it does the same as
// UpdateVulnerabilities, at the cost of the changes.
func (db *DB) UpdateVulnerabilitiesDelta(ctx context.Context, base clair.UpdateOperation, fp clair.Fingerprint,
	changes iter.Seq2[clair.Change, error],
) (clair.UpdateResult, error) {
	t, err := vulnerability.New(ctx, db.DB, db.zip)
	if err != nil {
		return clair.UpdateResult{}, fmt.Errorf("update %s: %w", base.Updater, err)
	}
	defer t.Close()
	h := &history.Hasher{}
	f := history.State{
		Updater:     base.Updater,
		Fingerprint: fp,
		Delta:       &history.Delta{Base: base.Ref},
	}
	return history.Import(ctx, db.engine(), vulnerability.Relation, t, f, func(add func(history.Row[vulnerability.Row]) error) error {
		for c, err := range changes {
			if err != nil {
				return err
			}
			in, ok := vulnerability.HashChange(h, c)
			if !ok {
				continue
			}
			if err := add(in); err != nil {
				return err
			}
		}
		return nil
	})
}

// UpdateEnrichments does for enrichments what UpdateVulnerabilities does for
// vulnerabilities: it makes an operation of kind enrichment. A record without
// a tag could never be found and is dropped.
func (db *DB) UpdateEnrichments(ctx context.Context, updater string, fp clair.Fingerprint,
	records iter.Seq2[clair.EnrichmentRecord, error],
) (clair.UpdateResult, error) {
	t, err := enrichment.New(ctx, db.DB)
	if err != nil {
		return clair.UpdateResult{}, fmt.Errorf("update %s: %w", updater, err)
	}
	defer t.Close()
	h := &history.Hasher{}
	return history.Import(ctx, db.engine(), enrichment.Relation, t, history.State{Updater: updater, Fingerprint: fp}, func(add func(history.Row[enrichment.Row]) error) error {
		for rec, err := range records {
			if err != nil {
				return err
			}
			in, err := enrichment.Hash(h, rec)
			if err != nil {
				return err
			}
			if len(in.Row.Tags) == 0 {
				continue
			}
			if err := add(in); err != nil {
				return err
			}
		}
		return nil
	})
}

// UpdateEnrichmentsDelta does for enrichments what UpdateVulnerabilitiesDelta
// does for vulnerabilities.
func (db *DB) UpdateEnrichmentsDelta(ctx context.Context, base clair.UpdateOperation, fp clair.Fingerprint,
	changes iter.Seq2[clair.EnrichmentChange, error],
) (clair.UpdateResult, error) {
	t, err := enrichment.New(ctx, db.DB)
	if err != nil {
		return clair.UpdateResult{}, fmt.Errorf("update %s: %w", base.Updater, err)
	}
	defer t.Close()
	h := &history.Hasher{}
	f := history.State{
		Updater:     base.Updater,
		Fingerprint: fp,
		Delta:       &history.Delta{Base: base.Ref},
	}
	return history.Import(ctx, db.engine(), enrichment.Relation, t, f, func(add func(history.Row[enrichment.Row]) error) error {
		for c, err := range changes {
			if err != nil {
				return err
			}
			in, err := enrichment.HashChange(h, c)
			if err != nil {
				return err
			}
			if in.Verb == history.Adds && len(in.Row.Tags) == 0 {
				continue
			}
			if err := add(in); err != nil {
				return err
			}
		}
		return nil
	})
}
