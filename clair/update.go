package clair

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Kind is the kind of content of an update operation. In Go the empty Kind
// means all kinds; over HTTP an absent kind means KindVulnerability.
type Kind string

// The kinds of update operation.
const (
	KindVulnerability Kind = "vulnerability"
	KindEnrichment    Kind = "enrichment"
)

// Fingerprint identifies a state of a feed: an ETag, a date, a checksum, or
// several of them. Only its updater interprets it, but for the reader's
// revision that may stand before it.
type Fingerprint string

// WithRevision returns the fingerprint with the revision of its reader: of all
// code that turns the bytes of a feed into rows.
func (f Fingerprint) WithRevision(revision string) Fingerprint {
	return Fingerprint(revision+" ") + f
}

// Cut divides a fingerprint into the reader's revision and the feed's own. ok
// is false, and revision "", if it has no revision.
func (f Fingerprint) Cut() (revision string, own Fingerprint, ok bool) {
	revision, rest, ok := strings.Cut(string(f), " ")
	if !ok || len(revision) != revisionLength || strings.Trim(revision, "0123456789abcdef") != "" {
		return "", f, false
	}
	return revision, Fingerprint(rest), true
}

// revisionLength is the length of a revision in hexadecimal digits.
const revisionLength = 12

// A Reread is how an operation differs from its predecessor in its reader.
type Reread uint8

const (
	// NotReread: the same reader read both, so a difference is the feed's.
	NotReread Reread = iota
	// RereadChanged: another reader read another state of the feed.
	RereadChanged
	// RereadSame: another reader read the same state of the feed, so every
	// difference is the reader's.
	RereadSame
)

// Reread compares the fingerprint of an operation with that of its
// predecessor.
func (f Fingerprint) Reread(previous Fingerprint) Reread {
	revision, own, ok := f.Cut()
	before, ownBefore, okBefore := previous.Cut()
	switch {
	case !ok || !okBefore || revision == before:
		return NotReread
	case own == ownBefore:
		return RereadSame
	}
	return RereadChanged
}

// UpdateOperation is one complete state of one updater's feed.
type UpdateOperation struct {
	Ref         uuid.UUID   `json:"ref"`
	Updater     string      `json:"updater"`
	Fingerprint Fingerprint `json:"fingerprint"`
	Date        time.Time   `json:"date"`
	Kind        Kind        `json:"kind"`
}

// UpdateResult is an update operation with the size of its difference from the
// operation before.
type UpdateResult struct {
	UpdateOperation
	// Added, Removed and Unchanged count rows.
	Added, Removed, Unchanged int64
}

// UpdateDiff is the difference between two operations of one updater. If Prev
// is the zero operation, everything in Cur counts as added. Added and Removed
// may each be ranged over more than once, until Close.
type UpdateDiff struct {
	Prev, Cur      UpdateOperation
	Added, Removed iter.Seq2[*Vulnerability, error]
	// Close releases the rows. The caller must call it.
	Close func()
}

// Change is one change of a feed since an operation. Exactly one of its fields
// is set. The order of changes has no meaning, and a row that is both added and
// removed exists afterwards.
type Change struct {
	// Added is a row that now exists.
	Added *Vulnerability
	// Removed is a row that no longer exists, identified by its content.
	Removed *Vulnerability
	// Replaced is the name of an advisory whose rows are all removed, except
	// those that the same changes add.
	Replaced string
}

// UpdateStatus is the record of an updater's runs.
type UpdateStatus struct {
	Updater     string
	Kind        Kind
	LastAttempt time.Time
	LastSuccess time.Time
	// Error is "" if the last attempt succeeded.
	Error       string
	Fingerprint Fingerprint
	// Records counts the rows of the last operation, and Skipped the records
	// of the feed that could not be used.
	Records, Skipped int64
	// Added and Removed count the rows that the last operation changed.
	Added, Removed int64
	// Took is the duration of the last attempt.
	Took time.Duration
	// SkippedSample has the reasons for some of the skipped records.
	SkippedSample string
	// Format is the configuration's name for the format of the feed, "" if it
	// is not known.
	Format string
	// NewestAdvisory is when the feed's newest advisory was issued, zero if its
	// advisories have no dates.
	NewestAdvisory time.Time
	// NextRun is when the updater is due next, zero if nothing is planned. A
	// time in the past was the plan of a process that stopped.
	NextRun time.Time
	// Needed is when something last needed a feed that is fetched only then,
	// and NeededFor the place that did, such as "alpine:3.23".
	Needed    time.Time
	NeededFor string
	// Held is the smaller state of the feed that is held back, if there is one.
	Held HeldState
}

// HeldState is a state of a feed that has so many records less than the one
// before that it is held back.
type HeldState struct {
	// Records is the number of its records, 0 if nothing is held back.
	Records int64
	// Runs counts the runs in a row that found as many, since the first of them.
	Runs  int64
	Since time.Time
}

// FeedState is one complete state of one feed on its way from one database to
// another.
type FeedState struct {
	UpdateOperation
	// Format is the configuration's name for the format of the feed, "" if it
	// is not known. Enrichments are read by it.
	Format string `json:"format,omitempty"`
	// Checked is when the feed was last known to have this state, zero if that
	// is not known.
	Checked time.Time `json:"checked,omitzero"`
}

// FeedContent is a state of a feed with its rows: vulnerabilities or
// enrichments, depending on its kind. The rows are ranged over once, before the
// next content is requested.
type FeedContent struct {
	FeedState
	Vulnerabilities iter.Seq2[*Vulnerability, error]
	Enrichments     iter.Seq2[EnrichmentRecord, error]
}

// Updater fetches and parses one feed of vulnerabilities.
type Updater interface {
	// Name is unique among updaters and stable, since operations are stored
	// under it.
	Name() string
	// Fetch returns the feed's bytes and their fingerprint. It returns
	// ErrUnchanged if the feed still has the given fingerprint, which is that
	// of the newest operation or "". The caller closes the reader.
	Fetch(context.Context, Fingerprint) (io.ReadCloser, Fingerprint, error)
	// Parse reads a stream that Fetch returned. It yields a *RecordError for a
	// record that could not be used, and continues; any other error is the
	// last value that it yields. The yielded values must not be changed
	// afterwards. Parse does not close the reader.
	Parse(context.Context, io.ReadCloser) iter.Seq2[*Vulnerability, error]
}

// EnrichmentRecord is opaque JSON that is found by its tags.
type EnrichmentRecord struct {
	// Tags are the keys of the record, such as "CVE-2024-3094".
	Tags       []string        `json:"Tags"`
	Enrichment json.RawMessage `json:"Enrichment"`
	// Issued is when the data were published, zero if that is not known. It is
	// not stored.
	Issued time.Time `json:"-"`
}

// EnrichmentChange is one change of a feed of enrichments: either Added is set,
// or ReplacedTo and, unless it is "", ReplacedFrom.
type EnrichmentChange struct {
	// Added is a record that now exists.
	Added *EnrichmentRecord
	// All records with a tag from ReplacedFrom to ReplacedTo, both included,
	// are removed, except those that the same changes add. Tags are compared
	// by byte.
	ReplacedFrom, ReplacedTo string
}

// EnrichmentUpdater fetches and parses one feed of enrichments. The manager
// asserts whether an Updater implements it as well.
type EnrichmentUpdater interface {
	Name() string
	// FetchEnrichment and ParseEnrichment have the contracts of Updater's
	// Fetch and Parse.
	FetchEnrichment(context.Context, Fingerprint) (io.ReadCloser, Fingerprint, error)
	ParseEnrichment(context.Context, io.ReadCloser) iter.Seq2[EnrichmentRecord, error]
}

// NoopUpdater is embedded by enrichment updaters, which have no
// vulnerabilities.
type NoopUpdater struct{}

// Fetch returns ErrUnchanged.
func (NoopUpdater) Fetch(context.Context, Fingerprint) (io.ReadCloser, Fingerprint, error) {
	return nil, "", ErrUnchanged
}

// Parse yields nothing.
func (NoopUpdater) Parse(context.Context, io.ReadCloser) iter.Seq2[*Vulnerability, error] {
	return func(func(*Vulnerability, error) bool) {}
}

// EnrichmentGetter looks up the records of one enricher's own updater.
type EnrichmentGetter interface {
	// GetEnrichment returns the current records that have any of the tags.
	// Their contents are shared and must not be changed.
	GetEnrichment(ctx context.Context, tags []string) ([]EnrichmentRecord, error)
}

// Enricher adds its feed's data about the vulnerabilities of a report.
type Enricher interface {
	Name() string
	// Enrich returns the media type of its messages and the messages, none if
	// it has no data. It must not change the report.
	Enrich(context.Context, EnrichmentGetter, *VulnerabilityReport) (string, []json.RawMessage, error)
}
