package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"oriel/clair"
	"oriel/index"
	"oriel/internal/api"
	"oriel/internal/feed"
	"oriel/internal/fetch"
	"oriel/match"
	"oriel/notify"
	"oriel/server"
	"oriel/server/patches"
	"oriel/store"
	"oriel/store/owner"
	"oriel/updater"
)

// App is the running daemon: its parts, wired to each other.
type App struct {
	cfg      *Config
	log      *slog.Logger
	budget   Budget
	db       *store.DB
	updates  *updater.Manager
	matcher  Matcher
	coverer  *match.Coverer
	notifier *notify.Notifier
	windows  *patches.Service
	findings *findings
	listener *listener
	server   *server.Server
	// closers are called by Close, the last one first.
	closers []func() error
}

// New opens the database, listens, and makes every part, but starts none. The
// caller calls Close, whether or not it calls Run.
func New(ctx context.Context, cfg *Config, assets Assets, log *slog.Logger) (_ *App, err error) {
	a := &App{
		cfg:    cfg,
		log:    log,
		budget: TakeMemory(cfg),
	}
	debug.SetGCPercent(gcPercent)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.db, err = store.Open(ctx, cfg.Store.Path, StoreOptions(cfg, assets, a.budget, log)); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.db.Close)
	updates, closeClient, err := NewManager(cfg, a.db, log, nil)
	if err != nil {
		return nil, err
	}
	a.updates = updates
	a.closers = append(a.closers, func() error { closeClient(); return nil })
	layers := index.NewFetcher(cfg.Indexer, "")
	a.closers = append(a.closers, func() error { layers.CloseIdleConnections(); return nil })
	a.matcher = NewMatcher(cfg, a.db)
	a.coverer = NewCoverer(cfg, a.db, updates)
	a.coverer.Feeds = server.RecentFeeds(a.coverer.Feeds)
	a.windows = patches.New(cfg.Window, snapshots{a.db}, demand{updates, Health(cfg, a.db, updates).Feeds, cfg.Catalogue}, log)
	a.findings = &findings{
		db:     a.db,
		needer: updates,
		log:    log,
	}
	bundles, err := NewBundles(cfg, a.db, updates)
	if err != nil {
		return nil, err
	}
	if a.listener, err = listen(ctx, cfg, log); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.listener.close)
	if err := a.announce(); err != nil {
		return nil, err
	}
	o := a.options()
	o.Bundles, o.Indexer = bundles, index.NewIndexer(cfg.Indexer, a.db, layers, log)
	a.server = server.New(o)
	return a, nil
}

// Run serves until the context ends or a part fails, and returns once every
// part has stopped. started, which may be nil, is called as one of the parts
// once requests are answered.
func (a *App) Run(ctx context.Context, started func(context.Context, *App) error) error {
	a.log.InfoContext(ctx, "serving started", "url", a.URL(), "database", a.cfg.Store.Path, "feeds", len(a.cfg.Feeds), "version", Version())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.server.Run(ctx, a.listener.Listener) })
	g.Go(func() error { return a.updates.Run(ctx) })
	g.Go(func() error { return keepMemory(ctx, int64(a.cfg.Memory.Limit), a.budget) })
	g.Go(func() error { return a.findings.Run(ctx) })
	g.Go(func() error { return a.notifier.Run(ctx) })
	g.Go(func() error { return a.windows.Run(ctx) })
	if started != nil {
		g.Go(func() error { return started(ctx, a) })
	}
	err := g.Wait()
	a.log.InfoContext(ctx, "serving stopped")
	return err
}

// Close closes every part that New has opened, the last one first.
func (a *App) Close() (err error) {
	for len(a.closers) > 0 {
		last := len(a.closers) - 1
		err = errors.Join(err, a.closers[last]())
		a.closers = a.closers[:last]
	}
	return err
}

// Serve calls New, Run and Close.
func Serve(ctx context.Context, cfg *Config, assets Assets, log *slog.Logger, started func(context.Context, *App) error) (err error) {
	a, err := New(ctx, cfg, assets, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return a.Run(ctx, started)
}

// URL returns the address that the server listens on.
func (a *App) URL() string { return a.listener.url }

// announce writes the server's address for commands on this machine, and makes
// the notifier, which needs the address for its callbacks.
func (a *App) announce() (err error) {
	owner := owner.Owner{
		PID:   os.Getpid(),
		URL:   a.listener.local,
		Token: a.listener.auth.NewToken("this machine"),
	}
	if a.cfg.TLS.Cert != "" {
		if owner.Certificate, err = filepath.Abs(a.cfg.TLS.Cert); err != nil {
			return err
		}
	}
	if a.notifier, err = newNotifier(a.cfg, a.db, a.URL(), a.notCovered, a.log); err != nil {
		return err
	}
	return a.db.Announce(owner)
}

// options are the parts that the server consumes.
func (a *App) options() server.Options {
	feeds := feeds{Health(a.cfg, a.db, a.updates), a.updates}
	status := a.status()
	return server.Options{
		Manifests:     a.db,
		Updates:       a.db,
		Changes:       a.db,
		Notifications: a.db,
		Redeliverer:   a.notifier,
		Patches:       a.windows,
		Needer:        a.updates,
		Matcher:       a.matcher,
		Coverer:       a.coverer,
		Log:           a.log,
		IndexState:    index.State(),
		Indexing:      a.cfg.Indexer.Concurrency,
		IndexQueue:    a.cfg.Indexer.Queue,
		IndexWait:     time.Duration(a.cfg.Indexer.MaxWait),
		Feeds:         feeds,
		ReadyAfter:    time.Duration(a.cfg.Updater.ReadyAfter),
		CacheAge:      time.Duration(a.cfg.Updater.Interval),
		Status:        status,
		Vacuum:        func(ctx context.Context) (int64, error) { return a.db.Vacuum(ctx, a.cfg.Updater.Keep) },
		Heavy:         a.budget.Heavy,
		Memory:        a.budget.Requests,
		Limits:        limits(a.cfg, a.budget),
		Auth:          a.listener.auth,
		Certificate:   a.listener.certificate,
		OpenMetrics:   a.listener.loopback,
		Collectors:    []prometheus.Collector{server.NewGauges(feeds.Feeds, status)},
	}
}

// status returns the state of the parts that have no API of their own.
func (a *App) status() server.StatusSource {
	return server.StatusSource{
		Version:       Version(),
		Findings:      a.findings.Last,
		Notifications: a.db.ReceiptCounts,
		NotCovered:    a.notCovered,
		Sessions: func() api.Sessions {
			s := a.windows.Status()
			return api.Sessions{
				Active:      s.Active,
				Queued:      s.Queued,
				MemoryUsed:  s.Memory.Used,
				MemoryLimit: s.Memory.Limit,
			}
		},
		Database: func(ctx context.Context) (api.Database, error) {
			s, err := a.db.Stats(ctx)
			return api.Database{
				Size:       s.File,
				WAL:        s.WAL,
				Free:       s.Free,
				Max:        int64(a.cfg.Store.MaxSize),
				Manifests:  s.Manifests,
				Operations: s.Operations,
			}, err
		},
		Memory: func() api.Memory {
			rss, _ := residentMemory()
			return api.Memory{
				Limit:       int64(a.cfg.Memory.Limit),
				Resident:    rss,
				Go:          goMemory(),
				GoLimit:     goLimit(),
				SQLiteLimit: a.budget.SQLite,
			}
		},
	}
}

// notCovered returns the places of all manifests' packages that are not covered,
// as of the last count of packages. It returns nil before the first one.
func (a *App) notCovered(ctx context.Context) ([]clair.Place, error) {
	counted := a.findings.Places()
	if counted == nil {
		return nil, nil
	}
	coverage, err := a.coverer.Total(ctx, counted)
	if err != nil {
		return nil, err
	}
	return append([]clair.Place{}, coverage.NotCovered()...), nil
}

// StoreOptions are the options with which an owner opens the database.
func StoreOptions(cfg *Config, assets Assets, b Budget, log *slog.Logger) store.Options {
	return store.Options{
		Schema:  assets.Schema,
		Memory:  b.SQLite,
		Log:     log,
		MaxSize: int64(cfg.Store.MaxSize),
		MinFree: int64(cfg.Store.MinFree),
	}
}

// NewManager makes the manager of the feeds in use. The caller calls done
// once it no longer runs.
func NewManager(cfg *Config, db *store.DB, log *slog.Logger, progress func(updater.Progress)) (m *updater.Manager, done func(), err error) {
	client := fetch.New(fetch.Config{UserAgent: "oriel/" + Version()})
	var updaters []clair.Updater
	known, maxShrink := map[string]string{}, map[string]float64{}
	for _, f := range cfg.Feeds {
		if n, ok := f.Fraction(feed.MaxShrinkOption); ok {
			maxShrink[f.Name] = n
		}
		if !f.Enabled || f.Auto {
			continue
		}
		known[f.Name] = f.Format
		u, err := formats().New(f, client)
		if err != nil {
			return nil, nil, err
		}
		updaters = append(updaters, u)
	}
	m, err = updater.NewManager(cfg.Updater, updater.Options{
		Store:     db,
		Updaters:  updaters,
		Formats:   known,
		MaxShrink: maxShrink,
		Progress:  progress,
		Log:       log,
		Catalogue: cfg.Catalogue,
		Open:      func(f feed.Feed) (clair.Updater, error) { return formats().New(f, client) },
	})
	return m, client.CloseIdleConnections, err
}
