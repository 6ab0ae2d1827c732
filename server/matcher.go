package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/match"
)

// Matcher makes vulnerability reports.
type Matcher interface {
	// Initialized says whether there is any data to match with.
	Initialized(ctx context.Context) (bool, error)
	Report(ctx context.Context, index *clair.IndexReport) (*match.Result, error)
}

const typeVulnReport = "application/vnd.clair.vulnerability_report.v1+json"

// getVulnerabilityReport answers 202 while there is no data at all, since a
// report made of nothing would look clean.
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
			return c.NoContent(http.StatusAccepted)
		}
		s.initialized.Store(true)
	}
	return s.withHeavy(c, func() error {
		r, err := s.Manifests.IndexReport(ctx, hash)
		if err != nil {
			return err
		}
		if r.State != clair.StateIndexFinished {
			return fmt.Errorf("%w: the index report of %s is in state %s", clair.ErrNotFound, hash, r.State)
		}
		res, err := s.Matcher.Report(ctx, r)
		if err != nil {
			return err
		}
		if res.Skipped > 0 {
			s.Log.WarnContext(ctx, "matching skipped versions", "manifest", hash, "pairs", res.Skipped, "sample", res.SkippedSample)
		}
		c.Response().Header().Set("Cache-Control", fmt.Sprintf("max-age=%d", int(s.CacheAge/time.Second)))
		if c.QueryParam("why") == "1" {
			return answerJSON(c, http.StatusOK, typeVulnReport, explained{res.Report, res.Why})
		}
		return answerJSON(c, http.StatusOK, typeVulnReport, res.Report)
	})
}

// explained is a report with the reason of each finding beside Clair's fields.
type explained struct {
	*clair.VulnerabilityReport
	Why map[string]map[string]match.Why `json:"why"`
}
