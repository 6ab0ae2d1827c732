package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store/enrichment"
)

// enrichmentModel is a naive store of enrichments: what each operation sees, in
// full.
type enrichmentModel struct {
	t   *testing.T
	r   *rand.Rand
	db  *DB
	ops map[string][]enrichmentOp // by updater, oldest first
	// padding makes records large.
	padding string
}

type enrichmentOp struct {
	ref     uuid.UUID
	records map[int]int // to their versions
}

const modelTags = 24

// record makes a version of a record.
func (m *enrichmentModel) record(i, version int) clair.EnrichmentRecord {
	r := clair.EnrichmentRecord{Tags: []string{fmt.Sprintf("CVE-%02d", i)}}
	if i%3 == 0 {
		r.Tags = append(r.Tags, fmt.Sprintf("CVE-%02d", i+1)) // which has its own too
	}
	r.Enrichment = json.RawMessage(fmt.Sprintf(`{"of":%d,"version":%d,"padding":%q}`, i, version, m.padding))
	return r
}

// whole imports any records, and may fail.
func (m *enrichmentModel) whole(updater string) {
	op := enrichmentOp{records: map[int]int{}}
	for i := range modelTags {
		if m.r.IntN(4) > 0 {
			op.records[i] = m.r.IntN(2)
		}
	}
	fails := m.r.IntN(4) == 0
	res, err := m.db.UpdateEnrichments(m.t.Context(), updater, "", func(yield func(clair.EnrichmentRecord, error) bool) {
		for i, version := range op.records {
			if !yield(m.record(i, version), nil) {
				return
			}
		}
		if fails {
			yield(clair.EnrichmentRecord{}, clair.ErrUnavailable)
		}
	})
	m.done(updater, op, res, err, fails)
}

// delta changes what any operation sees, and may fail.
func (m *enrichmentModel) delta(updater string) {
	ops := m.ops[updater]
	if len(ops) == 0 {
		return
	}
	base := ops[max(0, len(ops)-1-m.r.IntN(3))]
	op := enrichmentOp{records: maps.Clone(base.records)}
	var changes []clair.EnrichmentChange
	for range m.r.IntN(4) {
		from := fmt.Sprintf("CVE-%02d", m.r.IntN(modelTags))
		to := from
		if m.r.IntN(2) == 0 {
			to += "~"
		} else if m.r.IntN(2) == 0 {
			to = "CVE-2"
		}
		changes = append(changes, clair.EnrichmentChange{ReplacedFrom: from, ReplacedTo: to})
		maps.DeleteFunc(op.records, func(i, version int) bool {
			return slices.ContainsFunc(m.record(i, version).Tags, func(tag string) bool { return from <= tag && tag <= to })
		})
	}
	for i := range modelTags {
		if _, ok := op.records[i]; !ok && m.r.IntN(2) == 0 {
			op.records[i] = m.r.IntN(2)
			added := m.record(i, op.records[i])
			changes = append(changes, clair.EnrichmentChange{Added: &added})
		}
	}
	fails := m.r.IntN(4) == 0
	m.r.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
	res, err := m.db.UpdateEnrichmentsDelta(m.t.Context(), clair.UpdateOperation{Ref: base.ref, Updater: updater}, "", func(yield func(clair.EnrichmentChange, error) bool) {
		for _, c := range changes {
			if !yield(c, nil) {
				return
			}
		}
		if fails {
			yield(clair.EnrichmentChange{}, clair.ErrUnavailable)
		}
	})
	m.done(updater, op, res, err, fails)
}

func (m *enrichmentModel) done(updater string, op enrichmentOp, res clair.UpdateResult, err error, fails bool) {
	if fails {
		require.ErrorIs(m.t, err, clair.ErrUnavailable)
		return
	}
	require.NoError(m.t, err)
	require.EqualValues(m.t, len(op.records), res.Added+res.Unchanged)
	op.ref = res.Ref
	m.ops[updater] = append(m.ops[updater], op)
}

// remove deletes any operation, and those beyond the newest few.
func (m *enrichmentModel) remove(updater string) {
	ops := m.ops[updater]
	if len(ops) == 0 {
		return
	}
	i := m.r.IntN(len(ops))
	_, err := m.db.DeleteUpdateOperations(m.t.Context(), ops[i].ref)
	require.NoError(m.t, err)
	m.ops[updater] = slices.Delete(ops, i, i+1)
	const keep = 5
	_, err = m.db.GC(m.t.Context(), keep)
	require.NoError(m.t, err)
	for updater, ops := range m.ops {
		m.ops[updater] = ops[max(0, len(ops)-keep):]
	}
}

// lookUp compares what some tags have.
func (m *enrichmentModel) lookUp(updater string) {
	asked := map[string]bool{"CVE-none": true}
	for range 1 + m.r.IntN(modelTags) {
		asked[fmt.Sprintf("CVE-%02d", m.r.IntN(modelTags))] = true
	}
	want := map[string]int{}
	if ops := m.ops[updater]; len(ops) > 0 {
		for i, version := range ops[len(ops)-1].records {
			if rec := m.record(i, version); slices.ContainsFunc(rec.Tags, func(tag string) bool { return asked[tag] }) {
				want[string(rec.Enrichment)+strings.Join(rec.Tags, " ")]++
			}
		}
	}
	got := map[string]int{}
	found, err := m.db.GetEnrichment(m.t.Context(), updater, slices.Collect(maps.Keys(asked)))
	require.NoError(m.t, err)
	for _, rec := range found {
		got[string(rec.Enrichment)+strings.Join(rec.Tags, " ")]++
	}
	require.True(m.t, maps.Equal(want, got), "%s: %d records in place of %d", updater, len(got), len(want))
	require.LessOrEqual(m.t, m.db.enrichments.CachedBytes(), enrichment.CacheBytes/2+enrichment.CacheBytes/modelTags*2)
}

// Lookups say what the current operation says: through imports of everything
// and of changes, failures, deletions of any operation, garbage collection,
// and whatever is remembered.
func TestDB_Enrichments_Model(t *testing.T) {
	for seed := range uint64(8) {
		m := &enrichmentModel{
			t:   t,
			r:   rand.New(rand.NewPCG(seed, 1)),
			db:  openNew(t),
			ops: map[string][]enrichmentOp{},
		}
		if seed == 0 { // all records are about as much as is remembered, so some are forgotten
			m.padding = strings.Repeat("x", enrichment.CacheBytes/modelTags)
		}
		for range 50 {
			updater := []string{"a", "b"}[m.r.IntN(2)]
			[]func(string){m.whole, m.delta, m.delta, m.remove, m.lookUp, m.lookUp}[m.r.IntN(6)](updater)
		}
		m.lookUp("a")
		m.lookUp("b")
	}
}
