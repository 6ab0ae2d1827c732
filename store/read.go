package store

import (
	"cmp"
	"context"
	"database/sql"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"oriel/clair"
	"oriel/store/compress"
	"oriel/store/sqlitedb"
)

// streamRows is how many rows a stream reads at once.
const streamRows = 512

// narrowColumns are the columns that scanNarrow reads, from vuln_row AS r.
const narrowColumns = `r.id, r.updater_id, r.added, r.removed, r.advisory_id,
	r.package_name, r.package_version, r.package_kind, r.package_module, r.package_arch,
	r.dist_id, r.repo_id, r.fixed_in_version, r.arch_op, r.vulnerable_range`

// stored is a row of vuln_row with the ids of the values that it refers to.
type stored struct {
	id, updater, added, advisory, dist, repo int64
	removed                                  sql.NullInt64
	v                                        *clair.Vulnerability
}

func scanNarrow(rows *sql.Rows) (stored, error) { return scanNarrowAnd(rows) }

// scanNarrowAnd reads narrowColumns, then the rest.
func scanNarrowAnd(rows *sql.Rows, rest ...any) (s stored, err error) {
	// One allocation for both, because half of them live equally long.
	both := &struct {
		v clair.Vulnerability
		p clair.Package
	}{}
	s.v, both.v.Package = &both.v, &both.p
	p := &both.p
	var op string
	var rng sql.NullString
	err = rows.Scan(append([]any{&s.id, &s.updater, &s.added, &s.removed, &s.advisory,
		&p.Name, &p.Version, &p.Kind, &p.Module, &p.Arch,
		&s.dist, &s.repo, &both.v.FixedInVersion, &op, &rng}, rest...)...)
	both.v.ID = strconv.FormatInt(s.id, 10)
	both.v.ArchOperation = clair.ArchOp(op)
	if lower, upper, ok := strings.Cut(rng.String, " "); ok {
		both.v.Range = &clair.Range{Lower: lower, Upper: upper}
	}
	return s, err
}

// rowResolver is a cache of the values that rows refer to, while rows are read.
type rowResolver struct {
	db    *sql.DB
	dists map[int64]*clair.Distribution
	repos map[int64]*clair.Repository
	names map[int64]string
	// description and links are the buffers for unpacking texts.
	description, links compress.Text
	// aliases makes it read the other ids of advisories, too.
	aliases bool
	// prepared returns the statement of a query.
	prepared func(context.Context, string) (*sql.Stmt, error)
}

func (db *DB) newRowResolver(names map[int64]string) *rowResolver {
	return &rowResolver{
		db:          db.Read,
		names:       names,
		prepared:    db.Prepared,
		description: compress.Text{Zip: db.zip},
		links:       compress.Text{Zip: db.zip},
		dists:       map[int64]*clair.Distribution{},
		repos:       map[int64]*clair.Repository{},
	}
}

// query runs one of the many short queries of a report. Compiling them each
// time would take a tenth of it.
func (r *rowResolver) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := r.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	return rows, sqlitedb.Classify(err)
}

// complete fills in everything that the rows of a page refer to.
func (r *rowResolver) complete(ctx context.Context, page []stored) error {
	for i := range page {
		if err := r.refer(ctx, &page[i]); err != nil {
			return err
		}
	}
	return r.advisories(ctx, page)
}

// refer fills in the values that the row refers to, except the advisory.
func (r *rowResolver) refer(ctx context.Context, s *stored) (err error) {
	s.v.Updater = r.names[s.updater]
	if s.v.Dist, err = r.dist(ctx, s.dist); err != nil {
		return err
	}
	s.v.Repo, err = r.repo(ctx, s.repo)
	return err
}

// advisories fills in the advisories of the rows of one page.
func (r *rowResolver) advisories(ctx context.Context, page []stored) error {
	return r.readAdvisories(ctx, page, &r.description, &r.links, func(i int) {
		page[i].v.Description, page[i].v.Links = r.description.Text, r.links.Text
	})
}

// storedTexts are an advisory's texts as they are stored.
type storedTexts struct{ description, links any }

// packedAdvisories does the same as advisories, except that it returns the
// texts as they are stored.
func (r *rowResolver) packedAdvisories(ctx context.Context, page []stored) ([]storedTexts, error) {
	texts := make([]storedTexts, len(page))
	var t storedTexts
	err := r.readAdvisories(ctx, page, &t.description, &t.links, func(i int) { texts[i] = t })
	return texts, err
}

// unpack fills in the texts of a page.
func (r *rowResolver) unpack(page []stored, texts []storedTexts) error {
	for i, t := range texts {
		if err := cmp.Or(r.description.Scan(t.description), r.links.Scan(t.links)); err != nil {
			return err
		}
		page[i].v.Description, page[i].v.Links = r.description.Text, r.links.Text
	}
	return nil
}

// readAdvisories fills in the advisories of the rows of one page, except for
// their texts: it scans those into description and links, and calls scanned
// with the index in the page.
func (r *rowResolver) readAdvisories(ctx context.Context, page []stored, description, links any, scanned func(i int)) error {
	if len(page) == 0 {
		return nil
	}
	const read = `
		SELECT j.key, a.name, a.description, a.issued, a.links, a.severity, a.normalized_severity
		FROM json_each(?) AS j
		CROSS JOIN advisory AS a ON a.id = j.value`
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
		return err
	}
	defer rows.Close()
	for rows.Next() {
		i, err := scanAdvisory(rows, page, description, links)
		if err != nil {
			return sqlitedb.Classify(err)
		}
		scanned(i)
	}
	if err := rows.Err(); err != nil {
		return sqlitedb.Classify(err)
	}
	return r.readAliases(ctx, page, string(list))
}

// readAliases fills in the aliases of the rows of one page, if they are
// needed. The list has their advisories.
func (r *rowResolver) readAliases(ctx context.Context, page []stored, list string) error {
	if !r.aliases {
		return nil
	}
	const read = `
		SELECT j.key, a.alias
		FROM json_each(?) AS j
		CROSS JOIN advisory_alias AS a ON a.advisory_id = j.value`
	rows, err := r.query(ctx, read, list)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		var alias string
		if err := rows.Scan(&i, &alias); err != nil {
			return sqlitedb.Classify(err)
		}
		page[i].v.Aliases = append(page[i].v.Aliases, alias)
	}
	return sqlitedb.Classify(rows.Err())
}

func scanAdvisory(rows *sql.Rows, page []stored, description, links any) (i int, err error) {
	var name, severity string
	var normalized clair.Severity
	var issued sql.NullInt64
	if err := rows.Scan(&i, &name, description, &issued, links, &severity, &normalized); err != nil {
		return 0, err
	}
	v := page[i].v
	v.Name, v.Severity, v.NormalizedSeverity = name, severity, normalized
	if issued.Valid {
		v.Issued = time.Unix(issued.Int64, 0).UTC()
	}
	return i, nil
}

// walk selects rows of one updater that were added or removed by any operation
// of a range.
type walk struct {
	// next: (updater, after, up to) -> the next seq in the range, or null.
	next string
	// page: (updater, seq, lo, hi, after id, limit) -> narrow columns of rows
	// added or removed at seq.
	page string
	// updater's id and the operations by which the rows are judged. The range
	// is (from, hi].
	updater, from, lo, hi int64
}

// stream yields complete vulnerabilities, page by page, always in the same
// order. It holds no statement while the caller works on a row.
//
// Rows and their advisories are in different places of the file: while the
// rows of one page are read, so are the advisories of the two pages before. It
// waits for those before it ends.
func (db *DB) stream(ctx context.Context, w walk, names map[int64]string) iter.Seq2[*clair.Vulnerability, error] {
	return func(yield func(*clair.Vulnerability, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		var queue []*completing
		resolvers := [2]*rowResolver{db.newRowResolver(names), db.newRowResolver(names)}
		n := 0
		for rows, err := range db.pages(ctx, w) {
			c, r := &completing{
				rows: rows,
				err:  err,
				done: make(chan struct{}),
			}, resolvers[n%len(resolvers)]
			n++
			if n == 1 { // the first page is short, and somebody waits for it
				c.run(ctx, r)
				if !c.yield(yield) {
					return
				}
				continue
			}
			if len(queue) == len(resolvers) { // before its resolver is used again
				if !queue[0].yield(yield) {
					return
				}
				queue = queue[1:]
			}
			queue = append(queue, c)
			wg.Go(func() { c.run(ctx, r) })
		}
		for _, c := range queue {
			if !c.yield(yield) {
				return
			}
		}
	}
}

// completing is a page of rows whose advisories are being read.
type completing struct {
	rows []stored
	err  error
	done chan struct{} // closed once the others are set
}

func (c *completing) run(ctx context.Context, r *rowResolver) {
	defer close(c.done)
	if c.err == nil {
		c.err = r.complete(ctx, c.rows)
	}
}

// yield yields the page's rows once they are complete, and reports whether to
// continue.
func (c *completing) yield(yield func(*clair.Vulnerability, error) bool) bool {
	<-c.done
	if c.err != nil {
		return yield(nil, c.err) && false
	}
	for i := range c.rows {
		if !yield(c.rows[i].v, nil) {
			return false
		}
	}
	return true
}

// pages yields the rows of a walk by the page, while another goroutine reads
// the next. That goroutine ends before the iteration does.
func (db *DB) pages(ctx context.Context, w walk) iter.Seq2[[]stored, error] {
	return func(yield func([]stored, error) bool) {
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
		for p := range pages {
			if !yield(p.rows, p.err) || p.err != nil {
				return
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

// walk sends the pages of a walk until they or the context end.
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
		if err := db.Read.QueryRowContext(ctx, w.next, w.updater, seq, w.hi).Scan(&next); err != nil {
			send(rowsPage{err: sqlitedb.Classify(err)})
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
	stmt, err := db.Prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	return sqlitedb.ScanAll(rows, err, scanNarrow)
}

// walkAt sends the pages of one seq and reports whether to continue. The first
// page is short, so that the first row comes soon.
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

// readDist and readRepo load the value of an id; for 0 they return nil.
func (r *rowResolver) dist(ctx context.Context, id int64) (*clair.Distribution, error) {
	if d, ok := r.dists[id]; ok || id == 0 {
		return d, nil
	}
	d := &clair.Distribution{}
	err := r.db.QueryRowContext(ctx, `
		SELECT did, name, version, version_code_name, version_id, arch, cpe, pretty_name
		FROM dist
		WHERE id = ?`, id).
		Scan(&d.DID, &d.Name, &d.Version, &d.VersionCodeName, &d.VersionID, &d.Arch, &d.CPE, &d.PrettyName)
	if err != nil {
		return nil, sqlitedb.Classify(err)
	}
	remember(r.dists, id, d)
	return d, nil
}

func (r *rowResolver) repo(ctx context.Context, id int64) (*clair.Repository, error) {
	if p, ok := r.repos[id]; ok || id == 0 {
		return p, nil
	}
	p := &clair.Repository{}
	err := r.db.QueryRowContext(ctx, `SELECT name, key, uri, cpe FROM repo WHERE id = ?`, id).Scan(&p.Name, &p.Key, &p.URI, &p.CPE)
	if err != nil {
		return nil, sqlitedb.Classify(err)
	}
	remember(r.repos, id, p)
	return p, nil
}

// rememberedKept is the size of a cache of distributions or repositories.
const rememberedKept = 4096

func remember[V any](cache map[int64]V, id int64, v V) {
	if len(cache) >= rememberedKept {
		clear(cache)
	}
	cache[id] = v
}
