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
// covers callers that die, and is longer than any pass may take.
const snapshotLife = time.Hour

// Snapshot is the state of all updaters' vulnerabilities at one moment. Its
// rows stay the same, whatever is imported, deleted or retired, until Close or
// for an hour.
type Snapshot struct {
	db   *DB
	kind clair.Kind
	// seqs is the current operation of each updater, by updater id.
	seqs  map[int64]int64
	names map[int64]string
	// reading is Page's cache, nil before its first call.
	resolver *rowResolver
}

// Snapshot returns a snapshot of the current state. The caller closes it.
func (db *DB) Snapshot(ctx context.Context) (*Snapshot, error) {
	return db.snapshot(ctx, clair.KindVulnerability)
}

func (db *DB) snapshot(ctx context.Context, kind clair.Kind) (*Snapshot, error) {
	db.opening.RLock()
	defer db.opening.RUnlock()
	const current = `
		SELECT u.id, u.name, max(o.seq)
		FROM update_operation AS o
		JOIN updater AS u ON u.name = o.updater
		WHERE o.kind = ?
		GROUP BY u.id`
	return db.snapshotOf(ctx, kind, current, string(kind))
}

// snapshotOf returns a snapshot of the operations that a query returns: an
// updater's id, its name and the operation's seq. The caller prevents the
// collection of garbage in the meantime.
func (db *DB) snapshotOf(ctx context.Context, kind clair.Kind, query string, args ...any) (*Snapshot, error) {
	s := &Snapshot{
		db:    db,
		kind:  kind,
		seqs:  map[int64]int64{},
		names: map[int64]string{},
	}
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

// hold pins the snapshot's rows.
func (db *DB) hold(s *Snapshot) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.snapshots[s] = db.now().Add(snapshotLife)
}

// Renew holds the rows for another hour. If they were already released, the
// error is an ErrUnavailable.
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

// Close releases the rows. It may be called twice.
func (s *Snapshot) Close() {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	delete(s.db.snapshots, s)
}

// Updaters returns the names of the updaters with an operation in the
// snapshot.
func (s *Snapshot) Updaters() []string {
	return slices.Sorted(maps.Values(s.names))
}

// Vulnerabilities streams one updater's rows, always in the same order.
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

// visible reports whether a row is visible in the snapshot.
func (s *Snapshot) visible(updater, added int64, removed sql.NullInt64) bool {
	seq, ok := s.seqs[updater]
	return ok && added <= seq && (!removed.Valid || seq < removed.Int64)
}

// Pin makes the rows of an operation outlive it, under the owner's name,
// replacing the owner's previous pin for that updater. It survives restarts,
// until Unpin. An unknown operation is an ErrNotFound.
func (db *DB) Pin(ctx context.Context, owner string, op clair.UpdateOperation) error {
	return db.Tx(ctx, func(tx *sql.Tx) error {
		const pin = `
			INSERT INTO pin (owner, updater, seq)
			SELECT ?, updater, seq
			FROM update_operation
			WHERE ref = ? AND true
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

// Unpin removes a pin.
func (db *DB) Unpin(ctx context.Context, owner, updater string) error {
	return db.Exec(ctx, `DELETE FROM pin WHERE owner = ? AND updater = ?`, owner, updater)
}
