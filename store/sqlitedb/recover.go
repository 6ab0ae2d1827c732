package sqlitedb

import (
	"context"
	"database/sql"
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// NeedsRollback reports whether a database cannot be read because a process
// died in the middle of a transaction while the file had a rollback journal,
// which it has only before its first connection switches it to a write-ahead
// log. A connection that only reads cannot undo that transaction.
func NeedsRollback(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == sqlite3.SQLITE_READONLY_ROLLBACK
}

// RollBack undoes the transaction that NeedsRollback is about, as any
// connection that may write does when it first reads.
func RollBack(ctx context.Context, path string) error {
	db := sql.OpenDB(Connector(path, "rw", 1<<20, false))
	_, err := db.ExecContext(ctx, `PRAGMA schema_version`)
	return errors.Join(Classify(err), db.Close())
}
