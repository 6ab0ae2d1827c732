package updater

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
)

// Store stores the data of updaters.
type Store interface {
	StatusStore
	NeedStore
	// GetUpdateOperations lists operations by updater, newest first.
	GetUpdateOperations(ctx context.Context, kind clair.Kind, updaters ...string) (map[string][]clair.UpdateOperation, error)
	// UpdateVulnerabilities and UpdateEnrichments make an operation of a
	// stream, or none if it yields an error.
	UpdateVulnerabilities(ctx context.Context, updater string, fp clair.Fingerprint, rows iter.Seq2[*clair.Vulnerability, error]) (clair.UpdateResult, error)
	// UpdateVulnerabilitiesDelta makes an operation of another one of the same
	// updater and of changes to it. If they do not fit, the error is an
	// ErrBase.
	UpdateVulnerabilitiesDelta(ctx context.Context, base clair.UpdateOperation, fp clair.Fingerprint, changes iter.Seq2[clair.Change, error]) (clair.UpdateResult, error)
	UpdateEnrichments(ctx context.Context, updater string, fp clair.Fingerprint, rows iter.Seq2[clair.EnrichmentRecord, error]) (clair.UpdateResult, error)
	// UpdateEnrichmentsDelta does the same for enrichments.
	UpdateEnrichmentsDelta(ctx context.Context, base clair.UpdateOperation, fp clair.Fingerprint, changes iter.Seq2[clair.EnrichmentChange, error]) (clair.UpdateResult, error)
	// GC deletes all but the newest operations of each updater.
	GC(ctx context.Context, keep int) (int64, error)
}

// NeedStore stores which automatic feeds are needed.
type NeedStore interface {
	// SetNeeded records that a place needed updaters at a time.
	SetNeeded(ctx context.Context, at time.Time, place string, updaters ...string) error
	// CheckQuota returns an ErrUnavailable if the database or its disk is too
	// full for an import.
	CheckQuota(context.Context) error
}

// StatusStore stores the results of the updaters' last runs.
type StatusStore interface {
	// SetUpdateStatus replaces an updater's status; a zero LastSuccess keeps
	// the previous one.
	SetUpdateStatus(context.Context, clair.UpdateStatus) error
	UpdateStatuses(context.Context) ([]clair.UpdateStatus, error)
	// SetNextRun records when updaters are to run next; the zero time means not
	// planned.
	SetNextRun(ctx context.Context, next time.Time, updaters ...string) error
}

// Options are further parameters of a Manager.
type Options struct {
	Store    Store
	Updaters []clair.Updater
	// Catalogue has the automatic feeds, whose updaters Open makes when they
	// are needed. Default: there are none.
	Catalogue *Catalogue
	Open      func(feed.Feed) (clair.Updater, error)
	// MaxShrink has the feeds' own values of Config.MaxShrink, by updater.
	MaxShrink map[string]float64
	// Parallel is how many updaters run at once. Default 2: each has buffers
	// and a decompressor, and all of them share one memory limit.
	Parallel int
	// Progress is called with the progress of runs, from their goroutines.
	// Default: none.
	Progress func(Progress)
	// Formats are the formats of the updaters' feeds, by updater, as far as
	// they are known. They are stored with the data.
	Formats map[string]string
	// Log is the logger. Default: none.
	Log *slog.Logger
}

// Manager runs updaters. Its methods may be called from many goroutines.
type Manager struct {
	cfg      Config
	store    Store
	o        Options
	progress func(Progress)
	log      *slog.Logger
	slots    chan struct{} // one for each updater that may run
	wake     chan struct{} // filled when asked is
	bringing chan struct{} // one for the import that may run
	gc       sync.Mutex    // held while garbage is collected

	// mu guards the fields below.
	mu      sync.Mutex
	entries []*entry // grows as automatic feeds are needed
	loaded  bool     // the automatic feeds of earlier processes are in entries
	asked   []*entry // those that Start has claimed
	// members are the updaters of sets, with their sets.
	members map[string]string
	ended   bool // Run has ended, so nobody takes what is asked
	next    time.Time
	// formats and maxShrink are the feeds' values, by updater, and accepted are
	// the updaters whose next state is accepted however small it is.
	formats   map[string]string
	maxShrink map[string]float64
	accepted  map[string]bool
}

// entry is an updater that the manager runs.
type entry struct {
	updater clair.Updater
	auto    bool // it runs only while something needs it

	// The manager's mu guards the fields below.
	running bool // from claim to release
	need    need
}

// NewManager returns a manager. It starts nothing. Two updaters of one name
// are an ErrInvalid.
func NewManager(cfg Config, o Options) (*Manager, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, u := range o.Updaters {
		if names[u.Name()] {
			return nil, fmt.Errorf("%w: two updaters are named %q", clair.ErrInvalid, u.Name())
		}
		names[u.Name()] = true
	}
	if o.Parallel <= 0 {
		o.Parallel = 2
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	m := &Manager{
		cfg: cfg, store: o.Store, o: o, progress: o.Progress, log: o.Log,
		slots: make(chan struct{}, o.Parallel), wake: make(chan struct{}, 1), bringing: make(chan struct{}, 1),
		members: map[string]string{}, formats: maps.Clone(o.Formats), maxShrink: maps.Clone(o.MaxShrink), accepted: map[string]bool{},
	}
	for _, u := range o.Updaters {
		m.entries = append(m.entries, &entry{updater: u})
	}
	return m, nil
}

// Result is the result of one run of an updater.
type Result struct {
	Updater string
	// Operations are the new operations: none if the feed was unchanged or the
	// run failed.
	Operations []clair.UpdateResult
	// Skipped is the number of records that could not be used, and Sample has
	// the reasons of some.
	Skipped int64
	Sample  string
	Took    time.Duration
	// Err is nil if the run succeeded.
	Err error
	// Members are the runs of a set's updaters.
	Members []Result
	// Older means that the state was older than the existing one, and was
	// ignored.
	Older bool
}

// Unchanged reports whether the feed had nothing new.
func (r Result) Unchanged() bool { return r.Err == nil && len(r.Operations) == 0 }

// Update runs the named updaters once, all that are in use if none are named, and
// returns when they are done, with a result for each and the errors of all
// that failed. An unknown name is an ErrNotFound, and nothing runs. An updater
// that is running already is an ErrConflict in its result.
func (m *Manager) Update(ctx context.Context, names ...string) ([]Result, error) {
	which, err := m.find(ctx, names)
	if err != nil {
		return nil, err
	}
	return m.update(ctx, which)
}

// update runs updaters once and returns when they are done.
func (m *Manager) update(ctx context.Context, which []*entry) ([]Result, error) {
	results := make([]Result, len(which))
	var wg sync.WaitGroup
	for i, u := range which {
		name := u.updater.Name()
		if !m.claim(u) {
			results[i] = Result{Updater: name, Err: fmt.Errorf("update %s: %w: it is running", name, clair.ErrConflict)}
			continue
		}
		wg.Go(func() { results[i] = m.run(ctx, u) })
	}
	wg.Wait()
	var errs []error
	for _, r := range results {
		errs = append(errs, r.Err)
	}
	m.collect(ctx)
	return results, errors.Join(errs...)
}

// Start asks Run to run the named updaters now, all that are in use if none
// are named, and returns those it will run without waiting for them. An
// unknown name is an ErrNotFound and a running one an ErrConflict; then
// nothing starts. Without names, running ones are left out. Updaters that are
// started before Run begins wait for it; once Run has ended, the error is an
// ErrUnavailable.
func (m *Manager) Start(ctx context.Context, names ...string) ([]string, error) {
	which, err := m.find(ctx, names)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return nil, fmt.Errorf("start updaters: %w: updates have ended here", clair.ErrUnavailable)
	}
	started := []string{}
	for _, u := range which {
		if u.running && len(names) > 0 {
			return nil, fmt.Errorf("start %s: %w: it is running", u.updater.Name(), clair.ErrConflict)
		}
	}
	for _, u := range which {
		if m.ask(u) {
			started = append(started, u.updater.Name())
		}
	}
	return started, nil
}

// ask claims an updater for Run to run, unless it is running. The caller holds
// mu.
func (m *Manager) ask(u *entry) bool {
	if u.running {
		return false
	}
	u.running = true
	m.asked = append(m.asked, u)
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return true
}

// takeAsked returns the claimed updaters that Start was called for.
func (m *Manager) takeAsked() []*entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.asked
	m.asked = nil
	return taken
}

// find returns the updaters of names, each once, or those that are in use if
// there are no names.
func (m *Manager) find(ctx context.Context, names []string) ([]*entry, error) {
	if err := m.load(ctx); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return m.inUse(time.Now()), nil
	}
	var out []*entry
	for _, name := range names {
		e, err := m.named(ctx, name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out, nil
}

// entry returns the updater of a name, nil if there is none.
func (m *Manager) entry(name string) *entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.entries {
		if e.updater.Name() == name {
			return e
		}
	}
	return nil
}

// claim makes the caller the only one to run an updater, until run is done.
func (m *Manager) claim(u *entry) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u.running {
		return false
	}
	u.running = true
	return true
}

func (m *Manager) release(u *entry, r *Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u.running = false
	u.need.ran(r, time.Now())
}

// Run runs all updaters at start and then periodically, as the configuration
// says, and those of Start. It returns nil when ctx is done and all runs have
// ended. Failures are recorded and logged.
func (m *Manager) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer m.stopLooping(ctx)
	defer wg.Wait()

	cycled := make(chan struct{}, 1) // filled when a cycle is done
	timer := time.NewTimer(0)
	defer timer.Stop()
	if !m.cfg.AtStart {
		m.schedule(ctx, timer)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			m.setNext(time.Time{})
			wg.Go(func() {
				m.cycle(ctx)
				cycled <- struct{}{}
			})
		case <-cycled:
			m.schedule(ctx, timer)
		case <-m.wake:
			for _, u := range m.takeAsked() {
				wg.Go(func() {
					m.run(ctx, u)
					m.collect(ctx)
				})
			}
		}
	}
}

// stopLooping ends the acceptance of requests and releases the pending ones.
func (m *Manager) stopLooping(ctx context.Context) {
	m.recordNext(context.WithoutCancel(ctx), time.Time{})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended, m.next = true, time.Time{}
	for _, u := range m.asked {
		u.running = false
	}
	m.asked = nil
}

// cycle runs every updater that is not running. The runs log for themselves.
func (m *Manager) cycle(ctx context.Context) {
	start := time.Now()
	results, _ := m.Update(ctx)
	failed := 0
	for _, r := range results {
		if r.Err != nil && !errors.Is(r.Err, clair.ErrConflict) {
			failed++
		}
	}
	m.log.InfoContext(ctx, "update finished", "updaters", len(results), "failed", failed, "took", time.Since(start))
}

// schedule sets the timer for the next cycle, varied at random so that servers
// that were started together do not send requests together.
func (m *Manager) schedule(ctx context.Context, timer *time.Timer) {
	timer.Stop()
	interval := time.Duration(m.cfg.Interval)
	if interval <= 0 {
		return
	}
	wait := time.Duration(float64(interval) * (0.9 + 0.2*rand.Float64()))
	next := time.Now().Add(wait)
	m.setNext(next)
	timer.Reset(wait)
	m.recordNext(ctx, next)
}

// recordNext stores the next runs for processes that only read the database.
// Nothing else depends on it, so a failure is only logged.
func (m *Manager) recordNext(ctx context.Context, next time.Time) {
	var names []string
	for _, u := range m.inUse(time.Now()) {
		names = append(names, u.updater.Name())
	}
	if err := m.store.SetNextRun(ctx, next, names...); err != nil && ctx.Err() == nil {
		m.log.ErrorContext(ctx, "update schedule not recorded", "err", err)
	}
}

func (m *Manager) setNext(t time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next = t
}

// collect collects garbage after a run, unless a collection is already
// running. It does not belong to a run, so its failure is only logged.
func (m *Manager) collect(ctx context.Context) {
	if !m.gc.TryLock() {
		return
	}
	defer m.gc.Unlock()
	start := time.Now()
	n, err := m.store.GC(ctx, m.cfg.Keep)
	switch {
	case err != nil && ctx.Err() == nil:
		m.log.ErrorContext(ctx, "garbage collection failed", "err", err)
	case err == nil && n > 0:
		m.log.DebugContext(ctx, "garbage collection finished", "rows", n, "took", time.Since(start))
	}
}

func statusOf(all []clair.UpdateStatus, updater string) clair.UpdateStatus {
	for _, s := range all {
		if s.Updater == updater {
			return s
		}
	}
	return clair.UpdateStatus{Updater: updater}
}
