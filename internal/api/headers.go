package api

// Headers of our own.
const (
	// DataAgeHeader has the seconds since the oldest enabled feed last
	// succeeded.
	DataAgeHeader = "Oriel-Data-Age"
	// PartialHeader names the feeds and enrichers that an answer was made
	// without, or with old data of.
	PartialHeader = "Oriel-Partial"
	// NotCoveredHeader names the places of a report that no feed covers, each
	// with the number of its packages.
	NotCoveredHeader = "Oriel-Not-Covered"
	// StateHeader and NextHeader have a page's state and cursor if its rows
	// are sent as NDJSON.
	StateHeader = "Oriel-State"
	NextHeader  = "Oriel-Next"
	// ErrorTrailer has the error that occurred after a body had begun. The
	// name is Clair's.
	ErrorTrailer = "Clair-Error"
)

// Media types.
const (
	TypeJSON   = "application/json"
	TypeNDJSON = "application/x-ndjson"
	TypeBundle = "application/zstd"
)
