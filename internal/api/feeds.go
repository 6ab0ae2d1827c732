package api

import (
	"time"

	"github.com/google/uuid"

	"oriel/clair"
)

// FeedStatus is a feed in the response to GET /matcher/api/v1/feeds. Unset times
// are null, and error is "" if the last attempt succeeded.
type FeedStatus struct {
	Name           string              `json:"name"`
	Format         string              `json:"format"`
	Kind           clair.Kind          `json:"kind"`
	URL            string              `json:"url"`
	Configured     bool                `json:"configured"`
	Enabled        bool                `json:"enabled"`
	State          clair.FeedCondition `json:"state"`
	Running        bool                `json:"running"`
	LastAttempt    *time.Time          `json:"last_attempt"`
	LastSuccess    *time.Time          `json:"last_success"`
	NextRun        *time.Time          `json:"next_run"`
	Error          string              `json:"error"`
	Records        int64               `json:"records"`
	Skipped        int64               `json:"skipped"`
	SkippedSample  string              `json:"skipped_sample"`
	Added          int64               `json:"added"`
	Removed        int64               `json:"removed"`
	TookMS         int64               `json:"took_ms"`
	Operation      *uuid.UUID          `json:"operation"`
	NewestAdvisory *time.Time          `json:"newest_advisory"`
	StaleAfterMS   int64               `json:"stale_after_ms"`
}

// FeedList is the response to GET /matcher/api/v1/feeds.
type FeedList struct {
	Feeds []FeedStatus `json:"feeds"`
}

// NewFeedList returns the list of feeds with their state at the given time.
func NewFeedList(feeds clair.Feeds, now time.Time) FeedList {
	list := make([]FeedStatus, 0, len(feeds))
	for i := range feeds {
		f := &feeds[i]
		j := FeedStatus{
			Name: f.Updater, Format: f.Format, Kind: f.Kind, URL: f.URL, Configured: f.Configured, Enabled: f.Enabled,
			State: f.Condition(now), Running: f.Running, LastAttempt: set(f.LastAttempt), LastSuccess: set(f.LastSuccess),
			NextRun: set(f.NextRun), Error: f.Error, Records: f.Records, Skipped: f.Skipped, SkippedSample: f.SkippedSample,
			Added: f.Added, Removed: f.Removed, TookMS: f.Took.Milliseconds(), NewestAdvisory: set(f.NewestAdvisory),
			StaleAfterMS: f.StaleAfter.Milliseconds(),
		}
		if f.Operation != uuid.Nil {
			j.Operation = &f.Operation
		}
		list = append(list, j)
	}
	return FeedList{list}
}

// set returns a pointer to a time in UTC, nil if the time is zero.
func set(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// FeedsStarted is the response to POST /matcher/api/v1/feeds/run.
type FeedsStarted struct {
	Started []string `json:"started"`
}
