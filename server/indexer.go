package server

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/index"
	"oriel/index/sbom"
	"oriel/internal/api"
	"oriel/internal/distro"
)

// ManifestStore stores manifests and their index reports.
type ManifestStore interface {
	// PutIndexReport stores a report and returns whether its manifest is new.
	PutIndexReport(ctx context.Context, r *clair.IndexReport) (created bool, err error)
	// IndexReport returns a manifest's report in any state, or
	// clair.ErrNotFound.
	IndexReport(ctx context.Context, hash clair.Digest) (*clair.IndexReport, error)
	// FinishedReport returns a manifest's report if it was finished by the
	// readers of the given index state, or clair.ErrNotFound.
	FinishedReport(ctx context.Context, hash clair.Digest, state string) (*clair.IndexReport, error)
	// DeleteManifests returns the digests of the manifests that existed.
	DeleteManifests(ctx context.Context, hashes ...clair.Digest) ([]clair.Digest, error)
	// AffectedManifests streams the manifests that each vulnerability affects.
	// A manifest may occur more than once.
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
	// Index returns the report of a manifest, made now or earlier by the same
	// readers. If the manifest itself is at fault, the error wraps
	// clair.ErrInvalid.
	Index(ctx context.Context, m *clair.Manifest) (*clair.IndexReport, error)
}

// putIndexReport stores an index report made elsewhere, or an SBOM. Clair has no
// such request.
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

// readReport reads an index report, or an SBOM if the content type is one of
// those of SBOMs.
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

// readSBOM reads an SBOM. If hash is "", the digest of the body is the hash of
// its manifest. The query may name the distribution.
func (s *Server) readSBOM(c echo.Context, format sbom.Format, hash clair.Digest) (*clair.IndexReport, error) {
	o := index.SBOMOptions{Hash: hash}
	if name := c.QueryParam("distro"); name != "" {
		release, ok := distro.ReleaseByName(name)
		if !ok {
			return nil, clair.Invalid("distro", "unknown distribution %.60q", name)
		}
		o.Release = &release
	}
	body, err := requestBody(c, int64(s.Limits.Body))
	if err != nil {
		return nil, err
	}
	document, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	r, err := index.ReadSBOM(format, document, o)
	if err != nil {
		return nil, err
	}
	if len(r.Unmatched) > 0 {
		s.Log.InfoContext(c.Request().Context(), "sbom read", "manifest", r.Hash,
			"packages", len(r.Packages), "unmatched", len(r.Unmatched), "sample", r.Unmatched[0])
	}
	return r, nil
}

// indexReport returns a stored report in the form that Clair's programs need,
// also if an earlier version stored it in another.
func (s *Server) indexReport(ctx context.Context, hash clair.Digest) (*clair.IndexReport, error) {
	r, err := s.Manifests.IndexReport(ctx, hash)
	if err != nil {
		return nil, err
	}
	index.Complete(r)
	return r, nil
}

// answerReport answers with a report that was made or stored, and links to it.
func (s *Server) answerReport(c echo.Context, status int, r *clair.IndexReport) error {
	index.Complete(r) // an earlier version may have stored it
	s.need(c.Request().Context(), r)
	h := c.Response().Header()
	h.Set("Etag", quoted(s.IndexState))
	h.Set("Location", api.PathIndexReport+"/"+string(r.Hash))
	setLinks(h, r.Hash)
	return answerJSON(c, status, typeIndexReport, r)
}

func setLinks(h http.Header, hash clair.Digest) {
	h.Add("Link", "<"+api.PathIndexReport+"/"+string(hash)+`>; rel="`+relIndexReport+`"`)
	h.Add("Link", "<"+api.PathVulnerabilityReport+"/"+string(hash)+`>; rel="`+relVulnReport+`"`)
}

// startIndexing waits for the turn of a manifest. If too many wait, or it takes
// too long, the error has the status 429. If there is no error, the caller
// receives from s.indexing when it is done.
func (s *Server) startIndexing(ctx context.Context) error {
	select {
	case s.indexing <- struct{}{}:
		return nil
	default:
	}
	refused := &statusError{
		status: http.StatusTooManyRequests, message: "the maximum number of manifests is being indexed; try again later", retry: indexRetry,
	}
	select {
	case s.indexQueue <- struct{}{}:
		defer func() { <-s.indexQueue }()
	default:
		s.metrics.busy.WithLabelValues(api.PathIndexReport, "post").Inc()
		return refused
	}
	timeout := time.NewTimer(s.IndexWait)
	defer timeout.Stop()
	select {
	case s.indexing <- struct{}{}:
		return nil
	case <-timeout.C:
		s.metrics.busy.WithLabelValues(api.PathIndexReport, "post").Inc()
		return refused
	case <-ctx.Done():
		return ctx.Err()
	}
}

// indexRetry is the Retry-After of a manifest that had to wait too long.
const indexRetry = 10 * time.Second

// postIndexReport indexes a manifest, or stores an SBOM.
func (s *Server) postIndexReport(c echo.Context) error {
	if err := s.startIndexing(c.Request().Context()); err != nil {
		return err
	}
	defer func() { <-s.indexing }()
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

// indexError returns an error with Clair's status: 400 if the manifest is at
// fault, else 500. Quay retries a 500 and never a 400. The client is told the
// reason in both cases.
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
		r, err := s.indexReport(c.Request().Context(), hash)
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

// deleteIndexReport answers 204 for unknown manifests, too, as Clair does.
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
			return clair.Invalid("body", "an empty string is not a digest")
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
