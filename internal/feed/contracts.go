package feed

import (
	"context"
	"io"
	"iter"
	"oriel/clair"
)

// Reviser is an updater whose rows change when its parser or its options
// change. The result of Revision is stored with the fingerprint, and a feed of
// another revision is fetched and parsed even if it is unchanged.
type Versioned interface {
	Revision() string
}

// Set is a feed that expands into several updaters when it is read, such as
// another server. Such a feed embeds a clair.NoopUpdater, and the manager
// checks whether an updater is a Set.
//
// The members' operations and statuses are stored under the members' own
// names. A member with the name of a configured feed or of another set's
// member fails, and the others continue.
type Set interface {
	clair.Updater
	// Updaters returns the feed's updaters. Each is run before the next is
	// requested, and is not valid afterwards. An error takes the place of an
	// updater that cannot be read.
	Updaters(context.Context) iter.Seq2[clair.Updater, error]
}

// Knower is an updater with one state and no later one, such as a file of
// operations. Known reports whether an operation with this fingerprint has
// that state; it may be any operation of the updater, not only the newest.
type StateChecker interface {
	Known(clair.Fingerprint) bool
}

// Conditional is a Set that recognizes an unchanged feed. The fingerprint is
// stored with the set's own status, once all its members are imported.
type Conditional interface {
	Set
	// UpdatersSince does the same as Updaters, but yields only an ErrUnchanged
	// if the feed still has the fingerprint.
	UpdatersSince(context.Context, clair.Fingerprint) iter.Seq2[clair.Updater, error]
	// Fingerprint returns the fingerprint of the last feed whose updaters were
	// yielded.
	Fingerprint() clair.Fingerprint
}

// Carried is an updater with the state of a feed from another database, which
// includes more than the rows: the feed's format, and when it was last known
// to have this state. That time counts as the feed's last success here, and no
// state replaces one that was found current later.
type ImportedState interface {
	clair.Updater
	State() clair.FeedState
}

// DeltaUpdater is an updater whose feed reports what changed since an
// operation, so that only the changes have to be fetched.
type DeltaUpdater interface {
	clair.Updater
	// FetchDelta does the same as Fetch, but may return only the changes since
	// the fingerprint, which is not "". If the feed does not reach back that
	// far, the error is an ErrBase; then everything is fetched.
	FetchDelta(context.Context, clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error)
	// ParseDelta reads the result of FetchDelta. The rows can be read once,
	// before the reader is closed.
	ParseDelta(context.Context, io.ReadCloser) (Delta, error)
}

// Delta is the result of a fetch: everything, or the changes.
type Delta struct {
	// Whole means that Rows are complete and Changes is nil. Otherwise Rows is
	// nil.
	Whole   bool
	Rows    Rows
	Changes Changes
}

// Changes is a stream of changes and of errors about unusable records.
type Changes = iter.Seq2[clair.Change, error]

// EnrichmentDeltaUpdater does for enrichments what DeltaUpdater does for
// vulnerabilities, except that its fetch always returns changes. If the feed
// cannot report them, the error is an ErrBase.
type EnrichmentDeltaUpdater interface {
	clair.EnrichmentUpdater
	FetchEnrichmentDelta(context.Context, clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error)
	ParseEnrichmentDelta(context.Context, io.ReadCloser) iter.Seq2[clair.EnrichmentChange, error]
}

// ReplacedAdvisory returns the change that replaces an advisory.
func ReplacedAdvisory(name string) clair.Change { return clair.Change{Replaced: name} }
