package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// Options are what a Server works with.
type Options struct {
	Manifests ManifestStore
	Updates   UpdateStore
	Indexer   Indexer
	Matcher   Matcher
	// Feeds defaults to none.
	Feeds FeedSource
	Log   *slog.Logger
	// IndexState names the readers that make index reports. It changes when
	// they do and is the same after a restart.
	IndexState string
	// Indexing is how many manifests may be indexed at once; others get 429.
	// Default 2.
	Indexing int
	// Status tells of the parts that have no API of their own.
	Status StatusSource
	// Vacuum gives the database's free space back to the disk and returns how
	// much that was, in bytes; nil where that cannot be asked for.
	Vacuum func(context.Context) (int64, error)
	// ReadyAfter is how long after New the server calls itself not ready while
	// a feed has never succeeded.
	ReadyAfter time.Duration
	// CacheAge is how long a client may keep a vulnerability report.
	CacheAge time.Duration
	// Heavy is how many requests that hold whole reports in memory are
	// worked on at once; the others wait. Default 2.
	Heavy int
}

// Server answers HTTP requests. Its methods may be called from many
// goroutines.
type Server struct {
	Options
	echo    *echo.Echo
	started time.Time
	page    page
	recent  recentFeeds
	// heavy has a place for each heavy request being worked on.
	heavy chan struct{}
	// indexing has a place for each manifest being indexed.
	indexing chan struct{}
	// initialized remembers that there is data, which there then always is.
	initialized atomic.Bool
	draining    atomic.Bool
}

const (
	// drainTime is how long Run waits for requests at its end.
	drainTime = 10 * time.Second
	// maxHeader bounds a request's headers, in bytes.
	maxHeader = 64 << 10
	// maxReport bounds the body of an index report, in bytes: about 40,000
	// packages.
	maxReport = 16 << 20
	// maxManifest bounds a manifest: 10,000 layers with their headers.
	maxManifest = 8 << 20
	// maxSmall bounds every other body.
	maxSmall = 1 << 20
	// heavyWait is how long a request waits for a place among the heavy ones
	// before it is told to come back.
	heavyWait = 20 * time.Second
	// heavyTime is how long a heavy request may take, its client included.
	heavyTime = 2 * time.Minute
)

// New makes a server that is not listening yet.
func New(o Options) *Server {
	if o.Heavy <= 0 {
		o.Heavy = 2
	}
	if o.Indexing <= 0 {
		o.Indexing = 2
	}
	if o.Feeds == nil {
		o.Feeds = noFeeds{}
	}
	s := &Server{Options: o, echo: echo.New(), started: time.Now(), page: newPage(), heavy: make(chan struct{}, o.Heavy), indexing: make(chan struct{}, o.Indexing)}
	e := s.echo
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = s.answerError
	e.Use(middleware.RequestIDWithConfig(middleware.RequestIDConfig{TargetHeader: "X-Request-Id"}), s.logRequests, compress(), s.recover)
	s.routes(e)
	return s
}

// ServeHTTP makes a Server an http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// Run answers requests on a listener until the context ends, then lets those
// under way finish, for ten seconds at most. It closes the listener.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute,
		WriteTimeout: 15 * time.Minute, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		// Requests outlive ctx by the time they have to drain.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	h.Protocols = new(http.Protocols)
	h.Protocols.SetHTTP1(true)
	h.Protocols.SetUnencryptedHTTP2(true) // Clair's clients may speak h2c
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := h.Shutdown(drain)
	if err != nil {
		err = errors.Join(fmt.Errorf("drain requests: %w", err), h.Close())
	}
	<-failed
	return err
}

// withHeavy runs f while the request holds one of the places for heavy
// requests.
func (s *Server) withHeavy(c echo.Context, f func() error) error {
	wait := time.NewTimer(heavyWait)
	defer wait.Stop()
	select {
	case s.heavy <- struct{}{}:
	case <-wait.C:
		return errBusy
	case <-c.Request().Context().Done():
		return c.Request().Context().Err()
	}
	defer func() { <-s.heavy }()
	// A client that reads or writes slowly must not keep the place.
	deadline := time.Now().Add(heavyTime)
	rc := http.NewResponseController(c.Response())
	if err := errors.Join(rc.SetReadDeadline(deadline), rc.SetWriteDeadline(deadline)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("limit the time of a request: %w", err)
	}
	return f()
}
