package migrate

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// The steps are numbered from 1 in the order of their names. A step that has
// been released never changes.
//
//go:embed *.sql
var Steps embed.FS

// ApplicationID marks a file as Oriel's: "ORIL".
const ApplicationID = 0x4f52494c

// version is the version of a database file: the number of its steps.
func version(ctx context.Context, q sqlitedb.Querier) (version, app, tables int, err error) {
	err = q.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version),
		(SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)`).
		Scan(&version, &app, &tables)
	return version, app, tables, err
}

// respellVersion is the step that respell does the work of.
const respellVersion = 12

// Up migrates the database to the current schema: it creates a new one from the
// schema itself, and migrates an older one step by step. A step is one
// transaction, or, if it works on all rows, many that are safe to repeat and one
// that completes it.
func Up(ctx context.Context, db *sqlitedb.DB, schema string, log *slog.Logger) error {
	names, err := fs.Glob(Steps, "*.sql")
	if err != nil {
		return err
	}
	version, _, tables, err := version(ctx, db.Write)
	if err != nil {
		return err
	}
	if tables == 0 && schema != "" {
		return step(ctx, db, schema, len(names))
	}
	for i := version; i < len(names); i++ {
		start := time.Now()
		text, err := Steps.ReadFile(names[i])
		if err != nil {
			return err
		}
		if i+1 == respellVersion {
			err = respell(ctx, db)
		}
		if err == nil {
			err = step(ctx, db, string(text), i+1)
		}
		if err != nil {
			return fmt.Errorf("migrate to version %d: %w", i+1, err)
		}
		log.Info("database migrated", "version", i+1, "took", time.Since(start))
	}
	return nil
}

// step runs one text and records its version, or does neither.
func step(ctx context.Context, db *sqlitedb.DB, text string, version int) error {
	return db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", version, ApplicationID))
		return err
	})
}

// Check refuses a database that is not Oriel's or too new and, for reading,
// one that would have to be migrated.
func Check(ctx context.Context, db *sqlitedb.DB, readOnly bool) error {
	names, err := fs.Glob(Steps, "*.sql")
	if err != nil {
		return err
	}
	version, app, tables, err := version(ctx, db.Read)
	if err != nil {
		return err
	}
	if err := refuse(version, app, tables, len(names)); err != nil {
		return err
	}
	if readOnly && tables == 0 {
		return fmt.Errorf("%w: there is no database yet", clair.ErrNotFound)
	}
	if readOnly && version < len(names) {
		return fmt.Errorf("%w: the database is of version %d and wants migrating to %d: start the server or run an update once",
			clair.ErrConflict, version, len(names))
	}
	return nil
}

func refuse(version, app, tables, known int) error {
	switch {
	case tables > 0 && app != ApplicationID:
		return fmt.Errorf("%w: it is an SQLite database, but not Oriel's", clair.ErrInvalid)
	case version > known:
		return fmt.Errorf("%w: the database is of version %d, made by a newer Oriel; this one knows versions up to %d",
			clair.ErrInvalid, version, known)
	}
	return nil
}
