package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"oriel/clair"
	"strconv"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// DB is two pools of connections to one SQLite file: one connection that
// writes, and a few that read.
type DB struct {
	Write *sql.DB // one connection; nil if the file is open for reading only
	Read  *sql.DB

	// preparing guards statements, and is held while one is prepared.
	preparing  sync.Mutex
	Statements map[string]*sql.Stmt // by query; only constant queries are kept
}

const (
	// walPages is the length of the write-ahead log, in pages of 4 KiB, at
	// which a commit copies it into the database. Longer would save writing
	// pages twice, at the price of a longer pause for whoever commits.
	walPages = 3000
	// walLimit is the size to which the log's file is truncated after a burst.
	WALLimit = 16 << 20
)

// OpenRead opens the pool of readers, each with a page cache of so many bytes.
func (db *DB) OpenRead(path string, readers int, cache int64) {
	db.Read = sql.OpenDB(Connector(path, "ro", cache, false))
	db.Read.SetMaxOpenConns(readers)
	db.Read.SetMaxIdleConns(readers)
}

// OpenWrite opens the writer, with a page cache of so many bytes.
func (db *DB) OpenWrite(path string, cache int64, fresh bool) {
	db.Write = sql.OpenDB(Connector(path, "rwc", cache, fresh))
	db.Write.SetMaxOpenConns(1)
	db.Write.SetMaxIdleConns(1)
}

// ClosePools closes the connections, readers first.
func (db *DB) ClosePools() error {
	var errs []error
	for _, stmt := range db.Statements {
		errs = append(errs, stmt.Close())
	}
	if db.Read != nil {
		errs = append(errs, db.Read.Close())
	}
	if db.Write != nil {
		errs = append(errs, db.Write.Close())
	}
	return errors.Join(errs...)
}

var ErrReadOnly = fmt.Errorf("%w: the database is open for reading only", clair.ErrConflict)

// Tx runs one write transaction.
func (db *DB) Tx(ctx context.Context, f func(*sql.Tx) error) error {
	if db.Write == nil {
		return ErrReadOnly
	}
	tx, err := db.Write.BeginTx(ctx, nil)
	if err != nil {
		return Classify(err)
	}
	if err := f(tx); err != nil {
		return errors.Join(Classify(err), ignoreDone(tx.Rollback()))
	}
	return Classify(tx.Commit())
}

// Exec runs one statement in a transaction of its own.
func (db *DB) Exec(ctx context.Context, query string, args ...any) error {
	return db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}

// Prepare prepares a statement for writing, for the caller to close.
func (db *DB) Prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if db.Write == nil {
		return nil, ErrReadOnly
	}
	stmt, err := db.Write.PrepareContext(ctx, query)
	return stmt, Classify(err)
}

// Prepared returns the statement of a constant query for reading, compiled
// once. The database owns it.
func (db *DB) Prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	db.preparing.Lock()
	defer db.preparing.Unlock()
	if stmt, ok := db.Statements[query]; ok {
		return stmt, nil
	}
	stmt, err := db.Read.PrepareContext(ctx, query)
	if err != nil {
		return nil, Classify(err)
	}
	db.Statements[query] = stmt
	return stmt, nil
}

// ignoreDone ignores the error of a rollback if SQLite has already rolled
// back.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// Slice is how long one of the transactions of a long task holds the writer,
// so that other writes do not wait long.
const Slice = 25 * time.Millisecond

// InSlices calls f for 0 to n-1, in as many transactions as necessary so that
// none holds the writer much longer than a slice.
func (db *DB) InSlices(ctx context.Context, n int, f func(tx *sql.Tx, i int) error) error {
	for i := 0; i < n; {
		err := db.Tx(ctx, func(tx *sql.Tx) error {
			for start := time.Now(); i < n; i++ {
				if err := f(tx, i); err != nil {
					return err
				}
				if time.Since(start) > Slice {
					i++
					return nil
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Classify turns SQLite's codes into the errors that callers distinguish.
func Classify(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: the disk is full: %w", clair.ErrUnavailable, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: another process is writing to the database: %w", clair.ErrUnavailable, err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("%w: the disk failed: %w", clair.ErrUnavailable, err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: the file is not an SQLite database: %w", clair.ErrInvalid, err)
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w: the file cannot be opened or written: %w", clair.ErrUnavailable, err)
	}
	return err
}

// Millis and FromMillis convert times to the integers in the schema and back;
// the zero time is NULL.
func Millis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

func FromMillis(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMilli(n.Int64).UTC()
}

// Connector describes connections with a page cache of the given bytes each.
// Everything is set in the name, since a PRAGMA reaches one connection only.
func Connector(path, mode string, cache int64, fresh bool) *dsn {
	v := url.Values{"mode": {mode}, "_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", // first, so that it covers the others
		fmt.Sprintf("cache_size(-%d)", max(cache>>10, 256)),
		"foreign_keys(1)",
		"mmap_size(0)", // mapped pages count as resident memory
	}}
	if mode == "ro" {
		v.Add("_pragma", "query_only(1)")
	} else {
		if fresh {
			v.Add("_pragma", "auto_vacuum(incremental)") // works only before the first table
		}
		v.Add("_pragma", "journal_mode(wal)")
		v.Add("_pragma", "synchronous(normal)")
		v.Add("_pragma", fmt.Sprintf("wal_autocheckpoint(%d)", walPages))
		v.Add("_pragma", fmt.Sprintf("journal_size_limit(%d)", WALLimit))
	}
	return &dsn{name: (&url.URL{
		Scheme:   "file",
		Opaque:   url.PathEscape(path),
		RawQuery: v.Encode(),
	}).String()}
}

// ReadPage runs one short query and returns all its rows.
func ReadPage[T any](ctx context.Context, db *sql.DB, query string, scan func(*sql.Rows) (T, error), args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	return ScanAll(rows, err, scan)
}

// ScanAll reads and closes the result of a query.
func ScanAll[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error)) (page []T, _ error) {
	if err != nil {
		return nil, Classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, Classify(err)
		}
		page = append(page, one)
	}
	return page, Classify(rows.Err())
}

func ScanID(rows *sql.Rows) (id int64, err error) {
	err = rows.Scan(&id)
	return id, err
}

// JSONList is a JSON array of ids.
func JSONList(ids []int64) string {
	b := []byte{'['}
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(append(b, ']'))
}
