package server

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/match"
)

// StatusSource returns the state of parts of the process without their own API.
// If a function is nil, its part is left out of the status.
type StatusSource struct {
	// Version is the version of the program.
	Version string
	// Findings returns the last count, nil if there is none yet.
	Findings func() *Findings
	Database func(context.Context) (api.Database, error)
	Memory   func() api.Memory
	// Notifications counts notifications by the state of their receipt.
	Notifications func(context.Context) (map[string]int64, error)
	Sessions      func() api.Sessions
}

// Findings are the numbers of findings in all manifests, by severity.
type Findings struct {
	Counts    match.Counts
	Manifests int64
	// At is when they were counted, and Took the time that counting took.
	At   time.Time
	Took time.Duration
}

// status is the response to GET /admin/v1/status.
type status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// DataAge is the number of seconds since the oldest last success of a feed;
	// null if no feed has succeeded.
	DataAge *int64 `json:"data_age_seconds"`
	// Lagging are the names of feeds that are missing, failed or stale.
	Lagging       []string         `json:"lagging_feeds"`
	Findings      *findingsJSON    `json:"findings"`
	Database      *api.Database    `json:"database,omitempty"`
	Memory        *api.Memory      `json:"memory,omitempty"`
	Notifications map[string]int64 `json:"notifications,omitempty"`
	Sessions      *api.Sessions    `json:"sessions,omitempty"`

	feeds clair.Feeds
}

type findingsJSON struct {
	CountedAt  time.Time        `json:"counted_at"`
	Manifests  int64            `json:"manifests"`
	BySeverity map[string]int64 `json:"by_severity"`
}

// status collects the state of all parts.
func (s *Server) status(ctx context.Context, now time.Time) (*status, error) {
	feeds, err := s.Feeds.Feeds(ctx)
	if err != nil {
		return nil, err
	}
	out := &status{Version: s.Status.Version, Started: s.started.UTC(), Lagging: append([]string{}, feeds.Lagging(now)...), feeds: feeds}
	if f := feeds.Oldest(); f != nil {
		age := int64(max(0, now.Sub(f.LastSuccess)) / time.Second)
		out.DataAge = &age
	}
	if s.Status.Findings != nil {
		out.Findings = newFindingsJSON(s.Status.Findings())
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

func newFindingsJSON(f *Findings) *findingsJSON {
	if f == nil {
		return nil
	}
	out := &findingsJSON{CountedAt: f.At.UTC(), Manifests: f.Manifests, BySeverity: map[string]int64{}}
	for severity, n := range f.Counts {
		out.BySeverity[clair.Severity(severity).String()] = n
	}
	return out
}

func (s *Server) getStatus(c echo.Context) error {
	st, err := s.status(c.Request().Context(), time.Now())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return answerJSON(c, http.StatusOK, typeJSON, st)
}
