package store

import (
	"context"
	"fmt"

	"oriel/clair"
	"oriel/store/enrichment"
)

// GetEnrichment returns the records of one updater's current operation with
// any of the tags, in the order of their ids. They are shared with other
// callers and must not be modified.
func (db *DB) GetEnrichment(ctx context.Context, updater string, tags []string) ([]clair.EnrichmentRecord, error) {
	snap, err := db.snapshot(ctx, clair.KindEnrichment)
	if err != nil {
		return nil, fmt.Errorf("get enrichments of %s: %w", updater, err)
	}
	defer snap.Close()
	for id, name := range snap.names {
		if name != updater {
			continue
		}
		recs, err := db.enrichments.Records(ctx, enrichment.View{Updater: id, Seq: snap.seqs[id]}, tags)
		if err != nil {
			return nil, fmt.Errorf("get enrichments of %s: %w", updater, err)
		}
		return recs, nil
	}
	return nil, nil
}
