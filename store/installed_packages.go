package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// InstalledPackages streams the packages of all manifests, each once for each of
// its distributions and repositories. Packages share the pointers to those,
// and must not be modified.
func (db *DB) InstalledPackages(ctx context.Context) iter.Seq2[clair.InstalledPackage, error] {
	const page = `
		SELECT l.id, l.dist_id, l.repo_id, p.name, p.version, p.kind, p.module, p.arch, p.normalized_version, (
			SELECT count(*)
			FROM manifest_index_row AS i
			WHERE i.place_id = l.id
		)
		FROM place AS l
		CROSS JOIN package AS p ON p.id = l.package_id
		WHERE l.id > ?
		ORDER BY l.id
		LIMIT ?`
	return func(yield func(clair.InstalledPackage, error) bool) {
		r := db.newRowResolver(nil)
		for after := int64(0); ; {
			rows, err := r.query(ctx, page, after, streamRows)
			found, err := sqlitedb.ScanAll(rows, err, scanCounted)
			if err != nil {
				yield(clair.InstalledPackage{}, fmt.Errorf("list packages: %w", err))
				return
			}
			if len(found) == 0 {
				return
			}
			after = found[len(found)-1].place
			for _, h := range found {
				p, err := r.counted(ctx, h)
				if err != nil {
					yield(clair.InstalledPackage{}, fmt.Errorf("list packages: %w", err))
					return
				}
				if p.Manifests > 0 && !yield(p, nil) {
					return
				}
			}
		}
	}
}

// counted is a package with the number of manifests that contain it.
type counted struct {
	installed
	manifests int64
}

func scanCounted(rows *sql.Rows) (c counted, err error) {
	c.pkg = &clair.Package{}
	p := c.pkg
	err = rows.Scan(&c.place, &c.dist, &c.repo, &p.Name, &p.Version, &p.Kind, &p.Module, &p.Arch, &p.NormalizedVersion, &c.manifests)
	return c, err
}

func (r *rowResolver) counted(ctx context.Context, c counted) (p clair.InstalledPackage, err error) {
	p.Package, p.Manifests = c.pkg, c.manifests
	if p.Dist, err = r.dist(ctx, c.dist); err != nil {
		return p, err
	}
	p.Repo, err = r.repo(ctx, c.repo)
	return p, err
}
