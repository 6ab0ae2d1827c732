package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"oriel/clair"
)

// FeedSource tells how the feeds are doing, and runs them.
type FeedSource interface {
	Feeds(context.Context) (clair.Feeds, error)
	// Start starts runs of the named feeds, all of them where none are named,
	// and returns those it started without waiting for them. An unknown name
	// is an ErrNotFound and one that is running an ErrConflict; then nothing
	// starts.
	Start(names ...string) ([]string, error)
}

// noFeeds are the feeds of a server that has none.
type noFeeds struct{}

func (noFeeds) Feeds(context.Context) (clair.Feeds, error) { return nil, nil }

func (noFeeds) Start(...string) ([]string, error) {
	return nil, fmt.Errorf("start updaters: %w: there are no feeds", clair.ErrUnavailable)
}

// FeedStatus is a feed as GET /matcher/api/v1/feeds shows it. Unset times are
// null, and error is "" where the last attempt succeeded.
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

// FeedList is the answer of GET /matcher/api/v1/feeds.
type FeedList struct {
	Feeds []FeedStatus `json:"feeds"`
}

// NewFeedList shows feeds as they are at a moment.
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

// set is a time, nil where it is not set.
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

// postFeedsRun starts runs and does not wait for them; getFeeds tells how they
// go.
func (s *Server) postFeedsRun(c echo.Context) error {
	names := c.QueryParams()["name"]
	for _, name := range names {
		if name == "" {
			return clair.Invalid("name", "is empty")
		}
	}
	started, err := s.Feeds.Start(names...)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusAccepted, typeJSON, FeedsStarted{started})
}

// FeedsStarted is the answer of POST /matcher/api/v1/feeds/run.
type FeedsStarted struct {
	Started []string `json:"started"`
}

// Headers that say what data an answer goes by.
const (
	ageHeader     = "Oriel-Data-Age"
	partialHeader = "Oriel-Partial"
)

// recentFeeds remembers for a moment how the feeds are doing: each report says
// it, and where another server has hundreds of updaters asking takes
// milliseconds.
type recentFeeds struct {
	// mu guards what follows, and is held while the feeds are asked.
	mu    sync.Mutex
	at    time.Time
	feeds clair.Feeds
}

// keepFeeds is how long they are remembered.
const keepFeeds = time.Second

func (r *recentFeeds) get(ctx context.Context, from FeedSource, now time.Time) (clair.Feeds, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := now.Sub(r.at); age >= 0 && age < keepFeeds {
		return r.feeds, nil
	}
	feeds, err := from.Feeds(ctx)
	if err == nil {
		r.at, r.feeds = now, feeds
	}
	return feeds, err
}

// tellFeeds says in headers how old the data are, and which feeds and
// enrichers, if any, a report lacks or has old data of. whole is false where a
// feed's data are not there at all.
func (s *Server) tellFeeds(c echo.Context, enrichers []string) (whole bool, err error) {
	now := time.Now()
	feeds, err := s.recent.get(c.Request().Context(), s.Feeds, now)
	if err != nil {
		return false, err
	}
	if f := feeds.Oldest(); f != nil {
		age := max(0, now.Sub(f.LastSuccess))
		c.Response().Header().Set(ageHeader, strconv.FormatInt(int64(age/time.Second), 10))
	}
	if names := append(enrichers, feeds.Lagging(now)...); len(names) > 0 {
		c.Response().Header().Set(partialHeader, joinNames(names))
	}
	return len(feeds.In(now, clair.FeedMissing)) == 0, nil
}

// maxNames bounds a list of names in a header, in bytes; clients bound theirs.
const maxNames = 2048

// joinNames lists names, the last of which may stand for those that have no
// room.
func joinNames(names []string) string {
	var b strings.Builder
	for i, n := range names {
		if b.Len()+len(n) > maxNames {
			fmt.Fprintf(&b, ",and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(n)
	}
	return b.String()
}

// readyz says whether requests are welcome: not while the server drains, and
// not while a feed has never succeeded, for a limited time, since a report
// made without it would look clean. Ready or not, headers tell of feeds that
// are behind; there is no body, as Clair has none.
func (s *Server) readyz(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	if s.draining.Load() {
		return c.NoContent(http.StatusServiceUnavailable)
	}
	whole, err := s.tellFeeds(c, nil)
	if err != nil {
		return err
	}
	if !whole && time.Since(s.started) < s.ReadyAfter {
		return c.NoContent(http.StatusServiceUnavailable)
	}
	return c.NoContent(http.StatusOK)
}
