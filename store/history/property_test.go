package history_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store"
	"oriel/store/crashtest"
	"oriel/store/sqlitedb"
)

// set is a set of row names.
type set map[string]bool

func (s set) minus(o set) []string {
	var out []string
	for n := range s {
		if !o[n] {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// model is the naive store: what each operation sees, in full.
type model struct {
	ops  map[string][]modelOp // by updater, oldest first
	pins map[string]set       // by updater
	// told are the operations that notifications were last made of.
	told map[string]modelOp
	// order numbers the operations as they completed.
	order map[uuid.UUID]int
}

type modelOp struct {
	ref  uuid.UUID
	rows set
}

func (m *model) current(updater string) set {
	ops := m.ops[updater]
	if len(ops) == 0 {
		return nil
	}
	return ops[len(ops)-1].rows
}

// run is one random sequence against the real store and the model.
type run struct {
	t     *testing.T
	r     *rand.Rand
	path  string
	db    *store.DB
	m     model
	held  map[*store.Snapshot]map[string]set
	count map[string]int
}

var errFeed = errors.New("the feed broke")

// TestImport_Property checks the rules of the package documentation on random
// sequences of imports, deltas, failures, crashes, deletions, collections, pins
// and snapshots, against a model that keeps what each operation sees in full.
func TestImport_Property(t *testing.T) {
	sequences, steps := 300, 40
	if s := os.Getenv("ORIEL_PROPERTY_SEQUENCES"); s != "" {
		var err error
		sequences, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	if testing.Short() {
		sequences = 30
	}
	total, longest := map[string]int{}, 0
	for i := range sequences {
		n := 5 + i%steps
		if i == 0 {
			n = 400
		}
		longest = max(longest, n)
		for what, k := range sequence(t, uint64(i), n) {
			total[what] += k
		}
	}
	t.Logf("%d sequences, the longest of %d steps: %v", sequences, longest, total)
}

func sequence(t *testing.T, seed uint64, n int) map[string]int {
	r := &run{
		t:    t,
		r:    rand.New(rand.NewPCG(7, seed)),
		path: filepath.Join(t.TempDir(), fmt.Sprintf("%d.db", seed)),
		m: model{
			ops:   map[string][]modelOp{},
			pins:  map[string]set{},
			told:  map[string]modelOp{},
			order: map[uuid.UUID]int{},
		},
		held:  map[*store.Snapshot]map[string]set{},
		count: map[string]int{},
	}
	r.db = open(t, r.path)
	defer func() { require.NoError(t, r.db.Close()) }()
	for range n {
		r.step()
	}
	r.finish()
	require.NoError(t, os.Remove(r.path))
	return r.count
}

func (r *run) did(what string) { r.count[what]++ }

func (r *run) step() {
	updater := []string{"alpha", "beta"}[r.r.IntN(2)]
	switch p := r.r.IntN(100); {
	case p < 22:
		r.update(updater)
	case p < 32:
		r.deltaUpdate(updater)
	case p < 36:
		r.crashingDelta(updater)
	case p < 45:
		r.failingUpdate(updater)
	case p < 55:
		r.crashingUpdate(updater)
	case p < 67:
		r.remove(updater)
	case p < 77:
		r.collect()
	case p < 84:
		r.hold()
	case p < 87:
		r.pin(updater)
	case p < 89:
		r.plan()
	case p < 92:
		r.reopen()
	default:
		r.diff(updater)
	}
	r.check()
}

// rows is a random feed; some rows come twice.
func (r *run) rows() (list []string, s set) {
	s = set{}
	for i := range 14 {
		if r.r.IntN(3) > 0 {
			s[fmt.Sprintf("ADV-%02d", i)] = true
		}
	}
	list = slices.Collect(maps.Keys(s))
	r.r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return append(list, list[:len(list)/4]...), s
}

func (r *run) update(updater string) {
	list, s := r.rows()
	before := r.m.current(updater)
	res, err := r.db.UpdateVulnerabilities(context.Background(), updater, "fp", feedOf(nil, list...))
	require.NoError(r.t, err)
	if r.count["failed import"]+r.count["crashed import"]+r.count["deletion"]+r.count["delta"] == 0 {
		require.EqualValues(r.t, len(s.minus(before)), res.Added)
		require.EqualValues(r.t, len(before.minus(s)), res.Removed)
	}
	r.m.ops[updater] = append(r.m.ops[updater], modelOp{res.Ref, s})
	r.checkOpen(updater)
	r.did("import")
}

func (r *run) failingUpdate(updater string) {
	list, _ := r.rows()
	_, err := r.db.UpdateVulnerabilities(context.Background(), updater, "fp", feedOf(errFeed, list[:r.r.IntN(len(list)+1)]...))
	require.ErrorIs(r.t, err, errFeed)
	r.did("failed import")
}

// crashingUpdate dies at a random place, if it does not get to its end before.
func (r *run) crashingUpdate(updater string) {
	list, s := r.rows()
	r.crashing(updater, s, func(ctx context.Context) (clair.UpdateResult, error) {
		return r.db.UpdateVulnerabilities(ctx, updater, "fp", feedOf(nil, list...))
	})
}

func (r *run) crashing(updater string, s set, update func(context.Context) (clair.UpdateResult, error)) {
	ctx := crashtest.After(r.t.Context(), r.r.IntN(400))
	defer ctx.Cancel()
	res, err := update(ctx)
	ops, lerr := r.db.GetUpdateOperations(context.Background(), clair.KindVulnerability, updater)
	require.NoError(r.t, lerr)
	if len(ops[updater]) > len(r.m.ops[updater]) {
		// Its last commit went through, whatever it returned.
		r.m.ops[updater] = append(r.m.ops[updater], modelOp{ops[updater][0].Ref, s})
		if err == nil {
			require.Equal(r.t, ops[updater][0].Ref, res.Ref)
		}
		r.did("import")
		return
	}
	require.Error(r.t, err)
	r.did("crashed import")
	if r.r.IntN(2) == 0 {
		r.reopen()
	}
}

func (r *run) remove(updater string) {
	ops := r.m.ops[updater]
	if len(ops) == 0 {
		return
	}
	i := r.r.IntN(len(ops))
	n, err := r.db.DeleteUpdateOperations(context.Background(), ops[i].ref)
	require.NoError(r.t, err)
	require.EqualValues(r.t, 1, n)
	r.m.ops[updater] = slices.Delete(ops, i, i+1)
	r.did("deletion")
}

func (r *run) collect() {
	keep := 1 + r.r.IntN(5)
	_, err := r.db.GC(context.Background(), keep)
	require.NoError(r.t, err)
	for u, ops := range r.m.ops {
		r.m.ops[u] = ops[max(0, len(ops)-keep):]
	}
	r.did("collection")
	r.checkGarbage()
}

func (r *run) hold() {
	if len(r.held) > 2 {
		for s := range r.held {
			s.Close()
			delete(r.held, s)
			return
		}
	}
	s, err := r.db.Snapshot(context.Background())
	require.NoError(r.t, err)
	r.held[s] = map[string]set{"alpha": r.m.current("alpha"), "beta": r.m.current("beta")}
	r.did("snapshot")
}

func (r *run) pin(updater string) {
	ops := r.m.ops[updater]
	if len(ops) == 0 {
		require.NoError(r.t, r.db.Unpin(context.Background(), "test", updater))
		delete(r.m.pins, updater)
		return
	}
	op := ops[r.r.IntN(len(ops))]
	require.NoError(r.t, r.db.Pin(context.Background(), "test", clair.UpdateOperation{Ref: op.ref}))
	r.m.pins[updater] = op.rows
	r.did("pin")
}

// number assigns a number to the operation that completed in this step, if one
// did.
func (m *model) number() {
	for _, ops := range m.ops {
		for _, o := range ops {
			if _, known := m.order[o.ref]; !known {
				m.order[o.ref] = len(m.order)
			}
		}
	}
}

// next is the operation to make a notification of.
func (m *model) next() (updater string, op modelOp, ok bool) {
	for {
		best := len(m.order)
		for u, ops := range m.ops {
			told, marked := m.told[u]
			for _, o := range ops {
				if n := m.order[o.ref]; n < best && (!marked || n > m.order[told.ref]) {
					updater, op, best = u, o, n
				}
			}
		}
		if best == len(m.order) {
			return "", op, false
		}
		if _, marked := m.told[updater]; marked {
			return updater, op, true
		}
		m.told[updater] = op // the first of its updater
	}
}

// plan makes a notification, without rows, of the next operation, if the
// process does not die on the way. Then it is the next one still.
func (r *run) plan() {
	updater, want, ok := r.m.next()
	op, more, err := r.db.NextOperation(context.Background())
	require.NoError(r.t, err)
	require.Equal(r.t, ok, more)
	if !ok {
		return
	}
	require.Equal(r.t, want.ref, op.Ref)
	require.Equal(r.t, want.rows.minus(nil), r.visible(updater, `SELECT seq FROM update_operation WHERE ref = ?`, op.Ref.String()))
	ctx := crashtest.After(r.t.Context(), r.r.IntN(300))
	defer ctx.Cancel()
	_, err = r.db.PutNotification(ctx, op, nil, func(func(clair.NotificationRow, error) bool) {})
	now, more, nerr := r.db.NextOperation(context.Background())
	require.NoError(r.t, nerr)
	if err != nil && more && now.Ref == op.Ref {
		r.did("crashed plan")
		return
	}
	r.m.told[updater] = want
	r.m.next() // what was asked for has marked first operations
	r.did("plan")
}

func (r *run) reopen() {
	clear(r.held) // what a process holds in memory dies with it
	require.NoError(r.t, r.db.Close())
	r.db = open(r.t, r.path)
	r.did("reopening")
}

func (r *run) diff(updater string) {
	ops := r.m.ops[updater]
	if len(ops) == 0 {
		return
	}
	cur := ops[r.r.IntN(len(ops))]
	prev := modelOp{}
	if r.r.IntN(4) > 0 {
		prev = ops[r.r.IntN(len(ops))]
	}
	d, err := r.db.GetUpdateDiff(context.Background(), prev.ref, cur.ref)
	require.NoError(r.t, err)
	defer d.Close()
	require.Equal(r.t, cur.rows.minus(prev.rows), names(r.t, d.Added), "added")
	if prev.ref == uuid.Nil {
		require.Empty(r.t, names(r.t, d.Removed))
	} else {
		require.Equal(r.t, prev.rows.minus(cur.rows), names(r.t, d.Removed), "removed")
	}
	r.did("diff")
}

// check compares everything that can be seen with the model.
func (r *run) check() {
	ctx := context.Background()
	ops, err := r.db.GetUpdateOperations(ctx, "")
	require.NoError(r.t, err)
	r.m.number()
	for _, u := range []string{"alpha", "beta"} {
		var refs []uuid.UUID
		for _, o := range slices.Backward(ops[u]) {
			refs = append(refs, o.Ref)
		}
		var want []uuid.UUID
		for _, o := range r.m.ops[u] {
			want = append(want, o.ref)
		}
		require.Equal(r.t, want, refs)
	}
	s, err := r.db.Snapshot(ctx)
	require.NoError(r.t, err)
	defer s.Close()
	r.checkSnapshot(s, map[string]set{"alpha": r.m.current("alpha"), "beta": r.m.current("beta")})
	for held, want := range r.held {
		r.checkSnapshot(held, want)
	}
	for u, want := range r.m.pins {
		r.checkPin("test", u, want)
	}
	for u, op := range r.m.told {
		r.checkPin("notifier", u, op.rows)
	}
}

func (r *run) checkSnapshot(s *store.Snapshot, want map[string]set) {
	for u, rows := range want {
		require.Equal(r.t, rows.minus(nil), names(r.t, s.Vulnerabilities(context.Background(), u)), u)
	}
}

// checkPin reads the rows that the pinned operation sees, as the notifier does.
func (r *run) checkPin(owner, updater string, want set) {
	require.Equal(r.t, want.minus(nil), r.visible(updater, `SELECT seq FROM pin WHERE owner = ? AND updater = ?`, owner, updater))
}

// visible returns the names of the rows that an operation of an updater sees,
// by the rule alone. The query returns its number.
func (r *run) visible(updater, seq string, args ...any) []string {
	var at int64
	require.NoError(r.t, r.db.Read.QueryRow(seq, args...).Scan(&at))
	const names = `
		SELECT name
		FROM vuln
		WHERE updater = ?1 AND added <= ?2 AND (removed IS NULL OR removed > ?2)
		ORDER BY name`
	rows, err := r.db.Read.Query(names, updater, at)
	out, err := sqlitedb.ScanAll(rows, err, func(rows *sql.Rows) (name string, err error) {
		err = rows.Scan(&name)
		return name, err
	})
	require.NoError(r.t, err)
	return out
}

// checkOpen: after a complete import the open rows are exactly those listed by
// hash.
func (r *run) checkOpen(updater string) {
	const differ = `SELECT count(*) FROM updater AS u WHERE u.name = ?1 AND (
		(SELECT count(*) FROM vuln_open AS o WHERE o.updater_id = u.id) <>
		(SELECT count(*) FROM vuln_row AS r WHERE r.updater_id = u.id AND r.removed IS NULL)
		OR EXISTS (SELECT 1 FROM vuln_open AS o LEFT JOIN vuln_row AS r ON r.id = o.row_id
			WHERE o.updater_id = u.id AND (r.id IS NULL OR r.removed IS NOT NULL OR r.hash <> o.hash)))`
	require.Zero(r.t, r.number(differ, updater))
}

// checkGarbage: after a collection every closed row is seen by someone, and
// every advisory has a row.
func (r *run) checkGarbage() {
	const orphans = `SELECT count(*) FROM advisory AS a WHERE NOT EXISTS (SELECT 1 FROM vuln_row AS r WHERE r.advisory_id = a.id)`
	require.Zero(r.t, r.number(orphans))
	if len(r.held) > 0 {
		return
	}
	const unseen = `SELECT count(*) FROM vuln_row AS r JOIN updater AS u ON u.id = r.updater_id WHERE r.removed IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM update_operation AS o WHERE o.updater = u.name AND o.seq >= r.added AND o.seq < r.removed)
		AND NOT EXISTS (SELECT 1 FROM pin AS p WHERE p.updater = u.name AND p.seq >= r.added AND p.seq < r.removed)`
	require.Zero(r.t, r.number(unseen))
}

func (r *run) number(query string, args ...any) (n int) {
	require.NoError(r.t, r.db.Read.QueryRow(query, args...).Scan(&n))
	return n
}

func (r *run) finish() {
	for s := range r.held {
		s.Close()
	}
	clear(r.held)
	r.collect()
	r.check()
	require.NoError(r.t, r.db.Check(context.Background()))
}
