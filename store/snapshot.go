package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// snapshotLife is how long a snapshot holds its rows if nobody closes it. It
// is a safety net under callers that die, longer than any pass may take.
const snapshotLife = time.Hour

// Snapshot is the state of all updaters' vulnerabilities at one moment. What
// it reads stays the same whatever imports, deletions and retention do
// meanwhile, until Close or for an hour.
type Snapshot struct {
	db   *DB
	kind clair.Kind
	// seqs is the current operation of each updater, by updater id.
	seqs  map[int64]int64
	names map[int64]string
	// reading is what Page remembers, nil before its first call.
	reading *reading
}

// Snapshot takes the current state. The caller closes it.
func (db *DB) Snapshot(ctx context.Context) (*Snapshot, error) {
	return db.snapshot(ctx, clair.KindVulnerability)
}

func (db *DB) snapshot(ctx context.Context, kind clair.Kind) (*Snapshot, error) {
	db.opening.RLock()
	defer db.opening.RUnlock()
	const current = `SELECT u.id, u.name, max(o.seq) FROM update_operation AS o
		JOIN updater AS u ON u.name = o.updater WHERE o.kind = ? GROUP BY u.id`
	return db.snapshotOf(ctx, kind, current, string(kind))
}

// snapshotOf takes the state at the operations that a query
// gives: an updater's id, its name and the operation's seq. The caller keeps
// garbage from being collected meanwhile.
func (db *DB) snapshotOf(ctx context.Context, kind clair.Kind, query string, args ...any) (*Snapshot, error) {
	s := &Snapshot{db: db, kind: kind, seqs: map[int64]int64{}, names: map[int64]string{}}
	stmt, err := db.Prepared(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("take a snapshot: %w", err)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("take a snapshot: %w", sqlitedb.Classify(err))
	}
	defer rows.Close()
	for rows.Next() {
		var id, seq int64
		var name string
		if err := rows.Scan(&id, &name, &seq); err != nil {
			return nil, fmt.Errorf("take a snapshot: %w", sqlitedb.Classify(err))
		}
		s.seqs[id], s.names[id] = seq, name
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("take a snapshot: %w", sqlitedb.Classify(err))
	}
	db.hold(s)
	return s, nil
}

// hold pins what the snapshot sees.
func (db *DB) hold(s *Snapshot) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.snapshots[s] = db.now().Add(snapshotLife)
}

// Renew holds the rows for another hour. It is an ErrUnavailable when they have
// been let go of already.
func (s *Snapshot) Renew() error {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	until, held := s.db.snapshots[s]
	now := s.db.now()
	if !held || now.After(until) {
		return fmt.Errorf("%w: the snapshot has been let go of", clair.ErrUnavailable)
	}
	s.db.snapshots[s] = now.Add(snapshotLife)
	return nil
}

// Close lets go of the rows. It may be called twice.
func (s *Snapshot) Close() {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	delete(s.db.snapshots, s)
}

// Updaters names the updaters that have an operation in the snapshot.
func (s *Snapshot) Updaters() []string {
	return slices.Sorted(maps.Values(s.names))
}

// Vulnerabilities streams one updater's rows, in an order that is the same in
// every pass.
func (s *Snapshot) Vulnerabilities(ctx context.Context, updater string) iter.Seq2[*clair.Vulnerability, error] {
	return func(yield func(*clair.Vulnerability, error) bool) {
		for id, name := range s.names {
			if name == updater {
				s.db.stream(ctx, allVisible(id, s.seqs[id]), s.names)(yield)
				return
			}
		}
	}
}

// visible says whether a row is seen in the snapshot.
func (s *Snapshot) visible(updater, added int64, removed sql.NullInt64) bool {
	seq, ok := s.seqs[updater]
	return ok && added <= seq && (!removed.Valid || seq < removed.Int64)
}

// Pin makes the rows that an operation sees outlive the operation, under the
// owner's name, in place of what the owner pinned for that updater before. It
// lasts across restarts, until Unpin. An unknown operation is an ErrNotFound.
func (db *DB) Pin(ctx context.Context, owner string, op clair.UpdateOperation) error {
	return db.Tx(ctx, func(tx *sql.Tx) error {
		const pin = `INSERT INTO pin (owner, updater, seq)
			SELECT ?, updater, seq FROM update_operation WHERE ref = ? AND true
			ON CONFLICT (owner, updater) DO UPDATE SET seq = excluded.seq`
		res, err := tx.ExecContext(ctx, pin, owner, op.Ref.String())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return fmt.Errorf("pin operation %s: %w", op.Ref, cmp.Or(err, clair.ErrNotFound))
		}
		return nil
	})
}

// Unpin takes back what Pin did.
func (db *DB) Unpin(ctx context.Context, owner, updater string) error {
	return db.Exec(ctx, `DELETE FROM pin WHERE owner = ? AND updater = ?`, owner, updater)
}
