package updater

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
)

// need is the state of the need of an automatic feed. The manager's mu guards
// it.
type need struct {
	at        time.Time // when something last needed it
	recorded  time.Time // the same, as the store has it
	succeeded time.Time // its last success
	failed    time.Time // its last attempt, if that failed
}

// ran records the result of a run.
func (n *need) ran(r *Result, now time.Time) {
	if r.Err != nil {
		n.failed = now
		return
	}
	n.succeeded, n.failed = now, time.Time{}
}

// used reports whether something needed the feed lately, so that it is updated.
func (n *need) used(now time.Time) bool {
	return !n.at.IsZero() && now.Sub(n.at) < clair.UnneededAfter
}

const (
	// RetryAfter is the time for which an automatic feed is not tried again
	// after it failed.
	RetryAfter = 10 * time.Minute
	// recordNeed is how old the store's record of a need may become.
	recordNeed = time.Hour
)

// Need records that places need their automatic feeds, and asks Run to fetch
// those that have never been fetched, or were paused because nothing needed them. A
// place is a platform, such as "alpine:3.23" or "npm", or the name of a format
// of enrichments, such as "nvd". It returns the names of the feeds that are
// being fetched, and does not wait for them. A feed that failed less than ten
// minutes ago is not tried again; its status has the error. Without
// Config.Auto nothing is needed.
func (m *Manager) Need(ctx context.Context, places ...string) (fetching []string, err error) {
	due, running, err := m.due(ctx, places)
	if err != nil || len(due) == 0 {
		return running, err
	}
	if err := m.store.CheckQuota(ctx); err != nil {
		return running, fmt.Errorf("fetch automatic feeds: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return nil, fmt.Errorf("fetch automatic feeds: %w: updates have ended here", clair.ErrUnavailable)
	}
	for _, e := range due {
		m.ask(e)
		running = append(running, e.updater.Name())
	}
	slices.Sort(running)
	return running, nil
}

// Needed returns the automatic feeds that UpdateNeeded would fetch for places,
// without recording that they are needed.
func (m *Manager) Needed(ctx context.Context, places ...string) ([]feed.Feed, error) {
	if err := m.load(ctx); err != nil || !m.cfg.Auto {
		return nil, err
	}
	now := time.Now()
	var out []feed.Feed
	for _, f := range m.automatic(places) {
		e := m.entry(f.Name)
		m.mu.Lock()
		if e == nil || e.due(now) {
			out = append(out, f)
		}
		m.mu.Unlock()
	}
	return out, nil
}

// UpdateNeeded does the same as Need for callers that wait: it runs the feeds
// and returns the results, as Update does.
func (m *Manager) UpdateNeeded(ctx context.Context, places ...string) ([]Result, error) {
	due, _, err := m.due(ctx, places)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	if err := m.store.CheckQuota(ctx); err != nil {
		return nil, fmt.Errorf("fetch automatic feeds: %w", err)
	}
	return m.update(ctx, due)
}

// due records that places need their automatic feeds, and returns those that
// are to be fetched, and the names of those that are running.
func (m *Manager) due(ctx context.Context, places []string) (due []*entry, running []string, err error) {
	if !m.cfg.Auto {
		return nil, nil, nil
	}
	if err := m.load(ctx); err != nil {
		return nil, nil, err
	}
	now := time.Now()
	record := map[string][]string{} // names by place
	var errs []error
	for _, place := range places {
		for _, f := range m.automatic([]string{place}) {
			e, err := m.add(f)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			m.mu.Lock()
			if e.due(now) && !slices.Contains(due, e) {
				due = append(due, e)
			}
			if e.running && !slices.Contains(running, f.Name) {
				running = append(running, f.Name)
			}
			e.need.at = now
			if now.Sub(e.need.recorded) >= recordNeed {
				e.need.recorded = now
				record[place] = append(record[place], f.Name)
			}
			m.mu.Unlock()
		}
	}
	for place, names := range record {
		if err := m.store.SetNeeded(ctx, now, place, names...); err != nil {
			errs = append(errs, err)
		}
	}
	slices.Sort(running)
	return due, running, errors.Join(errs...)
}

// due reports whether a feed that is needed is to be fetched. The caller holds
// the manager's mu.
func (e *entry) due(now time.Time) bool {
	switch {
	case !e.auto || e.running:
		return false
	case !e.need.failed.IsZero() && now.Sub(e.need.failed) < RetryAfter:
		return false
	}
	return e.need.succeeded.IsZero() || !e.need.used(now)
}

// automatic returns the automatic feeds of places, each once.
func (m *Manager) automatic(places []string) []feed.Feed {
	if m.o.Catalogue == nil {
		return nil
	}
	var out []feed.Feed
	for _, place := range places {
		for _, f := range m.o.Catalogue.Auto(platformOf(place)) {
			if !slices.ContainsFunc(out, func(o feed.Feed) bool { return o.Name == f.Name }) {
				out = append(out, f)
			}
		}
	}
	return out
}

// add returns the entry of an automatic feed, and makes it if it is new.
func (m *Manager) add(f feed.Feed) (*entry, error) {
	if e := m.entry(f.Name); e != nil {
		return e, nil
	}
	u, err := m.o.Open(f)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.entries { // another may have been faster
		if e.updater.Name() == f.Name {
			return e, nil
		}
	}
	if m.formats == nil {
		m.formats = map[string]string{}
	}
	m.formats[f.Name] = f.Format
	if n, ok := f.Fraction(feed.MaxShrinkOption); ok {
		if m.maxShrink == nil {
			m.maxShrink = map[string]float64{}
		}
		m.maxShrink[f.Name] = n
	}
	e := &entry{updater: u, auto: true}
	m.entries = append(m.entries, e)
	return e, nil
}

// load adds the automatic feeds that earlier processes needed.
func (m *Manager) load(ctx context.Context) error {
	m.mu.Lock()
	loaded := m.loaded || m.o.Catalogue == nil
	m.mu.Unlock()
	if loaded {
		return nil
	}
	known, err := m.store.UpdateStatuses(ctx)
	if err != nil {
		return fmt.Errorf("load the automatic feeds: %w", err)
	}
	for _, s := range known {
		f, ok := m.o.Catalogue.Find(s.Updater)
		if !ok {
			continue
		}
		e, err := m.add(f)
		if err != nil {
			return err
		}
		m.mu.Lock()
		if !e.need.at.After(s.Needed) {
			e.need = need{at: s.Needed, recorded: s.Needed, succeeded: s.LastSuccess}
			if s.Error != "" {
				e.need.failed = s.LastAttempt
			}
		}
		m.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loaded = true
	return nil
}

// inUse returns the updaters that are run regularly: all but the automatic feeds
// that nothing needed lately.
func (m *Manager) inUse(now time.Time) []*entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*entry
	for _, e := range m.entries {
		if !e.auto || m.cfg.Auto && e.need.used(now) {
			out = append(out, e)
		}
	}
	return out
}

// named returns the updater of a name. Naming an automatic feed counts as a
// need.
func (m *Manager) named(ctx context.Context, name string) (*entry, error) {
	e := m.entry(name)
	if (e == nil || e.auto) && m.o.Catalogue != nil {
		if f, ok := m.o.Catalogue.Find(name); ok {
			var err error
			if e, err = m.add(f); err != nil {
				return nil, err
			}
			now := time.Now()
			m.mu.Lock()
			e.need.at, e.need.recorded = now, now
			m.mu.Unlock()
			if err := m.store.SetNeeded(ctx, now, NeededByName, name); err != nil {
				return nil, err
			}
		}
	}
	if e == nil {
		return nil, fmt.Errorf("updater %q: %w", name, clair.ErrNotFound)
	}
	return e, nil
}

// NeededByName is the place of the need of an automatic feed that was updated by
// its name.
const NeededByName = "update"

// formatOf returns the format of an updater's feed, "" if it is not known.
func (m *Manager) formatOf(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.formats[name]
}
