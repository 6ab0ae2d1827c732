package outbox

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"oriel/clair"
	"oriel/store/history"
	"oriel/store/sqlitedb"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Vulnerability is a stored row of a vulnerability with its id.
type Vulnerability struct {
	ID            int64
	Vulnerability *clair.Vulnerability
}

// Reader reads rows by their ids, all of them or an error.
type Reader func(ctx context.Context, ids []int64) ([]Vulnerability, error)

// setID is the id of the one set of an operation.
func setID(operation uuid.UUID) uuid.UUID {
	return uuid.NewSHA1(operation, []byte("notification"))
}

// Put makes the one set of an operation: rows in short transactions that nobody
// sees, then one commit that makes it visible, writes the receipts of the
// subscriptions with at least one row, and marks the operation. Without rows
// it only marks the operation and returns uuid.Nil. It deletes what an earlier
// attempt has left, and keeps a copy of each vulnerability that read returns.
func (db *Outbox) Put(ctx context.Context, op clair.UpdateOperation, subscriptions []clair.Subscription,
	rows iter.Seq2[clair.NotificationRow, error], read Reader,
) (uuid.UUID, error) {
	ref := setID(op.Ref)
	w := &writer{
		db:     db,
		read:   read,
		counts: map[string]int64{},
	}
	if err := w.put(ctx, op, ref, subscriptions, rows); err != nil {
		return uuid.Nil, fmt.Errorf("make a notification of operation %s: %w", op.Ref, err)
	}
	if len(w.counts) == 0 {
		return uuid.Nil, nil
	}
	return ref, nil
}

// writer writes one set.
type writer struct {
	db     *Outbox
	read   Reader
	id     int64
	insert *sqlitedb.Inserter
	batch  []clair.NotificationRow
	counts map[string]int64 // rows by view
	named  history.Bitmap   // the vulnerabilities that rows name
}

const (
	// notificationRows is how many rows are written at once.
	notificationRows = 4096
	// manifestsTogether is how many rows are stored together at most.
	manifestsTogether = 500
)

func (w *writer) put(ctx context.Context, op clair.UpdateOperation, ref uuid.UUID, subscriptions []clair.Subscription,
	rows iter.Seq2[clair.NotificationRow, error],
) error {
	if err := w.db.dropSets(ctx, `SELECT id FROM notification WHERE complete = 0`); err != nil {
		return err
	}
	err := w.db.Tx(ctx, func(tx *sql.Tx) error {
		const begin = `
			INSERT INTO notification (ref, uo_ref, updater, date)
			VALUES (?, ?, ?, ?)
			RETURNING id`
		return tx.QueryRowContext(ctx, begin, ref.String(), op.Ref.String(), op.Updater, w.db.now().UnixMilli()).Scan(&w.id)
	})
	if err != nil {
		return err
	}
	const head = `INSERT INTO notification_body (notification_id, view, n, manifests, reason, package_version, vuln_id, previous_id) VALUES `
	if w.insert, err = sqlitedb.NewInserter(ctx, w.db.DB, head, `(?, ?, ?, ?, ?, ?, ?, ?)`); err != nil {
		return err
	}
	defer w.insert.Close()
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
func (w *writer) flush(ctx context.Context) error {
	var bodies [][]clair.NotificationRow
	for from, to := 0, 0; from < len(w.batch); from = to {
		for to < len(w.batch) && to-from < manifestsTogether && alike(w.batch[from], w.batch[to]) {
			to++
		}
		bodies = append(bodies, w.batch[from:to])
	}
	chunks := slices.Collect(slices.Chunk(bodies, sqlitedb.InsertRows))
	err := w.db.InSlices(ctx, len(chunks), func(tx *sql.Tx, i int) error {
		var args []any
		for _, rows := range chunks[i] {
			var err error
			if args, err = w.appendBody(args, rows); err != nil {
				return err
			}
		}
		_, err := w.insert.Insert(ctx, tx, args)
		return err
	})
	w.batch = w.batch[:0]
	return err
}

// alike reports whether two rows differ only in the manifest.
func alike(a, b clair.NotificationRow) bool {
	a.Manifest = b.Manifest
	return a == b
}

// appendBody appends the columns of rows that are stored together.
func (w *writer) appendBody(args []any, rows []clair.NotificationRow) ([]any, error) {
	r := rows[0]
	id, err := strconv.ParseInt(r.Vulnerability, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("vulnerability of a row: %w", err)
	}
	w.named.Set(id)
	var previous sql.NullInt64
	if r.Previous != "" {
		if previous.Int64, err = strconv.ParseInt(r.Previous, 10, 64); err != nil {
			return nil, fmt.Errorf("vulnerability of a row: %w", err)
		}
		previous.Valid = true
		w.named.Set(previous.Int64)
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

// complete makes the set visible and marks the operation.
func (w *writer) complete(ctx context.Context, op clair.UpdateOperation, subscriptions []clair.Subscription) error {
	const visible = `UPDATE notification SET complete = 1, rows = ?, date = ? WHERE id = ?`
	const nothing = `DELETE FROM notification WHERE id = ?`
	const receipt = `
		INSERT INTO receipt (notification_id, webhook, view, status, rows, since, next_attempt)
		VALUES (?1, ?2, ?3, 'created', ?4, ?5, ?5)`
	const mark = `
		UPDATE pin
		SET seq = (SELECT seq FROM update_operation WHERE ref = ?1)
		WHERE owner = 'notifier' AND updater = ?2
		AND EXISTS (SELECT 1 FROM update_operation WHERE ref = ?1)`
	now := w.db.now().UnixMilli()
	return w.db.Tx(ctx, func(tx *sql.Tx) error {
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

// copyRows is how many vulnerabilities are read and copied at once.
const copyRows = 500

// copyVulnerabilities copies the vulnerabilities of the rows, so that they
// outlive the update operations.
func (w *writer) copyVulnerabilities(ctx context.Context) error {
	const insert = `
		INSERT INTO notification_vuln (notification_id, vuln_id, vuln)
		VALUES (?, ?, ?)`
	for page := range w.named.Pages(copyRows) {
		found, err := w.read(ctx, page)
		if err != nil {
			return err
		}
		err = w.db.InSlices(ctx, len(found), func(tx *sql.Tx, i int) error {
			text, err := json.Marshal(found[i].Vulnerability)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, insert, w.id, found[i].ID, w.db.zip.PackBytes(text))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
