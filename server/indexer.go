package server

import (
	"context"
	"iter"
	"net/http"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/index"
)

// ManifestStore keeps manifests and their index reports.
type ManifestStore interface {
	PutIndexReport(ctx context.Context, r *clair.IndexReport) (created bool, err error)
	// IndexReport gives the report in whatever state it is, or an
	// ErrNotFound.
	IndexReport(ctx context.Context, hash clair.Digest) (*clair.IndexReport, error)
	// DeleteManifests returns those that there were.
	DeleteManifests(ctx context.Context, hashes ...clair.Digest) ([]clair.Digest, error)
	// AffectedManifests streams the manifests that hold something each of
	// the vulnerabilities affects, perhaps more than once.
	AffectedManifests(ctx context.Context, vulns iter.Seq2[*clair.Vulnerability, error],
		affects func(*clair.Vulnerability, *clair.Package, *clair.Distribution, *clair.Repository) bool,
	) iter.Seq2[clair.AffectedManifests, error]
}

const (
	typeJSON        = "application/json"
	typeIndexReport = "application/vnd.clair.index_report.v1+json"
	typeIndexState  = "application/vnd.clair.index_state.v1+json"
	relIndexReport  = "https://projectquay.io/clair/v1/index_report"
	relVulnReport   = "https://projectquay.io/clair/v1/vulnerability_report"
)

// putIndexReport stores a ready index report. Clair has no such request.
func (s *Server) putIndexReport(c echo.Context) error {
	hash, err := digestParam(c)
	if err != nil {
		return err
	}
	return s.withHeavy(c, func() error {
		r, err := decodeJSON[clair.IndexReport](c, maxReport)
		if err != nil {
			return err
		}
		if err := index.Ready(&r, hash); err != nil {
			return err
		}
		created, err := s.Manifests.PutIndexReport(c.Request().Context(), &r)
		if err != nil {
			return err
		}
		h := c.Response().Header()
		h.Set("Etag", quoted(s.IndexState))
		h.Set("Location", indexer+"/index_report/"+string(hash))
		h.Add("Link", "<"+indexer+"/index_report/"+string(hash)+`>; rel="`+relIndexReport+`"`)
		h.Add("Link", "<"+matcher+"/vulnerability_report/"+string(hash)+`>; rel="`+relVulnReport+`"`)
		status := http.StatusOK
		if created {
			status = http.StatusCreated
		}
		return answerJSON(c, status, typeIndexReport, &r)
	})
}

func (s *Server) getIndexReport(c echo.Context) error {
	media, err := negotiate(c.Request(), typeIndexReport, typeJSON)
	if err != nil {
		return err
	}
	hash, err := digestParam(c)
	if err != nil {
		return err
	}
	return s.withHeavy(c, func() error {
		r, err := s.Manifests.IndexReport(c.Request().Context(), hash)
		if err != nil {
			return err
		}
		c.Response().Header().Set("Etag", quoted(s.IndexState))
		if hasTag(c.Request(), s.IndexState) {
			return c.NoContent(http.StatusNotModified)
		}
		return answerJSON(c, http.StatusOK, media, r)
	})
}

// deleteIndexReport answers 204 for what was not there too, as Clair does.
func (s *Server) deleteIndexReport(c echo.Context) error {
	hash, err := digestParam(c)
	if err != nil {
		return err
	}
	if _, err := s.Manifests.DeleteManifests(c.Request().Context(), hash); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *Server) deleteIndexReports(c echo.Context) error {
	list, err := decodeJSON[[]clair.Digest](c, maxSmall)
	if err != nil {
		return err
	}
	for _, d := range list {
		if d == "" {
			return clair.Invalid("body", "an empty string is no digest")
		}
	}
	deleted, err := s.Manifests.DeleteManifests(c.Request().Context(), list...)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, typeJSON, deleted)
}

func (s *Server) getIndexState(c echo.Context) error {
	media, err := negotiate(c.Request(), typeIndexState, typeJSON)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Etag", quoted(s.IndexState))
	if hasTag(c.Request(), s.IndexState) {
		return c.NoContent(http.StatusNotModified)
	}
	return answerJSON(c, http.StatusOK, media, map[string]string{"state": s.IndexState})
}
