package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"oriel/clair"
	"oriel/index"
	"oriel/internal/fetch"
	"oriel/match"
	"oriel/notify"
	"oriel/server"
	"oriel/server/patches"
	"oriel/store"
	"oriel/updater"
)

func (o *oriel) serveCommand() *cobra.Command {
	var demo bool
	cmd := &cobra.Command{
		Use: "serve", Short: "Keep the feeds up to date and answer over HTTP", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if demo {
				return o.demo(cmd.Context())
			}
			cfg, log, err := o.config()
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, log, func(context.Context, *app) error { return nil })
		},
	}
	cmd.Flags().BoolVar(&demo, "demo", false, "serve sample data from a temporary database, without any network")
	return cmd
}

// app is the running daemon's parts.
type app struct {
	cfg      *Config
	log      *slog.Logger
	budget   budget
	db       *store.DB
	updates  *updater.Manager
	matcher  matcher
	notifier *notify.Notifier
	windows  *patches.Service
	findings *findings
	front    *front
	// url is where the server listens.
	url string
}

// serve opens everything, serves until the context ends, and closes everything
// in reverse. started is called once requests are answered.
func serve(ctx context.Context, cfg *Config, log *slog.Logger, started func(context.Context, *app) error) (err error) {
	budget := takeMemory(cfg)
	debug.SetGCPercent(gcPercent)
	db, err := store.Open(ctx, cfg.Store.Path, storeOptions(cfg, budget, log))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	updates, closeClient, err := newManager(cfg, db, log, nil)
	if err != nil {
		return err
	}
	defer closeClient()

	layers := index.NewFetcher(cfg.Indexer, "")
	defer layers.CloseIdleConnections()

	a := &app{
		cfg: cfg, log: log, budget: budget, db: db, updates: updates, matcher: newMatcher(cfg, db),
		windows: patches.New(cfg.Window, snapshots{db}, log), findings: &findings{db: db, log: log},
	}
	bundles, err := newBundles(cfg, db, updates)
	if err != nil {
		return err
	}
	if a.front, err = newFront(ctx, cfg, log); err != nil {
		return err
	}
	a.url = a.front.url
	if err := a.announce(); err != nil {
		return errors.Join(err, a.front.listener.Close())
	}
	o := a.options()
	o.Bundles, o.Indexer = bundles, index.NewIndexer(cfg.Indexer, db, layers, log)
	srv := server.New(o)
	log.InfoContext(ctx, "serving started", "url", a.url, "database", cfg.Store.Path, "feeds", len(cfg.Feeds), "version", version())

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return srv.Run(ctx, a.front.listener) })
	g.Go(func() error { return updates.Run(ctx) })
	g.Go(func() error { return keepMemory(ctx, int64(cfg.Memory.Limit), budget) })
	g.Go(func() error { return a.findings.Run(ctx) })
	g.Go(func() error { return a.notifier.Run(ctx) })
	g.Go(func() error { return a.windows.Run(ctx) })
	g.Go(func() error { return started(ctx, a) })
	err = g.Wait()
	log.InfoContext(ctx, "serving stopped")
	return err
}

// announce tells commands of this machine how to reach the server, and makes
// the notifier, which tells its receivers.
func (a *app) announce() (err error) {
	owner := store.Owner{PID: os.Getpid(), URL: a.front.local, Token: a.front.auth.NewToken("this machine")}
	if a.cfg.TLS.Cert != "" {
		if owner.Certificate, err = filepath.Abs(a.cfg.TLS.Cert); err != nil {
			return err
		}
	}
	if a.notifier, err = newNotifier(a.cfg, a.db, a.url, a.log); err != nil {
		return err
	}
	return a.db.Announce(owner)
}

// options are what the server works with.
func (a *app) options() server.Options {
	return server.Options{
		Manifests: a.db, Updates: a.db, Changes: a.db, Notifications: a.db, Redeliverer: a.notifier, Patches: a.windows,
		Matcher: a.matcher, Log: a.log, IndexState: index.State(), Indexing: a.cfg.Indexer.Concurrency,
		Feeds:      feeds{health(a.cfg, a.db, a.updates), a.updates},
		ReadyAfter: time.Duration(a.cfg.Updater.ReadyAfter), CacheAge: time.Duration(a.cfg.Updater.Interval),
		Status: a.status(), Vacuum: func(ctx context.Context) (int64, error) { return a.db.Vacuum(ctx, a.cfg.Updater.Keep) },
		Heavy: a.budget.heavy, Limits: limits(a.cfg, a.budget),
		Auth: a.front.auth, Certificate: a.front.certificate, OpenMetrics: a.front.loopback,
		Collectors: []prometheus.Collector{newGauges(a.sources())},
	}
}

// status tells how the parts are doing that have no API of their own.
func (a *app) status() server.StatusSource {
	return server.StatusSource{
		Version: version(), Findings: a.findings.Last, Notifications: a.db.ReceiptCounts,
		Sessions: func() server.Sessions {
			s := a.windows.Status()
			return server.Sessions{Active: s.Active, Queued: s.Queued, MemoryUsed: s.MemoryUsed, MemoryLimit: s.Memory}
		},
		Database: func(ctx context.Context) (server.Database, error) {
			s, err := a.db.Stats(ctx)
			return server.Database{
				Size: s.File, WAL: s.WAL, Free: s.Free, Max: int64(a.cfg.Store.MaxSize), Manifests: s.Manifests, Operations: s.Operations,
			}, err
		},
		Memory: func() server.Memory {
			rss, _ := residentMemory()
			return server.Memory{
				Limit: int64(a.cfg.Memory.Limit), Resident: rss, Go: goMemory(), GoLimit: goLimit(), SQLiteLimit: a.budget.sqlite,
			}
		},
	}
}

// sources are what the metrics are read from.
func (a *app) sources() sources {
	return sources{
		feeds: health(a.cfg, a.db, a.updates).Feeds, store: a.db.Stats, receipts: a.db.ReceiptCounts,
		limit: int64(a.cfg.Memory.Limit), divided: a.budget,
		window: func() windowStats {
			s := a.windows.Status()
			return windowStats{active: s.Active, queued: s.Queued, used: s.MemoryUsed, limit: s.Memory}
		},
		findings: func() (bySeverity match.Counts, manifests int64, at time.Time) {
			if l := a.findings.Last(); l != nil {
				bySeverity, manifests, at = l.Counts, l.Manifests, l.At
			}
			return bySeverity, manifests, at
		},
	}
}

// storeOptions are what whoever owns the database opens it with.
func storeOptions(cfg *Config, b budget, log *slog.Logger) store.Options {
	return store.Options{
		Schema: schema, Memory: b.sqlite, Log: log,
		MaxSize: int64(cfg.Store.MaxSize), MinFree: int64(cfg.Store.MinFree),
	}
}

// newManager makes the manager of the enabled feeds. The caller calls done
// when it no longer runs.
func newManager(cfg *Config, db *store.DB, log *slog.Logger, progress func(updater.Progress)) (m *updater.Manager, done func(), err error) {
	client := fetch.New(fetch.Config{UserAgent: "oriel/" + version()})
	var updaters []clair.Updater
	known := map[string]string{}
	for _, f := range cfg.Feeds {
		if !f.Enabled {
			continue
		}
		known[f.Name] = f.Format
		u, err := formats().New(f, client)
		if err != nil {
			return nil, nil, err
		}
		updaters = append(updaters, u)
	}
	m, err = updater.NewManager(cfg.Updater, updater.Options{Store: db, Updaters: updaters, Formats: known, Progress: progress, Log: log})
	return m, client.CloseIdleConnections, err
}

// gcPercent lets the heap grow to five times what is alive before it is
// collected: what is alive is little, and the memory limit is there to stop it.
// At Go's own 100 a report spends a fifth of its time in collections.
const gcPercent = 400

// budget is how the memory limit is divided.
type budget struct {
	// sqlite bounds the page caches, which lie outside Go's heap; heap is
	// Go's soft limit, all its memory included.
	sqlite, heap int64
	// heavy is how many requests may hold whole reports at once.
	heavy int
	// connections is how many bytes of the heap those of clients may take.
	connections int64
}

const (
	// programMemory is what the program's own pages and SQLite's working
	// memory take beside caches and heap.
	programMemory = 24 << 20
	// reportMemory is what one large report takes while it is made.
	reportMemory = 24 << 20
)

// takeMemory divides the memory limit and tells Go's runtime its part.
func takeMemory(cfg *Config) budget {
	b := divide(int64(cfg.Memory.Limit), int64(cfg.Window.Memory))
	debug.SetMemoryLimit(b.heap)
	return b
}

// divide shares out the memory limit: an eighth to SQLite's caches, what it is
// configured to take to the window, and a third each of what is left of the
// heap to reports and to connections.
func divide(limit, window int64) budget {
	b := budget{sqlite: limit / 8}
	b.heap = limit - b.sqlite - programMemory
	b.heavy = int(max(1, (b.heap-window)/3/reportMemory))
	b.connections = (b.heap - window) / 3
	return b
}

// bundleMemory is what export and import have at the most: they hold a few
// batches and the windows of a compressor, and more would only be garbage.
const bundleMemory = 64 << 20

// takeBundleMemory is takeMemory for export and import.
func takeBundleMemory(cfg *Config) budget {
	b := divide(min(int64(cfg.Memory.Limit), bundleMemory), 0)
	debug.SetMemoryLimit(b.heap)
	return b
}
