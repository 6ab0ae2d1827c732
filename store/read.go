package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"oriel/clair"
)

// streamRows is how many rows a stream reads at a time.
const streamRows = 512

// narrowColumns are what scanNarrow reads, from vuln_row AS r.
const narrowColumns = `r.id, r.updater_id, r.added, r.removed, r.advisory_id,
	r.package_name, r.package_version, r.package_kind, r.package_module, r.package_arch,
	r.dist_id, r.repo_id, r.fixed_in_version, r.arch_op, r.vulnerable_range`

// stored is a row of vuln_row as it is read, with what it refers to by id.
type stored struct {
	id, updater, added, advisory, dist, repo int64
	removed                                  sql.NullInt64
	v                                        *clair.Vulnerability
}

func scanNarrow(rows *sql.Rows) (s stored, err error) {
	// One allocation for both: half of them live as long as each other.
	both := &struct {
		v clair.Vulnerability
		p clair.Package
	}{}
	s.v, both.v.Package = &both.v, &both.p
	p := &both.p
	var op string
	var rng sql.NullString
	err = rows.Scan(&s.id, &s.updater, &s.added, &s.removed, &s.advisory,
		&p.Name, &p.Version, &p.Kind, &p.Module, &p.Arch,
		&s.dist, &s.repo, &both.v.FixedInVersion, &op, &rng)
	both.v.ID = strconv.FormatInt(s.id, 10)
	both.v.ArchOperation = clair.ArchOp(op)
	if lower, upper, ok := strings.Cut(rng.String, " "); ok {
		both.v.Range = &clair.Range{Lower: lower, Upper: upper}
	}
	return s, err
}

// reading remembers what rows refer to while they are read.
type reading struct {
	db    *sql.DB
	dists map[int64]*clair.Distribution
	repos map[int64]*clair.Repository
	names map[int64]string
	zip   *zipper
	// aliases says whether the other ids of advisories are read too.
	aliases bool
	// prepared gives the statement of a query.
	prepared func(context.Context, string) (*sql.Stmt, error)
}

func (db *DB) newReading(names map[int64]string) *reading {
	return &reading{
		db: db.read, names: names, zip: &db.zip, prepared: db.prepared,
		dists: map[int64]*clair.Distribution{}, repos: map[int64]*clair.Repository{},
	}
}

// query runs one of the queries that a report consists of; they are so many
// and so short that compiling them each time would take a tenth of it.
func (r *reading) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := r.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	return rows, classify(err)
}

// complete fills in all that the rows of a page refer to.
func (r *reading) complete(ctx context.Context, page []stored) error {
	for i := range page {
		if err := r.refer(ctx, &page[i]); err != nil {
			return err
		}
	}
	return r.advisories(ctx, page)
}

// refer fills in what the row refers to, but for the advisory.
func (r *reading) refer(ctx context.Context, s *stored) (err error) {
	s.v.Updater = r.names[s.updater]
	if s.v.Dist, err = r.dist(ctx, s.dist); err != nil {
		return err
	}
	s.v.Repo, err = r.repo(ctx, s.repo)
	return err
}

// advisories fills in the advisories of the rows of one page.
func (r *reading) advisories(ctx context.Context, page []stored) error {
	texts, err := r.packedAdvisories(ctx, page)
	if err != nil {
		return err
	}
	return r.unpack(page, texts)
}

// packedAdvisories is advisories, but for the texts, which it returns as they
// are stored.
func (r *reading) packedAdvisories(ctx context.Context, page []stored) ([]packed, error) {
	if len(page) == 0 {
		return nil, nil
	}
	const read = `SELECT j.key, a.name, a.description, a.issued, a.links, a.severity, a.normalized_severity
		FROM json_each(?) AS j CROSS JOIN advisory AS a ON a.id = j.value`
	list := []byte{'['}
	for i, s := range page {
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, s.advisory, 10)
	}
	list = append(list, ']')
	rows, err := r.query(ctx, read, string(list))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	texts := make([]packed, len(page))
	for rows.Next() {
		if err := scanAdvisory(rows, page, texts); err != nil {
			return nil, classify(err)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, classify(err)
	}
	return texts, r.readAliases(ctx, page, string(list))
}

// readAliases fills in the aliases of the rows of one page, where they are
// wanted. The list is of their advisories.
func (r *reading) readAliases(ctx context.Context, page []stored, list string) error {
	if !r.aliases {
		return nil
	}
	const read = `SELECT j.key, a.alias FROM json_each(?) AS j CROSS JOIN advisory_alias AS a ON a.advisory_id = j.value`
	rows, err := r.query(ctx, read, list)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		var alias string
		if err := rows.Scan(&i, &alias); err != nil {
			return classify(err)
		}
		page[i].v.Aliases = append(page[i].v.Aliases, alias)
	}
	return classify(rows.Err())
}

// packed are an advisory's texts as they are stored.
type packed struct{ description, links any }

func scanAdvisory(rows *sql.Rows, page []stored, texts []packed) error {
	var i int
	var name, severity string
	var normalized clair.Severity
	var t packed
	var issued sql.NullInt64
	if err := rows.Scan(&i, &name, &t.description, &issued, &t.links, &severity, &normalized); err != nil {
		return err
	}
	v := page[i].v
	v.Name, v.Severity, v.NormalizedSeverity = name, severity, normalized
	if issued.Valid {
		v.Issued = time.Unix(issued.Int64, 0).UTC()
	}
	texts[i] = t
	return nil
}

// unpack fills in the texts of a page.
func (r *reading) unpack(page []stored, texts []packed) error {
	errs := make([]error, len(page))
	inHalves(len(page), func(from, to int) {
		for i := from; i < to; i++ {
			var e1, e2 error
			page[i].v.Description, e1 = r.zip.unpack(texts[i].description)
			page[i].v.Links, e2 = r.zip.unpack(texts[i].links)
			errs[i] = cmp.Or(e1, e2)
		}
	})
	return errors.Join(errs...)
}

// walk selects rows of one updater that were added, or removed, at any
// operation of a stretch.
type walk struct {
	// next: (updater, after, up to) -> the next seq in the stretch, or null.
	next string
	// page: (updater, seq, lo, hi, after id, limit) -> narrow columns of rows
	// added or removed at seq.
	page string
	// updater's id and the operations that the rows are judged by. The
	// stretch is (from, hi].
	updater, from, lo, hi int64
}

// stream yields whole vulnerabilities, page by page, in an order that is the
// same each time. It holds no statement while the caller works on a row.
//
// Rows and their advisories lie in different places of the file: while the
// advisories of one page are read, another goroutine reads the rows of the
// next. It ends before the stream does.
func (db *DB) stream(ctx context.Context, w walk, names map[int64]string) iter.Seq2[*clair.Vulnerability, error] {
	return func(yield func(*clair.Vulnerability, error) bool) {
		parent := ctx
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		pages := make(chan rowsPage, 1)
		wg.Go(func() {
			defer close(pages)
			db.walk(ctx, w, pages)
		})
		r := db.newReading(names)
		for p := range pages {
			if p.err == nil {
				p.err = r.complete(ctx, p.rows)
			}
			if p.err != nil {
				yield(nil, p.err)
				return
			}
			for i := range p.rows {
				if !yield(p.rows[i].v, nil) {
					return
				}
			}
		}
		if err := parent.Err(); err != nil {
			yield(nil, err) // the pages may have ended early
		}
	}
}

// rowsPage is a page of rows, or the error that ends the pages.
type rowsPage struct {
	rows []stored
	err  error
}

// walk sends the pages of a walk until they end or the context does.
func (db *DB) walk(ctx context.Context, w walk, pages chan<- rowsPage) {
	send := func(p rowsPage) bool {
		select {
		case pages <- p:
			return p.err == nil
		case <-ctx.Done():
			return false
		}
	}
	for seq := w.from; ; {
		var next sql.NullInt64
		if err := db.read.QueryRowContext(ctx, w.next, w.updater, seq, w.hi).Scan(&next); err != nil {
			send(rowsPage{err: classify(err)})
			return
		}
		if !next.Valid {
			return
		}
		seq = next.Int64
		if !db.walkAt(ctx, w, seq, send) {
			return
		}
	}
}

// readRows runs one short query for rows.
func (db *DB) readRows(ctx context.Context, query string, args ...any) ([]stored, error) {
	stmt, err := db.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	return scanAll(rows, err, scanNarrow)
}

// walkAt sends the pages of one seq and says whether to go on. The first page
// is short, so that the first row comes soon.
func (db *DB) walkAt(ctx context.Context, w walk, seq int64, send func(rowsPage) bool) bool {
	for after, limit := int64(0), streamRows/8; ; limit = streamRows {
		rows, err := db.readRows(ctx, w.page, w.updater, seq, w.lo, w.hi, after, limit)
		if !send(rowsPage{rows, err}) {
			return false
		}
		if len(rows) < limit {
			return true
		}
		after = rows[len(rows)-1].id
	}
}
