package api

import "oriel/clair"

// Database is the size of the database.
type Database struct {
	Size       int64                `json:"size_bytes"`
	WAL        int64                `json:"wal_bytes"`
	Free       int64                `json:"free_bytes"`
	Max        int64                `json:"max_bytes"` // 0: no limit
	Manifests  int64                `json:"manifests"`
	Operations map[clair.Kind]int64 `json:"operations"`
}

// Memory is the memory of the process.
type Memory struct {
	Limit       int64 `json:"limit_bytes"`
	Resident    int64 `json:"resident_bytes"` // 0: not known on this system
	Go          int64 `json:"go_bytes"`
	GoLimit     int64 `json:"go_limit_bytes"`
	SQLiteLimit int64 `json:"sqlite_cache_limit_bytes"`
}

// Sessions is the state of the window of scanners.
type Sessions struct {
	Active      int   `json:"active"`
	Queued      int   `json:"queued"`
	MemoryUsed  int64 `json:"memory_used_bytes"`
	MemoryLimit int64 `json:"memory_limit_bytes"`
}
