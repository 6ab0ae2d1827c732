package server

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/index"
	"oriel/index/sbom"
	"oriel/internal/distro"
)

// ManifestStore keeps manifests and their index reports.
type ManifestStore interface {
	PutIndexReport(ctx context.Context, r *clair.IndexReport) (created bool, err error)
	// IndexReport gives the report in whatever state it is, or an
	// ErrNotFound.
	IndexReport(ctx context.Context, hash clair.Digest) (*clair.IndexReport, error)
	// FinishedReport gives a report that the readers of a state finished, or
	// an ErrNotFound.
	FinishedReport(ctx context.Context, hash clair.Digest, state string) (*clair.IndexReport, error)
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

// Indexer makes index reports of manifests.
type Indexer interface {
	// Index gives the report of a manifest, made now or before by the same
	// readers. An ErrInvalid says that the manifest itself is at fault.
	Index(ctx context.Context, m *clair.Manifest) (*clair.IndexReport, error)
}

// putIndexReport stores a ready index report or an SBOM. Clair has no such
// request.
func (s *Server) putIndexReport(c echo.Context) error {
	hash, err := digestParam(c)
	if err != nil {
		return err
	}
	return s.withHeavy(c, func() error {
		r, err := s.readReport(c, hash)
		if err != nil {
			return err
		}
		created, err := s.Manifests.PutIndexReport(c.Request().Context(), r)
		if err != nil {
			return err
		}
		status := http.StatusOK
		if created {
			status = http.StatusCreated
		}
		return s.answerReport(c, status, r)
	})
}

// readReport reads an index report, or an SBOM where the content type says
// that it is one.
func (s *Server) readReport(c echo.Context, hash clair.Digest) (*clair.IndexReport, error) {
	if format, ok := sbom.FormatOf(c.Request().Header.Get(echo.HeaderContentType)); ok {
		return s.readSBOM(c, format, hash)
	}
	r, err := decodeJSON[clair.IndexReport](c, int64(s.Limits.Body))
	if err != nil {
		return nil, err
	}
	return &r, index.Ready(&r, hash)
}

// readSBOM reads an SBOM; without a hash it goes by its own digest. The query
// may name the distribution.
func (s *Server) readSBOM(c echo.Context, format sbom.Format, hash clair.Digest) (*clair.IndexReport, error) {
	o := index.SBOMOptions{Hash: hash}
	if name := c.QueryParam("distro"); name != "" {
		release, ok := distro.ReleaseByName(name)
		if !ok {
			return nil, clair.Invalid("distro", "%.60q names no distribution that is known", name)
		}
		o.Release = &release
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, int64(s.Limits.Body)))
	if err != nil {
		return nil, err
	}
	r, err := index.ReadSBOM(format, body, o)
	if err != nil {
		return nil, err
	}
	if len(r.Unmatched) > 0 {
		s.Log.InfoContext(c.Request().Context(), "sbom read", "manifest", r.Hash,
			"packages", len(r.Packages), "unmatched", len(r.Unmatched), "sample", r.Unmatched[0])
	}
	return r, nil
}

// answerReport answers with a report that was made or stored, and where to
// find it.
func (s *Server) answerReport(c echo.Context, status int, r *clair.IndexReport) error {
	h := c.Response().Header()
	h.Set("Etag", quoted(s.IndexState))
	h.Set("Location", indexer+"/index_report/"+string(r.Hash))
	setLinks(h, r.Hash)
	return answerJSON(c, status, typeIndexReport, r)
}

func setLinks(h http.Header, hash clair.Digest) {
	h.Add("Link", "<"+indexer+"/index_report/"+string(hash)+`>; rel="`+relIndexReport+`"`)
	h.Add("Link", "<"+matcher+"/vulnerability_report/"+string(hash)+`>; rel="`+relVulnReport+`"`)
}

// postIndexReport has a manifest indexed, or stores an SBOM. As many as may
// be indexed at once are, and others are told to come back.
func (s *Server) postIndexReport(c echo.Context) error {
	select {
	case s.indexing <- struct{}{}:
		defer func() { <-s.indexing }()
	default:
		s.metrics.busy.WithLabelValues(indexer+"/index_report", "post").Inc()
		return &statusError{status: http.StatusTooManyRequests, message: "as many manifests as may be are being indexed; come back later"}
	}
	if format, ok := sbom.FormatOf(c.Request().Header.Get(echo.HeaderContentType)); ok {
		return s.postSBOM(c, format)
	}
	m, err := decodeJSON[clair.Manifest](c, maxManifest)
	if err != nil {
		return err
	}
	if err := index.CheckManifest(&m); err != nil {
		return err
	}
	ctx := c.Request().Context()
	if hasTag(c.Request(), s.IndexState) {
		if _, err := s.Manifests.FinishedReport(ctx, m.Hash, s.IndexState); err == nil {
			setLinks(c.Response().Header(), m.Hash)
			return c.NoContent(http.StatusPreconditionFailed)
		}
	}
	r, err := s.Indexer.Index(ctx, &m)
	if err != nil {
		return indexError(err)
	}
	return s.answerReport(c, http.StatusCreated, r)
}

// indexError gives what Clair answers, since Quay tells what can never be
// indexed from what may be later by it: 400 for a manifest at fault, 500 for
// everything else. Whoever posted the manifest may know the reason.
func indexError(err error) error {
	if errors.Is(err, clair.ErrInvalid) {
		return err
	}
	return &statusError{status: http.StatusInternalServerError, message: "failed to index: " + err.Error()}
}

func (s *Server) postSBOM(c echo.Context, format sbom.Format) error {
	return s.withHeavy(c, func() error {
		r, err := s.readSBOM(c, format, "")
		if err != nil {
			return err
		}
		if _, err := s.Manifests.PutIndexReport(c.Request().Context(), r); err != nil {
			return err
		}
		return s.answerReport(c, http.StatusCreated, r)
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
