// Package outbox stores notifications, and the progress of their delivery to
// each webhook. Package notify has the rules.
package outbox

import (
	"oriel/store/compress"
	"oriel/store/sqlitedb"
	"time"
)

// Outbox reads and writes them.
type Outbox struct {
	*sqlitedb.DB
	zip *compress.Codec
	now func() time.Time
}

// New returns the outbox in a database.
func New(db *sqlitedb.DB, zip *compress.Codec, now func() time.Time) *Outbox {
	return &Outbox{
		DB:  db,
		zip: zip,
		now: now,
	}
}
