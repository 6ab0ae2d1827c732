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
	return db.importVulnerabilities(ctx, history.State{Updater: updater, Fingerprint: fp}, hashed(vulns, vulnerability.HashAdded))
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
	return db.importVulnerabilities(ctx, deltaOf(base, fp), hashed(changes, vulnerability.HashChange))
}

// UpdateEnrichments does for enrichments what UpdateVulnerabilities does for
// vulnerabilities: it makes an operation of kind enrichment. A record without
// a tag could never be found and is dropped.
func (db *DB) UpdateEnrichments(ctx context.Context, updater string, fp clair.Fingerprint,
	records iter.Seq2[clair.EnrichmentRecord, error],
) (clair.UpdateResult, error) {
	return db.importEnrichments(ctx, history.State{Updater: updater, Fingerprint: fp}, hashed(records, enrichment.Hash))
}

// UpdateEnrichmentsDelta does for enrichments what UpdateVulnerabilitiesDelta
// does for vulnerabilities.
func (db *DB) UpdateEnrichmentsDelta(ctx context.Context, base clair.UpdateOperation, fp clair.Fingerprint,
	changes iter.Seq2[clair.EnrichmentChange, error],
) (clair.UpdateResult, error) {
	return db.importEnrichments(ctx, deltaOf(base, fp), hashed(changes, enrichment.HashChange))
}

func (db *DB) importVulnerabilities(ctx context.Context, s history.State, rows producer[vulnerability.Row]) (clair.UpdateResult, error) {
	t, err := vulnerability.New(ctx, db.DB, db.zip)
	if err != nil {
		return clair.UpdateResult{}, fmt.Errorf("update %s: %w", s.Updater, err)
	}
	defer t.Close()
	return history.Import(ctx, db.engine(), vulnerability.Relation, t, s, rows)
}

func (db *DB) importEnrichments(ctx context.Context, s history.State, rows producer[enrichment.Row]) (clair.UpdateResult, error) {
	t, err := enrichment.New(ctx, db.DB)
	if err != nil {
		return clair.UpdateResult{}, fmt.Errorf("update %s: %w", s.Updater, err)
	}
	defer t.Close()
	return history.Import(ctx, db.engine(), enrichment.Relation, t, s, rows)
}

// deltaOf returns the state of a feed after changes to base.
func deltaOf(base clair.UpdateOperation, fp clair.Fingerprint) history.State {
	return history.State{
		Updater:     base.Updater,
		Fingerprint: fp,
		Delta:       &history.Delta{Base: base.Ref},
	}
}

// producer passes rows to add until it has an error or there are no more.
type producer[R any] = func(add func(history.Row[R]) error) error

// hashed returns a producer of the rows that hash makes of a stream. hash
// reports false for an item that cannot be stored, which is dropped.
func hashed[T, R any](items iter.Seq2[T, error], hash func(*history.Hasher, T) (history.Row[R], bool, error)) producer[R] {
	return func(add func(history.Row[R]) error) error {
		h := &history.Hasher{}
		for item, err := range items {
			if err != nil {
				return err
			}
			row, ok, err := hash(h, item)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if err := add(row); err != nil {
				return err
			}
		}
		return nil
	}
}
