package store

import (
	"context"
	"fmt"
	"path/filepath"

	"oriel/clair"
	"oriel/internal/quantity"
)

// errNoRoom says that an import would take more of the disk than it may.
var errNoRoom = fmt.Errorf("%w: there is no room for an import", clair.ErrUnavailable)

// checkRoom refuses imports for which the database or the disk is too full. It
// is asked before an import and again for each batch, since nobody knows
// beforehand what a feed comes to. What is free within the file counts as
// free. Everything else that writes goes on: it is little, and min_free leaves
// room for it and for the log.
func (db *DB) checkRoom(ctx context.Context) error {
	if db.maxSize > 0 {
		used, err := db.used(ctx)
		if err != nil {
			return err
		}
		log, err := fileSize(db.path + "-wal")
		if err != nil {
			return err
		}
		if used+log > db.maxSize {
			return fmt.Errorf("%w: the database takes %s with its log, and store.max_db_size is %v",
				errNoRoom, megabytes(used+log), quantity.Bytes(db.maxSize))
		}
	}
	if db.minFree > 0 {
		free, err := diskFree(filepath.Dir(db.path))
		if err != nil {
			return err
		}
		if free < db.minFree {
			return fmt.Errorf("%w: %s are free on the disk, and store.min_free is %v", errNoRoom, megabytes(free), quantity.Bytes(db.minFree))
		}
	}
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// abandon closes the rows that a failed import has written, so that they are
// garbage. Elsewhere they stay as the base of the next import; here they would
// keep the room that is missing.
func (im *importer[R]) abandon(ctx context.Context) error {
	for after := int64(0); ; {
		rows, err := readPage(ctx, im.db.read, im.rel.own, scanHashRow, im.id, im.seq, after, pageRows)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].id
		if err := im.close(ctx, rows); err != nil {
			return err
		}
	}
}
