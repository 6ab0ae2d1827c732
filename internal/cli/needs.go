package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"oriel/clair"
	"oriel/index"
	"oriel/internal/app"
	"oriel/internal/client"
	"oriel/internal/sanitize"
	"oriel/match"
	"oriel/store"
	"oriel/updater"
)

// reporter matches inputs of the command line. It first fetches the automatic
// feeds that they need and that have never been fetched, unless it is offline. A
// feed that cannot be fetched is a warning: the report is made from the data
// there are.
type reporter struct {
	o       *oriel
	cfg     *app.Config
	log     *slog.Logger
	offline bool
	// severities lets feeds be fetched that only have severities. They are
	// many times as large as others, so that only filters and gates that
	// depend on severities are a reason.
	severities bool

	// db is open for reading, nil if there is no database yet.
	db *store.DB
	// empty is the directory of a database without data, "" if there is none.
	empty string
}

// close closes the database.
func (r *reporter) close() (err error) {
	if r.db != nil {
		err = r.db.Close()
		r.db = nil
	}
	if r.empty != "" {
		err = errors.Join(err, os.RemoveAll(r.empty))
		r.empty = ""
	}
	return err
}

// openEmpty opens a database without data if there is no other and none can be
// made: the report then lists everything as not covered.
func (r *reporter) openEmpty(ctx context.Context, reason error) (err error) {
	fmt.Fprintf(r.o.stderr, "oriel: warning: the report is made without any data: %s\n", sanitize.Line(reason.Error()))
	if r.empty, err = os.MkdirTemp("", "oriel-empty-"); err != nil {
		return err
	}
	memory := app.TakeMemory(r.cfg)
	r.db, err = store.Open(ctx, filepath.Join(r.empty, "oriel.db"), app.StoreOptions(r.cfg, r.o.assets, memory, r.log))
	return err
}

// open opens the database for reading.
func (r *reporter) open(ctx context.Context) (err error) {
	r.db, err = r.o.openReadOnly(ctx, r.cfg, app.TakeMemory(r.cfg))
	return err
}

// report reads an input and matches it. The database is open afterwards.
func (r *reporter) report(ctx context.Context, name string, in index.InputOptions) (*index.Input, *match.Result, error) {
	err := r.open(ctx)
	missing := errors.Is(err, clair.ErrNotFound)
	if err != nil && (!missing || !r.mayFetch() || isDigest(name)) {
		return nil, nil, err
	}
	input, err := readInput(ctx, r.db, name, in)
	if err != nil {
		return nil, nil, err
	}
	known, err := r.feeds(ctx)
	if err != nil {
		return nil, nil, err
	}
	need := app.NeededFor(r.cfg, input.Report, known, time.Now())
	if missing || !need.IsZero() {
		if err := r.fetch(ctx, need); err != nil {
			return nil, nil, err
		}
	}
	res, err := app.NewMatcher(r.cfg, r.db).Report(ctx, input.Report)
	if err != nil {
		return nil, nil, err
	}
	if known, err = r.feeds(ctx); err != nil {
		return nil, nil, err
	}
	need = app.NeededForSeverity(r.cfg, res.Report, known, time.Now())
	if need.IsZero() || !r.mayFetch() {
		return input, res, nil
	}
	if !r.severities {
		fmt.Fprintf(r.o.stderr, "oriel: note: some findings have no severity; to have it from NVD: oriel update %s\n", strings.Join(need.Feeds(), " "))
		return input, res, nil
	}
	if err := r.fetch(ctx, need); err != nil {
		return nil, nil, err
	}
	res, err = app.NewMatcher(r.cfg, r.db).Report(ctx, input.Report)
	return input, res, err
}

func isDigest(name string) bool {
	_, err := clair.ParseDigest(name)
	return err == nil
}

// mayFetch reports whether feeds may be fetched for a report.
func (r *reporter) mayFetch() bool {
	return !r.offline && r.cfg.FetchesAutomatically()
}

// feeds returns the state of the feeds.
func (r *reporter) feeds(ctx context.Context) (clair.Feeds, error) {
	if r.db == nil {
		return nil, nil
	}
	return app.Health(r.cfg, r.db, nil).Feeds(ctx)
}

// fetch fetches feeds, through the server that owns the database if there is one.
// The database is closed in the meantime, and made if there is none.
func (r *reporter) fetch(ctx context.Context, need *app.Need) error {
	if !r.mayFetch() {
		return nil
	}
	if err := r.close(); err != nil {
		return err
	}
	db, server, err := r.o.openOrAsk(ctx, r.cfg, r.log, serverFlags{}, app.TakeMemory(r.cfg))
	switch {
	case err != nil:
		r.warn(need.Feeds(), err)
	case server != nil:
		r.ask(ctx, server, need.Feeds())
	default:
		r.update(ctx, db, need)
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	err = r.open(ctx)
	if errors.Is(err, clair.ErrNotFound) {
		return r.openEmpty(ctx, err)
	}
	return err
}

// update fetches feeds into a database, which it closes.
func (r *reporter) update(ctx context.Context, db *store.DB, need *app.Need) {
	p := newProgress(r.o.stderr)
	// Each outcome is printed, so that the log would only repeat it.
	m, done, err := app.NewManager(r.cfg, db, slog.New(slog.DiscardHandler), announceFetches(r.o.stderr, p))
	if err == nil {
		var results []updater.Result
		results, err = app.Fetch(ctx, m, need)
		done()
		p.clear()
		for _, res := range results {
			if res.Err != nil {
				r.warn([]string{res.Updater}, res.Err)
			}
		}
	}
	if err = errors.Join(err, db.Close()); err != nil {
		r.warn(need.Feeds(), err)
	}
}

// ask has a server fetch feeds, and waits for it. It closes the client.
func (r *reporter) ask(ctx context.Context, c *client.Client, names []string) {
	defer c.Close()
	fmt.Fprintf(r.o.stderr, "asking the server at %s to fetch %s\n", c.URL(), strings.Join(names, ", "))
	_, err := c.RunFeeds(ctx, names, false, func(run client.FeedRun) {
		if err := resultOf(run).Err; err != nil {
			r.warn([]string{run.After.Name}, err)
			return
		}
		fmt.Fprintf(r.o.stderr, "%s: fetched\n", run.After.Name)
	})
	if err != nil {
		r.warn(names, err)
	}
}

// warn prints why feeds could not be fetched.
func (r *reporter) warn(names []string, err error) {
	what := strings.Join(names, ", ")
	if what == "" {
		what = "feeds"
	}
	fmt.Fprintf(r.o.stderr, "oriel: warning: %s could not be fetched: %s\n", what, sanitize.Line(err.Error()))
}

// announceFetches prints the name and the size of each feed before it is
// downloaded and, on a terminal, draws the progress.
func announceFetches(out io.Writer, p *progress) func(updater.Progress) {
	var mu sync.Mutex // guards printed, and keeps lines apart
	printed := map[string]bool{}
	draw := showFeeds(p)
	return func(u updater.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if u.Stage != updater.StageDone && !printed[u.Updater] {
			printed[u.Updater] = true
			size := ""
			if u.Total > 0 {
				size = " (" + sizeText(u.Total) + ")"
			}
			p.clear()
			fmt.Fprintf(out, "fetching %s%s\n", u.Updater, size)
		}
		if p.terminal {
			draw(u)
		}
	}
}

// sizeText returns a number of bytes as people read it.
func sizeText(n int64) string {
	switch {
	case n < 1e3:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
