package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"oriel/clair"
	"os"
)

// CheckFile refuses a file that is clearly not a database, before SQLite or
// the lock create files next to it. fresh reports that there is no database
// yet.
func CheckFile(path string) (fresh bool, err error) {
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

// SyncFile flushes a file to disk and returns its size.
func SyncFile(name string) (size int64, err error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Sync(); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func RemoveIfExists(name string) error {
	if err := os.Remove(name); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Check checks the integrity of the whole file.
func (db *DB) Check(ctx context.Context) error {
	var answer string
	if err := db.Read.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&answer); err != nil {
		return fmt.Errorf("check the database: %w", Classify(err))
	}
	if answer != "ok" {
		return fmt.Errorf("check the database: %s", answer)
	}
	return nil
}
