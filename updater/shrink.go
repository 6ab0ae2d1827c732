package updater

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
)

// ErrHeldBack is the error of a run whose feed has lost more of its records than
// max_shrink allows. The data of the last success are served until the state is
// accepted.
var ErrHeldBack = errors.New("held back")

const (
	// shrinkExempt is the number of records below which a feed may lose any.
	shrinkExempt = 100
	// A state that is held back is taken once so many runs in a row over so
	// much time have found the same number of records.
	acceptRuns  = 3
	acceptAfter = 24 * time.Hour
)

// Accept makes the next run of updaters accept their states however small they
// are. An unknown name is an ErrNotFound.
func (m *Manager) Accept(ctx context.Context, names ...string) error {
	entries, err := m.find(ctx, names)
	if err != nil || len(names) == 0 {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		m.accepted[e.updater.Name()] = true
	}
	return nil
}

// taken removes an updater from the accepted ones.
func (m *Manager) taken(updater string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.accepted, updater)
}

// shrinkLimit is the least number of records of a run.
type shrinkLimit struct {
	before  int64 // records of the last success; 0: any number is fine
	allowed float64
	held    clair.HeldState
}

// shrinkLimit returns the limit of a run of a half: none if its updater was
// accepted or reads its feed in another way than before.
func (r *run) shrinkLimit(ctx context.Context, partial, optional bool) (shrinkLimit, error) {
	r.m.mu.Lock()
	l := shrinkLimit{allowed: r.m.cfg.MaxShrink}
	if own, ok := r.m.maxShrink[r.name]; ok {
		l.allowed = own
	}
	accepted := r.m.accepted[r.name]
	r.m.mu.Unlock()
	_, imported := r.updater.(feed.StateChecker)
	if partial || optional || accepted || imported || l.allowed == 0 {
		return shrinkLimit{}, nil
	}
	known, err := r.m.store.UpdateStatuses(ctx)
	if err != nil {
		return shrinkLimit{}, fmt.Errorf("update %s: %w", r.name, err)
	}
	s := statusOf(known, r.name)
	if v, ok := r.updater.(feed.Versioned); ok && !strings.HasPrefix(string(s.Fingerprint), v.Revision()+" ") {
		return shrinkLimit{}, nil
	}
	l.before, l.held = s.Records, s.Held
	return l, nil
}

// check returns an ErrHeldBack if there are too few records.
func (l shrinkLimit) check(updater string, records int64, now time.Time) error {
	if l.before < shrinkExempt || float64(records) >= float64(l.before)*(1-l.allowed) {
		return nil
	}
	if h := l.next(records, now); h.Runs >= acceptRuns && now.Sub(h.Since) >= acceptAfter {
		return nil
	}
	return fmt.Errorf("%w: the feed has %d records, and had %d before; to take it: oriel update --accept %s",
		ErrHeldBack, records, l.before, updater)
}

// next returns the state that is held back after a run that found so many
// records.
func (l shrinkLimit) next(records int64, now time.Time) clair.HeldState {
	if l.held.Records != records {
		return clair.HeldState{Records: records, Runs: 1, Since: now}
	}
	return clair.HeldState{Records: records, Runs: l.held.Runs + 1, Since: l.held.Since}
}
