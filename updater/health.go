package updater

import (
	"context"
	"fmt"
	"maps"
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

// Health tells how feeds are doing.
type Health struct {
	Store HealthStore
	// Formats are those of the feeds.
	Formats Registry
	// Config is that of the updaters, and Configured are the feeds.
	Config     Config
	Configured []Feed
	// Manager runs the feeds; nil where another process does.
	Manager *Manager
}

// Feeds tells how all feeds are doing: those of the configuration in its
// order, then the others that have an operation, by name, since reports go by
// their data too.
func (h Health) Feeds(ctx context.Context) (clair.Feeds, error) {
	known, err := h.Store.UpdateStatuses(ctx)
	if err != nil {
		return nil, err
	}
	latest, err := h.Store.GetLatestUpdateRefs(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("tell the health of feeds: %w", err)
	}
	byName := make(map[string]clair.UpdateStatus, len(known))
	for _, s := range known {
		byName[s.Updater] = s
	}
	out := make(clair.Feeds, 0, len(h.Configured))
	configured := map[string]bool{}
	for _, f := range h.Configured {
		configured[f.Name] = true
		out = append(out, h.configured(f, byName[f.Name]))
	}
	for _, name := range slices.Sorted(maps.Keys(latest)) {
		if configured[name] {
			continue
		}
		s, ok := byName[name]
		if !ok { // it came in another way than by a run
			op := latest[name][0]
			s = clair.UpdateStatus{Updater: name, Kind: op.Kind, LastAttempt: op.Date, LastSuccess: op.Date}
		}
		out = append(out, clair.Feed{UpdateStatus: s, StaleAfter: time.Duration(h.Config.StaleAfter)})
	}
	for i := range out {
		for _, op := range latest[out[i].Updater] {
			if op.Kind == out[i].Kind {
				out[i].Operation = op.Ref
			}
		}
	}
	if h.Manager != nil {
		h.Manager.planned(out)
	}
	return out, nil
}

// configured is a feed of the configuration as its status says.
func (h Health) configured(f Feed, status clair.UpdateStatus) clair.Feed {
	out := clair.Feed{
		UpdateStatus: status, Format: f.Format, URL: fetch.Mask(f.URL),
		Configured: true, Enabled: f.Enabled, StaleAfter: time.Duration(h.Config.StaleAfter),
	}
	out.Updater = f.Name
	if format, ok := h.Formats.Lookup(f.Format); ok {
		out.Kind = format.Kind
	}
	if own, ok := f.Duration(StaleAfterOption); ok {
		out.StaleAfter = own
	}
	return out
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
