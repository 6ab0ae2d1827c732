package clair

import (
	"time"

	"github.com/google/uuid"
)

// Feed is a feed and how it is doing. Its name is that of the updater.
type Feed struct {
	UpdateStatus
	// Format and URL are as configured, secrets of the URL masked.
	Format, URL string
	// Configured says that the configuration has the feed. Others are known
	// by what they left: updaters of another server, bundles that were
	// imported, feeds that the configuration no longer has.
	Configured bool
	// Enabled says that the feed is run.
	Enabled bool
	// Running says that a run is going on or waiting for its turn.
	Running bool
	// Operation is the newest operation, uuid.Nil where there is none.
	Operation uuid.UUID
	// StaleAfter is how long after its last success the feed is stale; 0 is
	// never.
	StaleAfter time.Duration
}

// FeedCondition says in a word how a feed is doing.
type FeedCondition string

// The conditions of a feed. Data of earlier successes are served in any of
// them.
const (
	FeedOK      FeedCondition = "ok"
	FeedOff     FeedCondition = "off"     // not enabled
	FeedMissing FeedCondition = "missing" // has never succeeded
	FeedFailed  FeedCondition = "failed"  // the last attempt failed
	FeedStale   FeedCondition = "stale"   // the last success is too long ago
)

// Condition is how the feed is doing at a moment.
func (f *Feed) Condition(now time.Time) FeedCondition {
	switch {
	case f.Configured && !f.Enabled:
		return FeedOff
	case f.LastSuccess.IsZero():
		return FeedMissing
	case f.Error != "":
		return FeedFailed
	case f.StaleAfter > 0 && now.Sub(f.LastSuccess) > f.StaleAfter:
		return FeedStale
	}
	return FeedOK
}

// Feeds are all the feeds of a server.
type Feeds []Feed

// In names the feeds that are in one of some conditions.
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

// Lagging names the feeds without which, or with old data of which, a report
// may lack something.
func (l Feeds) Lagging(now time.Time) []string {
	return l.In(now, FeedMissing, FeedFailed, FeedStale)
}

// Oldest is the feed that is furthest behind among those in use that have ever
// succeeded, nil where none has.
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
