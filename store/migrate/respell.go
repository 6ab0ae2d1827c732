package migrate

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

	"oriel/clair"
	"oriel/store/compress"
	"oriel/store/contents"
	"oriel/store/intern"
	"oriel/store/sqlitedb"
)

// respelling is step 12: it gives names their ecosystem's one spelling
// (clair.Ecosystem.PackageName) in the rows of feeds and in the places of
// manifests, and brings the index of each manifest to the records of its report
// (clair.IndexReport.Records).
// Rows keep their hashes: the next import of a feed replaces those whose hash
// would be another one by now.
//
// It works in pages, in memory for one of them, and records how far it is. If
// it is killed, it repeats at most a page, which changes nothing that the page
// changed before.
type respelling struct {
	*sqlitedb.DB
	zip compress.Codec
}

const (
	// respellNames is how many names of packages are read at once.
	respellNames = 2000
	// respellReports is how many index reports are read at once, packed.
	respellReports = 20
)

func respell(ctx context.Context, db *sqlitedb.DB) error {
	const progress = `
		CREATE TABLE IF NOT EXISTS respelling (
			part  TEXT NOT NULL PRIMARY KEY,
			after ANY  NOT NULL
		) STRICT`
	if err := db.Exec(ctx, progress); err != nil {
		return err
	}
	r := &respelling{DB: db}
	repos, err := r.repos(ctx)
	if err != nil {
		return fmt.Errorf("respell packages: %w", err)
	}
	if err := r.rows(ctx, repos); err != nil {
		return fmt.Errorf("respell the packages of feeds: %w", err)
	}
	if err := r.places(ctx, repos); err != nil {
		return fmt.Errorf("respell the packages of manifests: %w", err)
	}
	if err := r.manifests(ctx); err != nil {
		return fmt.Errorf("index manifests again: %w", err)
	}
	return nil
}

// after scans how far a part is; into stays as it is if the part is new.
func (r *respelling) after(ctx context.Context, part string, into any) error {
	err := r.Read.QueryRowContext(ctx, `SELECT after FROM respelling WHERE part = ?`, part).Scan(into)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return sqlitedb.Classify(err)
}

// reached records how far a part is.
func (r *respelling) reached(ctx context.Context, part string, after any) error {
	return r.Exec(ctx, `INSERT OR REPLACE INTO respelling (part, after) VALUES (?, ?)`, part, after)
}

// rename is one spelling of a name in one repository.
type rename struct {
	from, to string
	repo     int64
}

// rows respells the names in vuln_row.
func (r *respelling) rows(ctx context.Context, repos map[int64]clair.Ecosystem) error {
	const part = "rows"
	const page = `
		SELECT DISTINCT package_name
		FROM vuln_row
		WHERE package_name > ?
		ORDER BY package_name
		LIMIT ?`
	var after string
	if err := r.after(ctx, part, &after); err != nil {
		return err
	}
	for {
		names, err := sqlitedb.ReadPage(ctx, r.Read, page, scanText, after, respellNames)
		if err != nil || len(names) == 0 {
			return err
		}
		if err := r.rename(ctx, repos, names); err != nil {
			return err
		}
		after = names[len(names)-1]
		if err := r.reached(ctx, part, after); err != nil {
			return err
		}
	}
}

// repos returns the repositories of ecosystems, by id.
func (r *respelling) repos(ctx context.Context) (map[int64]clair.Ecosystem, error) {
	type repo struct {
		id   int64
		name string
	}
	list, err := sqlitedb.ReadPage(ctx, r.Read, `SELECT id, name FROM repo`, func(rows *sql.Rows) (one repo, err error) {
		err = rows.Scan(&one.id, &one.name)
		return one, err
	})
	out := map[int64]clair.Ecosystem{}
	for _, one := range list {
		if e, ok := clair.EcosystemByRepository(one.name); ok {
			out[one.id] = e
		}
	}
	return out, err
}

func (r *respelling) rename(ctx context.Context, repos map[int64]clair.Ecosystem, names []string) error {
	const update = `
		UPDATE vuln_row
		SET package_name = ?
		WHERE package_name = ? AND repo_id = ?`
	var renames []rename
	for _, name := range names {
		for repo, e := range repos {
			if to := e.PackageName(name); to != name {
				renames = append(renames, rename{name, to, repo})
			}
		}
	}
	var q sqlitedb.Statements
	return r.InSlices(ctx, len(renames), func(tx *sql.Tx, i int) error {
		q.In(tx)
		_, err := q.ExecContext(ctx, update, renames[i].to, renames[i].from, renames[i].repo)
		return err
	})
}

func scanText(rows *sql.Rows) (text string, err error) {
	err = rows.Scan(&text)
	return text, err
}

// misspelled is a place with another spelling than its ecosystem's.
type misspelled struct {
	place, pkg, dist, repo int64
	to                     clair.Package
}

// places respells the packages of places. A place that becomes the same as
// another is merged into it.
func (r *respelling) places(ctx context.Context, repos map[int64]clair.Ecosystem) error {
	const part = "places"
	const page = `
		SELECT l.id, l.package_id, l.dist_id, l.repo_id, p.name, p.version, p.kind, p.module, p.arch,
			p.normalized_version
		FROM place AS l
		JOIN package AS p ON p.id = l.package_id
		WHERE l.id > ?
		ORDER BY l.id
		LIMIT ?`
	var after int64
	if err := r.after(ctx, part, &after); err != nil {
		return err
	}
	for {
		list, err := sqlitedb.ReadPage(ctx, r.Read, page, scanMisspelled, after, respellNames)
		if err != nil || len(list) == 0 {
			return err
		}
		after = list[len(list)-1].place
		list = slices.DeleteFunc(list, func(m misspelled) bool { return repos[m.repo].PackageName(m.to.Name) == m.to.Name })
		var q sqlitedb.Statements
		err = r.InSlices(ctx, len(list), func(tx *sql.Tx, i int) error {
			q.In(tx)
			list[i].to.Name = repos[list[i].repo].PackageName(list[i].to.Name)
			return move(ctx, &q, list[i])
		})
		if err != nil {
			return err
		}
		if err := r.reached(ctx, part, after); err != nil {
			return err
		}
	}
}

func scanMisspelled(rows *sql.Rows) (m misspelled, err error) {
	err = rows.Scan(&m.place, &m.pkg, &m.dist, &m.repo,
		&m.to.Name, &m.to.Version, &m.to.Kind, &m.to.Module, &m.to.Arch, &m.to.NormalizedVersion)
	return m, err
}

// move changes the package of a place to that of another name.
func move(ctx context.Context, q *sqlitedb.Statements, m misspelled) error {
	const same = `
		SELECT id
		FROM place
		WHERE package_id = ? AND dist_id = ? AND repo_id = ?`
	const merge = `
		INSERT OR IGNORE INTO manifest_index_row (place_id, manifest_id)
		SELECT ?2, manifest_id
		FROM manifest_index_row
		WHERE place_id = ?1`
	const unused = `
		DELETE FROM package
		WHERE id = ?1
		AND NOT EXISTS (SELECT 1 FROM place WHERE package_id = ?1)`
	pkg, err := intern.Package(ctx, q, m.to)
	if err != nil {
		return err
	}
	type statement struct {
		query string
		args  []any
	}
	steps := []statement{{`UPDATE place SET package_id = ?2 WHERE id = ?1`, []any{m.place, pkg}}}
	var into int64
	err = q.QueryRowContext(ctx, same, pkg, m.dist, m.repo).Scan(&into)
	switch {
	case err == nil:
		steps = []statement{
			{merge, []any{m.place, into}},
			{`DELETE FROM manifest_index_row WHERE place_id = ?`, []any{m.place}},
			{`DELETE FROM place WHERE id = ?`, []any{m.place}},
		}
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	for _, s := range append(steps, statement{unused, []any{m.pkg}}) {
		if _, err := q.ExecContext(ctx, s.query, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// indexed is the stored report of a manifest.
type indexed struct {
	manifest int64
	report   []byte
}

// manifests brings the index of each manifest up to date.
func (r *respelling) manifests(ctx context.Context) error {
	const part = "manifests"
	const page = `
		SELECT manifest_id, report
		FROM index_report
		WHERE manifest_id > ?
		ORDER BY manifest_id
		LIMIT ?`
	var after int64
	if err := r.after(ctx, part, &after); err != nil {
		return err
	}
	for {
		list, err := sqlitedb.ReadPage(ctx, r.Read, page, scanIndexed, after, respellReports)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, one := range list {
			if err := r.manifest(ctx, one); err != nil {
				return err
			}
		}
		after = list[len(list)-1].manifest
		if err := r.reached(ctx, part, after); err != nil {
			return err
		}
	}
}

func scanIndexed(rows *sql.Rows) (one indexed, err error) {
	err = rows.Scan(&one.manifest, &one.report)
	return one, err
}

// manifest adds the places that only the records of the report have, and then
// removes those that only the index has.
func (r *respelling) manifest(ctx context.Context, one indexed) error {
	body, err := r.zip.UnpackBytes(one.report)
	if err != nil {
		return err
	}
	report := &clair.IndexReport{}
	if err := json.Unmarshal(body, report); err != nil {
		return fmt.Errorf("decode a stored index report: %w", err)
	}
	gone, added := map[contents.Place]bool{}, map[contents.Place]bool{}
	for p := range placesBefore(report) {
		gone[p] = true
	}
	for p := range contents.PlacesOf(report) {
		added[p] = true
	}
	for p := range added {
		if gone[p] {
			delete(gone, p)
			delete(added, p)
		}
	}
	ids, err := contents.Intern(ctx, r.DB, maps.Keys(added))
	if err != nil {
		return err
	}
	if err := contents.Add(ctx, r.DB, one.manifest, contents.Subtract(ids, nil)); err != nil {
		return err
	}
	if ids, err = contents.Intern(ctx, r.DB, maps.Keys(gone)); err != nil {
		return err
	}
	return contents.Remove(ctx, r.DB, one.manifest, contents.Subtract(ids, nil))
}

// placesBefore yields the places that a report was indexed by before version
// 12, once they are respelled: every package and its source.
func placesBefore(r *clair.IndexReport) iter.Seq[contents.Place] {
	return func(yield func(contents.Place) bool) {
		for id, p := range r.Packages {
			if p == nil {
				continue
			}
			for dist, repo := range origins(r, id) {
				if !yield(placeBefore(p, p, cmp.Or(p.Kind, clair.Binary), dist, repo)) {
					return
				}
				if p.Source != nil && p.Source.Name != "" && !yield(placeBefore(p.Source, p, clair.Source, dist, repo)) {
					return
				}
			}
		}
	}
}

// origins yields the distributions and repositories of a package.
func origins(r *clair.IndexReport, id string) iter.Seq2[*clair.Distribution, *clair.Repository] {
	return func(yield func(*clair.Distribution, *clair.Repository) bool) {
		for _, env := range r.Environments[id] {
			dist := r.Distributions[env.DistributionID]
			if len(env.RepositoryIDs) == 0 && !yield(dist, nil) {
				return
			}
			for _, repo := range env.RepositoryIDs {
				if !yield(dist, r.Repositories[repo]) {
					return
				}
			}
		}
	}
}

func placeBefore(p, binary *clair.Package, kind string, dist *clair.Distribution, repo *clair.Repository) contents.Place {
	return contents.Place{
		Package: clair.Package{
			Name:              repo.PackageName(p.Name),
			Version:           cmp.Or(p.Version, binary.Version),
			Kind:              kind,
			Module:            binary.Module,
			Arch:              binary.Arch,
			NormalizedVersion: p.NormalizedVersion,
		},
		Dist: intern.DistKey(dist),
		Repo: intern.RepoKey(repo),
	}
}
