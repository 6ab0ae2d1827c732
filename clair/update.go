package clair

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"time"

	"github.com/google/uuid"
)

// Kind tells update operations apart by what they bring. In Go the empty Kind
// means all kinds; over HTTP an absent kind means KindVulnerability.
type Kind string

// The kinds of update operation.
const (
	KindVulnerability Kind = "vulnerability"
	KindEnrichment    Kind = "enrichment"
)

// Fingerprint is what a feed gave to recognise its state by: an ETag, a date,
// a checksum, or several of them. It is opaque to everyone but its updater.
type Fingerprint string

// UpdateOperation is one complete state of one updater's feed.
type UpdateOperation struct {
	Ref         uuid.UUID   `json:"ref"`
	Updater     string      `json:"updater"`
	Fingerprint Fingerprint `json:"fingerprint"`
	Date        time.Time   `json:"date"`
	Kind        Kind        `json:"kind"`
}

// UpdateResult is an update operation with what it changed against the one
// before, in rows.
type UpdateResult struct {
	UpdateOperation
	// Added and Removed count rows; Unchanged those that stayed.
	Added, Removed, Unchanged int64
}

// UpdateDiff is the difference between two operations of one updater. Prev is
// the zero operation where everything in Cur counts as added. Added and
// Removed may each be ranged over more than once, until Close.
type UpdateDiff struct {
	Prev, Cur      UpdateOperation
	Added, Removed iter.Seq2[*Vulnerability, error]
	// Close lets go of the rows. The caller must call it.
	Close func()
}

// Change is one part of what changed in a feed since an operation. Exactly one
// of its fields is set. The order of changes means nothing, and a row that is
// both added and removed is there.
type Change struct {
	// Added is a row that there is now.
	Added *Vulnerability
	// Removed is a row that is no longer, known by its content.
	Removed *Vulnerability
	// Replaced names an advisory of which no row is left, but for those added.
	Replaced string
}

// UpdateStatus is what is known of an updater's runs.
type UpdateStatus struct {
	Updater     string
	Kind        Kind
	LastAttempt time.Time
	LastSuccess time.Time
	// Error is "" where the last attempt succeeded.
	Error       string
	Fingerprint Fingerprint
	// Records and Skipped count the rows of the last operation and the
	// records of the feed that could not be used.
	Records, Skipped int64
	// Added and Removed count what the last operation changed.
	Added, Removed int64
	// Took is the length of the last attempt.
	Took time.Duration
	// SkippedSample says why some of the skipped records were skipped.
	SkippedSample string
	// Format is what the configuration calls the format of the feed, "" where
	// it is not known.
	Format string
	// NewestAdvisory is when the feed's newest advisory was issued, zero where
	// its advisories do not say.
	NewestAdvisory time.Time
	// NextRun is when the updater is to run next, zero where nothing is
	// planned. A time that has passed was the plan of a process that stopped.
	NextRun time.Time
}

// FeedState is one complete state of one feed on its way from one database to
// another.
type FeedState struct {
	UpdateOperation
	// Format is what the configuration calls the format of the feed, "" where
	// it is not known. Enrichments are read by it.
	Format string `json:"format,omitempty"`
	// Checked is when the feed was last known to have this state, zero where
	// that is not known.
	Checked time.Time `json:"checked,omitzero"`
}

// FeedContent is a state of a feed with its rows: vulnerabilities or
// enrichments, as its kind says. They are to be ranged over once, before the
// next content is asked for.
type FeedContent struct {
	FeedState
	Vulnerabilities iter.Seq2[*Vulnerability, error]
	Enrichments     iter.Seq2[EnrichmentRecord, error]
}

// Updater brings one feed of vulnerabilities.
type Updater interface {
	// Name is unique among updaters and stable, since operations are kept
	// under it.
	Name() string
	// Fetch returns the feed's bytes and their fingerprint. It returns
	// ErrUnchanged where the feed still has the fingerprint given, which is
	// that of the newest operation or "". The caller closes the reader.
	Fetch(context.Context, Fingerprint) (io.ReadCloser, Fingerprint, error)
	// Parse reads what Fetch returned as a stream. A *RecordError stands for
	// a record that could not be used and parsing goes on; any other error
	// is the last thing it yields. The values yielded must not be changed
	// afterwards. It does not close the reader.
	Parse(context.Context, io.ReadCloser) iter.Seq2[*Vulnerability, error]
}

// EnrichmentRecord is opaque JSON to find again by its tags.
type EnrichmentRecord struct {
	// Tags are what the record is looked up by, such as "CVE-2024-3094".
	Tags       []string        `json:"Tags"`
	Enrichment json.RawMessage `json:"Enrichment"`
}

// EnrichmentChange is to enrichments what Change is to vulnerabilities: either
// Added is set, or ReplacedTo and, unless it is "", ReplacedFrom.
type EnrichmentChange struct {
	// Added is a record that there is now.
	Added *EnrichmentRecord
	// Of records with a tag between ReplacedFrom and ReplacedTo, both
	// included, none is left but for those added. Tags are compared by byte.
	ReplacedFrom, ReplacedTo string
}

// EnrichmentUpdater brings one feed of enrichments. Whoever runs updaters asks
// each of them whether it is one of these too.
type EnrichmentUpdater interface {
	Name() string
	// FetchEnrichment and ParseEnrichment are to enrichments what Fetch and
	// Parse are to vulnerabilities.
	FetchEnrichment(context.Context, Fingerprint) (io.ReadCloser, Fingerprint, error)
	ParseEnrichment(context.Context, io.ReadCloser) iter.Seq2[EnrichmentRecord, error]
}

// NoopUpdater is embedded by enrichment updaters, which have no
// vulnerabilities.
type NoopUpdater struct{}

// Fetch says that there is nothing new.
func (NoopUpdater) Fetch(context.Context, Fingerprint) (io.ReadCloser, Fingerprint, error) {
	return nil, "", ErrUnchanged
}

// Parse yields nothing.
func (NoopUpdater) Parse(context.Context, io.ReadCloser) iter.Seq2[*Vulnerability, error] {
	return func(func(*Vulnerability, error) bool) {}
}

// EnrichmentGetter looks up the records of one enricher's own updater.
type EnrichmentGetter interface {
	// GetEnrichment returns the current records that carry any of the tags.
	// What they hold is shared with others and must not be written to.
	GetEnrichment(ctx context.Context, tags []string) ([]EnrichmentRecord, error)
}

// Enricher adds to a report what its feed knows of the vulnerabilities in it.
type Enricher interface {
	Name() string
	// Enrich returns the media type of its messages and the messages, none
	// where it has nothing to say. It must not change the report.
	Enrich(context.Context, EnrichmentGetter, *VulnerabilityReport) (string, []json.RawMessage, error)
}
