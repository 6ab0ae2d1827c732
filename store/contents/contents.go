// Package contents keeps which packages each manifest holds. A place is a
// package in a distribution and a repository, stored once for all manifests
// that hold it, so that whether a vulnerability affects it is decided once.
//
// The index of a manifest never holds a place that the stored report of the
// manifest does not name by its records (clair.IndexReport.Records): deleting
// a manifest removes the places of its report. So a change of the records of a
// report comes with a step of store/migrate that brings the index up to date.
package contents

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"slices"

	"oriel/clair"
	"oriel/store/intern"
	"oriel/store/sqlitedb"
)

// Place is a package in a distribution and a repository by its values. Of the
// package it has the fields that are stored. The zero Distribution and the
// zero Repository are none.
type Place struct {
	Package clair.Package
	Dist    clair.Distribution
	Repo    clair.Repository
}

// PlaceOf returns the place of a record.
func PlaceOf(r clair.Record) Place {
	p := r.Package
	return Place{
		Package: clair.Package{
			Name:              p.Name,
			Version:           p.Version,
			Kind:              p.Kind,
			Module:            p.Module,
			Arch:              p.Arch,
			NormalizedVersion: p.NormalizedVersion,
		},
		Dist: intern.DistKey(r.Dist),
		Repo: intern.RepoKey(r.Repo),
	}
}

// PlacesOf yields the places of a report; none if it is nil. One may come more
// than once.
func PlacesOf(r *clair.IndexReport) iter.Seq[Place] {
	return func(yield func(Place) bool) {
		if r == nil {
			return
		}
		for _, rec := range r.Records() {
			if !yield(PlaceOf(rec)) {
				return
			}
		}
	}
}

// Intern returns the ids of places, storing those that are new.
func Intern(ctx context.Context, db *sqlitedb.DB, places iter.Seq[Place]) (map[int64]bool, error) {
	list := slices.Collect(places)
	out := map[int64]bool{}
	dists, repos := map[clair.Distribution]int64{}, map[clair.Repository]int64{}
	var q sqlitedb.Statements
	err := db.InSlices(ctx, len(list), func(tx *sql.Tx, i int) error {
		q.In(tx)
		pkg, err := intern.Package(ctx, &q, list[i].Package)
		if err != nil {
			return err
		}
		dist, err := internOnce(ctx, &q, dists, list[i].Dist, intern.Dist)
		if err != nil {
			return err
		}
		repo, err := internOnce(ctx, &q, repos, list[i].Repo, intern.Repo)
		if err != nil {
			return err
		}
		const find = `
			SELECT id
			FROM place
			WHERE package_id = ? AND dist_id = ? AND repo_id = ?`
		const insert = `
			INSERT INTO place (package_id, dist_id, repo_id)
			VALUES (?, ?, ?)
			RETURNING id`
		id, err := intern.FindOrInsert(ctx, &q, find, insert, pkg, dist, repo)
		out[id] = true
		return err
	})
	return out, err
}

// internOnce interns, asking the database once for each value.
func internOnce[K comparable](ctx context.Context, q sqlitedb.Querier, cache map[K]int64, key K,
	intern func(context.Context, sqlitedb.Querier, K) (int64, error),
) (id int64, err error) {
	if id, ok := cache[key]; ok {
		return id, nil
	}
	if id, err = intern(ctx, q, key); err == nil {
		cache[key] = id
	}
	return id, err
}

// Subtract returns the places in a that are not in b, in the order of the
// index.
func Subtract(a, b map[int64]bool) []int64 {
	var out []int64
	for p := range a {
		if !b[p] {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// Add adds places to a manifest. Those that it holds already are left alone.
func Add(ctx context.Context, db *sqlitedb.DB, manifest int64, places []int64) error {
	var q sqlitedb.Statements
	return db.InSlices(ctx, len(places), func(tx *sql.Tx, i int) error {
		const insert = `
			INSERT OR IGNORE INTO manifest_index_row (place_id, manifest_id)
			VALUES (?, ?)`
		q.In(tx)
		_, err := q.ExecContext(ctx, insert, places[i], manifest)
		return err
	})
}

// Remove removes places from a manifest, and the places and packages that are
// then in no manifest.
func Remove(ctx context.Context, db *sqlitedb.DB, manifest int64, places []int64) error {
	var q sqlitedb.Statements
	return db.InSlices(ctx, len(places), func(tx *sql.Tx, i int) error {
		q.In(tx)
		return remove(ctx, &q, manifest, places[i])
	})
}

func remove(ctx context.Context, q *sqlitedb.Statements, manifest, place int64) error {
	const row = `
		DELETE FROM manifest_index_row
		WHERE place_id = ? AND manifest_id = ?`
	const unusedPlace = `
		DELETE FROM place
		WHERE id = ?1
		AND NOT EXISTS (SELECT 1 FROM manifest_index_row WHERE place_id = ?1)
		RETURNING package_id`
	const unusedPackage = `
		DELETE FROM package
		WHERE id = ?1
		AND NOT EXISTS (SELECT 1 FROM place WHERE package_id = ?1)`
	if _, err := q.ExecContext(ctx, row, place, manifest); err != nil {
		return err
	}
	var pkg int64
	err := q.QueryRowContext(ctx, unusedPlace, place).Scan(&pkg)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, unusedPackage, pkg)
	return err
}
