package store

import (
	"context"
	"database/sql"

	"oriel/clair"
)

// distKey and repoKey are the values by which equal ones are recognised: all
// fields but the id, which belongs to a document.
func distKey(d *clair.Distribution) clair.Distribution {
	if d == nil {
		return clair.Distribution{}
	}
	k := *d
	k.ID = ""
	return k
}

func repoKey(r *clair.Repository) clair.Repository {
	if r == nil {
		return clair.Repository{}
	}
	k := *r
	k.ID = ""
	return k
}

// internCached returns the id under which a value is stored, storing it if it
// is new; the zero value has the id 0. The cache is emptied when it is full.
func internCached[K comparable](ctx context.Context, db *DB, cache map[K]int64, key K,
	intern func(context.Context, querier, K) (int64, error),
) (int64, error) {
	var zero K
	if key == zero {
		return 0, nil
	}
	if id, ok := cache[key]; ok {
		return id, nil
	}
	var id int64
	err := db.tx(ctx, func(tx *sql.Tx) (err error) {
		id, err = intern(ctx, tx, key)
		return err
	})
	if err != nil {
		return 0, err
	}
	if len(cache) >= internKept {
		clear(cache)
	}
	cache[key] = id
	return id, nil
}

func internDist(ctx context.Context, q querier, d clair.Distribution) (int64, error) {
	if d == (clair.Distribution{}) {
		return 0, nil
	}
	const find = `SELECT id FROM dist WHERE did = ? AND name = ? AND version = ? AND version_code_name = ?
		AND version_id = ? AND arch = ? AND cpe = ? AND pretty_name = ?`
	const insert = `INSERT INTO dist (did, name, version, version_code_name, version_id, arch, cpe, pretty_name)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`
	return findOrInsert(ctx, q, find, insert, d.DID, d.Name, d.Version, d.VersionCodeName, d.VersionID, d.Arch, d.CPE, d.PrettyName)
}

func internRepo(ctx context.Context, q querier, r clair.Repository) (int64, error) {
	if r == (clair.Repository{}) {
		return 0, nil
	}
	const find = `SELECT id FROM repo WHERE name = ? AND key = ? AND uri = ? AND cpe = ?`
	const insert = `INSERT INTO repo (name, key, uri, cpe) VALUES (?, ?, ?, ?) RETURNING id`
	return findOrInsert(ctx, q, find, insert, r.Name, r.Key, r.URI, r.CPE)
}

func internPackage(ctx context.Context, q querier, p clair.Package) (int64, error) {
	const find = `SELECT id FROM package WHERE name = ? AND version = ? AND kind = ? AND module = ? AND arch = ? AND normalized_version = ?`
	const insert = `INSERT INTO package (name, version, kind, module, arch, normalized_version) VALUES (?, ?, ?, ?, ?, ?) RETURNING id`
	return findOrInsert(ctx, q, find, insert, p.Name, p.Version, p.Kind, p.Module, p.Arch, p.NormalizedVersion)
}

// findOrInsert looks first, because what is interned is mostly there already.
func findOrInsert(ctx context.Context, q querier, find, insert string, args ...any) (id int64, err error) {
	err = q.QueryRowContext(ctx, find, args...).Scan(&id)
	if err == sql.ErrNoRows {
		err = q.QueryRowContext(ctx, insert, args...).Scan(&id)
	}
	return id, err
}

// readDist and readRepo load what an id stands for; 0 is nil.
func (r *reading) dist(ctx context.Context, id int64) (*clair.Distribution, error) {
	if d, ok := r.dists[id]; ok || id == 0 {
		return d, nil
	}
	d := &clair.Distribution{}
	err := r.db.QueryRowContext(ctx, `SELECT did, name, version, version_code_name, version_id, arch, cpe, pretty_name FROM dist WHERE id = ?`, id).
		Scan(&d.DID, &d.Name, &d.Version, &d.VersionCodeName, &d.VersionID, &d.Arch, &d.CPE, &d.PrettyName)
	if err != nil {
		return nil, classify(err)
	}
	remember(r.dists, id, d)
	return d, nil
}

func (r *reading) repo(ctx context.Context, id int64) (*clair.Repository, error) {
	if p, ok := r.repos[id]; ok || id == 0 {
		return p, nil
	}
	p := &clair.Repository{}
	err := r.db.QueryRowContext(ctx, `SELECT name, key, uri, cpe FROM repo WHERE id = ?`, id).Scan(&p.Name, &p.Key, &p.URI, &p.CPE)
	if err != nil {
		return nil, classify(err)
	}
	remember(r.repos, id, p)
	return p, nil
}

func remember[V any](cache map[int64]V, id int64, v V) {
	if len(cache) >= internKept {
		clear(cache)
	}
	cache[id] = v
}
