package api

import (
	"github.com/google/uuid"

	"oriel/clair"
)

// The results of importing one feed.
const (
	ImportDone      = "imported"
	ImportUnchanged = "unchanged"
	// ImportOlder is the result for a state older than the one here, which is
	// kept.
	ImportOlder  = "older"
	ImportFailed = "failed"
)

// ImportedFeeds is the answer of POST /matcher/api/v1/bundle.
type ImportedFeeds struct {
	Feeds []Imported `json:"feeds"`
}

// Imported is the result of importing one feed.
type Imported struct {
	Name string `json:"name"`
	// Result is one of the Import constants.
	Result string `json:"result"`
	// Operation is the new operation, if any; the numbers count its rows.
	Operation *uuid.UUID `json:"operation,omitempty"`
	Kind      clair.Kind `json:"kind,omitempty"`
	Added     int64      `json:"added"`
	Removed   int64      `json:"removed"`
	Unchanged int64      `json:"unchanged"`
	Error     string     `json:"error,omitempty"`
}
