package api

import (
	"time"

	"oriel/clair"
)

// Status is the response to GET PathStatus. A part that the server cannot report
// on is left out.
type Status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// DataAge is the seconds since the feed that is furthest behind last
	// succeeded, or null if none has.
	DataAge *int64 `json:"data_age_seconds"`
	// Lagging names the feeds that are missing, failed or stale.
	Lagging  []string  `json:"lagging_feeds"`
	Findings *Findings `json:"findings"`
	// NotCovered are the places of all manifests' packages that no feed covers,
	// or null if they have not been counted yet.
	NotCovered    []NotCoveredPlace `json:"not_covered"`
	Database      *Database         `json:"database,omitempty"`
	Memory        *Memory           `json:"memory,omitempty"`
	Notifications map[string]int64  `json:"notifications,omitempty"`
	Sessions      *Sessions         `json:"sessions,omitempty"`
}

// Readiness is the response to GET PathReady for clients that accept JSON.
type Readiness struct {
	Ready bool `json:"ready"`
	// Feeds are those that reports may be incomplete without.
	Feeds []LaggingFeed `json:"feeds"`
}

// LaggingFeed is a feed whose data are missing or old.
type LaggingFeed struct {
	Name  string              `json:"name"`
	State clair.FeedCondition `json:"state"`
	// Detail explains the state, "" if the state says it all.
	Detail string `json:"detail,omitempty"`
}

// Findings counts the findings of all manifests, by severity.
type Findings struct {
	CountedAt  time.Time        `json:"counted_at"`
	Manifests  int64            `json:"manifests"`
	BySeverity map[string]int64 `json:"by_severity"`
	// Took is how long the count took.
	Took time.Duration `json:"-"`
}

// NotCoveredPlace is a place that no feed covers, with the number of packages
// that manifests have there.
type NotCoveredPlace struct {
	Place    string           `json:"place"`
	Packages int              `json:"packages"`
	Reason   clair.NotCovered `json:"reason"`
	Hint     string           `json:"hint"`
}

// NewNotCovered returns places that are not covered; nil for nil.
func NewNotCovered(places []clair.Place) []NotCoveredPlace {
	var out []NotCoveredPlace
	if places != nil {
		out = []NotCoveredPlace{}
	}
	for _, p := range places {
		if !p.Covered {
			out = append(out, NotCoveredPlace{p.Name, p.Packages, p.Reason, p.Hint})
		}
	}
	return out
}

// Database is the size of the database: bytes, and counts of its contents.
type Database struct {
	Size       int64                `json:"size_bytes"`
	WAL        int64                `json:"wal_bytes"`
	Free       int64                `json:"free_bytes"`
	Max        int64                `json:"max_bytes"` // 0 if there is no limit
	Manifests  int64                `json:"manifests"`
	Operations map[clair.Kind]int64 `json:"operations"`
}

// Memory is the account of the process's memory, in bytes.
type Memory struct {
	Limit       int64 `json:"limit_bytes"`
	Resident    int64 `json:"resident_bytes"` // 0 if the system does not report it
	Go          int64 `json:"go_bytes"`
	GoLimit     int64 `json:"go_limit_bytes"`
	SQLiteLimit int64 `json:"sqlite_cache_limit_bytes"`
}

// Sessions is the load of the window: counts of sessions, and bytes.
type Sessions struct {
	Active      int   `json:"active"`
	Queued      int   `json:"queued"`
	MemoryUsed  int64 `json:"memory_used_bytes"`
	MemoryLimit int64 `json:"memory_limit_bytes"`
}

// Vacuumed is the response to POST PathVacuum.
type Vacuumed struct {
	FreedBytes int64 `json:"freed_bytes"`
}
