package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// vacuumPages is how many pages one step of GiveBack returns.
const vacuumPages = 256

// GiveBack returns free pages to the file system in short steps until at most
// some are left, and returns how many it returned.
func (db *DB) GiveBack(ctx context.Context, leave int64) (given int64, err error) {
	for {
		var before, after int64
		err := db.Tx(ctx, func(tx *sql.Tx) error {
			const free = `SELECT freelist_count FROM pragma_freelist_count`
			if err := tx.QueryRowContext(ctx, free).Scan(&before); err != nil || before <= leave {
				after = before
				return err
			}
			rows, err := tx.QueryContext(ctx, fmt.Sprintf(`PRAGMA incremental_vacuum(%d)`, min(vacuumPages, before-leave)))
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			if err := rows.Err(); err != nil {
				return err
			}
			rows.Close()
			return tx.QueryRowContext(ctx, free).Scan(&after)
		})
		given += before - after
		if err != nil || before == after {
			return given, err
		}
	}
}

// Used returns how many bytes of the database's file are in use.
func (db *DB) Used(ctx context.Context) (used int64, err error) {
	const pages = `
		SELECT (p.page_count - f.freelist_count) * s.page_size
		FROM pragma_page_count AS p, pragma_freelist_count AS f, pragma_page_size AS s`
	err = db.Read.QueryRowContext(ctx, pages).Scan(&used)
	return used, Classify(err)
}

// FileSize returns the size of a file, or 0 if it does not exist: SQLite
// removes its log when it can.
func FileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("measure the database: %w", err)
	}
	return info.Size(), nil
}
