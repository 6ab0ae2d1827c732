package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// Changes returns the changes for manifests, or for the one that is named,
// between the state at a moment and the current state. The caller closes it.
// An unknown manifest or operation is an ErrNotFound.
func (db *DB) Changes(ctx context.Context, since clair.Since, manifest clair.Digest, affects Affects) (*clair.ChangeSet, error) {
	of := scope{hash: manifest}
	if manifest != "" {
		err := db.Read.QueryRowContext(ctx, `SELECT id FROM manifest WHERE hash = ?`, string(manifest)).Scan(&of.id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("manifest %s: %w", manifest, clair.ErrNotFound)
		}
		if err != nil {
			return nil, fmt.Errorf("manifest %s: %w", manifest, sqlitedb.Classify(err))
		}
	}
	db.opening.RLock()
	defer db.opening.RUnlock()
	const now = `
		SELECT u.id, u.name, max(o.seq)
		FROM update_operation AS o
		JOIN updater AS u ON u.name = o.updater
		WHERE o.kind = 'vulnerability'
		GROUP BY u.id`
	to, err := db.snapshotOf(ctx, clair.KindVulnerability, now)
	if err != nil {
		return nil, err
	}
	from, partial, err := db.then(ctx, since, to)
	if err != nil {
		to.Close()
		return nil, fmt.Errorf("find what changed: %w", err)
	}
	return &clair.ChangeSet{
		Partial: partial,
		Impacts: db.impacts(ctx, from, to, of, affects),
		Close: func() {
			from.Close()
			to.Close()
		},
	}, nil
}

// then takes a snapshot of the state at a moment: for each updater the newest
// operation that is not younger. If there is none, it is the oldest operation,
// and partial names the updater. The caller holds opening, and closes the
// snapshot.
func (db *DB) then(ctx context.Context, since clair.Since, now *Snapshot) (s *Snapshot, partial []string, err error) {
	const then = `
		SELECT u.id, u.name, ifnull(max(iif(o.date <= ?1, o.seq, NULL)), min(o.seq))
		FROM update_operation AS o
		JOIN updater AS u ON u.name = o.updater
		WHERE o.kind = 'vulnerability'
		GROUP BY u.id`
	const young = `
		SELECT updater
		FROM update_operation
		WHERE kind = 'vulnerability'
		GROUP BY updater
		HAVING min(date) > ?
		ORDER BY updater`
	if since.Operation != uuid.Nil {
		op, err := db.operation(ctx, "since", since.Operation)
		if err != nil {
			return nil, nil, err
		}
		s := now.with(map[int64]int64{op.updaterID: op.seq})
		db.hold(s)
		return s, nil, nil
	}
	partial, err = sqlitedb.ReadPage(ctx, db.Read, young, func(rows *sql.Rows) (name string, err error) {
		err = rows.Scan(&name)
		return name, err
	}, since.Time.UnixMilli())
	if err != nil {
		return nil, nil, err
	}
	s, err = db.snapshotOf(ctx, clair.KindVulnerability, then, since.Time.UnixMilli())
	return s, partial, err
}
