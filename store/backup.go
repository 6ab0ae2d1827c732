package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"oriel/clair"
	"oriel/store/migrate"
	"oriel/store/owner"
	"oriel/store/sqlitedb"
)

// Backup writes a copy of the database as of this moment, replacing an
// existing file, and returns its size in bytes. The copy is a database of its
// own without free space. It is renamed to the file only when it is complete
// and has been checked, so a failed backup does not destroy an older one.
// Others may read and write in the meantime; their writes stay in the
// write-ahead log until it is done.
func (db *DB) Backup(ctx context.Context, file string) (size int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up the database to %s: %w", file, err)
		}
	}()
	if err := db.checkBackup(ctx, file); err != nil {
		return 0, err
	}
	// In the same directory, so that it can be renamed. To SQLite an empty file
	// is a new database; the mode is the backup's.
	partial, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.partial")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, sqlitedb.RemoveIfExists(partial.Name())) }()
	if err := partial.Close(); err != nil {
		return 0, err
	}
	if err := db.copyTo(ctx, partial.Name()); err != nil {
		return 0, err
	}
	if err := checkCopy(ctx, partial.Name()); err != nil {
		return 0, err
	}
	if size, err = sqlitedb.SyncFile(partial.Name()); err != nil {
		return 0, err
	}
	return size, os.Rename(partial.Name(), file)
}

// copyTo writes a copy through a connection of its own, because the readers'
// connections may not write anything.
func (db *DB) copyTo(ctx context.Context, file string) (err error) {
	src := sql.OpenDB(sqlitedb.Connector(db.path, "ro", defaultMemory/2, false))
	defer func() { err = errors.Join(err, src.Close()) }()
	src.SetMaxOpenConns(1)
	for _, q := range []struct {
		query string
		args  []any
	}{{`PRAGMA query_only = 0`, nil}, {`VACUUM INTO ?`, []any{file}}} {
		if _, err := src.ExecContext(ctx, q.query, q.args...); err != nil {
			return sqlitedb.Classify(err)
		}
	}
	return nil
}

// checkBackup refuses a backup that would overwrite the database or does not
// fit on the disk.
func (db *DB) checkBackup(ctx context.Context, file string) error {
	own, err := filepath.Abs(db.path)
	if err != nil {
		return err
	}
	there, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if slices.Contains([]string{own, own + "-wal", own + "-shm", own + ".lock", owner.File(own)}, there) {
		return fmt.Errorf("%w: that is the database itself", clair.ErrInvalid)
	}
	a, err := os.Stat(file)
	if err == nil && !a.Mode().IsRegular() {
		return fmt.Errorf("%w: that is not a regular file, and would be replaced", clair.ErrInvalid)
	}
	if _, lerr := os.Lstat(file); err != nil && lerr == nil {
		return fmt.Errorf("%w: that is a link to nothing, and would be replaced", clair.ErrInvalid)
	}
	if b, berr := os.Stat(db.path); err == nil && berr == nil && os.SameFile(a, b) {
		return fmt.Errorf("%w: that is the database itself", clair.ErrInvalid)
	}
	free, err := sqlitedb.DiskFree(filepath.Dir(there))
	if err != nil {
		return err
	}
	used, err := db.Used(ctx)
	if err == nil && used > free {
		return fmt.Errorf("%w: it takes %d MB and %d MB are free on the disk", clair.ErrUnavailable, used>>20, free>>20)
	}
	return err
}

// checkCopy reads the whole copy.
func checkCopy(ctx context.Context, file string) (err error) {
	db := &DB{path: file, DB: &sqlitedb.DB{}}
	db.OpenRead(file, 1, defaultMemory)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := migrate.Check(ctx, db.DB, true); err != nil {
		return err
	}
	return db.Check(ctx)
}
