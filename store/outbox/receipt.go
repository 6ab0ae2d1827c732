package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// receiptColumns are the columns that scanReceipt reads, from receipt AS r.
const receiptColumns = `r.webhook, r.view, r.status, r.rows, r.attempts, r.since, r.last_attempt, r.next_attempt, r.error`

// scanReceipt reads other columns first, then receiptColumns.
func scanReceipt(row sqlitedb.Scanner, r *clair.Receipt, before ...any) error {
	var since, last, next sql.NullInt64
	var status string
	err := row.Scan(append(before, &r.Webhook, &r.View, &status, &r.Rows, &r.Attempts, &since, &last, &next, &r.Error)...)
	r.Status = clair.ReceiptStatus(status)
	r.Since, r.LastAttempt, r.NextAttempt = sqlitedb.FromMillis(since), sqlitedb.FromMillis(last), sqlitedb.FromMillis(next)
	return err
}

// NextDelivery returns the next delivery to a webhook, whether or not it is
// due. ok is false if there is none.
func (db *Outbox) NextDelivery(ctx context.Context, webhook string) (d clair.Delivery, ok bool, err error) {
	// The index has only pending receipts, in the order of their times.
	const next = `
		SELECT n.ref, n.updater, ` + receiptColumns + `
		FROM receipt AS r INDEXED BY receipt_next
		JOIN notification AS n ON n.id = r.notification_id
		WHERE r.webhook = ? AND r.next_attempt IS NOT NULL
		ORDER BY r.next_attempt, r.notification_id
		LIMIT 1`
	var ref string
	err = scanReceipt(db.Read.QueryRowContext(ctx, next, webhook), &d.Receipt, &ref, &d.Updater)
	if errors.Is(err, sql.ErrNoRows) {
		return d, false, nil
	}
	if err == nil {
		d.ID, err = uuid.Parse(ref)
	}
	if err != nil {
		return d, false, fmt.Errorf("find the next delivery to %s: %w", webhook, sqlitedb.Classify(err))
	}
	return d, true, nil
}

// BeginDelivery records that an attempt begins. ok is false if the receipt was
// deleted in the meantime, so that no attempt should be made.
func (db *Outbox) BeginDelivery(ctx context.Context, id uuid.UUID, webhook string) (ok bool, err error) {
	const begin = `
		UPDATE receipt
		SET attempts = attempts + 1, under_way = 1, last_attempt = ?3
		WHERE notification_id = (SELECT id FROM notification WHERE ref = ?1)
		AND webhook = ?2 AND next_attempt IS NOT NULL`
	n, err := db.count(ctx, begin, id.String(), webhook, db.now().UnixMilli())
	if err != nil {
		return false, fmt.Errorf("begin the delivery of %s to %s: %w", id, webhook, err)
	}
	return n > 0, nil
}

// EndDelivery records the result of an attempt. A zero next means that there
// is no further one. A receipt that was deleted in the meantime stays deleted.
func (db *Outbox) EndDelivery(ctx context.Context, id uuid.UUID, webhook string, status clair.ReceiptStatus, next time.Time, reason string) error {
	const end = `
		UPDATE receipt
		SET status = iif(under_way = 2 AND ?3 = 'delivered', 'deleted', ?3), next_attempt = ?4, error = ?5,
			under_way = 0
		WHERE notification_id = (SELECT id FROM notification WHERE ref = ?1)
		AND webhook = ?2 AND status <> 'deleted'`
	err := db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, end, id.String(), webhook, string(status), sqlitedb.Millis(next), reason); err != nil {
			return err
		}
		return allDeleted(ctx, tx, id)
	})
	if err != nil {
		return fmt.Errorf("end the delivery of %s to %s: %w", id, webhook, err)
	}
	return nil
}

// allDeleted marks a set as done if all its receipts are deleted.
func allDeleted(ctx context.Context, tx *sql.Tx, id uuid.UUID) error {
	const mark = `
		UPDATE notification
		SET deleted = 1
		WHERE ref = ?
		AND NOT EXISTS (
			SELECT 1
			FROM receipt
			WHERE notification_id = notification.id AND status <> 'deleted'
		)`
	_, err := tx.ExecContext(ctx, mark, id.String())
	return err
}

// Redeliver makes a set due again for one of its webhooks, or for all if none
// is named, whatever its status. If it does not exist, the error is an
// ErrNotFound.
func (db *Outbox) Redeliver(ctx context.Context, id uuid.UUID, webhook string) error {
	const again = `
		UPDATE receipt
		SET status = 'created', attempts = 0, under_way = 0, since = ?3, next_attempt = ?3, error = ''
		WHERE notification_id = (SELECT id FROM notification WHERE ref = ?1 AND complete)
		AND (?2 = '' OR webhook = ?2)`
	const keep = `UPDATE notification SET deleted = 0 WHERE ref = ?`
	err := db.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, again, id.String(), webhook, db.now().UnixMilli())
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("no webhook is to be told of it: %w", clair.ErrNotFound)
		}
		_, err = tx.ExecContext(ctx, keep, id.String())
		return err
	})
	if err != nil {
		return fmt.Errorf("redeliver notification %s: %w", id, err)
	}
	return nil
}

// DeleteNotification marks a set as read and done: for the named webhook, or
// for the only one. If there are several and none is named, it is for those
// that have received it, or are receiving it at this moment if that succeeds;
// the others still get it. It can be read until it is dropped. An unknown set
// is an ErrNotFound.
func (db *Outbox) DeleteNotification(ctx context.Context, id uuid.UUID, webhook string) error {
	const find = `
		SELECT n.id, (SELECT count(*) FROM receipt AS r WHERE r.notification_id = n.id)
		FROM notification AS n
		WHERE n.ref = ? AND n.complete`
	const one = `
		UPDATE receipt
		SET status = 'deleted', next_attempt = NULL, under_way = 0, error = ''
		WHERE notification_id = ?1 AND (?2 = '' OR webhook = ?2)`
	const some = `
		UPDATE receipt
		SET status = iif(status = 'delivered', 'deleted', status), under_way = iif(under_way, 2, 0)
		WHERE notification_id = ?1 AND (status = 'delivered' OR under_way)`
	err := db.Tx(ctx, func(tx *sql.Tx) error {
		var set, receipts int64
		err := tx.QueryRowContext(ctx, find, id.String()).Scan(&set, &receipts)
		if errors.Is(err, sql.ErrNoRows) {
			return clair.ErrNotFound
		}
		if err != nil {
			return err
		}
		if webhook == "" && receipts > 1 {
			_, err = tx.ExecContext(ctx, some, set)
		} else {
			_, err = tx.ExecContext(ctx, one, set, webhook)
		}
		if err != nil {
			return err
		}
		return allDeleted(ctx, tx, id)
	})
	if err != nil {
		return fmt.Errorf("delete notification %s: %w", id, err)
	}
	return nil
}

// DropNotifications deletes the sets that are done for all webhooks, and those
// older than a time without a pending delivery to any of the webhooks, with
// their receipts. The operation's mark, which stays, prevents that it is
// announced twice.
func (db *Outbox) DropNotifications(ctx context.Context, before time.Time, webhooks ...string) error {
	const old = `
		SELECT id
		FROM notification AS n
		WHERE complete
		AND (deleted OR date < ?1 AND NOT EXISTS (
			SELECT 1
			FROM receipt AS r
			WHERE r.notification_id = n.id AND r.next_attempt IS NOT NULL
			AND r.webhook IN (SELECT value FROM json_each(?2))
		))`
	names, err := json.Marshal(append([]string{}, webhooks...))
	if err == nil {
		err = db.dropSets(ctx, old, before.UnixMilli(), string(names))
	}
	if err != nil {
		return fmt.Errorf("drop old notifications: %w", err)
	}
	return nil
}

// ReceiptCounts counts the deliveries of all notifications by their status.
func (db *Outbox) ReceiptCounts(ctx context.Context) (map[string]int64, error) {
	type count struct {
		status string
		n      int64
	}
	all, err := sqlitedb.ReadPage(ctx, db.Read, `SELECT status, count(*) FROM receipt GROUP BY status`, func(rows *sql.Rows) (c count, err error) {
		err = rows.Scan(&c.status, &c.n)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	out := map[string]int64{}
	for _, c := range all {
		out[c.status] = c.n
	}
	return out, nil
}

// count runs one statement in a transaction of its own and returns how many
// rows it changed.
func (db *Outbox) count(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = db.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, query, args...)
		if err == nil {
			n, err = res.RowsAffected()
		}
		return err
	})
	return n, err
}

// dropSets deletes the sets that a query names by id, their rows in short
// transactions first.
func (db *Outbox) dropSets(ctx context.Context, which string, args ...any) error {
	ids, err := sqlitedb.ReadPage(ctx, db.Read, which, sqlitedb.ScanID, args...)
	if err != nil {
		return err
	}
	const bodies = `
		DELETE FROM notification_body
		WHERE (notification_id, view, n) IN (
			SELECT notification_id, view, n
			FROM notification_body
			WHERE notification_id = ?
			LIMIT 500
		)`
	const vulns = `
		DELETE FROM notification_vuln
		WHERE (notification_id, vuln_id) IN (
			SELECT notification_id, vuln_id
			FROM notification_vuln
			WHERE notification_id = ?
			LIMIT 500
		)`
	for _, id := range ids {
		// Hide it from readers before its rows are deleted.
		if err := db.Exec(ctx, `UPDATE notification SET complete = 0 WHERE id = ?`, id); err != nil {
			return err
		}
		for _, q := range []string{bodies, vulns} {
			for n := int64(1); n > 0; {
				err := db.Tx(ctx, func(tx *sql.Tx) error {
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
		if err := db.Exec(ctx, `DELETE FROM notification WHERE id = ?`, id); err != nil {
			return err
		}
	}
	return nil
}
