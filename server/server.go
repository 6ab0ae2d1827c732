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

	"oriel/clair"
	"oriel/server/openapi"
	"oriel/server/patches"
)

// Options configure a Server.
type Options struct {
	Manifests ManifestStore
	Updates   UpdateStore
	Indexer   Indexer
	Matcher   Matcher
	// Needer fetches feeds when reports need them; nil if there are no automatic
	// feeds.
	Needer Needer
	// Coverer computes the coverage of reports. If it is nil, reports do not
	// have it.
	Coverer       Coverer
	Changes       ChangeStore
	Notifications NotificationStore
	// Redeliverer is nil if notifications are not delivered.
	Redeliverer Redeliverer
	// Patches lets scanners read whole lists. If it is nil, the server has no
	// routes for sessions.
	Patches *patches.Service
	Log     *slog.Logger
	// Bundles exports and imports feeds. Default none.
	Bundles Bundles
	// Feeds returns the state of feeds and runs them. Default none.
	Feeds FeedSource
	// IndexState identifies the readers that make index reports. It changes
	// when they do, and not with a restart.
	IndexState string
	// Indexing is the number of manifests that may be indexed at once. Default 2.
	// IndexQueue is the number of further ones that wait, for at most IndexWait;
	// others get 429.
	Indexing, IndexQueue int
	IndexWait            time.Duration
	// Status returns the state of parts of the process without their own API.
	Status StatusSource
	// Vacuum returns the database's free space to the file system, and the
	// number of bytes freed. It is nil if the server does not own the database.
	Vacuum func(context.Context) (int64, error)
	// ReadyAfter is the time after New for which the server is not ready if a
	// feed has never succeeded.
	ReadyAfter time.Duration
	// CacheAge is how long a client may cache a vulnerability report.
	CacheAge time.Duration
	// Heavy is the number of requests handled at once that hold whole reports
	// in memory; further ones wait. Default 2.
	Heavy int
	// Memory bounds the memory of request bodies and of streams of HTTP/2, in
	// bytes. Default 12 MiB.
	Memory int64
	// Limits bound requests. Default DefaultLimits.
	Limits Limits
	// Auth authenticates requests; nil permits everything to everyone.
	Auth *Auth
	// OpenMetrics makes /metrics readable without authentication.
	OpenMetrics bool
	// Certificate is used for TLS; nil means cleartext.
	Certificate *Certificate
	// Collectors are shown by /metrics in addition to the server's own.
	Collectors []prometheus.Collector
	// Now is the clock of limits. Default time.Now.
	Now func() time.Time
}

// Server answers HTTP requests. Its methods are safe for concurrent use.
type Server struct {
	Options
	echo    *echo.Echo
	started time.Time
	page    page
	recent  func(context.Context) (clair.Feeds, error) // cached for a second
	// Semaphores: of heavy requests, of manifests being indexed and waiting for
	// it, and of bundles being written and read.
	heavy, indexing, indexQueue, exporting, importing chan struct{}
	memory                                            *account // of bodies and streams
	// refusals is a semaphore of streams that are being refused.
	refusals chan struct{}
	// initialized is set once there are data; it is never reset.
	initialized atomic.Bool
	draining    atomic.Bool
	metrics     *metrics
	rates       *rateLimiter
	// roles holds the role that each route requires, by "METHOD path", and
	// openPaths the paths that require none.
	roles     map[string]role
	openPaths map[string]bool
	document  func() (*openapi.Document, error)
}

const (
	// drainTime is how long Run waits for requests in progress when its context
	// ends; closeTime is how long it then waits for requests it has canceled.
	drainTime = 10 * time.Second
	closeTime = 5 * time.Second
	// idleTime is how long a connection may be idle: it holds a slot that
	// others may wait for.
	idleTime = 30 * time.Second
	// maxManifest is the maximum size of a manifest: 10,000 layers with their
	// headers.
	maxManifest = 8 << 20
	// maxSmall is the maximum size of other bodies.
	maxSmall = 1 << 20
	// heavyWait is how long a heavy request waits for others before it is
	// refused.
	heavyWait = 20 * time.Second
	// heavyTime bounds the time of a heavy request, reading the request and
	// writing the response included.
	heavyTime = 2 * time.Minute
)

// New returns a server that is not listening yet.
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
	if o.Memory <= 0 {
		o.Memory = 12 << 20
	}
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		Options:    o,
		echo:       echo.New(),
		started:    time.Now(),
		page:       newPage(),
		heavy:      make(chan struct{}, o.Heavy),
		indexing:   make(chan struct{}, o.Indexing),
		indexQueue: make(chan struct{}, max(0, o.IndexQueue)),
		exporting:  make(chan struct{}, maxExports),
		importing:  make(chan struct{}, 1),
		recent:     RecentFeeds(o.Feeds.Feeds),
		metrics:    newMetrics(o.Collectors),
		rates:      newRateLimiter(o.Limits),
		memory:     &account{limit: o.Memory},
		refusals:   make(chan struct{}, refusals),
		roles:      map[string]role{},
		openPaths:  map[string]bool{},
		document:   sync.OnceValues(openapi.New),
	}
	e := s.echo
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = s.answerError
	e.Use(requestID, s.metrics.measure, s.logRequests, secure, s.limitClientRate, s.authorize, s.crossOrigin(), compress(s.memory), s.accountBodies, s.recover)
	s.addRoutes()
	return s
}

// Run answers requests on a listener until the context ends. It then waits for
// the requests in progress, and cancels those that take longer than ten seconds.
// It closes the listener.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	// Requests in progress may outlive ctx by drainTime.
	requests, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	h := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Duration(s.Limits.ReadTimeout), IdleTimeout: idleTime,
		WriteTimeout: time.Duration(s.Limits.WriteTimeout), MaxHeaderBytes: int(s.Limits.Headers),
		ErrorLog:    slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return requests },
		Protocols:   new(http.Protocols),
		HTTP2:       streamLimits(),
		ConnContext: countStreams,
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
		s.Log.WarnContext(ctx, "requests canceled", "after", drainTime)
		if err = shutdown(context.WithoutCancel(ctx), h, closeTime); err != nil {
			err = errors.Join(fmt.Errorf("drain requests: %w", err), h.Close())
		}
	}
	<-failed
	return err
}

// shutdown waits for a server's requests to end, for at most the given time.
func shutdown(ctx context.Context, h *http.Server, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return h.Shutdown(ctx)
}

// withHeavy runs f while it holds the semaphore of heavy requests.
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
	shareBody(c) // Heavy counts it
	// A client that reads or writes slowly must not hold the semaphore for long.
	deadline := time.Now().Add(heavyTime)
	rc := http.NewResponseController(c.Response())
	if err := errors.Join(rc.SetReadDeadline(deadline), rc.SetWriteDeadline(deadline)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("limit the time of a request: %w", err)
	}
	return f()
}
