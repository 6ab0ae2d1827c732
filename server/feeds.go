package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/api"
)

// FeedSource returns the state of the feeds, and runs them.
type FeedSource interface {
	Feeds(context.Context) (clair.Feeds, error)
	// Start starts runs of the named feeds, or of all if there are no names,
	// and returns the names of those it started without waiting for them. If a
	// name is unknown, the error wraps clair.ErrNotFound; if the feed is
	// running, clair.ErrConflict; and nothing is started.
	Start(ctx context.Context, names ...string) ([]string, error)
	// Accept lets the next runs of the named feeds take states that have so
	// many records less that they would be held back. If a name is unknown, the
	// error wraps clair.ErrNotFound.
	Accept(ctx context.Context, names ...string) error
}

// noFeeds is the FeedSource of a server without feeds.
type noFeeds struct{}

func (noFeeds) Feeds(context.Context) (clair.Feeds, error) { return nil, nil }

func (noFeeds) Start(context.Context, ...string) ([]string, error) {
	return nil, fmt.Errorf("start updaters: %w: there are no feeds", clair.ErrUnavailable)
}

func (noFeeds) Accept(context.Context, ...string) error {
	return fmt.Errorf("accept a feed: %w: there are no feeds", clair.ErrUnavailable)
}

func (s *Server) getFeeds(c echo.Context) error {
	feeds, err := s.Feeds.Feeds(c.Request().Context())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return answerJSON(c, http.StatusOK, typeJSON, api.NewFeedList(feeds, time.Now()))
}

// postFeedsRun starts runs of feeds without waiting for them.
func (s *Server) postFeedsRun(c echo.Context) error {
	names := c.QueryParams()["name"]
	for _, name := range names {
		if name == "" {
			return clair.Invalid("name", "must not be empty")
		}
	}
	if c.QueryParam("accept") == "1" {
		if len(names) == 0 {
			return clair.Invalid("name", "must name the feeds to accept")
		}
		if err := s.Feeds.Accept(c.Request().Context(), names...); err != nil {
			return err
		}
	}
	started, err := s.Feeds.Start(c.Request().Context(), names...)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusAccepted, typeJSON, api.FeedsStarted{Started: started})
}
