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
	"oriel/store/enrichment"
	"oriel/store/migrate"
	"oriel/store/outbox"
	"oriel/store/owner"
	"oriel/store/sqlitedb"
	"oriel/store/status"
)

// Config is the [store] table of the configuration.
type Config struct {
	// Path is the database file. Its companions (-wal, -shm, .lock and .owner)
	// are next to it.
	Path string `toml:"path"`
	// MaxSize is the size of the database at which imports are refused, and
	// MinFree is the space on the disk that imports must leave free. 0 means no
	// limit.
	MaxSize quantity.Bytes `toml:"max_db_size"`
	MinFree quantity.Bytes `toml:"min_free"`
}

// Default returns the default configuration.
func Default() Config { return Config{Path: "oriel.db", MinFree: 64 << 20} }

// Validate checks the configuration without opening the file.
func (c Config) Validate() error {
	if c.Path == "" {
		return clair.Invalid("store.path", "must name a file")
	}
	if c.MaxSize > 0 && c.MaxSize < minMaxSize {
		return clair.Invalid("store.max_db_size", "%v: must be 0B or at least %v", c.MaxSize, quantity.Bytes(minMaxSize))
	}
	return nil
}

// Options are further parameters of Open.
type Options struct {
	// Schema is the text of schema.sql, for new databases.
	Schema string
	// Memory limits SQLite's page caches, of all connections together, in
	// bytes. They are outside of Go's heap. Default 16 MiB.
	Memory int64
	// MaxSize and MinFree limit imports as in Config.
	MaxSize, MinFree int64
	// ReadOnly opens an existing database without owning it.
	ReadOnly bool
	// Log is the logger for events outside of any call. Default: none.
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

const (
	readers       = 4
	defaultMemory = 16 << 20
	// minMaxSize is the size of an empty database and its log.
	minMaxSize = 2 * sqlitedb.WALLimit
)

// DB is an open database. Its methods may be called from many goroutines. The
// opener closes it.
type DB struct {
	*sqlitedb.DB
	*outbox.Outbox
	*status.Statuses
	path        string
	lock        *flock.Flock
	log         *slog.Logger
	now         func() time.Time
	zip         *compress.Codec
	enrichments *enrichment.Reader
	// maxSize and minFree are those of Options.
	maxSize, minFree int64
	// announced reports that there is a file that names this process as the
	// owner.
	announced bool
	// manifests is a semaphore that serializes writes of manifests.
	manifests chan struct{}
	// completed gets a value when a vulnerability operation completes. It is
	// never closed.
	completed chan struct{}

	// imports is held shared by every import and exclusively by each step of
	// garbage collection, which only tries to get it: an import writes
	// advisories before the rows that refer to them, and they must not be
	// collected in between.
	imports sync.RWMutex
	// vacuuming serializes vacuums.
	vacuuming sync.Mutex
	// opening is held shared while a snapshot is taken and exclusively by each
	// step of garbage collection, so that no row is collected between reading
	// which operation is current and pinning it.
	opening sync.RWMutex

	// mu guards the fields below.
	mu        sync.Mutex
	importing map[string]bool         // by updater
	snapshots map[*Snapshot]time.Time // until when each holds its rows

	// counted are the sections with the number of their rows, and occupied those
	// without.
	counted, occupied sectionCache
}

// Open opens the database at path, creating or migrating it as needed, and
// owns it until Close; a second owner gets an ErrConflict. A file that is not
// an Oriel database, or was made by a newer Oriel, is refused with ErrInvalid
// and not changed.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	db := &DB{
		DB:        &sqlitedb.DB{Statements: map[string]*sql.Stmt{}},
		path:      path,
		maxSize:   o.MaxSize,
		minFree:   o.MinFree,
		log:       o.Log,
		now:       o.Now,
		importing: map[string]bool{},
		snapshots: map[*Snapshot]time.Time{},
		manifests: make(chan struct{}, 1),
		completed: make(chan struct{}, 1),
		counted:   newSectionCache(),
		occupied:  newSectionCache(),
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
	db.enrichments = enrichment.NewReader(db.DB)
	db.Statuses = status.New(db.DB)
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
		// This comes before anything is written, because opening for writing
		// may do so.
		err := migrate.Check(ctx, db.DB, o.ReadOnly)
		if sqlitedb.NeedsRollback(err) {
			if err = sqlitedb.RollBack(ctx, path); err == nil {
				err = migrate.Check(ctx, db.DB, o.ReadOnly)
			}
		}
		if err != nil {
			return err
		}
	}
	if o.ReadOnly {
		return nil
	}
	db.OpenWrite(path, o.Memory/2, fresh)
	return migrate.Up(ctx, db.DB, o.Schema, db.log)
}

// own takes the lock next to the database.
func (db *DB) own(path string) error {
	l := flock.New(path + ".lock")
	ok, err := l.TryLock()
	if err != nil {
		return fmt.Errorf("take the lock next to it: %w", err)
	}
	if !ok {
		return fmt.Errorf("%w: another Oriel process is using it", clair.ErrConflict)
	}
	db.lock = l
	// Remove the owner file that a killed process may have left.
	return sqlitedb.RemoveIfExists(owner.File(path))
}

// Close closes the connections, readers first, and releases the file. The
// database must not be in use any longer.
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

// Announce writes the owner file next to the database, until Close. A killed
// process leaves it behind, so it is valid only while the lock is held.
func (db *DB) Announce(o owner.Owner) error {
	if err := owner.Write(db.path, o); err != nil {
		return err
	}
	db.announced = true
	return nil
}
