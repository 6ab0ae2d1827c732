package api

import (
	"time"

	"github.com/google/uuid"

	"oriel/clair"
)

// FeedList is the response to GET PathFeeds.
type FeedList struct {
	Feeds []FeedStatus `json:"feeds"`
}

// FeedStatus is the state of one feed. Unset times are null, and Error is ""
// if the last attempt succeeded.
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
	// Auto reports whether the feed is fetched only if something needs it.
	// Needed is when something last did, and NeededFor what: a place, or
	// "update".
	Auto      bool       `json:"auto"`
	Needed    *time.Time `json:"needed"`
	NeededFor string     `json:"needed_for"`
	// Held is a much smaller state of the feed that is held back; null if there
	// is none.
	Held *HeldState `json:"held"`
}

// HeldState is a state of a feed that is held back.
type HeldState struct {
	Records int64     `json:"records"`
	Runs    int64     `json:"runs"` // that found as many records
	Since   time.Time `json:"since"`
}

// NewFeedList returns the state of feeds at the given time.
func NewFeedList(feeds clair.Feeds, now time.Time) FeedList {
	list := make([]FeedStatus, 0, len(feeds))
	for i := range feeds {
		f := &feeds[i]
		j := FeedStatus{
			Name:           f.Updater,
			Format:         f.Format,
			Kind:           f.Kind,
			URL:            f.URL,
			Configured:     f.Configured,
			Enabled:        f.Enabled,
			State:          f.Condition(now),
			Running:        f.Running,
			LastAttempt:    optionalTime(f.LastAttempt),
			LastSuccess:    optionalTime(f.LastSuccess),
			NextRun:        optionalTime(f.NextRun),
			Error:          f.Error,
			Records:        f.Records,
			Skipped:        f.Skipped,
			SkippedSample:  f.SkippedSample,
			Added:          f.Added,
			Removed:        f.Removed,
			TookMS:         f.Took.Milliseconds(),
			NewestAdvisory: optionalTime(f.NewestAdvisory),
			StaleAfterMS:   f.StaleAfter.Milliseconds(),
			Auto:           f.Auto,
			Needed:         optionalTime(f.Needed),
			NeededFor:      f.NeededFor,
		}
		if f.Held.Records > 0 {
			j.Held = &HeldState{f.Held.Records, f.Held.Runs, f.Held.Since.UTC()}
		}
		if f.Operation != uuid.Nil {
			j.Operation = &f.Operation
		}
		list = append(list, j)
	}
	return FeedList{list}
}

// optionalTime returns t in UTC, or nil if it is the zero time.
func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// FeedsStarted is the response to POST PathRunFeeds.
type FeedsStarted struct {
	Started []string `json:"started"`
}
