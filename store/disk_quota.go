package store

import (
	"context"
	"fmt"
	"path/filepath"

	"oriel/internal/quantity"
	"oriel/store/history"
	"oriel/store/sqlitedb"
)

// CheckQuota returns an ErrUnavailable if the database or its disk is too full
// for an import.
func (db *DB) CheckQuota(ctx context.Context) error { return db.checkQuota(ctx) }

// checkQuota refuses imports if the database or the disk is too full. It is
// called before an import and again for each batch, because the size of a feed
// is not known before. Free space within the file counts as free. Other writes
// continue: they are small, and min_free leaves space for them and for the
// log.
func (db *DB) checkQuota(ctx context.Context) error {
	if db.maxSize > 0 {
		used, err := db.Used(ctx)
		if err != nil {
			return err
		}
		log, err := sqlitedb.FileSize(db.path + "-wal")
		if err != nil {
			return err
		}
		if used+log > db.maxSize {
			return fmt.Errorf("%w: the database takes %s with its log, and store.max_db_size is %v",
				history.ErrQuota, megabytes(used+log), quantity.Bytes(db.maxSize))
		}
	}
	if db.minFree > 0 {
		free, err := sqlitedb.DiskFree(filepath.Dir(db.path))
		if err != nil {
			return err
		}
		if free < db.minFree {
			return fmt.Errorf("%w: %s are free on the disk, and store.min_free is %v", history.ErrQuota, megabytes(free), quantity.Bytes(db.minFree))
		}
	}
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
