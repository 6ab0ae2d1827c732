package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/match"
)

// Coverer computes which places of an index report are covered by feeds.
type Coverer interface {
	Coverage(ctx context.Context, index *clair.IndexReport) (*clair.Coverage, error)
	// Place computes the coverage of a platform.
	Place(ctx context.Context, platform string) (clair.Place, error)
}

// Needer fetches feeds when they are needed.
type Needer interface {
	// Need records that places need their automatic feeds, starts fetching those
	// that were never fetched, and returns without waiting the names of those
	// that are being fetched. A place is a platform, such as "debian:12", or a
	// format of enrichments, such as "nvd".
	Need(ctx context.Context, places ...string) (fetching []string, err error)
}

// need starts fetching the automatic feeds that the places of an index report
// need. A failure is logged: the report is made from the data that exist, and its
// coverage lists the missing feeds.
func (s *Server) need(ctx context.Context, r *clair.IndexReport) {
	if s.Needer == nil {
		return
	}
	var platforms []string
	for _, p := range match.Places(r) {
		if p.Reason == "" {
			platforms = append(platforms, p.Platform())
		}
	}
	s.needPlaces(ctx, platforms...)
}

func (s *Server) needPlaces(ctx context.Context, places ...string) {
	if s.Needer == nil || len(places) == 0 {
		return
	}
	if _, err := s.Needer.Need(ctx, places...); err != nil {
		s.Log.WarnContext(ctx, "feeds not fetched", "places", strings.Join(places[:min(len(places), maxLogged)], ","), "err", err)
	}
}

// maxLogged is the maximum number of places in a line of the log.
const maxLogged = 20

// needSeverities starts fetching NVD's scores if a finding has no severity of its
// feed.
func (s *Server) needSeverities(ctx context.Context, r *clair.VulnerabilityReport) {
	for _, v := range r.Vulnerabilities {
		if v.NormalizedSeverity == clair.Unknown {
			s.needPlaces(ctx, formatNVD)
			return
		}
	}
}

// formatNVD is the format of the feed with NVD's scores.
const formatNVD = "nvd"

// getCoverage answers with the places of a manifest's packages and why some of
// them are not covered.
func (s *Server) getCoverage(c echo.Context) error {
	hash, err := digestParam(c)
	if err != nil {
		return err
	}
	return s.withHeavy(c, func() error {
		r, err := s.finishedReport(c.Request().Context(), hash)
		if err != nil {
			return err
		}
		s.need(c.Request().Context(), r)
		coverage, err := s.coverage(c.Request().Context(), r)
		if err != nil {
			return err
		}
		if coverage == nil {
			return fmt.Errorf("%w: this server does not compute coverage", clair.ErrUnavailable)
		}
		c.Response().Header().Set("Cache-Control", "no-store")
		return answerJSON(c, http.StatusOK, api.TypeJSON, coverage)
	})
}

// coverage returns the coverage of an index report, nil if the server does not
// compute it.
func (s *Server) coverage(ctx context.Context, r *clair.IndexReport) (*clair.Coverage, error) {
	if s.Coverer == nil {
		return nil, nil
	}
	return s.Coverer.Coverage(ctx, r)
}

// notCovered returns the places that are not covered of a manifest, or of all
// manifests if hash is "".
func (s *Server) notCovered(ctx context.Context, hash clair.Digest) ([]clair.Place, error) {
	if hash == "" {
		if s.Status.NotCovered == nil {
			return nil, nil
		}
		return s.Status.NotCovered(ctx)
	}
	r, err := s.indexReport(ctx, hash)
	if err != nil {
		return nil, err
	}
	coverage, err := s.coverage(ctx, r)
	if err != nil || coverage == nil {
		return nil, err
	}
	return coverage.NotCovered(), nil
}

// setNotCovered sets the header that lists the places that are not covered.
func setNotCovered(h http.Header, places []clair.Place) {
	if text := (&clair.Coverage{Places: places}).Header(); text != "" {
		h.Set(api.NotCoveredHeader, shorten(text, places))
	}
}

// shorten limits the length of the header: a client can make up any number of
// distributions. The packages of the places that are left out are counted
// together, as those of the place "other".
func shorten(text string, places []clair.Place) string {
	if len(text) <= maxNames {
		return text
	}
	parts := strings.Split(text, ", ")
	n, length := 0, 0
	for n < len(parts) && length+len(parts[n])+2 <= maxNames {
		length += len(parts[n]) + 2
		n++
	}
	packages := 0
	for _, p := range places[n:] {
		packages += p.Packages
	}
	return strings.Join(append(parts[:n:n], fmt.Sprintf("other;packages=%d", packages)), ", ")
}
