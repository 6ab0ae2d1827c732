package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"oriel/clair"
	"oriel/internal/quantity"
)

// Config is the [store] table of the configuration.
type Config struct {
	// Path is the database file. Its -wal, -shm, .lock and .owner companions
	// lie beside it.
	Path string `toml:"path"`
	// MaxSize is how much the database may take before imports are refused,
	// and MinFree how much of the disk must be free for them. 0: no limit.
	MaxSize quantity.Bytes `toml:"max_db_size"`
	MinFree quantity.Bytes `toml:"min_free"`
}

// Default is the configuration where the file says nothing.
func Default() Config { return Config{Path: "oriel.db", MinFree: 64 << 20} }

// Validate checks the configuration without touching the file.
func (c Config) Validate() error {
	if c.Path == "" {
		return clair.Invalid("store.path", "must name a file")
	}
	if c.MaxSize > 0 && c.MaxSize < minMaxSize {
		return clair.Invalid("store.max_db_size", "%v: must be 0B or at least %v", c.MaxSize, quantity.Bytes(minMaxSize))
	}
	return nil
}

// Options are what Open needs beside the path.
type Options struct {
	// Schema is the text of schema.sql, for a database that is new.
	Schema string
	// Memory bounds SQLite's page caches, all connections together, in bytes.
	// They lie outside the Go heap. Default 16 MiB.
	Memory int64
	// MaxSize and MinFree bound imports as Config says.
	MaxSize, MinFree int64
	// ReadOnly opens an existing database without owning it.
	ReadOnly bool
	// Log receives what happens outside any call. Default: nothing.
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

const (
	readers       = 4
	defaultMemory = 16 << 20
	// walPages is the length of the write-ahead log, in pages of 4 KiB, at
	// which a commit copies it into the database. Longer would save writing
	// pages twice, at the price of a longer pause for whoever commits.
	walPages = 3000
	// walLimit truncates the log's file after a burst.
	walLimit = 16 << 20
	// minMaxSize is what an empty database and its log may take.
	minMaxSize = 2 * walLimit
)

// DB is an open database. Its methods may be called from many goroutines. The
// opener closes it.
type DB struct {
	path  string
	write *sql.DB // one connection
	read  *sql.DB
	lock  *flock.Flock
	log   *slog.Logger
	now   func() time.Time
	zip   zipper
	// recall remembers the enrichments that were looked up last.
	recall recall
	// maxSize and minFree are those of Options.
	maxSize, minFree int64
	// announced says that there is a file that names this process.
	announced bool
	// manifests has room for the one who writes manifests.
	manifests chan struct{}
	// completed is filled when a vulnerability operation completes. Nobody
	// closes it.
	completed chan struct{}

	// imports is held shared by every import and exclusively by each step of
	// garbage collection, which only tries: advisories are written before the
	// rows that refer to them and must not be taken for garbage.
	imports sync.RWMutex
	// vacuuming is held by the one who vacuums.
	vacuuming sync.Mutex
	// opening is held shared while a snapshot is taken and exclusively by
	// each step of garbage collection, so that no row goes between reading
	// which operation is current and pinning it.
	opening sync.RWMutex

	// mu guards what follows.
	mu        sync.Mutex
	importing map[string]bool         // by updater
	snapshots map[*Snapshot]time.Time // until when each holds its rows

	// counting has room for the one who counts sections, and guards counted:
	// the sections of each updater, by its id, as of the operation that they
	// were last counted at.
	counting chan struct{}
	counted  map[int64]countedSections

	// preparing guards statements, and is held while one is prepared.
	preparing  sync.Mutex
	statements map[string]*sql.Stmt // by query; only constant queries get in
}

// Open opens the database at path, making or migrating it as needed, and owns
// it until Close: a second owner gets an ErrConflict. A file that is not an
// Oriel database, or of a newer Oriel, is refused with ErrInvalid and left
// untouched.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	db := &DB{
		path: path, maxSize: o.MaxSize, minFree: o.MinFree, log: o.Log, now: o.Now, importing: map[string]bool{},
		snapshots: map[*Snapshot]time.Time{}, statements: map[string]*sql.Stmt{}, manifests: make(chan struct{}, 1),
		completed: make(chan struct{}, 1),
		counting:  make(chan struct{}, 1), counted: map[int64]countedSections{},
	}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if db.now == nil {
		db.now = time.Now
	}
	if o.Memory <= 0 {
		o.Memory = defaultMemory
	}
	if err := db.open(ctx, path, o); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, classify(err)), db.Close())
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, path string, o Options) error {
	fresh, err := checkFile(path)
	if err != nil {
		return err
	}
	if fresh && o.ReadOnly {
		return fmt.Errorf("%w: there is no database yet", clair.ErrNotFound)
	}
	db.read = sql.OpenDB(connector(path, "ro", o.Memory/2/readers, false))
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	if !o.ReadOnly {
		if err := db.own(path); err != nil {
			return err
		}
	}
	if !fresh {
		// Before anything is written: opening for writing alone may do so.
		if err := db.checkVersion(ctx, o.ReadOnly); err != nil {
			return err
		}
	}
	if o.ReadOnly {
		return nil
	}
	db.write = sql.OpenDB(connector(path, "rwc", o.Memory/2, fresh))
	db.write.SetMaxOpenConns(1)
	db.write.SetMaxIdleConns(1)
	return db.migrate(ctx, o.Schema)
}

// checkFile refuses what is plainly no database before SQLite or the lock
// leave traces beside it. fresh says that there is no database yet.
func checkFile(path string) (fresh bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, 16)
	n, err := io.ReadFull(f, head)
	switch {
	case errors.Is(err, io.EOF):
		return true, nil // SQLite takes an empty file for a new database
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return false, err
	case string(head[:n]) != "SQLite format 3\x00":
		return false, fmt.Errorf("%w: the file is not an SQLite database", clair.ErrInvalid)
	}
	return false, nil
}

// own takes the lock beside the database.
func (db *DB) own(path string) error {
	l := flock.New(path + ".lock")
	ok, err := l.TryLock()
	if err != nil {
		return fmt.Errorf("take the lock beside it: %w", err)
	}
	if !ok {
		return fmt.Errorf("%w: another Oriel process is using it", clair.ErrConflict)
	}
	db.lock = l
	// What a killed owner announced is true no more.
	return removeIfThere(ownerFile(path))
}

// connector describes connections with a page cache of the given bytes each.
// Everything is set in the name, since a PRAGMA reaches one connection only.
func connector(path, mode string, cache int64, fresh bool) *dsn {
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
		v.Add("_pragma", fmt.Sprintf("journal_size_limit(%d)", walLimit))
	}
	return &dsn{name: (&url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: v.Encode()}).String()}
}

// Close ends the connections, readers first, and gives up the file. Whoever
// calls it has ended all use of the database before.
func (db *DB) Close() error {
	var errs []error
	for _, stmt := range db.statements {
		errs = append(errs, stmt.Close())
	}
	if db.read != nil {
		errs = append(errs, db.read.Close())
	}
	if db.write != nil {
		errs = append(errs, db.write.Close())
	}
	if db.announced {
		errs = append(errs, os.Remove(ownerFile(db.path)))
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Unlock())
	}
	return errors.Join(errs...)
}

// Check asks SQLite whether the file is sound, reading all of it.
func (db *DB) Check(ctx context.Context) error {
	var answer string
	if err := db.read.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&answer); err != nil {
		return fmt.Errorf("check the database: %w", classify(err))
	}
	if answer != "ok" {
		return fmt.Errorf("check the database: %s", answer)
	}
	return nil
}

var errReadOnly = fmt.Errorf("%w: the database is open for reading only", clair.ErrConflict)

// tx runs one write transaction.
func (db *DB) tx(ctx context.Context, f func(*sql.Tx) error) error {
	if db.write == nil {
		return errReadOnly
	}
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return classify(err)
	}
	if err := f(tx); err != nil {
		return errors.Join(classify(err), ignoreDone(tx.Rollback()))
	}
	return classify(tx.Commit())
}

// exec runs one statement in a transaction of its own.
func (db *DB) exec(ctx context.Context, query string, args ...any) error {
	return db.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}

// prepare prepares a statement for writing, for the caller to close.
func (db *DB) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if db.write == nil {
		return nil, errReadOnly
	}
	stmt, err := db.write.PrepareContext(ctx, query)
	return stmt, classify(err)
}

// prepared gives the statement of a constant query for reading, compiled once.
// It stays the database's.
func (db *DB) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	db.preparing.Lock()
	defer db.preparing.Unlock()
	if stmt, ok := db.statements[query]; ok {
		return stmt, nil
	}
	stmt, err := db.read.PrepareContext(ctx, query)
	if err != nil {
		return nil, classify(err)
	}
	db.statements[query] = stmt
	return stmt, nil
}

// ignoreDone drops the complaint of a rollback that SQLite made by itself.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// slice is how long one of many transactions of a long piece of work holds the
// writer, so that no other write waits long.
const slice = 25 * time.Millisecond

// inSlices calls f for 0 to n-1 in as many transactions as it takes for none
// to hold the writer much longer than a slice.
func (db *DB) inSlices(ctx context.Context, n int, f func(tx *sql.Tx, i int) error) error {
	for i := 0; i < n; {
		err := db.tx(ctx, func(tx *sql.Tx) error {
			for start := time.Now(); i < n; i++ {
				if err := f(tx, i); err != nil {
					return err
				}
				if time.Since(start) > slice {
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

// classify turns SQLite's codes into the errors that callers tell apart.
func classify(err error) error {
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

// millis and fromMillis turn times into the integers that the schema keeps;
// the zero time is NULL.
func millis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

func fromMillis(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMilli(n.Int64).UTC()
}
