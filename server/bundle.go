package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/api"
)

// Bundles exports feeds and imports exports of other servers.
type Bundles interface {
	// Export returns the current state of all feeds. The caller closes it.
	Export(ctx context.Context) (Export, error)
	// Import verifies a bundle, applies its newer states, and returns the
	// result for each feed. If the error wraps clair.ErrInvalid, nothing has
	// been applied.
	Import(ctx context.Context, body io.Reader) ([]api.Imported, error)
}

// Export is the state of all feeds at one moment.
type Export struct {
	// Tag identifies the state.
	Tag   string
	Write func(context.Context, io.Writer) error
	Close func()
}

// noBundles are the Bundles of a server without bundles.
type noBundles struct{}

var errNoBundles = fmt.Errorf("%w: this server has no bundles", clair.ErrNotFound)

func (noBundles) Export(context.Context) (Export, error) { return Export{}, errNoBundles }

func (noBundles) Import(context.Context, io.Reader) ([]api.Imported, error) { return nil, errNoBundles }

const (
	// maxExports is the number of bundles written at once: each takes about
	// 16 MiB for as long as its client reads it.
	maxExports = 2
	// exportTime and uploadTime bound the time that a client may take.
	exportTime = 15 * time.Minute
	uploadTime = 30 * time.Minute
)

// getBundle streams a bundle of all feeds. An error on the way is reported in
// the trailer; the bundle is then recognizably incomplete.
func (s *Server) getBundle(c echo.Context) error {
	ctx := c.Request().Context()
	x, err := s.Bundles.Export(ctx)
	if err != nil {
		return err
	}
	defer x.Close()
	h := c.Response().Header()
	h.Set("Etag", quoted(x.Tag))
	if hasTag(c.Request(), x.Tag) {
		return c.NoContent(http.StatusNotModified)
	}
	return withSemaphore(ctx, s.exporting, func() error {
		if err := http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(exportTime)); err != nil {
			s.Log.DebugContext(ctx, "no deadline for a bundle", "err", err)
		}
		uncompressed(c) // bundles are compressed
		h.Set(echo.HeaderContentType, api.TypeBundle)
		h.Set(echo.HeaderContentDisposition, `attachment; filename="oriel.bundle"`)
		h.Set("Trailer", api.ErrorTrailer)
		c.Response().WriteHeader(http.StatusOK)
		return x.Write(ctx, c.Response())
	})
}

// postBundle imports a bundle. The status is about the bundle as a whole; the
// body has the result for each feed.
func (s *Server) postBundle(c echo.Context) error {
	ctx := c.Request().Context()
	return withSemaphore(ctx, s.importing, func() error {
		// The response follows after the import, however long that takes.
		rc := http.NewResponseController(c.Response())
		if err := rc.SetReadDeadline(time.Now().Add(uploadTime)); err != nil {
			s.Log.DebugContext(ctx, "no deadline for a bundle", "err", err)
		}
		if err := rc.SetWriteDeadline(time.Time{}); err != nil {
			s.Log.DebugContext(ctx, "no deadline for a bundle", "err", err)
		}
		shareBody(c) // it is streamed, and one at a time
		feeds, err := s.Bundles.Import(ctx, c.Request().Body)
		if err != nil {
			return err
		}
		return answerJSON(c, http.StatusOK, typeJSON, api.ImportedFeeds{Feeds: feeds})
	})
}

// errBusyBundles is returned if a request for a bundle waited too long for
// others.
var errBusyBundles = fmt.Errorf("%w: too many bundles are being written or read; try again later", clair.ErrUnavailable)

// withSemaphore runs f while it holds a semaphore of bundles.
func withSemaphore(ctx context.Context, semaphore chan struct{}, f func() error) error {
	wait := time.NewTimer(heavyWait)
	defer wait.Stop()
	select {
	case semaphore <- struct{}{}:
	case <-wait.C:
		return errBusyBundles
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-semaphore }()
	return f()
}
