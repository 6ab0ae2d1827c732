package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/api"
)

// recentFeeds caches the state of the feeds, which every report needs. With
// hundreds of mirrored updaters, a lookup takes milliseconds.
type recentFeeds struct {
	lookup func(context.Context) (clair.Feeds, error)

	// mu guards the fields below. It is held during lookups, so that concurrent
	// requests make one.
	mu    sync.Mutex
	at    time.Time
	feeds clair.Feeds
}

// feedsAge is how long the state is cached.
const feedsAge = time.Second

// RecentFeeds returns a function that returns the feeds as they were at most a
// second ago. Its results must not be modified.
func RecentFeeds(lookup func(context.Context) (clair.Feeds, error)) func(context.Context) (clair.Feeds, error) {
	r := &recentFeeds{lookup: lookup}
	return r.get
}

func (r *recentFeeds) get(ctx context.Context) (clair.Feeds, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := time.Since(r.at); age >= 0 && age < feedsAge {
		return r.feeds, nil
	}
	feeds, err := r.lookup(ctx)
	if err == nil {
		r.at, r.feeds = time.Now(), feeds
	}
	return feeds, err
}

// setFeedHeaders sets the headers for the age of the data and for the feeds that
// are missing or stale; the given enrichers are added to these. If the coverage
// of a report is given, feeds that its places do not need are left out. complete
// is false if a feed has no data at all.
func (s *Server) setFeedHeaders(c echo.Context, enrichers []string, coverage *clair.Coverage) (complete bool, err error) {
	now := time.Now()
	feeds, err := s.recent(c.Request().Context())
	if err != nil {
		return false, err
	}
	if f := feeds.Oldest(); f != nil {
		age := max(0, now.Sub(f.LastSuccess))
		c.Response().Header().Set(api.DataAgeHeader, strconv.FormatInt(int64(age/time.Second), 10))
	}
	if coverage != nil {
		feeds = coverage.Needed(feeds)
	}
	if names := append(enrichers, feeds.Lagging(now)...); len(names) > 0 {
		c.Response().Header().Set(api.PartialHeader, joinNames(names))
	}
	return len(feeds.In(now, clair.FeedMissing)) == 0, nil
}

// maxNames is the maximum length in bytes of a list of names in a header;
// clients limit the length of headers.
const maxNames = 2048

// joinNames joins names with commas. If the list is too long, it ends with the
// number of the others.
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

// readyz answers 503 while the server drains, and, for at most ReadyAfter, while
// a feed has never succeeded, since a report made without it would look clean.
// Automatic feeds do not count: any client can name a release that has none, and
// reports that need them list what is not covered. In both cases headers name the feeds that are missing or stale. There is no
// body, as in Clair, unless the client asks for JSON: then it has the state of
// these feeds.
func (s *Server) readyz(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	if s.draining.Load() {
		return c.NoContent(http.StatusServiceUnavailable)
	}
	if _, err := s.setFeedHeaders(c, nil, nil); err != nil {
		return err
	}
	feeds, err := s.recent(c.Request().Context())
	if err != nil {
		return err
	}
	now := time.Now()
	waiting := slices.ContainsFunc(feeds, func(f clair.Feed) bool { return !f.Auto && f.Condition(now) == clair.FeedMissing })
	status := http.StatusOK
	if waiting && time.Since(s.started) < s.ReadyAfter {
		status = http.StatusServiceUnavailable
	}
	if !strings.Contains(c.Request().Header.Get("Accept"), api.TypeJSON) {
		return c.NoContent(status)
	}
	return answerJSON(c, status, api.TypeJSON, api.Readiness{Ready: status == http.StatusOK, Feeds: laggingFeeds(feeds, now)})
}

// laggingFeeds returns the feeds that a report may be incomplete without. Anyone
// may see them, so their errors are left out.
func laggingFeeds(feeds clair.Feeds, now time.Time) []api.LaggingFeed {
	out := []api.LaggingFeed{}
	for _, name := range feeds.Lagging(now) {
		i := slices.IndexFunc(feeds, func(f clair.Feed) bool { return f.Updater == name })
		f := api.LaggingFeed{Name: name, State: feeds[i].Condition(now)}
		if held := feeds[i].Held; held.Records > 0 {
			f.Detail = fmt.Sprintf("%d records instead of %d since %s; to accept them: oriel update --accept %s",
				held.Records, feeds[i].Records, held.Since.UTC().Format(time.RFC3339), name)
		}
		out = append(out, f)
	}
	return out
}
