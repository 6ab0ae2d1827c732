package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"oriel/server/patches"
)

// Options are what a Server works with.
type Options struct {
	Manifests     ManifestStore
	Updates       UpdateStore
	Indexer       Indexer
	Matcher       Matcher
	Changes       ChangeStore
	Notifications NotificationStore
	// Redeliverer may be nil where nothing is delivered.
	Redeliverer Redeliverer
	// Patches lets scanners read whole lists. Without it there are no such
	// addresses.
	Patches *patches.Service
	Log     *slog.Logger
	// Bundles exports and imports feeds. Default none.
	Bundles Bundles
	// Feeds tells of feeds and runs them. Default none.
	Feeds FeedSource
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
	// Limits are what strangers can ask for. Default DefaultLimits.
	Limits Limits
	// Auth knows who may do what; nil lets everyone do everything.
	Auth *Auth
	// OpenMetrics shows the metrics to those, too, who do not say who they
	// are.
	OpenMetrics bool
	// Certificate makes the server speak TLS; nil is cleartext.
	Certificate *Certificate
	// Collectors tell what /metrics shows beside the server's own counters.
	Collectors []prometheus.Collector
	// Now is the clock of limits. Default time.Now.
	Now func() time.Time
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
	// exporting and importing have a place for each bundle being written or
	// read.
	exporting, importing chan struct{}
	// initialized remembers that there is data, which there then always is.
	initialized atomic.Bool
	draining    atomic.Bool
	metrics     *metrics
	clients     *clients
	// wanted is the role that each route wants, by method and path, and
	// openPaths those paths that want none.
	wanted    map[string]role
	openPaths map[string]bool
	document  func() (*document, error)
}

const (
	// drainTime is how long Run waits for requests at its end.
	drainTime = 10 * time.Second
	// idleTime is how long a connection may be idle: it takes a place that
	// others may wait for.
	idleTime = 30 * time.Second
	// closeTime is how long after that it waits for requests that it has told
	// to give up.
	closeTime = 5 * time.Second
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
	if o.Bundles == nil {
		o.Bundles = noBundles{}
	}
	if o.Feeds == nil {
		o.Feeds = noFeeds{}
	}
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		Options: o, echo: echo.New(), started: time.Now(), page: newPage(), heavy: make(chan struct{}, o.Heavy), indexing: make(chan struct{}, o.Indexing),
		exporting: make(chan struct{}, maxExports), importing: make(chan struct{}, 1),
		metrics: newMetrics(o.Collectors), clients: newClients(o.Limits), wanted: map[string]role{}, openPaths: map[string]bool{},
		document: sync.OnceValues(newDocument),
	}
	e := s.echo
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = s.answerError
	e.Use(requestID, s.metrics.measure, s.logRequests, secure, s.limitRate, s.authorize, s.crossOrigin(), compress(), s.recover)
	s.routes(e)
	return s
}

// ServeHTTP makes a Server an http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// Run answers requests on a listener until the context ends, then lets those
// under way finish, for ten seconds at most; those that take longer are told to
// give up. It closes the listener.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	// Requests outlive ctx by the time they have to drain.
	requests, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	h := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Duration(s.Limits.ReadTimeout), IdleTimeout: idleTime,
		WriteTimeout: time.Duration(s.Limits.WriteTimeout), MaxHeaderBytes: int(s.Limits.Headers),
		ErrorLog:    slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return requests },
		Protocols:   new(http.Protocols),
	}
	h.Protocols.SetHTTP1(true)
	if s.Limits.Connections > 0 {
		limited := limitConnections(l, s.Limits.Connections)
		l, h.ConnState = limited, limited.connState
	}
	failed := make(chan error, 1)
	if s.Certificate != nil {
		h.Protocols.SetHTTP2(true)
		h.TLSConfig = s.Certificate.config()
		go func() { failed <- h.ServeTLS(l, "", "") }()
	} else {
		h.Protocols.SetUnencryptedHTTP2(true) // Clair's clients may speak h2c
		go func() { failed <- h.Serve(l) }()
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	err := shutdown(context.WithoutCancel(ctx), h, drainTime)
	if err != nil {
		giveUp()
		s.Log.WarnContext(ctx, "requests cancelled", "after", drainTime)
		if err = shutdown(context.WithoutCancel(ctx), h, closeTime); err != nil {
			err = errors.Join(fmt.Errorf("drain requests: %w", err), h.Close())
		}
	}
	<-failed
	return err
}

// shutdown waits at most so long for a server's requests to end.
func shutdown(ctx context.Context, h *http.Server, atMost time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	return h.Shutdown(ctx)
}

// withHeavy runs f while the request holds one of the places for heavy
// requests.
func (s *Server) withHeavy(c echo.Context, f func() error) error {
	wait := time.NewTimer(heavyWait)
	defer wait.Stop()
	select {
	case s.heavy <- struct{}{}:
	case <-wait.C:
		s.metrics.limited.WithLabelValues(limitHeavy).Inc()
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
