package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"oriel/clair"
)

// FeedSource returns the state of the feeds, and runs them.
type FeedSource interface {
	Feeds(context.Context) (clair.Feeds, error)
	// Start starts runs of the named feeds, or of all if there are no names,
	// and returns the names of those it started without waiting for them. If a
	// name is unknown, the error wraps clair.ErrNotFound; if the feed is
	// running, clair.ErrConflict; and nothing is started.
	Start(names ...string) ([]string, error)
}

// noFeeds is the FeedSource of a server without feeds.
type noFeeds struct{}

func (noFeeds) Feeds(context.Context) (clair.Feeds, error) { return nil, nil }

func (noFeeds) Start(...string) ([]string, error) {
	return nil, fmt.Errorf("start updaters: %w: there are no feeds", clair.ErrUnavailable)
}

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

func (s *Server) getFeeds(c echo.Context) error {
	feeds, err := s.Feeds.Feeds(c.Request().Context())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return answerJSON(c, http.StatusOK, typeJSON, NewFeedList(feeds, time.Now()))
}

// postFeedsRun starts runs of feeds without waiting for them.
func (s *Server) postFeedsRun(c echo.Context) error {
	names := c.QueryParams()["name"]
	for _, name := range names {
		if name == "" {
			return clair.Invalid("name", "must not be empty")
		}
	}
	started, err := s.Feeds.Start(names...)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusAccepted, typeJSON, FeedsStarted{started})
}

// FeedsStarted is the response to POST /matcher/api/v1/feeds/run.
type FeedsStarted struct {
	Started []string `json:"started"`
}
