package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/store/outbox"
	"oriel/store/sqlitedb"
)

// notifier owns the pins of the operations that were announced last: each
// updater's mark.
const notifier = "notifier"

// Completed gets a value when a vulnerability operation completes. It has room
// for one value, so its receiver must look for all operations.
func (db *DB) Completed() <-chan struct{} { return db.completed }

// signalCompleted signals that one has completed.
func (db *DB) signalCompleted() {
	select {
	case db.completed <- struct{}{}:
	default: // whoever comes will see this one too
	}
}

// NextOperation returns the vulnerability operation that completed first among
// those that are not planned and are newer than the mark of their updater. It
// marks the first operation of an updater, which is never announced. ok is
// false if there is none.
func (db *DB) NextOperation(ctx context.Context) (op clair.UpdateOperation, ok bool, err error) {
	const next = `
		SELECT o.ref, o.updater, o.fingerprint, o.date, o.kind, p.seq IS NULL
		FROM update_operation AS o
		LEFT JOIN pin AS p ON p.owner = 'notifier' AND p.updater = o.updater
		WHERE o.kind = 'vulnerability' AND o.seq > ifnull(p.seq, 0)
		ORDER BY o.id
		LIMIT 1`
	for {
		var first bool
		err := scanOperation(db.Read.QueryRowContext(ctx, next), &op, &first)
		if errors.Is(err, sql.ErrNoRows) {
			return op, false, nil
		}
		if err != nil {
			return op, false, fmt.Errorf("find the next operation to notify of: %w", sqlitedb.Classify(err))
		}
		if !first {
			return op, true, nil
		}
		// If it was deleted in the meantime, the next one is the first.
		if err := db.SkipOperation(ctx, op); err != nil && !errors.Is(err, clair.ErrNotFound) {
			return op, false, err
		}
	}
}

// SkipOperation marks an operation as planned. If it no longer exists, the
// error is an ErrNotFound.
func (db *DB) SkipOperation(ctx context.Context, op clair.UpdateOperation) error {
	return db.Pin(ctx, notifier, op)
}

// OperationImpacts streams the changes of an operation for manifests: the
// difference between the last announced state of all updaters and the same
// with the operation for its updater. If the operation no longer exists, the
// error is an ErrNotFound.
func (db *DB) OperationImpacts(ctx context.Context, ref uuid.UUID, affects Affects) iter.Seq2[clair.Impact, error] {
	return func(yield func(clair.Impact, error) bool) {
		from, to, err := db.marked(ctx, ref)
		if err != nil {
			yield(clair.Impact{}, err)
			return
		}
		defer from.Close()
		defer to.Close()
		db.impacts(ctx, from, to, scope{}, affects)(yield)
	}
}

// marked returns the state at the marks, and the same with one operation for
// its updater. The caller closes both.
func (db *DB) marked(ctx context.Context, ref uuid.UUID) (from, to *Snapshot, err error) {
	db.opening.RLock()
	defer db.opening.RUnlock()
	op, err := db.operation(ctx, "ref", ref)
	if err != nil {
		return nil, nil, err
	}
	const marks = `
		SELECT u.id, u.name, p.seq
		FROM pin AS p
		JOIN updater AS u ON u.name = p.updater
		WHERE p.owner = 'notifier'`
	if from, err = db.snapshotOf(ctx, clair.KindVulnerability, marks); err != nil {
		return nil, nil, err
	}
	to = from.with(map[int64]int64{op.updaterID: op.seq})
	db.hold(to)
	return from, to, nil
}

// with returns a snapshot of the same state, except for some updaters'
// operations.
func (s *Snapshot) with(seqs map[int64]int64) *Snapshot {
	out := &Snapshot{
		db:    s.db,
		kind:  s.kind,
		seqs:  maps.Clone(s.seqs),
		names: s.names,
	}
	maps.Copy(out.seqs, seqs)
	return out
}

// PutNotification stores the one set of an operation: rows in short
// transactions that nobody sees, then one commit that makes it visible, writes
// the receipts of the subscriptions with at least one row, and marks the
// operation. Without rows it only marks the operation. It deletes what an
// earlier attempt has left, and returns the set's id, or uuid.Nil if there is
// none.
func (db *DB) PutNotification(ctx context.Context, op clair.UpdateOperation, subscriptions []clair.Subscription,
	rows iter.Seq2[clair.NotificationRow, error],
) (uuid.UUID, error) {
	return db.Outbox.Put(ctx, op, subscriptions, rows, db.rowsByID)
}

// CountManifests returns the number of manifests.
func (db *DB) CountManifests(ctx context.Context) (n int64, err error) {
	if err := db.Read.QueryRowContext(ctx, `SELECT count(*) FROM manifest`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count manifests: %w", sqlitedb.Classify(err))
	}
	return n, nil
}

// rowsByID reads vulnerabilities by their row ids, in the order of the ids. If
// one is gone, the error is an ErrNotFound.
func (db *DB) rowsByID(ctx context.Context, ids []int64) ([]outbox.Vulnerability, error) {
	const read = `
		SELECT ` + narrowColumns + `, u.name
		FROM json_each(?) AS j
		CROSS JOIN vuln_row AS r ON r.id = j.value
		CROSS JOIN updater AS u ON u.id = r.updater_id`
	r := db.newRowResolver(map[int64]string{})
	rows, err := r.query(ctx, read, sqlitedb.JSONList(ids))
	found, err := sqlitedb.ScanAll(rows, err, func(rows *sql.Rows) (stored, error) {
		var updater string
		s, err := scanNarrowAnd(rows, &updater)
		r.names[s.updater] = updater
		return s, err
	})
	if err != nil {
		return nil, err
	}
	if len(found) != len(ids) {
		return nil, fmt.Errorf("%d of %d vulnerabilities are gone: %w", len(ids)-len(found), len(ids), clair.ErrNotFound)
	}
	if err := r.complete(ctx, found); err != nil {
		return nil, err
	}
	out := make([]outbox.Vulnerability, len(found))
	for i, s := range found {
		out[i] = outbox.Vulnerability{ID: s.id, Vulnerability: s.v}
	}
	return out, nil
}
