package store

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// Whatever is remembered, lookups say what the current operation says: through
// imports, deletions of any operation, garbage collection, and more records
// than are remembered.
func TestDB_GetEnrichment_Model(t *testing.T) {
	const tags = 24
	padding := strings.Repeat("x", recallBytes/tags) // all of them are as much as is remembered
	record := func(i, version int) clair.EnrichmentRecord {
		r := clair.EnrichmentRecord{Tags: []string{fmt.Sprintf("CVE-%02d", i)}}
		if i%3 == 0 {
			r.Tags = append(r.Tags, fmt.Sprintf("CVE-%02d", i+1)) // which has its own too
		}
		r.Enrichment = json.RawMessage(fmt.Sprintf(`{"of":%d,"version":%d,"padding":%q}`, i, version, padding))
		return r
	}
	type operation struct {
		ref     uuid.UUID
		records map[int]int // to versions
	}
	db := openNew(t)
	r := rand.New(rand.NewPCG(1, 2))
	model := map[string][]operation{}
	for range 60 {
		updater := []string{"a", "b"}[r.IntN(2)]
		ops := model[updater]
		switch r.IntN(6) {
		case 0:
			op := operation{records: map[int]int{}}
			for i := range tags {
				if r.IntN(4) > 0 {
					op.records[i] = r.IntN(2)
				}
			}
			var feed iter.Seq2[clair.EnrichmentRecord, error] = func(yield func(clair.EnrichmentRecord, error) bool) {
				for i, version := range op.records {
					if !yield(record(i, version), nil) {
						return
					}
				}
			}
			res, err := db.UpdateEnrichments(t.Context(), updater, "", feed)
			require.NoError(t, err)
			op.ref = res.Ref
			model[updater] = append(ops, op)
		case 1:
			if len(ops) == 0 {
				continue
			}
			i := r.IntN(len(ops))
			_, err := db.DeleteUpdateOperations(t.Context(), ops[i].ref)
			require.NoError(t, err)
			model[updater] = slices.Delete(ops, i, i+1)
			_, err = db.GC(t.Context(), 5)
			require.NoError(t, err)
			if n := len(model[updater]); n > 5 {
				model[updater] = model[updater][n-5:]
			}
			for other, ops := range model {
				model[other] = ops[max(0, len(ops)-5):]
			}
		default:
			asked := map[string]bool{"CVE-none": true}
			for range 1 + r.IntN(tags) {
				asked[fmt.Sprintf("CVE-%02d", r.IntN(tags))] = true
			}
			want := map[string]int{}
			if len(ops) > 0 {
				for i, version := range ops[len(ops)-1].records {
					rec := record(i, version)
					if slices.ContainsFunc(rec.Tags, func(tag string) bool { return asked[tag] }) {
						want[string(rec.Enrichment)+strings.Join(rec.Tags, " ")]++
					}
				}
			}
			got := map[string]int{}
			found, err := db.GetEnrichment(t.Context(), updater, slices.Collect(maps.Keys(asked)))
			require.NoError(t, err)
			for _, rec := range found {
				got[string(rec.Enrichment)+strings.Join(rec.Tags, " ")]++
			}
			require.True(t, maps.Equal(want, got), "%s: %d records in place of %d", updater, len(got), len(want))
			require.LessOrEqual(t, db.recall.size, recallBytes/2+len(padding)*2)
		}
	}
}
