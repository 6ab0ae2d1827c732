package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/severity"
	"oriel/match"
)

// Matcher makes vulnerability reports.
type Matcher interface {
	// Initialized reports whether there are any data to match with.
	Initialized(ctx context.Context) (bool, error)
	Report(ctx context.Context, index *clair.IndexReport) (*match.Result, error)
}

const typeVulnReport = "application/vnd.clair.vulnerability_report.v1+json"

// getVulnerabilityReport answers 202 while there are no data at all, since a
// report made without data would look clean.
func (s *Server) getVulnerabilityReport(c echo.Context) error {
	hash, err := digestParam(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if !s.initialized.Load() {
		ok, err := s.Matcher.Initialized(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return s.answerWithoutData(c, hash)
		}
		s.initialized.Store(true)
	}
	return s.withHeavy(c, func() error {
		r, err := s.finishedReport(ctx, hash)
		if err != nil {
			return err
		}
		s.need(ctx, r)
		coverage, err := s.coverage(ctx, r)
		if err != nil {
			return err
		}
		res, err := s.Matcher.Report(ctx, r)
		if err != nil {
			return err
		}
		s.needSeverities(ctx, res.Report)
		if pairs := match.Pairs(res.Incomparable); pairs > 0 {
			s.metrics.skipped.Add(float64(pairs))
			s.Log.WarnContext(ctx, "matching skipped versions", "manifest", hash, "pairs", pairs, "first", res.Incomparable[0])
		}
		c.Response().Header().Set("Cache-Control", fmt.Sprintf("max-age=%d", int(s.CacheAge/time.Second)))
		if err := s.setFreshness(c, res, coverage); err != nil {
			return err
		}
		if c.QueryParam("why") == "1" {
			refs, err := s.operations(ctx)
			if err != nil {
				return err
			}
			return answerJSON(c, http.StatusOK, typeVulnReport, explained{res.Report, res.Why, res.Priority, refs})
		}
		return answerJSON(c, http.StatusOK, typeVulnReport, res.Report)
	})
}

// answerWithoutData answers a request for a report before there are any data. It
// starts fetching the feeds that the report needs, or else there might never be
// any, and lists the places that are not covered.
func (s *Server) answerWithoutData(c echo.Context, hash clair.Digest) error {
	ctx := c.Request().Context()
	if r, err := s.indexReport(ctx, hash); err == nil {
		s.need(ctx, r)
		coverage, err := s.coverage(ctx, r)
		if err != nil {
			return err
		}
		if coverage != nil {
			setNotCovered(c.Response().Header(), coverage.NotCovered())
		}
	}
	return c.NoContent(http.StatusAccepted)
}

// finishedReport returns the index report of a manifest that has been indexed.
func (s *Server) finishedReport(ctx context.Context, hash clair.Digest) (*clair.IndexReport, error) {
	r, err := s.indexReport(ctx, hash)
	if err != nil {
		return nil, err
	}
	if r.State != clair.StateIndexFinished {
		return nil, fmt.Errorf("%w: the index report of %s is in state %s", clair.ErrNotFound, hash, r.State)
	}
	return r, nil
}

// setFreshness sets the headers about the data of a report, and logs the
// enrichers that failed. A report for which data are missing must not be cached.
func (s *Server) setFreshness(c echo.Context, res *match.Result, coverage *clair.Coverage) error {
	var names []string
	for _, f := range res.Failures {
		names = append(names, f.Enricher)
		s.metrics.failures.WithLabelValues(f.Enricher).Inc()
		s.Log.WarnContext(c.Request().Context(), "enricher failed", "enricher", f.Enricher, "manifest", res.Report.Hash, "err", f.Err)
	}
	complete, err := s.setFeedHeaders(c, names, coverage)
	if coverage != nil {
		places := coverage.NotCovered()
		setNotCovered(c.Response().Header(), places)
		complete = complete && len(places) == 0
	}
	if !complete || len(names) > 0 {
		c.Response().Header().Set("Cache-Control", "no-store") // the next may be complete
	}
	return err
}

// explained is a report with the reason of each finding and the priority of
// each vulnerability, in addition to Clair's fields.
type explained struct {
	*clair.VulnerabilityReport
	Why      map[string]map[string]match.Why `json:"why"`
	Priority map[string]severity.Priority    `json:"priority"`
	// Operations are the current operations, by updater.
	Operations map[string]uuid.UUID `json:"operations"`
}

// operations returns the current operation of each updater of vulnerabilities.
func (s *Server) operations(ctx context.Context) (map[string]uuid.UUID, error) {
	latest, err := s.Updates.GetLatestUpdateRefs(ctx, clair.KindVulnerability)
	out := make(map[string]uuid.UUID, len(latest))
	for updater, list := range latest {
		out[updater] = list[0].Ref
	}
	return out, err
}
