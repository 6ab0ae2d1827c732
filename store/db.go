package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"oriel/clair"
	"oriel/internal/quantity"
	"oriel/store/compress"
	"oriel/store/migrate"
	"oriel/store/outbox"
	"oriel/store/owner"
	"oriel/store/sqlitedb"
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
	// minMaxSize is what an empty database and its log may take.
	minMaxSize = 2 * sqlitedb.WALLimit
)

// DB is an open database. Its methods may be called from many goroutines. The
// opener closes it.
type DB struct {
	*sqlitedb.DB
	*outbox.Outbox
	path string
	lock *flock.Flock
	log  *slog.Logger
	now  func() time.Time
	zip  *compress.Codec
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
}

// Open opens the database at path, making or migrating it as needed, and owns
// it until Close: a second owner gets an ErrConflict. A file that is not an
// Oriel database, or of a newer Oriel, is refused with ErrInvalid and left
// untouched.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	db := &DB{
		DB:   &sqlitedb.DB{Statements: map[string]*sql.Stmt{}},
		path: path, maxSize: o.MaxSize, minFree: o.MinFree, log: o.Log, now: o.Now, importing: map[string]bool{},
		snapshots: map[*Snapshot]time.Time{}, manifests: make(chan struct{}, 1),
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
	db.zip = &compress.Codec{}
	db.Outbox = outbox.New(db.DB, db.zip, db.now)
	if err := db.open(ctx, path, o); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, sqlitedb.Classify(err)), db.Close())
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, path string, o Options) error {
	fresh, err := sqlitedb.CheckFile(path)
	if err != nil {
		return err
	}
	if fresh && o.ReadOnly {
		return fmt.Errorf("%w: there is no database yet", clair.ErrNotFound)
	}
	db.OpenRead(path, readers, o.Memory/2/readers)
	if !o.ReadOnly {
		if err := db.own(path); err != nil {
			return err
		}
	}
	if !fresh {
		// Before anything is written: opening for writing alone may do so.
		if err := migrate.Check(ctx, db.DB, o.ReadOnly); err != nil {
			return err
		}
	}
	if o.ReadOnly {
		return nil
	}
	db.OpenWrite(path, o.Memory/2, fresh)
	return migrate.Up(ctx, db.DB, o.Schema)
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
	return sqlitedb.RemoveIfExists(owner.File(path))
}

// Close ends the connections, readers first, and gives up the file. Whoever
// calls it has ended all use of the database before.
func (db *DB) Close() error {
	var errs []error
	errs = append(errs, db.ClosePools())
	if db.announced {
		errs = append(errs, os.Remove(owner.File(db.path)))
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Unlock())
	}
	return errors.Join(errs...)
}

// Announce writes who owns the database beside it, until Close. A process that
// is killed leaves the file behind, so it means something only while the lock
// is held.
func (db *DB) Announce(o owner.Owner) error {
	if err := owner.Write(db.path, o); err != nil {
		return err
	}
	db.announced = true
	return nil
}
