package server

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/api"
)

// StatusSource returns the state of parts of the process without their own API.
// If a function is nil, its part is left out of the status.
type StatusSource struct {
	// Version is the version of the program.
	Version string
	// Findings returns the last count, nil if there is none yet.
	Findings func() *api.Findings
	// NotCovered returns the places of all manifests' packages that are not
	// covered, nil if they have not been counted yet.
	NotCovered func(context.Context) ([]clair.Place, error)
	Database   func(context.Context) (api.Database, error)
	Memory     func() api.Memory
	// Notifications counts notifications by the state of their receipt.
	Notifications func(context.Context) (map[string]int64, error)
	Sessions      func() api.Sessions
}

// status is the response to GET /admin/v1/status, and the feeds that it is
// derived from.
type status struct {
	api.Status

	feeds clair.Feeds
}

// status collects the state of all parts.
func (s *Server) status(ctx context.Context, now time.Time) (*status, error) {
	feeds, err := s.Feeds.Feeds(ctx)
	if err != nil {
		return nil, err
	}
	out := &status{
		Status: api.Status{
			Version: s.Status.Version,
			Started: s.started.UTC(),
			Lagging: append([]string{}, feeds.Lagging(now)...),
		},
		feeds: feeds,
	}
	if f := feeds.Oldest(); f != nil {
		age := int64(max(0, now.Sub(f.LastSuccess)) / time.Second)
		out.DataAge = &age
	}
	if s.Status.Findings != nil {
		out.Findings = s.Status.Findings()
	}
	if s.Status.NotCovered != nil {
		places, err := s.Status.NotCovered(ctx)
		if err != nil {
			return nil, err
		}
		out.NotCovered = api.NewNotCovered(places)
	}
	if s.Status.Database != nil {
		d, err := s.Status.Database(ctx)
		if err != nil {
			return nil, err
		}
		out.Database = &d
	}
	if s.Status.Memory != nil {
		m := s.Status.Memory()
		out.Memory = &m
	}
	if s.Status.Notifications != nil {
		if out.Notifications, err = s.Status.Notifications(ctx); err != nil {
			return nil, err
		}
	}
	if s.Status.Sessions != nil {
		w := s.Status.Sessions()
		out.Sessions = &w
	}
	return out, nil
}

func (s *Server) getStatus(c echo.Context) error {
	st, err := s.status(c.Request().Context(), time.Now())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return answerJSON(c, http.StatusOK, typeJSON, st)
}
