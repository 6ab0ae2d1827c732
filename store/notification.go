package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"oriel/clair"
)

// notifier owns the pins of the operations that notifications were last made
// of: each updater's mark.
const notifier = "notifier"

// notificationID is the id of the one set of an operation.
func notificationID(operation uuid.UUID) uuid.UUID {
	return uuid.NewSHA1(operation, []byte("notification"))
}

// Completed is filled when a vulnerability operation completes. It has room for
// one signal, so whoever waits for it looks for all operations there are.
func (db *DB) Completed() <-chan struct{} { return db.completed }

// signalCompleted says that one has completed.
func (db *DB) signalCompleted() {
	select {
	case db.completed <- struct{}{}:
	default: // whoever comes will see this one too
	}
}

// NextOperation gives the vulnerability operation that completed first among
// those that no notification has been made of, and that are newer than the
// last one of their updater that was. It marks the first operation of an
// updater, of which there is none to make. ok is false where there is none.
func (db *DB) NextOperation(ctx context.Context) (op clair.UpdateOperation, ok bool, err error) {
	const next = `SELECT o.ref, o.updater, o.fingerprint, o.date, o.kind, p.seq IS NULL FROM update_operation AS o
		LEFT JOIN pin AS p ON p.owner = 'notifier' AND p.updater = o.updater
		WHERE o.kind = 'vulnerability' AND o.seq > ifnull(p.seq, 0) ORDER BY o.id LIMIT 1`
	for {
		var first bool
		err := scanOperation(db.read.QueryRowContext(ctx, next), &op, &first)
		if errors.Is(err, sql.ErrNoRows) {
			return op, false, nil
		}
		if err != nil {
			return op, false, fmt.Errorf("find the next operation to notify of: %w", classify(err))
		}
		if !first {
			return op, true, nil
		}
		// Where it was deleted meanwhile the next one is the first.
		if err := db.SkipOperation(ctx, op); err != nil && !errors.Is(err, clair.ErrNotFound) {
			return op, false, err
		}
	}
}

// SkipOperation marks an operation as one that a notification has been made
// of. One that is gone is an ErrNotFound.
func (db *DB) SkipOperation(ctx context.Context, op clair.UpdateOperation) error {
	return db.Pin(ctx, notifier, op)
}

// OperationImpacts streams what an operation means for manifests: the
// difference between what notifications were last made of, of all updaters,
// and the same with the operation in its updater's place. An operation that is
// gone is an ErrNotFound.
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

// marked gives the state at the marks, and the same with one operation in its
// updater's place. The caller closes both.
func (db *DB) marked(ctx context.Context, ref uuid.UUID) (from, to *Snapshot, err error) {
	db.opening.RLock()
	defer db.opening.RUnlock()
	op, err := db.operation(ctx, "ref", ref)
	if err != nil {
		return nil, nil, err
	}
	const marks = `SELECT u.id, u.name, p.seq FROM pin AS p JOIN updater AS u ON u.name = p.updater WHERE p.owner = 'notifier'`
	if from, err = db.snapshotOf(ctx, clair.KindVulnerability, marks); err != nil {
		return nil, nil, err
	}
	to = from.with(map[int64]int64{op.updaterID: op.seq})
	db.hold(to)
	return from, to, nil
}

// with is a snapshot of the same state but for some updaters' operations.
func (s *Snapshot) with(seqs map[int64]int64) *Snapshot {
	out := &Snapshot{db: s.db, kind: s.kind, seqs: maps.Clone(s.seqs), names: s.names}
	maps.Copy(out.seqs, seqs)
	return out
}

// PutNotification makes the one set there is of an operation: rows in short
// transactions, seen by nobody, then one commit that makes it visible, writes
// the receipts of those subscriptions that are told of any row, and marks the
// operation. Without rows the operation is marked and there is no set. What an
// attempt before this one has left is deleted. It returns the set's id, and
// uuid.Nil where there is none.
func (db *DB) PutNotification(ctx context.Context, op clair.UpdateOperation, subscriptions []clair.Subscription,
	rows iter.Seq2[clair.NotificationRow, error],
) (uuid.UUID, error) {
	ref := notificationID(op.Ref)
	w := &notificationWriter{db: db, counts: map[string]int64{}}
	err := w.put(ctx, op, ref, subscriptions, rows)
	if err != nil {
		return uuid.Nil, fmt.Errorf("make a notification of operation %s: %w", op.Ref, err)
	}
	if len(w.counts) == 0 {
		return uuid.Nil, nil
	}
	return ref, nil
}

// notificationWriter writes one set.
type notificationWriter struct {
	db     *DB
	id     int64
	insert *inserter
	batch  []clair.NotificationRow
	counts map[string]int64 // rows by view
	named  bitmap           // the vulnerabilities that rows name
}

const (
	// notificationRows is how many rows are written at once.
	notificationRows = 4096
	// manifestsTogether is how many rows are kept together at the most.
	manifestsTogether = 500
)

func (w *notificationWriter) put(ctx context.Context, op clair.UpdateOperation, ref uuid.UUID, subscriptions []clair.Subscription,
	rows iter.Seq2[clair.NotificationRow, error],
) error {
	if err := w.db.dropSets(ctx, `SELECT id FROM notification WHERE complete = 0`); err != nil {
		return err
	}
	err := w.db.tx(ctx, func(tx *sql.Tx) error {
		const begin = `INSERT INTO notification (ref, uo_ref, updater, date) VALUES (?, ?, ?, ?) RETURNING id`
		return tx.QueryRowContext(ctx, begin, ref.String(), op.Ref.String(), op.Updater, w.db.now().UnixMilli()).Scan(&w.id)
	})
	if err != nil {
		return err
	}
	const head = `INSERT INTO notification_body (notification_id, view, n, manifests, reason, package_version, vuln_id, previous_id) VALUES `
	if w.insert, err = newInserter(ctx, w.db, head, `(?, ?, ?, ?, ?, ?, ?, ?)`); err != nil {
		return err
	}
	defer w.insert.close()
	for row, err := range rows {
		if err != nil {
			return err
		}
		if w.batch = append(w.batch, row); len(w.batch) == notificationRows {
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	if err := w.copyVulnerabilities(ctx); err != nil {
		return err
	}
	return w.complete(ctx, op, subscriptions)
}

// flush writes the rows of the batch.
func (w *notificationWriter) flush(ctx context.Context) error {
	var bodies [][]clair.NotificationRow
	for from, to := 0, 0; from < len(w.batch); from = to {
		for to < len(w.batch) && to-from < manifestsTogether && alike(w.batch[from], w.batch[to]) {
			to++
		}
		bodies = append(bodies, w.batch[from:to])
	}
	chunks := slices.Collect(slices.Chunk(bodies, insertRows))
	err := w.db.inSlices(ctx, len(chunks), func(tx *sql.Tx, i int) error {
		var args []any
		for _, rows := range chunks[i] {
			var err error
			if args, err = w.appendBody(args, rows); err != nil {
				return err
			}
		}
		_, err := w.insert.insert(ctx, tx, args)
		return err
	})
	w.batch = w.batch[:0]
	return err
}

// alike says whether two rows differ in the manifest alone.
func alike(a, b clair.NotificationRow) bool {
	a.Manifest = b.Manifest
	return a == b
}

// appendBody appends the columns of rows that are kept together.
func (w *notificationWriter) appendBody(args []any, rows []clair.NotificationRow) ([]any, error) {
	r := rows[0]
	id, err := strconv.ParseInt(r.Vulnerability, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("vulnerability of a row: %w", err)
	}
	w.named.set(id)
	var previous sql.NullInt64
	if r.Previous != "" {
		if previous.Int64, err = strconv.ParseInt(r.Previous, 10, 64); err != nil {
			return nil, fmt.Errorf("vulnerability of a row: %w", err)
		}
		previous.Valid = true
		w.named.set(previous.Int64)
	}
	var manifests strings.Builder
	for i, r := range rows {
		if i > 0 {
			manifests.WriteByte(' ')
		}
		manifests.WriteString(string(r.Manifest))
	}
	first := w.counts[r.View] + 1
	w.counts[r.View] += int64(len(rows))
	return append(args, w.id, r.View, first, manifests.String(), string(r.Reason), r.Version, id, previous), nil
}

// copyVulnerabilities copies those that the rows name. The marks and the
// operation still hold them.
func (w *notificationWriter) copyVulnerabilities(ctx context.Context) error {
	const read = `SELECT ` + narrowColumns + `, u.name FROM json_each(?) AS j
		CROSS JOIN vuln_row AS r ON r.id = j.value CROSS JOIN updater AS u ON u.id = r.updater_id`
	const insert = `INSERT INTO notification_vuln (notification_id, vuln_id, vuln) VALUES (?, ?, ?)`
	r := w.db.newReading(map[int64]string{})
	for page := range w.named.pages(streamRows) {
		rows, err := r.query(ctx, read, idList(page))
		found, err := scanAll(rows, err, func(rows *sql.Rows) (stored, error) {
			var updater string
			s, err := scanNarrowAnd(rows, &updater)
			r.names[s.updater] = updater
			return s, err
		})
		if err != nil {
			return err
		}
		if len(found) != len(page) {
			return fmt.Errorf("%d of %d vulnerabilities are gone: %w", len(page)-len(found), len(page), clair.ErrNotFound)
		}
		if err := r.complete(ctx, found); err != nil {
			return err
		}
		err = w.db.inSlices(ctx, len(found), func(tx *sql.Tx, i int) error {
			text, err := json.Marshal(found[i].v)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, insert, w.id, found[i].id, w.db.zip.packBytes(text))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// complete makes the set visible and marks the operation.
func (w *notificationWriter) complete(ctx context.Context, op clair.UpdateOperation, subscriptions []clair.Subscription) error {
	const visible = `UPDATE notification SET complete = 1, rows = ?, date = ? WHERE id = ?`
	const nothing = `DELETE FROM notification WHERE id = ?`
	const receipt = `INSERT INTO receipt (notification_id, webhook, view, status, rows, since, next_attempt) VALUES (?1, ?2, ?3, 'created', ?4, ?5, ?5)`
	const mark = `UPDATE pin SET seq = (SELECT seq FROM update_operation WHERE ref = ?1)
		WHERE owner = 'notifier' AND updater = ?2 AND EXISTS (SELECT 1 FROM update_operation WHERE ref = ?1)`
	now := w.db.now().UnixMilli()
	return w.db.tx(ctx, func(tx *sql.Tx) error {
		var err error
		if len(w.counts) == 0 {
			_, err = tx.ExecContext(ctx, nothing, w.id)
		} else {
			_, err = tx.ExecContext(ctx, visible, w.counts[""], now, w.id)
		}
		if err != nil {
			return err
		}
		for _, s := range subscriptions {
			if n := w.counts[s.View]; n > 0 {
				if _, err := tx.ExecContext(ctx, receipt, w.id, s.Webhook, s.View, n, now); err != nil {
					return err
				}
			}
		}
		res, err := tx.ExecContext(ctx, mark, op.Ref.String(), op.Updater)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return fmt.Errorf("mark it: %w", cmp.Or(err, clair.ErrNotFound))
		}
		return nil
	})
}

// dropSets deletes the sets that a query names by id, their rows in short
// transactions first.
func (db *DB) dropSets(ctx context.Context, which string, args ...any) error {
	ids, err := readPage(ctx, db.read, which, scanID, args...)
	if err != nil {
		return err
	}
	const bodies = `DELETE FROM notification_body WHERE (notification_id, view, n) IN
		(SELECT notification_id, view, n FROM notification_body WHERE notification_id = ? LIMIT 500)`
	const vulns = `DELETE FROM notification_vuln WHERE (notification_id, vuln_id) IN
		(SELECT notification_id, vuln_id FROM notification_vuln WHERE notification_id = ? LIMIT 500)`
	for _, id := range ids {
		// Readers stop seeing it before its rows go.
		if err := db.exec(ctx, `UPDATE notification SET complete = 0 WHERE id = ?`, id); err != nil {
			return err
		}
		for _, q := range []string{bodies, vulns} {
			for n := int64(1); n > 0; {
				err := db.tx(ctx, func(tx *sql.Tx) error {
					res, err := tx.ExecContext(ctx, q, id)
					if err == nil {
						n, err = res.RowsAffected()
					}
					return err
				})
				if err != nil {
					return err
				}
			}
		}
		if err := db.exec(ctx, `DELETE FROM notification WHERE id = ?`, id); err != nil {
			return err
		}
	}
	return nil
}

// CountManifests says how many manifests there are.
func (db *DB) CountManifests(ctx context.Context) (n int64, err error) {
	if err := db.read.QueryRowContext(ctx, `SELECT count(*) FROM manifest`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count manifests: %w", classify(err))
	}
	return n, nil
}
