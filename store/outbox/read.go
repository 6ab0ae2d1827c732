package outbox

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// The id of a row is the first half of its set's id and, in the second half,
// the variant of UUIDs and the row's number: rows are then in the order of
// their ids, as Clair's are, and an id identifies its row without being
// stored.
const variant = uint64(0b10) << 62

func rowID(set uuid.UUID, n int64) uuid.UUID {
	id := set
	binary.BigEndian.PutUint64(id[8:], variant|uint64(n))
	return id
}

// rowPlace returns the number of the row with an id; ok is false if it is not
// a row of the set. uuid.Nil has the number before the first.
func rowPlace(set, row uuid.UUID) (n int64, ok bool) {
	if row == uuid.Nil {
		return 0, true
	}
	tail := binary.BigEndian.Uint64(row[8:])
	return int64(tail &^ (3 << 62)), slices.Equal(set[:8], row[:8]) && tail>>62 == variant>>62
}

// NotificationPage reads rows of a set, in a stable order: those of a webhook,
// or all if none is named, after the row with the id; uuid.Nil is before the
// first. If the set is unknown or not sent to the webhook, the error is an
// ErrNotFound; if the row is not one of its rows, an ErrInvalid.
func (db *Outbox) NotificationPage(ctx context.Context, id uuid.UUID, webhook string, after uuid.UUID, limit int) (page clair.NotificationPage, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read notification %s: %w", id, sqlitedb.Classify(err))
		}
	}()
	n, ok := rowPlace(id, after)
	if !ok {
		return page, clair.Invalid("next", "%s is no row of notification %s", after, id)
	}
	const find = `
		SELECT n.id, iif(?2 = '', '', r.view)
		FROM notification AS n
		LEFT JOIN receipt AS r ON r.notification_id = n.id AND r.webhook = ?2
		WHERE n.ref = ?1 AND n.complete AND (?2 = '' OR r.webhook IS NOT NULL)`
	var set int64
	var view string
	err = db.Read.QueryRowContext(ctx, find, id.String(), webhook).Scan(&set, &view)
	if errors.Is(err, sql.ErrNoRows) {
		return page, clair.ErrNotFound
	}
	if err != nil {
		return page, err
	}
	bodies, err := db.bodies(ctx, set, view, n, limit+1)
	if err != nil {
		return page, err
	}
	var ids []int64
	for _, b := range bodies {
		ids = append(ids, b.vuln, b.previous)
	}
	vulns, err := db.notificationVulns(ctx, set, ids)
	if err != nil {
		return page, err
	}
	for _, b := range bodies {
		row := b.Notification
		row.Vulnerability, row.Previous = vulns[b.vuln], vulns[b.previous]
		if row.Vulnerability == nil {
			return page, clair.ErrNotFound // dropped meanwhile
		}
		for i, m := range b.manifests {
			place := b.n + int64(i)
			if place <= n {
				continue // on the page before
			}
			if len(page.Notifications) == limit {
				page.Next = page.Notifications[limit-1].ID
				return page, nil
			}
			row.ID, row.Manifest = rowID(id, place), clair.Digest(m)
			page.Notifications = append(page.Notifications, row)
		}
	}
	return page, nil
}

// body is rows that are stored together, n being the number of the first.
type body struct {
	clair.Notification
	n, vuln, previous int64
	manifests         []string
}

// bodies reads the bodies with so many rows after a number, and perhaps more.
func (db *Outbox) bodies(ctx context.Context, set int64, view string, after int64, limit int) ([]body, error) {
	const read = `
		SELECT n, manifests, reason, package_version, vuln_id, ifnull(previous_id, 0)
		FROM notification_body
		WHERE notification_id = ?1 AND view = ?2 AND n <= ?3 + ?4
		AND n >= ifnull((
			SELECT max(n)
			FROM notification_body
			WHERE notification_id = ?1 AND view = ?2 AND n <= ?3 + 1
		), 0)
		ORDER BY n`
	return sqlitedb.ReadPage(ctx, db.Read, read, func(rows *sql.Rows) (b body, err error) {
		var manifests, reason string
		err = rows.Scan(&b.n, &manifests, &reason, &b.Version, &b.vuln, &b.previous)
		b.Reason, b.manifests = clair.Reason(reason), strings.Fields(manifests)
		return b, err
	}, set, view, after, limit)
}

// notificationVulns reads vulnerabilities of a set by their ids in it.
func (db *Outbox) notificationVulns(ctx context.Context, set int64, ids []int64) (map[int64]*clair.Vulnerability, error) {
	const read = `
		SELECT v.vuln_id, v.vuln
		FROM json_each(?) AS j
		CROSS JOIN notification_vuln AS v ON v.notification_id = ? AND v.vuln_id = j.value`
	type packed struct {
		id   int64
		vuln []byte
	}
	slices.Sort(ids)
	found, err := sqlitedb.ReadPage(ctx, db.Read, read, func(rows *sql.Rows) (p packed, err error) {
		err = rows.Scan(&p.id, &p.vuln)
		return p, err
	}, sqlitedb.JSONList(slices.Compact(ids)), set)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]*clair.Vulnerability, len(found))
	for _, p := range found {
		text, err := db.zip.UnpackBytes(p.vuln)
		if err != nil {
			return nil, err
		}
		v := &clair.Vulnerability{}
		if err := json.Unmarshal(text, v); err != nil {
			return nil, fmt.Errorf("decode a stored vulnerability: %w", err)
		}
		out[p.id] = v
	}
	return out, nil
}

// Notifications returns sets with their receipts, newest first: those older
// than the one with the id, or from the newest if it is uuid.Nil. An unknown
// id is an ErrNotFound.
func (db *Outbox) Notifications(ctx context.Context, before uuid.UUID, limit int) ([]clair.NotificationSet, error) {
	sets, err := db.notifications(ctx, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list notifications: %w", err)
	}
	return sets, nil
}

func (db *Outbox) notifications(ctx context.Context, before uuid.UUID, limit int) ([]clair.NotificationSet, error) {
	const find = `SELECT id FROM notification WHERE ref = ? AND complete`
	const read = `
		SELECT id, ref, uo_ref, updater, date, rows, deleted
		FROM notification
		WHERE complete AND (?1 = 0 OR id < ?1)
		ORDER BY id DESC
		LIMIT ?2`
	var from int64
	if before != uuid.Nil {
		err := db.Read.QueryRowContext(ctx, find, before.String()).Scan(&from)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("notification %s: %w", before, clair.ErrNotFound)
		}
		if err != nil {
			return nil, sqlitedb.Classify(err)
		}
	}
	var ids []int64
	sets, err := sqlitedb.ReadPage(ctx, db.Read, read, func(rows *sql.Rows) (s clair.NotificationSet, err error) {
		var id, date int64
		var ref, operation string
		if err := rows.Scan(&id, &ref, &operation, &s.Updater, &date, &s.Rows, &s.Deleted); err != nil {
			return s, err
		}
		ids = append(ids, id)
		s.Date, s.Receipts = time.UnixMilli(date).UTC(), []clair.Receipt{}
		s.ID, err = uuid.Parse(ref)
		if err != nil {
			return s, err
		}
		s.Operation, err = uuid.Parse(operation)
		return s, err
	}, from, limit)
	if err != nil {
		return nil, err
	}
	return sets, db.readReceipts(ctx, sets, ids)
}

// readReceipts fills in the receipts of sets.
func (db *Outbox) readReceipts(ctx context.Context, sets []clair.NotificationSet, ids []int64) error {
	const read = `
		SELECT j.key, ` + receiptColumns + `
		FROM json_each(?) AS j
		CROSS JOIN receipt AS r ON r.notification_id = j.value
		ORDER BY r.webhook`
	rows, err := db.Read.QueryContext(ctx, read, sqlitedb.JSONList(ids))
	if err != nil {
		return sqlitedb.Classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		var r clair.Receipt
		if err := scanReceipt(rows, &r, &i); err != nil {
			return sqlitedb.Classify(err)
		}
		sets[i].Receipts = append(sets[i].Receipts, r)
	}
	return sqlitedb.Classify(rows.Err())
}
