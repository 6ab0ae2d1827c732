// Package intern stores values that many rows share, such as a distribution,
// once, and identifies them by an id.
package intern

import (
	"context"
	"database/sql"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// DistKey and RepoKey are the values by which equal ones are recognized: all
// fields except the id, which belongs to a document.
func DistKey(d *clair.Distribution) clair.Distribution {
	if d == nil {
		return clair.Distribution{}
	}
	k := *d
	k.ID = ""
	return k
}

func RepoKey(r *clair.Repository) clair.Repository {
	if r == nil {
		return clair.Repository{}
	}
	k := *r
	k.ID = ""
	return k
}

// kept limits a cache of values.
const kept = 4096

// Cached returns the id under which a value is stored, storing it if it
// is new; the zero value has the id 0. The cache is emptied when it is full.
func Cached[K comparable](ctx context.Context, db *sqlitedb.DB, cache map[K]int64, key K,
	intern func(context.Context, sqlitedb.Querier, K) (int64, error),
) (int64, error) {
	var zero K
	if key == zero {
		return 0, nil
	}
	if id, ok := cache[key]; ok {
		return id, nil
	}
	var id int64
	err := db.Tx(ctx, func(tx *sql.Tx) (err error) {
		id, err = intern(ctx, tx, key)
		return err
	})
	if err != nil {
		return 0, err
	}
	if len(cache) >= kept {
		clear(cache)
	}
	cache[key] = id
	return id, nil
}

func Dist(ctx context.Context, q sqlitedb.Querier, d clair.Distribution) (int64, error) {
	if d == (clair.Distribution{}) {
		return 0, nil
	}
	const find = `
		SELECT id
		FROM dist
		WHERE did = ? AND name = ? AND version = ? AND version_code_name = ? AND version_id = ?
		AND arch = ? AND cpe = ? AND pretty_name = ?`
	const insert = `
		INSERT INTO dist (did, name, version, version_code_name, version_id, arch, cpe, pretty_name)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		RETURNING id`
	return FindOrInsert(ctx, q, find, insert, d.DID, d.Name, d.Version, d.VersionCodeName, d.VersionID, d.Arch, d.CPE, d.PrettyName)
}

func Repo(ctx context.Context, q sqlitedb.Querier, r clair.Repository) (int64, error) {
	if r == (clair.Repository{}) {
		return 0, nil
	}
	const find = `SELECT id FROM repo WHERE name = ? AND key = ? AND uri = ? AND cpe = ?`
	const insert = `INSERT INTO repo (name, key, uri, cpe) VALUES (?, ?, ?, ?) RETURNING id`
	return FindOrInsert(ctx, q, find, insert, r.Name, r.Key, r.URI, r.CPE)
}

func Package(ctx context.Context, q sqlitedb.Querier, p clair.Package) (int64, error) {
	const find = `
		SELECT id
		FROM package
		WHERE name = ? AND version = ? AND kind = ? AND module = ? AND arch = ?
		AND normalized_version = ?`
	const insert = `
		INSERT INTO package (name, version, kind, module, arch, normalized_version)
		VALUES (?, ?, ?, ?, ?, ?)
		RETURNING id`
	return FindOrInsert(ctx, q, find, insert, p.Name, p.Version, p.Kind, p.Module, p.Arch, p.NormalizedVersion)
}

// FindOrInsert searches first, because most values are already stored.
func FindOrInsert(ctx context.Context, q sqlitedb.Querier, find, insert string, args ...any) (id int64, err error) {
	err = q.QueryRowContext(ctx, find, args...).Scan(&id)
	if err == sql.ErrNoRows {
		err = q.QueryRowContext(ctx, insert, args...).Scan(&id)
	}
	return id, err
}
