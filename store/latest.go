package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"oriel/clair"
	"oriel/store/history"
	"oriel/store/sqlitedb"
)

// Latest is the newest operation of each updater and kind, all as of one
// moment. As with a Snapshot, its rows stay the same; if another process owns
// the database and deletes rows in the meantime, reading fails.
type Latest struct {
	db     *DB
	states []latestState
	held   []*Snapshot
	names  map[int64]string
}

// latestState is a state with its updater and sequence number.
type latestState struct {
	clair.FeedState
	seq, updater int64
}

// Latest returns the current state of all feeds. The caller closes it.
func (db *DB) Latest(ctx context.Context) (*Latest, error) {
	db.opening.RLock()
	defer db.opening.RUnlock()
	const current = `
		SELECT o.ref, o.updater, o.fingerprint, o.date, o.kind, o.seq, u.id, ifnull(s.format, ''),
			s.last_success
		FROM update_operation AS o
		JOIN updater AS u ON u.name = o.updater
		LEFT JOIN updater_status AS s ON s.updater = o.updater
		WHERE NOT EXISTS (
			SELECT 1
			FROM update_operation AS n
			WHERE n.updater = o.updater AND n.kind = o.kind AND n.seq > o.seq
		)
		ORDER BY o.updater, o.kind`
	states, err := sqlitedb.ReadPage(ctx, db.Read, current, scanLatest)
	if err != nil {
		return nil, fmt.Errorf("take the latest operations: %w", err)
	}
	l := &Latest{
		db:     db,
		states: states,
		names:  map[int64]string{},
	}
	for _, kind := range []clair.Kind{clair.KindVulnerability, clair.KindEnrichment} {
		s := &Snapshot{
			db:    db,
			kind:  kind,
			seqs:  map[int64]int64{},
			names: l.names,
		}
		for _, st := range states {
			if st.Kind == kind {
				s.seqs[st.updater] = st.seq
			}
			l.names[st.updater] = st.Updater
		}
		db.hold(s)
		l.held = append(l.held, s)
	}
	return l, nil
}

func scanLatest(rows *sql.Rows) (s latestState, err error) {
	var checked sql.NullInt64
	err = scanOperation(rows, &s.UpdateOperation, &s.seq, &s.updater, &s.Format, &checked)
	s.Checked = sqlitedb.FromMillis(checked)
	return s, err
}

// Close releases the rows. It may be called twice.
func (l *Latest) Close() {
	for _, s := range l.held {
		s.Close()
	}
}

// States returns the states, by updater and kind.
func (l *Latest) States() []clair.FeedState {
	out := make([]clair.FeedState, len(l.states))
	for i, s := range l.states {
		out[i] = s.FeedState
	}
	return out
}

// Contents streams each state with its rows. The rows of an advisory that one
// operation added are adjacent and share its texts and aliases.
func (l *Latest) Contents(ctx context.Context) iter.Seq2[*clair.FeedContent, error] {
	return func(yield func(*clair.FeedContent, error) bool) {
		for _, s := range l.states {
			c := &clair.FeedContent{FeedState: s.FeedState}
			if s.Kind == clair.KindEnrichment {
				c.Enrichments = l.enrichments(ctx, s)
			} else {
				c.Vulnerabilities = l.vulnerabilities(ctx, s)
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// stillThere returns an error if another process, against which rows cannot be
// pinned here, may have deleted rows of an operation. None are deleted while
// the operation is listed.
func (l *Latest) stillThere(ctx context.Context, s latestState) error {
	if l.db.Write != nil {
		return nil
	}
	var there bool
	err := l.db.Read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM update_operation WHERE ref = ?)`, s.Ref.String()).Scan(&there)
	if err == nil && !there {
		return fmt.Errorf("%w: operation %s of %s was deleted while it was read; try again", clair.ErrUnavailable, s.Ref, s.Updater)
	}
	return sqlitedb.Classify(err)
}

const (
	// advisoryPage is how many advisories are read at once, and
	// advisoryPageRows how many of their rows.
	advisoryPage     = 256
	advisoryPageRows = 1024
)

// vulnerabilities reads a state advisory by advisory: first which advisories
// its rows belong to, then these in order. The rows of an advisory are
// scattered over the file, so reading rows in their own order would need its
// texts again and again.
func (l *Latest) vulnerabilities(ctx context.Context, s latestState) iter.Seq2[*clair.Vulnerability, error] {
	return func(yield func(*clair.Vulnerability, error) bool) {
		advisories, err := l.advisoriesOf(ctx, s)
		if err != nil {
			yield(nil, err)
			return
		}
		r := l.db.newRowResolver(l.names)
		r.aliases = true
		for ids := range advisories.Pages(advisoryPage) {
			for after := int64(0); len(ids) > 0; {
				rows, left, err := l.advisoryRows(ctx, s, r, ids, after)
				if err != nil {
					yield(nil, err)
					return
				}
				for _, row := range rows {
					if !yield(row.v, nil) {
						return
					}
				}
				if ids = left; len(ids) > 0 {
					after = rows[len(rows)-1].id
				}
			}
		}
		if err := l.stillThere(ctx, s); err != nil {
			yield(nil, err)
		}
	}
}

// advisoriesOf returns the ids of the advisories of a state.
func (l *Latest) advisoriesOf(ctx context.Context, s latestState) (*history.Bitmap, error) {
	const find = `
		SELECT id, advisory_id
		FROM vuln_row
		WHERE updater_id = ? AND added = ? AND (removed IS NULL OR removed > ?) AND id > ?
		ORDER BY id
		LIMIT ?`
	found := &history.Bitmap{}
	for seq := int64(0); ; {
		var next sql.NullInt64
		if err := l.db.Read.QueryRowContext(ctx, nextAdded, s.updater, seq, s.seq).Scan(&next); err != nil {
			return nil, sqlitedb.Classify(err)
		}
		if !next.Valid {
			return found, nil
		}
		seq = next.Int64
		for after := int64(0); ; {
			page, err := sqlitedb.ReadPage(ctx, l.db.Read, find, scanPair, s.updater, seq, s.seq, after, history.PageRows)
			if err != nil {
				return nil, err
			}
			for _, p := range page {
				found.Set(p[1])
			}
			if len(page) < history.PageRows {
				break
			}
			after = page[len(page)-1][0]
		}
	}
}

func scanPair(rows *sql.Rows) (p [2]int64, err error) {
	err = rows.Scan(&p[0], &p[1])
	return p, err
}

// advisoryRows reads all rows of some advisories, those of the first one only
// after a row's id, and returns the advisory that may have more rows.
func (l *Latest) advisoryRows(ctx context.Context, s latestState, r *rowResolver, ids []int64, after int64) (rows []stored, left []int64, err error) {
	// By the advisory, which has few rows, and not by the updater, which has
	// many.
	const find = `
		SELECT ` + narrowColumns + `
		FROM json_each(?1) AS j
		CROSS JOIN vuln_row AS r INDEXED BY vuln_row_advisory ON r.advisory_id = j.value
		WHERE r.updater_id = ?2 AND r.added <= ?3 AND (r.removed IS NULL OR r.removed > ?3)
		AND (j.key > 0 OR r.id > ?4)
		ORDER BY j.key, r.id
		LIMIT ?5`
	rows, err = l.db.readRows(ctx, find, sqlitedb.JSONList(ids), s.updater, s.seq, after, advisoryPageRows)
	if err != nil || len(rows) == 0 {
		return nil, nil, err
	}
	if len(rows) == advisoryPageRows {
		left = ids[slices.Index(ids, rows[len(rows)-1].advisory):]
	}
	// The texts are read once for each advisory, into its first row.
	var firsts []stored
	for i := range rows {
		if err := r.refer(ctx, &rows[i]); err != nil {
			return nil, nil, err
		}
		if i == 0 || rows[i].advisory != rows[i-1].advisory {
			firsts = append(firsts, rows[i])
		}
	}
	if err := r.advisories(ctx, firsts); err != nil {
		return nil, nil, err
	}
	for i, f := 0, 0; i < len(rows); i++ {
		if rows[i].advisory != firsts[f].advisory {
			f++
		}
		v, of := rows[i].v, firsts[f].v
		v.Name, v.Description, v.Issued, v.Links = of.Name, of.Description, of.Issued, of.Links
		v.Severity, v.NormalizedSeverity, v.Aliases = of.Severity, of.NormalizedSeverity, of.Aliases
	}
	return rows, left, nil
}

// enrichments reads a state's records in the order of their ids.
func (l *Latest) enrichments(ctx context.Context, s latestState) iter.Seq2[clair.EnrichmentRecord, error] {
	const find = `
		SELECT id, tags, data
		FROM enrichment_row
		WHERE updater_id = ? AND added = ? AND (removed IS NULL OR removed > ?) AND id > ?
		ORDER BY id
		LIMIT ?`
	const nextSeq = `
		SELECT min(added)
		FROM enrichment_row
		WHERE updater_id = ? AND added > ? AND added <= ?`
	return func(yield func(clair.EnrichmentRecord, error) bool) {
		for seq := int64(0); ; {
			var next sql.NullInt64
			if err := l.db.Read.QueryRowContext(ctx, nextSeq, s.updater, seq, s.seq).Scan(&next); err != nil {
				yield(clair.EnrichmentRecord{}, sqlitedb.Classify(err))
				return
			}
			if !next.Valid {
				break
			}
			seq = next.Int64
			for after := int64(0); ; {
				page, err := sqlitedb.ReadPage(ctx, l.db.Read, find, scanRecord, s.updater, seq, s.seq, after, streamRows)
				if err != nil {
					yield(clair.EnrichmentRecord{}, err)
					return
				}
				for _, p := range page {
					if !yield(p.EnrichmentRecord, nil) {
						return
					}
				}
				if len(page) < streamRows {
					break
				}
				after = page[len(page)-1].id
			}
		}
		if err := l.stillThere(ctx, s); err != nil {
			yield(clair.EnrichmentRecord{}, err)
		}
	}
}

// record is an enrichment with its id.
type record struct {
	clair.EnrichmentRecord
	id int64
}

func scanRecord(rows *sql.Rows) (r record, err error) {
	var tags, data string
	if err := rows.Scan(&r.id, &tags, &data); err != nil {
		return r, err
	}
	r.Enrichment = json.RawMessage(data)
	return r, json.Unmarshal([]byte(tags), &r.Tags)
}
