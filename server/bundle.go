package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"oriel/clair"
)

// Bundles exports the feeds there are and imports others' exports.
type Bundles interface {
	// Export takes the current state of all feeds. The caller closes it.
	Export(ctx context.Context) (Export, error)
	// Import checks an export whole and applies what is new in it, and says
	// for each feed how that went. An ErrInvalid is about the whole: nothing
	// has been applied then.
	Import(ctx context.Context, body io.Reader) ([]Imported, error)
}

// Export is a state of all feeds.
type Export struct {
	// Tag is the same for the same state.
	Tag   string
	Write func(context.Context, io.Writer) error
	Close func()
}

// Imported is how the import of one feed went.
type Imported struct {
	Name string `json:"name"`
	// Result is "imported", "unchanged", "older" (than what there is, and
	// left) or "failed".
	Result string `json:"result"`
	// Operation is the one made, if any, and what follows counts its rows.
	Operation *uuid.UUID `json:"operation,omitempty"`
	Kind      clair.Kind `json:"kind,omitempty"`
	Added     int64      `json:"added"`
	Removed   int64      `json:"removed"`
	Unchanged int64      `json:"unchanged"`
	Error     string     `json:"error,omitempty"`
}

// noBundles is where there is nothing to export or import.
type noBundles struct{}

func (noBundles) Export(context.Context) (Export, error) {
	return Export{}, fmt.Errorf("%w: there are no bundles here", clair.ErrNotFound)
}

func (noBundles) Import(context.Context, io.Reader) ([]Imported, error) {
	return nil, fmt.Errorf("%w: there are no bundles here", clair.ErrNotFound)
}

const (
	typeBundle = "application/zstd"
	// maxExports is how many bundles are written at once: each holds about
	// 16 MiB, and as long as its client takes to read it.
	maxExports = 2
	// exportTime and uploadTime are how long a client may take.
	exportTime = 15 * time.Minute
	uploadTime = 30 * time.Minute
)

// getBundle streams the bundle of all feeds. What goes wrong on the way stands
// in the trailer, and leaves a bundle that nobody takes for whole.
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
	return withPlace(ctx, s.exporting, func() error {
		if err := http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(exportTime)); err != nil {
			s.Log.DebugContext(ctx, "no deadline for a bundle", "err", err)
		}
		uncompressed(c) // it is compressed as it is
		h.Set(echo.HeaderContentType, typeBundle)
		h.Set(echo.HeaderContentDisposition, `attachment; filename="oriel.bundle"`)
		h.Set("Trailer", errorTrailer)
		c.Response().WriteHeader(http.StatusOK)
		return x.Write(ctx, c.Response())
	})
}

// postBundle imports a bundle. The status speaks of the bundle; how each feed
// in it went stands in the body.
func (s *Server) postBundle(c echo.Context) error {
	ctx := c.Request().Context()
	return withPlace(ctx, s.importing, func() error {
		// The answer comes once everything is in, however long that takes.
		rc := http.NewResponseController(c.Response())
		if err := rc.SetReadDeadline(time.Now().Add(uploadTime)); err != nil {
			s.Log.DebugContext(ctx, "no deadline for a bundle", "err", err)
		}
		if err := rc.SetWriteDeadline(time.Time{}); err != nil {
			s.Log.DebugContext(ctx, "no deadline for a bundle", "err", err)
		}
		feeds, err := s.Bundles.Import(ctx, c.Request().Body)
		if err != nil {
			return err
		}
		return answerJSON(c, http.StatusOK, typeJSON, struct {
			Feeds []Imported `json:"feeds"`
		}{feeds})
	})
}

// errBusyBundles says that all places for bundles stayed taken.
var errBusyBundles = fmt.Errorf("%w: too many bundles are being written or read; come back later", clair.ErrUnavailable)

// withPlace runs f while it holds one of some places.
func withPlace(ctx context.Context, places chan struct{}, f func() error) error {
	wait := time.NewTimer(heavyWait)
	defer wait.Stop()
	select {
	case places <- struct{}{}:
	case <-wait.C:
		return errBusyBundles
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-places }()
	return f()
}
