package feed

import (
	"context"
	"io"
	"iter"
	"oriel/clair"
)

// Reviser is an updater whose feed becomes something else when its parser or
// its options change. What Revision returns is kept with the fingerprint, and
// a feed of another revision is fetched and parsed although it is unchanged.
type Versioned interface {
	Revision() string
}

// Set is a feed that turns out to be several updaters when it is asked, such
// as another server. A feed that is one embeds a clair.NoopUpdater, and whoever
// runs updaters asks each of them whether it is a Set.
//
// The members' operations and statuses are kept under the members' own names.
// None may have the name of a configured feed or of another set's member: such
// a member fails, and the others go on.
type Set interface {
	clair.Updater
	// Updaters asks the feed for its updaters. Each is run before the next is
	// asked for, and is of no use afterwards. An error stands in place of
	// what could not be had.
	Updaters(context.Context) iter.Seq2[clair.Updater, error]
}

// Knower is an updater that brings one state and no later one, such as a file
// of operations. Known says whether an operation with this fingerprint has
// that state; any operation of the updater may, not only the newest.
type StateChecker interface {
	Known(clair.Fingerprint) bool
}

// Conditional is a Set that recognises a feed that is unchanged. The
// fingerprint is kept with the set's own status, once all its members are in.
type Conditional interface {
	Set
	// UpdatersSince is Updaters, but where the feed still has the fingerprint
	// given it yields an ErrUnchanged and nothing else.
	UpdatersSince(context.Context, clair.Fingerprint) iter.Seq2[clair.Updater, error]
	// Fingerprint is that of the feed whose updaters were yielded last.
	Fingerprint() clair.Fingerprint
}

// Carried is an updater that brings a state of a feed from another database,
// where more is known of it than its rows: what format the feed is of, and when
// it was last known to have this state. That is when the feed counts as
// successful here, and no state replaces one that was found current later.
type ImportedState interface {
	clair.Updater
	State() clair.FeedState
}

// DeltaUpdater is an updater whose feed tells what changed since an operation,
// so that only that need be fetched.
type DeltaUpdater interface {
	clair.Updater
	// FetchDelta is Fetch, but may return what changed since the fingerprint,
	// which is not "", instead of everything. It is an ErrBase where the feed
	// does not reach back so far; then everything is fetched.
	FetchDelta(context.Context, clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error)
	// ParseDelta reads what FetchDelta returned. The rows are to be read
	// before the reader is closed, and once.
	ParseDelta(context.Context, io.ReadCloser) (Delta, error)
}

// Delta is what a fetch brought: everything, or what changed.
type Delta struct {
	// Whole says that Rows are all there are and Changes nil. Otherwise it is
	// the other way round.
	Whole   bool
	Rows    Rows
	Changes Changes
}

// Changes is a stream of changes and of the records that could not be used.
type Changes = iter.Seq2[clair.Change, error]

// EnrichmentDeltaUpdater is to enrichments what DeltaUpdater is to
// vulnerabilities, but for a fetch that always brings what changed. It is an
// ErrBase where the feed cannot tell.
type EnrichmentDeltaUpdater interface {
	clair.EnrichmentUpdater
	FetchEnrichmentDelta(context.Context, clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error)
	ParseEnrichmentDelta(context.Context, io.ReadCloser) iter.Seq2[clair.EnrichmentChange, error]
}

// ReplacedAdvisory makes a change of a name.
func ReplacedAdvisory(name string) clair.Change { return clair.Change{Replaced: name} }
