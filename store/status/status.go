// Package status keeps the result of each feed's last run, and what needs the
// feed.
package status

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// Statuses reads and writes them.
type Statuses struct{ db *sqlitedb.DB }

// New returns the statuses in a database.
func New(db *sqlitedb.DB) *Statuses { return &Statuses{db} }

// SetUpdateStatus records the result of an updater's run, replacing the last
// one. A zero LastSuccess or an empty Format keeps the previous value; NextRun,
// Needed and NeededFor are always kept.
func (t *Statuses) SetUpdateStatus(ctx context.Context, s clair.UpdateStatus) error {
	const set = `
		INSERT INTO updater_status (updater, kind, last_attempt, last_success, error, fingerprint, records,
			skipped, skipped_sample, added, removed, took, format, newest_advisory, held_records, held_runs,
			held_since)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (updater) DO UPDATE
		SET kind = excluded.kind,
			last_attempt = excluded.last_attempt,
			last_success = ifnull(excluded.last_success, last_success),
			error = excluded.error,
			fingerprint = excluded.fingerprint,
			records = excluded.records,
			skipped = excluded.skipped,
			skipped_sample = excluded.skipped_sample,
			added = excluded.added,
			removed = excluded.removed,
			took = excluded.took,
			format = iif(excluded.format = '', format, excluded.format),
			newest_advisory = excluded.newest_advisory,
			held_records = excluded.held_records,
			held_runs = excluded.held_runs,
			held_since = excluded.held_since`
	err := t.db.Exec(ctx, set, s.Updater, string(s.Kind), sqlitedb.Millis(s.LastAttempt), sqlitedb.Millis(s.LastSuccess), s.Error,
		string(s.Fingerprint), s.Records, s.Skipped, s.SkippedSample, s.Added, s.Removed, s.Took.Milliseconds(), s.Format,
		sqlitedb.Millis(s.NewestAdvisory), s.Held.Records, s.Held.Runs, sqlitedb.Millis(s.Held.Since))
	if err != nil {
		return fmt.Errorf("record the status of %s: %w", s.Updater, err)
	}
	return nil
}

// SetNextRun records when updaters are to run next; the zero time means not
// planned. Updaters without a status are ignored.
func (t *Statuses) SetNextRun(ctx context.Context, next time.Time, updaters ...string) error {
	const set = `
		UPDATE updater_status
		SET next_run = ?
		WHERE updater IN (SELECT value FROM json_each(?))`
	names, err := json.Marshal(updaters)
	if err == nil {
		err = t.db.Exec(ctx, set, sqlitedb.Millis(next), string(names))
	}
	if err != nil {
		return fmt.Errorf("record the next run: %w", err)
	}
	return nil
}

// SetNeeded records that a place needed updaters at a time. Those that have no
// status get one.
func (t *Statuses) SetNeeded(ctx context.Context, at time.Time, place string, updaters ...string) error {
	const set = `
		INSERT INTO updater_status (updater, needed, needed_for)
		SELECT value, ?, ?
		FROM json_each(?)
		WHERE true
		ON CONFLICT (updater) DO UPDATE SET needed = excluded.needed, needed_for = excluded.needed_for`
	names, err := json.Marshal(updaters)
	if err == nil {
		err = t.db.Exec(ctx, set, sqlitedb.Millis(at), place, string(names))
	}
	if err != nil {
		return fmt.Errorf("record the need of %s: %w", place, err)
	}
	return nil
}

// UpdateStatuses returns the statuses of all updaters, by name.
func (t *Statuses) UpdateStatuses(ctx context.Context) ([]clair.UpdateStatus, error) {
	const list = `
		SELECT updater, kind, last_attempt, last_success, error, fingerprint, records, skipped,
			skipped_sample, added, removed, took, format, newest_advisory, next_run, needed, needed_for,
			held_records, held_runs, held_since
		FROM updater_status
		ORDER BY updater`
	all, err := sqlitedb.ReadPage(ctx, t.db.Read, list, scanStatus)
	if err != nil {
		return nil, fmt.Errorf("list the status of updaters: %w", err)
	}
	return all, nil
}

func scanStatus(rows *sql.Rows) (s clair.UpdateStatus, err error) {
	var attempt, success, newest, next, needed, held sql.NullInt64
	var kind, fp string
	var took int64
	err = rows.Scan(&s.Updater, &kind, &attempt, &success, &s.Error, &fp, &s.Records, &s.Skipped, &s.SkippedSample,
		&s.Added, &s.Removed, &took, &s.Format, &newest, &next, &needed, &s.NeededFor,
		&s.Held.Records, &s.Held.Runs, &held)
	s.Kind, s.Fingerprint = clair.Kind(kind), clair.Fingerprint(fp)
	s.LastAttempt, s.LastSuccess = sqlitedb.FromMillis(attempt), sqlitedb.FromMillis(success)
	s.NewestAdvisory, s.NextRun = sqlitedb.FromMillis(newest), sqlitedb.FromMillis(next)
	s.Needed, s.Held.Since = sqlitedb.FromMillis(needed), sqlitedb.FromMillis(held)
	s.Took = time.Duration(took) * time.Millisecond
	return s, err
}

// EnrichmentUpdaters returns the names of the updaters with enrichments from a
// feed of the format.
func (t *Statuses) EnrichmentUpdaters(ctx context.Context, format string) ([]string, error) {
	const list = `
		SELECT s.updater
		FROM updater_status AS s
		WHERE s.format = ?
		AND EXISTS (
			SELECT 1
			FROM update_operation AS o
			WHERE o.updater = s.updater AND o.kind = 'enrichment'
		)
		ORDER BY s.updater`
	stmt, err := t.db.Prepared(ctx, list)
	if err != nil {
		return nil, fmt.Errorf("list feeds of format %s: %w", format, err)
	}
	rows, err := stmt.QueryContext(ctx, format)
	names, err := sqlitedb.ScanAll(rows, err, scanName)
	if err != nil {
		return nil, fmt.Errorf("list feeds of format %s: %w", format, err)
	}
	return names, nil
}

func scanName(rows *sql.Rows) (name string, err error) {
	err = rows.Scan(&name)
	return name, err
}
