package history_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// delta is a random one that fits the base, with the rows it leads to. A row
// of an advisory that is replaced may come again, and so may a removed one.
func (r *run) delta(base set) (changes []clair.Change, s set) {
	s = maps.Clone(base)
	for _, n := range base.minus(nil) {
		switch r.r.IntN(5) {
		case 0:
			changes = append(changes, clair.Change{Replaced: n})
			delete(s, n)
		case 1:
			changes = append(changes, clair.Change{Removed: vuln(n)})
			delete(s, n)
		}
	}
	changes = append(changes, clair.Change{Replaced: "ADV-99"}) // nobody has it
	for i := range 14 {
		n := fmt.Sprintf("ADV-%02d", i)
		if !s[n] && r.r.IntN(3) == 0 {
			changes = append(changes, clair.Change{Added: vuln(n)})
			s[n] = true
		}
	}
	r.r.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
	return changes, s
}

// base picks an operation, the newest more often than not.
func (r *run) base(updater string) (modelOp, clair.UpdateOperation, bool) {
	ops := r.m.ops[updater]
	if len(ops) == 0 {
		return modelOp{}, clair.UpdateOperation{}, false
	}
	op := ops[len(ops)-1]
	if r.r.IntN(3) == 0 {
		op = ops[r.r.IntN(len(ops))]
	}
	return op, clair.UpdateOperation{Ref: op.ref, Updater: updater}, true
}

// deltaUpdate applies a delta to any operation there is, whatever has happened
// since, or a delta that does not fit.
func (r *run) deltaUpdate(updater string) {
	op, base, ok := r.base(updater)
	if !ok {
		return
	}
	changes, s := r.delta(op.rows)
	switch r.r.IntN(8) {
	case 0:
		base.Ref = uuid.New()
		r.refused(base, changes)
		return
	case 1:
		if gone := r.all().minus(op.rows); len(gone) > 0 {
			r.refused(base, append(changes, clair.Change{Removed: vuln(gone[r.r.IntN(len(gone))])}))
		}
		return
	case 2:
		for n := range op.rows {
			if !slices.ContainsFunc(changes, func(c clair.Change) bool { return c.Replaced == n || c.Removed != nil && c.Removed.Name == n }) {
				r.refused(base, append(changes, clair.Change{Added: vuln(n)}))
				return
			}
		}
		return
	}
	res, err := r.db.UpdateVulnerabilitiesDelta(context.Background(), base, "fp", changesOf(changes))
	require.NoError(r.t, err)
	r.m.ops[updater] = append(r.m.ops[updater], modelOp{res.Ref, s})
	require.EqualValues(r.t, len(s), res.Added+res.Unchanged)
	require.EqualValues(r.t, len(op.rows), res.Removed+res.Unchanged)
	r.checkOpen(updater)
	r.did("delta")
}

func (r *run) all() set {
	s := set{}
	for i := range 14 {
		s[fmt.Sprintf("ADV-%02d", i)] = true
	}
	return s
}

func (r *run) refused(base clair.UpdateOperation, changes []clair.Change) {
	_, err := r.db.UpdateVulnerabilitiesDelta(context.Background(), base, "fp", changesOf(changes))
	require.ErrorIs(r.t, err, clair.ErrBase)
	r.did("refused delta")
	r.count["failed import"]++
}

// crashingDelta dies at a random place, if it does not get to its end before.
func (r *run) crashingDelta(updater string) {
	op, base, ok := r.base(updater)
	if !ok {
		return
	}
	changes, s := r.delta(op.rows)
	r.crashing(updater, s, func(ctx context.Context) (clair.UpdateResult, error) {
		return r.db.UpdateVulnerabilitiesDelta(ctx, base, "fp", changesOf(changes))
	})
}

func changesOf(changes []clair.Change) iter.Seq2[clair.Change, error] {
	return func(yield func(clair.Change, error) bool) {
		for _, c := range changes {
			if !yield(c, nil) {
				return
			}
		}
	}
}
