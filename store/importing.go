package store

import (
	"fmt"
	"oriel/clair"
	"oriel/store/history"
)

// engine returns what an import needs of the store.
func (db *DB) engine() *history.Engine {
	return &history.Engine{
		DB:         db.DB,
		Claim:      db.claim,
		Release:    db.release,
		CheckQuota: db.checkQuota,
		Now:        db.now,
		Completed:  db.signalCompleted,
	}
}

// claim makes the caller the updater's only importer, until release.
func (db *DB) claim(updater string) error {
	if !db.setImporting(updater) {
		return fmt.Errorf("%w: an import of %s is running", clair.ErrConflict, updater)
	}
	// mu must not be held here, because a step of garbage collection needs it
	// while it holds imports.
	db.imports.RLock()
	return nil
}

// setImporting records that an import of the updater runs, and returns false
// if one already does.
func (db *DB) setImporting(updater string) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.importing[updater] {
		return false
	}
	db.importing[updater] = true
	return true
}

func (db *DB) release(updater string) {
	db.imports.RUnlock()
	db.mu.Lock()
	defer db.mu.Unlock()
	delete(db.importing, updater)
}
