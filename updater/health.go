package updater

import (
	"context"
	"fmt"
	"slices"
	"time"

	"oriel/clair"
	"oriel/fetch"
)

// HealthStore is what the health of feeds is read from.
type HealthStore interface {
	UpdateStatuses(context.Context) ([]clair.UpdateStatus, error)
	// GetLatestUpdateRefs gives the newest operation of each updater and
	// kind; the empty kind is any.
	GetLatestUpdateRefs(ctx context.Context, kind clair.Kind) (map[string][]clair.UpdateOperation, error)
}

// Health tells how all feeds are doing: those of the configuration in its
// order, then the others that have an operation, by name, since reports go by
// their data too. m is the manager that runs the feeds, nil where another
// process does.
func (r Registry) Health(ctx context.Context, c Config, feeds []Feed, db HealthStore, m *Manager) (clair.Feeds, error) {
	known, err := db.UpdateStatuses(ctx)
	if err != nil {
		return nil, err
	}
	latest, err := db.GetLatestUpdateRefs(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("tell the health of feeds: %w", err)
	}
	byName := make(map[string]clair.UpdateStatus, len(known))
	for _, s := range known {
		byName[s.Updater] = s
	}
	out := make(clair.Feeds, 0, len(feeds))
	configured := map[string]bool{}
	for _, f := range feeds {
		configured[f.Name] = true
		status := byName[f.Name]
		status.Updater = f.Name
		h := clair.Feed{
			UpdateStatus: status, Format: f.Format, URL: fetch.Mask(f.URL),
			Configured: true, Enabled: f.Enabled, StaleAfter: time.Duration(c.StaleAfter),
		}
		if format, ok := r.Lookup(f.Format); ok {
			h.Kind = format.Kind
		}
		if own, ok := f.Duration(StaleAfterOption); ok {
			h.StaleAfter = own
		}
		out = append(out, h)
	}
	for _, s := range known {
		if !configured[s.Updater] && len(latest[s.Updater]) > 0 {
			out = append(out, clair.Feed{UpdateStatus: s, StaleAfter: time.Duration(c.StaleAfter)})
		}
	}
	for i := range out {
		for _, op := range latest[out[i].Updater] {
			if op.Kind == out[i].Kind {
				out[i].Operation = op.Ref
			}
		}
	}
	if m != nil {
		m.planned(out)
	}
	return out, nil
}

// planned fills in what only the running manager knows.
func (m *Manager) planned(feeds clair.Feeds) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range feeds {
		f := &feeds[i]
		name := f.Updater
		if set, ok := m.members[name]; ok {
			name = set
		}
		u := slices.IndexFunc(m.updaters, func(u clair.Updater) bool { return u.Name() == name })
		f.NextRun = time.Time{}
		if u >= 0 {
			f.Running, f.NextRun = m.running[u], m.next
		}
	}
}
