package clair

import (
	"time"

	"github.com/google/uuid"
)

// Feed is a feed and its state. Its name is that of the updater.
type Feed struct {
	UpdateStatus
	// Format and URL are as configured, secrets of the URL masked.
	Format, URL string
	// Configured reports whether the configuration has the feed. The others
	// left operations in the database: feeds of another server, of imported
	// bundles, or of an earlier configuration.
	Configured bool
	// Enabled reports whether the feed is run.
	Enabled bool
	// Auto reports whether a feed in use is fetched only once something needs
	// it. Needed and NeededFor say what needs it, if anything.
	Auto bool
	// Running reports whether a run is in progress or queued.
	Running bool
	// Operation is the newest operation, uuid.Nil if there is none.
	Operation uuid.UUID
	// StaleAfter is the age of the last success from which the feed is stale;
	// 0 means never.
	StaleAfter time.Duration
}

// FeedCondition is the state of a feed in one word.
type FeedCondition string

// The conditions of a feed. The data of its last success are served in each of
// them.
const (
	FeedOK      FeedCondition = "ok"
	FeedOff     FeedCondition = "off"     // not enabled
	FeedMissing FeedCondition = "missing" // has never succeeded
	FeedFailed  FeedCondition = "failed"  // the last attempt failed
	FeedStale   FeedCondition = "stale"   // the last success is too long ago
	FeedHeld    FeedCondition = "held"    // a much smaller state is held back
	FeedIdle    FeedCondition = "idle"    // automatic, and nothing needs it
)

// UnneededAfter is the time after which an automatic feed that nothing has needed
// is no longer updated.
const UnneededAfter = 30 * 24 * time.Hour

// Condition returns the condition of the feed at a time.
func (f *Feed) Condition(now time.Time) FeedCondition {
	switch {
	case f.Configured && !f.Enabled:
		return FeedOff
	case f.Auto && (f.Needed.IsZero() || now.Sub(f.Needed) >= UnneededAfter):
		return FeedIdle
	case f.LastSuccess.IsZero():
		return FeedMissing
	case f.Held.Records > 0:
		return FeedHeld
	case f.Error != "":
		return FeedFailed
	case f.StaleAfter > 0 && now.Sub(f.LastSuccess) > f.StaleAfter:
		return FeedStale
	}
	return FeedOK
}

// Feeds are all the feeds of a server.
type Feeds []Feed

// In returns the names of the feeds in any of the conditions.
func (l Feeds) In(now time.Time, any ...FeedCondition) []string {
	var out []string
	for i := range l {
		c := l[i].Condition(now)
		for _, wanted := range any {
			if c == wanted {
				out = append(out, l[i].Updater)
			}
		}
	}
	return out
}

// Lagging returns the names of the feeds whose data are missing or old, so that
// a report may be incomplete.
func (l Feeds) Lagging(now time.Time) []string {
	return l.In(now, FeedMissing, FeedFailed, FeedStale, FeedHeld)
}

// Oldest returns the feed whose last success is the longest ago, among the
// feeds in use that have ever succeeded. It returns nil if none has.
func (l Feeds) Oldest() *Feed {
	var oldest *Feed
	for i := range l {
		f := &l[i]
		if f.Configured && !f.Enabled || f.LastSuccess.IsZero() {
			continue
		}
		if oldest == nil || f.LastSuccess.Before(oldest.LastSuccess) {
			oldest = f
		}
	}
	return oldest
}
